"""Windows per second of random 256x256 pairs: straight from GeoTIFF against pre-cut PNG on the same pixels, one run.

    python benchmarks/loading.py [--side N] [--windows N] [--workers N]

One simulated pair of `side` x `side` pixels (8-bit amplitude and RGB) is written as deflated GeoTIFF and cut into PNG
tiles of 256. Both sides end in float32 arrays. "held" keeps the decoded rasters (the default for what fits the cache),
"blocks" reads through the block cache as large rasters are, "cold" has a block cache of one block only; PNG are read as
torchvision's ImageFolder does: open with PIL, convert, to float32. Median of three alternating rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from saropt.roots.rasters import Rasters
from saropt.scenes import Window, write_array
from saropt.simulate import amplitude_q99, simulate_scene

CROP = 256
ONE, THREE = (1,), (1, 2, 3)


def make(folder: Path, side: int) -> list[str]:
    """The pair as GeoTIFF and as PNG tiles; names of the tiles."""
    scene = simulate_scene(min(side, 2048), 0)
    repeats = -(-side // scene.label.shape[0])
    sar = np.tile(amplitude_q99(scene.sigma0[1]), (repeats, repeats))[None, :side, :side]
    optical = np.tile(np.rint(scene.optical * 255).astype(np.uint8), (1, repeats, repeats))[:, :side, :side]
    write_array(folder / "sar.tif", sar, band_names=["VH"])
    write_array(folder / "optical.tif", optical, band_names=["B4", "B3", "B2"])
    names = []
    for kind, image in (("sar", sar[0]), ("optical", optical.transpose(1, 2, 0))):
        (folder / kind).mkdir()
        for row in range(0, side - CROP + 1, CROP):
            for col in range(0, side - CROP + 1, CROP):
                name = f"{row}_{col}.png"
                Image.fromarray(image[row : row + CROP, col : col + CROP]).save(folder / kind / name)
                names.append(name)
    return sorted(set(names))


def rate(draw: Callable[[int], object], count: int, workers: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(draw, range(count)):
            pass
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = make(folder, options.side)

        def from_tif(rasters: Rasters) -> Callable[[int], object]:
            def draw(number: int) -> object:
                rng = np.random.default_rng(number)
                row, col = (int(n) for n in rng.integers(options.side - CROP + 1, size=2))
                window = Window(row, col, CROP, CROP)
                return [rasters.read(folder / f"{k}.tif", b, window) for k, b in (("sar", ONE), ("optical", THREE))]

            return draw

        def from_png(number: int) -> object:
            name = names[int(np.random.default_rng(number).integers(len(names)))]
            images = []
            for kind, mode in (("sar", "L"), ("optical", "RGB")):
                with (folder / kind / name).open("rb") as file:
                    images.append(np.asarray(Image.open(file).convert(mode), np.float32))
            return images

        decoded = options.side**2 * 4 * 5
        ways: dict[str, Callable[[int], object]] = {
            "PNG tiles": from_png,
            "GeoTIFF, held": from_tif(Rasters(decoded * 8)),
            "GeoTIFF, blocks": from_tif(Rasters(decoded // 2)),
            "GeoTIFF, cold": from_tif(Rasters(2)),
        }
        for draw in ways.values():
            rate(draw, 50, options.workers)
        rounds = [{name: rate(draw, options.windows, options.workers) for name, draw in ways.items()} for _ in range(3)]
    print(f"{options.side}x{options.side} pixels, {options.windows} windows, {options.workers} threads")
    print("| way | windows/s | over PNG |")
    print("|---|---|---|")
    for name in ways:
        own = statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one[name] / one["PNG tiles"] for one in rounds)
        print(f"| {name} | {own:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
