"""Peak memory of an evaluation by the size of the raster, as ratios to that of the smallest.

    python benchmarks/evaluation_memory.py [--model NAME ...] [--sides 1024 2048 4096]

Each side is one test raster of SAR and optical in 8 bits, evaluated in a process of its own beside the baselines. The
models "naf_unet" and "unet_256" are small networks with random weights: one translates tile by tile, the other sees its
whole window and is blended (torch). Their windows are smaller than the smallest raster: a network with larger windows
needs the memory of one window, which a small raster does not fill.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

STRIP = 256
NETWORKS = {
    "naf_unet": {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2},
    "unet_256": {"width": 4},
}


def write_root(folder: Path, side: int) -> Path:
    """A data root of one train raster of 512 pixels and one test raster of `side` pixels."""
    from saropt.scenes import SceneWriter

    random = np.random.default_rng(0)
    for role, bands in (("sar", ["VH"]), ("optical", ["B4", "B3", "B2"])):
        (folder / role).mkdir(parents=True)
        for name, size in (("train", 512), ("test", side)):
            path = folder / role / f"{name}.tif"
            with SceneWriter(path, width=size, height=size, band_names=bands, dtype="uint8", nodata=0) as writer:
                for row in range(0, size, STRIP):
                    writer.write(row, 0, random.integers(1, 256, (len(bands), STRIP, size)).astype(np.uint8))
                writer.finish()
    (folder / "splits.csv").write_text("name,split\ntrain,train\ntest,test\n", encoding="utf-8")
    (folder / "dataset.yaml").write_text(
        "name: random\ngsd_m: 10\nsar: {bands: [VH], units: amplitude}\n"
        "optical: {bands: [B4, B3, B2], units: uint8}\nlicence: none\n",
        encoding="utf-8",
    )
    return folder


def write_translator(path: Path, network: str) -> Path:
    """A translator file with random weights."""
    import torch

    from saropt.artifacts import Card, DirectionCard, ImageCard, TrainingCard, save_weights
    from saropt.domain import SAR_TO_OPTICAL
    from saropt.networks import build_network, has_instance_statistics

    torch.manual_seed(0)
    module = build_network(network, 1, 3, **NETWORKS[network])
    eight_bit = {"kind": "eight_bit"}
    described = DirectionCard(
        inputs=(ImageCard(role="sar", bands=("VH",), units="amplitude", dtype="uint8", recipe=eight_bit),),
        outputs=(ImageCard(role="optical", bands=("B4", "B3", "B2"), units="uint8", dtype="uint8", recipe=eight_bit),),
        network=network,
        arguments=NETWORKS[network],
        stride=module.stride,
        receptive_field=module.receptive_field,
        statistics="scene" if has_instance_statistics(module) else "none",
        tile=512 if module.receptive_field is not None else 256,
    )
    card = Card(
        name=network,
        method="pix2pix",
        directions={SAR_TO_OPTICAL: described},
        gsd_m=10.0,
        training=TrainingCard(data="none", split="train", steps=0, seed=0, licence="none"),
    )
    save_weights(path, card, {f"sar2opt.{key}": value.numpy() for key, value in module.state_dict().items()})
    return path


def measure(root: Path, model: str) -> None:
    """Evaluate, and print the peak memory in MB."""
    from saropt import Translator
    from saropt.evaluation import EvaluationSpec, evaluate

    with tempfile.TemporaryDirectory() as folder:
        path = write_translator(Path(folder) / "random.safetensors", model) if model in NETWORKS else model
        evaluate(EvaluationSpec(root, Translator.load_all(path, threads=1)), Path(folder) / "report")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["naf_unet", "unet_256"])
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.model[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        roots = {side: write_root(Path(folder) / str(side), side) for side in arguments.sides}
        for model in arguments.model:
            first = None
            for side, root in roots.items():
                command = [sys.executable, __file__, "--measure", str(root), "--model", model]
                environment = os.environ | {"OMP_NUM_THREADS": "1"}
                found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
                peak = float(found.stdout.split()[-1])
                first = first or peak
                print(f"{model:16} {side:5}²  {peak:6.0f} MB  {peak / first:5.2f}", flush=True)


if __name__ == "__main__":
    main()
