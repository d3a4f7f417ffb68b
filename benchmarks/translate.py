"""Throughput and memory of `Translator.translate`; ratios within one run, minima of several repeats.

    python benchmarks/translate.py engine     whole engine against the bare generator on the same tiles
    python benchmarks/translate.py resnet     whole engine against an eager fp32 ResNet-9 on the same pixels
    python benchmarks/translate.py memory     peak resident memory by scene size
    python benchmarks/translate.py reference  the translators with earlier images against those of SAR alone
    python benchmarks/translate.py full       a whole Sentinel-1 GRD frame, 25,000x17,000, two bands of float32 decibels

Scenes are simulated, in the bands and units that the translator takes (uint8 amplitude or float32 decibels), tiled from
one 2048x2048 scene. Needs `saropt[train]` for `resnet`.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from saropt import Translator
from saropt.inference.tiling import halo_of, plan_tiles
from saropt.scenes import SceneWriter
from saropt.simulate import amplitude_q99, simulate_scene

EMPTY = "import saropt.inference, onnxruntime, onnx, rasterio"
BLOCK = 2048
POLARISATIONS = ["VV", "VH"]
Options = dict[str, str]


def make_scene(path: Path, model: str, side: int, seed: int = 0) -> None:
    """A scene of side x side pixels in what the translator takes."""
    card = Translator.load(model).source
    places = [POLARISATIONS.index(band) if band in POLARISATIONS else 0 for band in card.bands]
    sigma0 = simulate_scene(BLOCK, seed, looks=8).sigma0[places]
    block = _decibels(sigma0) if card.units == "sigma0_db" else np.stack([amplitude_q99(band) for band in sigma0])
    _write(path, block, card.bands, side, side)


def _decibels(sigma0: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(sigma0.astype(np.float32), 1e-5))


def _write(path: Path, block: np.ndarray, bands: Sequence[str], width: int, height: int) -> None:
    """A scene of copies of a block, written block by block."""
    dtype = str(block.dtype)
    with SceneWriter(path, width=width, height=height, band_names=bands, dtype=dtype, overwrite=True) as writer:
        for row in range(0, height, BLOCK):
            for col in range(0, width, BLOCK):
                writer.write(row, col, block[:, : height - row, : width - col])
        writer.finish()


def fastest(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def engine(folder: Path, model: str, side: int, repeats: int, options: Options) -> None:
    """Alternates engine and bare generator so that both see the same machine."""
    scene, out = folder / "scene.tif", folder / "out.tif"
    make_scene(scene, model, side)
    translator = Translator.load(model, **options)
    card = translator.card.directions["sar2opt"]
    assert card.receptive_field is not None
    tiles = plan_tiles(side, side, card.tile, halo_of(card.receptive_field, card.stride), card.stride)
    window = np.random.default_rng(0).uniform(
        -1, 1, (1, translator.source.channels, tiles[0].read.height, tiles[0].read.width)
    )
    window = window.astype(np.float32)

    def bare() -> None:
        for _ in tiles:
            translator._backend(window)

    bare_times, whole_times = [], []
    for _ in range(repeats):
        bare_times.append(fastest(bare, 1))
        whole_times.append(fastest(lambda: translator.translate(scene, out, overwrite=True), 1))
    share = min(bare_times) / min(whole_times)
    megapixels = side * side / 1e6
    print(f"{side}x{side}, {len(tiles)} tiles of {tiles[0].read.height} px, minima of {repeats}")
    print(f"bare generator   {megapixels / min(bare_times):6.2f} Mpx/s")
    print(f"saropt translate {megapixels / min(whole_times):6.2f} Mpx/s, {share:.1%} of the bare generator")


def resnet(folder: Path, model: str, side: int, repeats: int, options: Options) -> None:
    """The engine, file reading and COG writing included, against eager ResNet-9 on 256x256 tiles without halo."""
    import torch

    from saropt.networks import build_network

    scene, out = folder / "scene.tif", folder / "out.tif"
    make_scene(scene, model, side)
    translator = Translator.load(model, **options)
    network = build_network("resnet", 1, 3).eval()
    tile = torch.zeros(1, 1, 256, 256)

    def eager() -> None:
        with torch.inference_mode():
            network(tile)

    eager()
    eager_times, whole_times = [], []
    for _ in range(repeats):
        eager_times.append(fastest(eager, 5))
        whole_times.append(fastest(lambda: translator.translate(scene, out, overwrite=True), 1))
    slow, fast = 256 * 256 / min(eager_times) / 1e6, side * side / min(whole_times) / 1e6
    print(f"eager ResNet-9 (fp32, 256x256 tiles) {slow:6.3f} Mpx/s; {torch.get_num_threads()} threads")
    print(f"saropt translate ({side}x{side}) {fast:6.3f} Mpx/s: {fast / slow:.1f} times")


def reference(folder: Path, side: int, repeats: int, options: Options) -> None:
    """Seconds of the translators with earlier images, all rasters on one grid, over those of each of SAR alone."""
    alone = {name: folder / f"{name}.tif" for name in ("s1-losangeles", "s1-world")}
    for name, path in alone.items():
        make_scene(path, name, side)
    runs: dict[str, tuple[Translator, Path, dict[str, Path]]] = {
        name: (Translator.load(name, **options), path, {}) for name, path in alone.items()
    }
    for name in ("s1-reference", "flood-reference"):
        translator = Translator.load(name, **options)
        paths = [folder / f"{name}-{part}.tif" for part in ("now", "before", "colours")]
        for seed, path in enumerate(paths[:2]):
            make_scene(path, name, side, seed)
        card = translator.target
        optical = simulate_scene(BLOCK, 1, looks=8).optical
        bands = np.concatenate([optical, optical[:1]])[: len(card.bands)]
        scale, offset = (255, 0) if card.dtype == "uint8" else (3000, 200)
        _write(paths[2], (bands * scale + offset).astype(card.dtype), card.bands, side, side)
        runs[name] = translator, paths[0], {"reference_sar": paths[1], "reference": paths[2]}
    best = dict.fromkeys(runs, np.inf)
    for _ in range(repeats):
        for name, (model, path, further) in runs.items():
            call = partial(model.translate, path, folder / "out.tif", overwrite=True, **further)
            best[name] = min(best[name], fastest(call, 1))
    for name in ("s1-reference", "flood-reference"):
        ratios = ", ".join(f"{best[name] / best[other]:.2f} times as long as {other}" for other in alone)
        print(f"{side}x{side}, minima of {repeats}: {name} takes {ratios}")


def memory(folder: Path, model: str, sides: list[int], options: Options) -> None:
    """Each size in a process of its own; the empty process is measured with the model's libraries imported."""
    empty = _peak(EMPTY)
    print(f"empty process {empty:.0f} MB")
    for side in sides:
        scene, out = folder / f"{side}.tif", folder / f"{side}-out.tif"
        make_scene(scene, model, side)
        peak = _peak(
            "from saropt import Translator; "
            f"Translator.load({model!r}, **{options!r}).translate({str(scene)!r}, {str(out)!r})"
        )
        print(f"{side}x{side}: peak {peak:.0f} MB, {peak - empty:.0f} MB over the empty process", flush=True)
        scene.unlink()
        out.unlink()


