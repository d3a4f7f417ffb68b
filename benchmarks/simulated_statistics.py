"""Simulated against real Sentinel-1: amplitude distribution, equivalent number of looks, autocorrelation.

    python benchmarks/simulated_statistics.py LOSANGELES_ROOT TERRAMESH_ROOT

Los Angeles: 8-bit VH amplitude over its 99 % quantile, against eight simulated scenes of 1024 pixels in the same form.
TerraMesh: gamma0 VV and VH in dB of five places against the same simulated scenes, as power. The equivalent number of
looks is the median over the 2 % most homogeneous windows of 16x16 pixels; autocorrelation is that of the logarithm of
the amplitude, less its mean, at lags along both axes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from saropt.radiometry import equivalent_looks, from_db
from saropt.roots import DataRoot
from saropt.scenes import Scene
from saropt.simulate import amplitude_q99, simulate_scene

LAGS = (1, 2, 3, 5, 10, 20)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SIDE = 16


def looks_of(power: np.ndarray) -> float:
    """Median over the most homogeneous windows."""
    rows, columns = (size // SIDE for size in power.shape)
    cells = power[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
    cells = cells.reshape(-1, SIDE, SIDE).astype(np.float64)
    full = cells[(cells > 0).all(axis=(1, 2)) & (cells < power.max()).all(axis=(1, 2))]
    found = sorted((equivalent_looks(cell) for cell in full), reverse=True)
    return float(np.median(found[: max(1, len(found) // 50)]))


def correlation_of(amplitude: np.ndarray) -> list[float]:
    field = np.log(np.maximum(amplitude, 1e-3))
    field = field - field.mean()
    power = float((field * field).mean())
    return [float(((field[:, k:] * field[:, :-k]).mean() + (field[k:] * field[:-k]).mean()) / 2 / power) for k in LAGS]


def line(name: str, images: list[np.ndarray], powers: list[np.ndarray]) -> str:
    quantiles = np.median([np.quantile(image, LEVELS) for image in images], axis=0)
    looks = float(np.median([looks_of(power) for power in powers]))
    lags = np.median([correlation_of(np.sqrt(power)) for power in powers], axis=0)
    cells = [*(f"{q:.3g}" for q in quantiles), f"{looks:.1f}", *(f"{lag:.2f}" for lag in lags)]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("losangeles", type=Path)
    parser.add_argument("terramesh", type=Path)
    options = parser.parse_args()
    head = [*(f"{level:.0%}" for level in LEVELS), "ENL", *(f"lag {lag}" for lag in LAGS)]
    print(f"| | {' | '.join(head)} |\n|{'---|' * (len(head) + 1)}")
    scenes = [simulate_scene(1024, seed) for seed in range(8)]
    root = DataRoot.open(options.losangeles)
    real = []
    for name in list(root.splits)[::4]:
        with Scene.open(root.raster("sar", name)) as scene:
            real.append(scene.read()[0][0])
    print(line("Los Angeles, VH amplitude, 8 bits", real, [image.astype(np.float64) ** 2 for image in real]))
    eight = [amplitude_q99(scene.sigma0[1]).astype(np.float64) for scene in scenes]
    print(line("simulated, VH amplitude, 8 bits", eight, [image**2 for image in eight]))
    places = DataRoot.open(options.terramesh)
    for band, polarisation in enumerate(("VV", "VH")):
        decibels = []
        for name in places.splits:
            with Scene.open(places.raster("sar", name)) as scene:
                decibels.append(scene.read()[0][band])
        powers = [from_db(image, "gamma0") for image in decibels]
        print(line(f"TerraMesh, {polarisation}, dB", decibels, powers))
        powers = [scene.sigma0[band] for scene in scenes]
        print(line(f"simulated, {polarisation}, dB", [10 * np.log10(power) for power in powers], powers))


if __name__ == "__main__":
    main()
