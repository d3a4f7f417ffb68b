"""The training data of the bundled translator s1-reference: real and simulated places with earlier optical images.

python tools/s1_reference_data.py SHARED_DATA OUT

Real places are the train split of sen12mscr14, with its cloudy images as the earlier ones and, a second time, with the
clear image itself (a pseudo-reference: training then hides or replaces parts of it); sen1floods11-spain1 and
terramesh5, as pseudo-references. Simulated places at two dates of all seasons come beside them. Everything is sigma0 in
decibels (gamma0 of terramesh5 is taken as it is) and reflectance times 10,000 of B4, B3, B2, B8.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
import yaml

from saropt.curation.joining import join_roots
from saropt.roots import DataRoot
from saropt.roots.simulated_dates import OPTICAL_BANDS, write_simulated_dates
from saropt.scenes import Scene, write_array
from saropt.simulate import DatesConfig, SceneConfig

SEASONS = (("spring", "autumn"), ("summer", "winter"), ("autumn", "summer"), ("winter", "spring"))


def write_pairs(
    out: Path, name: str, pairs: list[tuple[str, str, Path, Path, tuple[int, ...], Path | None]], licence: str
) -> Path:
    """A root of (name, split, SAR, optical, positions of B4 B3 B2 B8, earlier optical); None repeats the optical."""
    root = out / name
    for role in ("sar", "optical", "optical_reference"):
        (root / role).mkdir(parents=True)
    for raster, _, sar, optical, bands, earlier in pairs:
        with Scene.open(sar) as scene:
            values, valid = scene.read()
            values[:, ~valid] = np.nan
            place = scene.georeference
        write_array(root / "sar" / f"{raster}.tif", values, band_names=["VV", "VH"], georeference=place)
        for role, path in (("optical", optical), ("optical_reference", earlier or optical)):
            with rasterio.open(path) as image:
                pixels = image.read([band + 1 for band in bands]).clip(0, 65535).astype(np.uint16)
            write_array(root / role / f"{raster}.tif", pixels, band_names=OPTICAL_BANDS, georeference=place, nodata=0)
    description = {
        "name": name,
        "gsd_m": 10.0,
        "paired": True,
        "sar": {"bands": ["VV", "VH"], "units": "sigma0_db"},
        "optical": {"bands": list(OPTICAL_BANDS), "units": "reflectance x 10000"},
        "licence": licence,
    }
    (root / "dataset.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    rows = [f"{raster},{split}" for raster, split, *_ in pairs]
    (root / "splits.csv").write_text("\n".join(["name,split", *rows]) + "\n")
    return root


def real_roots(shared: Path, out: Path) -> list[Path]:
    first = (0, 1, 2, 3)
    clouds = DataRoot.open(shared / "sen12mscr14")
    cloudy, clear = [], []
    for name, split in clouds.splits.items():
        if split == "test":
            continue
        sar, optical = clouds.raster("sar", name), clouds.raster("optical", name)
        cloudy.append((name, split, sar, optical, first, clouds.path / "optical_reference" / optical.name))
        if split == "train":
            clear.append((name, split, sar, optical, first, None))
    spain, mesh = shared / "sen1floods11-spain1", shared / "terramesh5"
    others = [
        (path.stem, "train", path, spain / "optical" / path.name, (3, 2, 1, 7)) for path in (spain / "sar").iterdir()
    ]
    others += [
        (path.stem, "train", path, mesh / "s2l2a" / path.name, (3, 2, 1, 7)) for path in (mesh / "sar").iterdir()
    ]
    return [
        write_pairs(out, "cloudy", cloudy, clouds.licence),
        write_pairs(out, "clear", clear, clouds.licence),
        write_pairs(out, "clear-again", clear, clouds.licence),
        write_pairs(
            out,
            "others",
            [(*one, None) for one in others],
            f"{DataRoot.open(spain).licence}; {DataRoot.open(mesh).licence}",
        ),
    ]


def main() -> None:
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    parts = out.with_name(out.name + "-parts")
    parts.mkdir()
    roots = []
    for number, (before, now) in enumerate(SEASONS):
        path = parts / f"simulated-{before}-{now}"
        dates = DatesConfig(before, crops=0.25, built=0.04, flooded=0.12, clouds=0.25, gaps=0.03)
        write_simulated_dates(
            path, scenes=(8, 1, 0), size=256, seed=100 + number, config=SceneConfig(season=now), dates=dates
        )
        roots.append(path)
    join_roots(out, [*roots, *real_roots(shared, parts)])


if __name__ == "__main__":
    main()
