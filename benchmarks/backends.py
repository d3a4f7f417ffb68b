"""Backends and precisions of the bundled translator: what each gains in speed and costs in quality.

    python benchmarks/backends.py speed DATA       bare network on 256x256 windows, ratios to an eager fp32 ResNet-9
    python benchmarks/backends.py quality DATA     scores on val and test, distances from ONNX Runtime at fp32

DATA is the data root that the int8 ranges are taken from and the scores measured on. Speeds are of CPU time on one
thread, minima of rounds that take all candidates in turn: what else runs on the machine hardly counts. Needs
`saropt[train,openvino]`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import openvino

from saropt import Translator
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import export_translator
from saropt.inference.runtimes import Backend, TorchBackend
from saropt.roots import DataRoot

MODEL = "s1-losangeles"
SIDE = 256


def candidates(folder: Path, data: Path) -> dict[str, Translator]:
    """The bundled translator by backend and precision."""
    int8 = export_translator(MODEL, folder / "int8.onnx", int8=True, data=data)
    chosen = {
        "ONNX Runtime fp32": (MODEL, "onnx", "fp32"),
        "OpenVINO fp32": (MODEL, "openvino", "fp32"),
        "OpenVINO bf16": (MODEL, "openvino", "bf16"),
        "ONNX Runtime int8": (int8, "onnx", "fp32"),
        "OpenVINO int8": (int8, "openvino", "fp32"),
    }
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        del chosen["OpenVINO bf16"]
    return {
        name: Translator.load(model, backend=backend, precision=precision, threads=1)
        for name, (model, backend, precision) in chosen.items()
    }


def speed(translators: dict[str, Translator], repeats: int) -> None:
    import torch

    from saropt.networks import build_network

    torch.set_num_threads(1)
    backends: dict[str, Backend] = {"eager ResNet-9 fp32": TorchBackend(build_network("resnet", 1, 3), "cpu", "fp32")}
    backends |= {name: translator._backend for name, translator in translators.items()}
    card = translators["ONNX Runtime fp32"].card.directions["sar2opt"]
    for precision, compiled in product(("fp32", "bf16"), (False, True)):  # weights do not matter here
        module = build_network(card.network, 1, 3, **card.arguments)
        name = f"torch {'compiled' if compiled else 'eager'} {precision}"
        backends[name] = TorchBackend(module, "cpu", precision, compiled=compiled)  # type: ignore[arg-type]
    window = np.random.default_rng(0).uniform(-1, 1, (1, 1, SIDE, SIDE)).astype(np.float32)
    best = dict.fromkeys(backends, float("inf"))
    for _ in range(repeats + 1):
        for name, backend in backends.items():
            start = time.process_time()
            backend(window)
            best[name] = min(best[name], time.process_time() - start)
    reference = best["eager ResNet-9 fp32"]
    print(f"{SIDE}x{SIDE}, one thread, CPU time, minima of {repeats}")
    for name, seconds in best.items():
        print(f"{name:22} {SIDE * SIDE / seconds / 1e6:6.3f} Mpx/s, {reference / seconds:5.1f} times ResNet-9")


def quality(translators: dict[str, Translator], data: Path, folder: Path) -> None:
    for split in ("val", "test"):
        models = [_renamed(name, translator) for name, translator in translators.items()]
        spec = EvaluationSpec(data, models, split, baselines=False, html=False)
        for name, directions in evaluate(spec, folder / split).models.items():
            scores = directions["sar2opt"]
            figures = "  ".join(f"{key} {scores[key]:.4f}" for key in ("psnr", "ssim", "mae", "collapse_ratio"))
            print(f"{split:5} {name:20} {figures}", flush=True)
    distances(translators, DataRoot.open(data))


def distances(translators: dict[str, Translator], root: DataRoot) -> None:
    """From what ONNX Runtime gives at fp32, in grey levels of 255."""
    from saropt.scenes import Scene

    sums = dict.fromkeys(translators, 0.0)
    most = dict.fromkeys(translators, 0)
    paths = list(root.rasters("sar", "test").values())
    for path in paths:
        with Scene.open(path) as scene:
            stored, valid = scene.read_stored()
        outputs = {name: t.translate_array(stored, valid=valid)[:, valid] for name, t in translators.items()}
        reference = outputs["ONNX Runtime fp32"].astype(int)
        for name, output in outputs.items():
            error = np.abs(output - reference)
            sums[name] += float(error.mean())
            most[name] = max(most[name], int(error.max()))
    for name in translators:
        print(f"{name:20} mean distance {sums[name] / len(paths):.3f} of 255, greatest {most[name]}")


def _renamed(name: str, translator: Translator) -> Translator:
    translator.card = translator.card.model_copy(update={"name": name})
    return translator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "quality"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        translators = candidates(Path(name), arguments.data)
        if arguments.part == "speed":
            speed(translators, arguments.repeats)
        else:
            quality(translators, arguments.data, Path(name))


if __name__ == "__main__":
    main()
