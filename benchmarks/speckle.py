"""Speckle filters side by side: smoothing, edges, error and time, as a Markdown table.

    python benchmarks/speckle.py [--real DIR]

Simulated four-look VV sigma0 of 1024x1024 pixels, uncorrelated speckle: equivalent number of looks over the sea
(4.0 before filtering), edge preservation index and error in dB against the speckle-free image, seconds on one core.
With `--real` the rise of the equivalent number of looks over the smoothest 32x32 windows of the first SAR raster of a
data root.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from saropt.radiometry import FILTERS, edge_preservation, equivalent_looks, from_db, to_db
from saropt.roots import DataRoot
from saropt.scenes import Scene
from saropt.simulate import COVER_INDEX, SceneConfig, simulate_scene

LOOKS = 4.0


def smoothest(power: np.ndarray, side: int = 32, share: float = 0.05) -> list[tuple[slice, slice]]:
    """The windows with the largest equivalent number of looks."""
    grid = [
        (slice(r, r + side), slice(c, c + side))
        for r in range(0, power.shape[0] - side + 1, side)
        for c in range(0, power.shape[1] - side + 1, side)
    ]
    return sorted(grid, key=lambda place: -equivalent_looks(power[place]))[: max(1, int(share * len(grid)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--size", type=int, default=1024)
    options = parser.parse_args()
    scene = simulate_scene(options.size, 3, looks=LOOKS, config=SceneConfig(psf_px=0.0, water=0.15))
    power, clean = scene.sigma0[0].astype(np.float64), scene.sigma0_clean[0].astype(np.float64)
    sea = scene.cover == COVER_INDEX["sea"]
    print("| filter | ENL over the sea | edge preservation | error, dB | s per megapixel |")
    print("|---|---|---|---|---|")
    for name in ("none", *FILTERS):
        start = time.perf_counter()
        filtered = power if name == "none" else FILTERS[name].apply(power, LOOKS)
        seconds = (time.perf_counter() - start) / power.size * 1e6
        error = np.abs(to_db(filtered, "sigma0") - to_db(clean, "sigma0")).mean()
        edges = edge_preservation(np.sqrt(filtered), np.sqrt(clean))
        print(f"| {name} | {equivalent_looks(filtered[sea]):.1f} | {edges:.3f} | {error:.2f} | {seconds:.2f} |")
    if options.real:
        root = DataRoot.open(options.real)
        name = next(iter(root.splits))
        with Scene.open(root.raster("sar", name)) as raster:
            power = from_db(to_db(raster.read()[0][0], root.images["sar"].units), "sigma0").astype(np.float64)
        places = smoothest(power)
        looks = float(np.median([equivalent_looks(power[place]) for place in places]))
        print(f"\n{root.name}/{name}, smoothest windows: ENL {looks:.1f}", end="")
        for filter_name, chosen in FILTERS.items():
            filtered = chosen.apply(power, max(looks, 1.0))
            print(f", {filter_name} {np.median([equivalent_looks(filtered[place]) for place in places]):.1f}", end="")
        print()


if __name__ == "__main__":
    main()
