"""How long a data root of many small rasters takes to start from, and how fast windows are drawn from it.

    python benchmarks/indexing.py [--rasters 100000] [--size 32] [--windows 2000] [--before 1000] [--folder DIR]

Half of the rasters are SAR (float32 decibels), half optical (8 bits). Before there was an index every start opened and
sampled every raster, and every window was drawn by `Generator.choice` over all weights; that is measured on --before
rasters and stated for all of them in proportion.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.errors import NotGeoreferencedWarning

from saropt.artifacts import ImageCard
from saropt.radiometry import DbClip, Q99Amplitude, Reflectance, check_units
from saropt.roots import DataRoot, WindowSampler
from saropt.scenes import Scene


def make_root(path: Path, names: int, size: int) -> None:
    """Each raster is a copy of one of a hundred."""
    rng = np.random.default_rng(0)
    for role, dtype in (("sar", "float32"), ("optical", "uint8")):
        (path / role).mkdir(parents=True)
        form: dict[str, Any] = {"driver": "GTiff", "height": size, "width": size, "dtype": dtype}
        models = []
        for number in range(100):
            model = path / f"model{number}.tif"
            values = rng.uniform(-20, 0, (1, size, size)) if role == "sar" else rng.integers(1, 255, (3, size, size))
            with rasterio.open(model, "w", count=len(values), **form) as dataset:
                dataset.write(values.astype(dtype))
            models.append(model.read_bytes())
            model.unlink()
        for number in range(names):
            (path / role / f"{number:07d}.tif").write_bytes(models[number % 100])
    description = {
        "name": "many",
        "gsd_m": 10,
        "sar": {"bands": ["VV"], "units": "sigma0_db"},
        "optical": {"bands": ["R", "G", "B"], "units": "uint8"},
    }
    (path / "dataset.yaml").write_text(yaml.safe_dump(description))
    (path / "splits.csv").write_text("name,split\n" + "".join(f"{number:07d},train\n" for number in range(names)))


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def start_before(root: DataRoot, cards: dict[str, ImageCard], most: int) -> float:
    """Seconds a raster of a start without an index: open, sample, check, fit."""

    def run() -> None:
        for role, card in cards.items():
            recipe, bands = card.make_recipe(), tuple(range(1, len(card.bands) + 1))
            for path in list(root.rasters(role, "train").values())[:most]:
                with Scene.open(path, bands=bands) as scene:
                    sample = scene.sample(1 << 18)
                    if role == "sar":
                        check_units(sample, card.units, scene.dtype)
                    recipe.fit(sample, card.units, scene.dtype)

    return seconds(run) / most / len(cards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rasters", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--before", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=None, help="where the root is made; a temporary folder")
    options = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    names, crop = options.rasters // 2, options.size // 2
    optical = ImageCard(
        role="optical",
        bands=("R", "G", "B"),
        units="uint8",
        dtype="uint8",
        recipe=Reflectance(255.0, 1.0).to_dict(),
    )
    sar = {"role": "sar", "bands": ("VV",), "units": "sigma0_db", "dtype": "float32"}
    recipes = {"no statistics": DbClip(), "statistics": Q99Amplitude()}
    with TemporaryDirectory(dir=options.folder) as place:
        print(f"making {2 * names} rasters of {options.size} px: ", end="", flush=True)
        print(f"{seconds(lambda: make_root(Path(place) / 'root', names, options.size)):.1f} s")
        time.sleep(2.5)  # the index trusts no file that has just been written
        root = DataRoot.open(Path(place) / "root")
        sampler = None
        for kind, recipe in recipes.items():
            cards = {"sar": ImageCard(**sar, recipe=recipe.to_dict()), "optical": optical}
            before = start_before(root, cards, min(options.before, names))

            def start(cards: dict[str, ImageCard] = cards) -> None:
                nonlocal sampler
                sampler = WindowSampler(root, "train", crop, cards)

            for index in root.path.glob(".index-*"):
                index.unlink()
            first, second = seconds(start), seconds(start)
            print(f"recipe with {kind}, start before: {before * 2 * names:.1f} s ({1e3 * before:.2f} ms a raster)")
            print(f"  first start now: {first:.1f} s ({1e3 * first / 2 / names:.2f} ms a raster)")
            print(f"  second start now: {second:.2f} s ({1e6 * second / 2 / names:.1f} us a raster)")
        assert sampler is not None
        bytes_held = sum(index.stat().st_size for index in root.path.glob(".index-*"))
        print(f"index files: {bytes_held / 1e6:.1f} MB")
        rng, shares = np.random.default_rng(0), np.full(names, 1.0 / names)
        choice = sampler._choices[0]
        count = options.windows
        old = seconds(lambda: [rng.choice(names, p=shares) for _ in range(count)]) / count
        new = seconds(lambda: [choice.draw(rng) for _ in range(count)]) / count
        print(f"drawing a raster: {1e3 * old:.3f} ms before, {1e3 * new:.4f} ms now")
        whole = seconds(lambda: [sampler.draw(np.random.default_rng([1, n])) for n in range(count)]) / count
        print(f"windows a second, one thread: {1.0 / (whole - new + old):.0f} before, {1.0 / whole:.0f} now")


if __name__ == "__main__":
    main()