def full(folder: Path, model: str, width: int, height: int, options: Options) -> None:
    """One frame, written and read strip by strip, to a COG in a process of its own."""
    scene, out = folder / "scene.tif", folder / "out.tif"
    _write(scene, _decibels(simulate_scene(BLOCK, 0, looks=8).sigma0), POLARISATIONS, width, height)
    empty = _peak(EMPTY)
    bands = Translator.load(model).source.bands
    load = f"Translator.load({model!r}, **{options!r})"
    translate = f"{load}.translate({str(scene)!r}, {str(out)!r}, bands={bands!r}, units='sigma0_db')"
    start = time.perf_counter()
    peak = _peak(f"from saropt import Translator; {translate}")
    minutes = (time.perf_counter() - start) / 60
    sizes = f"{scene.stat().st_size / 1e9:.2f} GB to {out.stat().st_size / 1e9:.2f} GB"
    print(f"{width}x{height}, {sizes} in {minutes:.1f} minutes")
    print(f"peak {peak:.0f} MB, {peak - empty:.0f} MB over the empty process")


def _peak(program: str) -> float:
    """Peak resident MB of a process of its own; `ru_maxrss` would hold that of this one at the fork."""
    code = f"{program}\nprint(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(result.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["engine", "resnet", "reference", "memory", "full"])
    parser.add_argument("--model", default="s1-losangeles", help="translator, a name or a file")
    parser.add_argument("--side", type=int, default=6144)
    parser.add_argument("--sides", type=int, nargs="+", default=[6144, 16384])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--backend", choices=["onnx", "openvino"], default="onnx")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--frame", type=int, nargs=2, default=[25000, 17000], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--folder", type=Path, help="where to work; `full` takes some 15 GB")
    arguments = parser.parse_args()
    model = arguments.model
    options = {"backend": arguments.backend, "precision": arguments.precision}
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        if arguments.part == "memory":
            memory(folder, model, arguments.sides, options)
        elif arguments.part == "full":
            width, height = arguments.frame
            full(folder, model, width, height, options)
        elif arguments.part == "reference":
            reference(folder, arguments.side, arguments.repeats, options)
        else:
            part = {"engine": engine, "resnet": resnet}[arguments.part]
            part(folder, model, arguments.side, arguments.repeats, options)


if __name__ == "__main__":
    main()
