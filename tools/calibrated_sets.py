"""The calibrated real sets as pairs of one form: VV and VH in decibels; B4, B3, B2, B8 as reflectance times 10,000."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from saropt.roots import DataRoot
from saropt.roots.description import write_description
from saropt.roots.simulated_dates import OPTICAL_BANDS
from saropt.scenes import Scene, write_array
from saropt.scenes.metadata import parse_date

ABSENT_DB = (-45.0, -35.0)
"""Noise in this range stands for a polarisation that was not measured: a `db_clip` recipe from -30 dB makes it -1."""
SAND_B8 = 1.2
"""B8 over B4 of sand (soil line); stands for B8 where a desert set lacks it."""


@dataclass(frozen=True)
class Pair:
    """One place.

    Attributes:
        name, split: of the raster in the data root that is written.
        sar: raster of VV and VH, or VV alone, in decibels.
        optical: raster, and the positions (from 0) of B4, B3, B2, B8 in it.
        b8: raster of B8 where `optical` has three bands; without one, B8 is `SAND_B8` times B4.
        earlier: raster of the earlier optical image, with the bands at the same positions.
        month: of the acquisition, where the set tells.
    """

    name: str
    split: str
    sar: Path
    optical: Path
    bands: tuple[int, ...] = (0, 1, 2, 3)
    b8: Path | None = None
    earlier: Path | None = None
    month: int | None = None


def calibrated_sets(shared: Path) -> dict[str, list[Pair]]:
    """Pairs by set, all in the split that their set gives them."""

    def pairs(
        name: str, optical: str = "optical", bands: tuple[int, ...] = (0, 1, 2, 3), b8: str | None = None
    ) -> list[Pair]:
        root = DataRoot.open(shared / name)
        return [
            Pair(
                raster,
                split,
                root.raster("sar", raster),
                root.path / optical / root.raster("optical", raster).name,
                bands,
                root.path / b8 / root.raster("optical", raster).name if b8 else None,
                month=month_of(name, raster),
            )
            for raster, split in root.splits.items()
        ]

    return {
        "sen12mscr14": pairs("sen12mscr14"),
        "terramesh5": pairs("terramesh5", "s2l2a", (3, 2, 1, 7)),
        "sen1floods11-spain1": pairs("sen1floods11-spain1", bands=(3, 2, 1, 7)),
        "bigearthnet4": pairs("bigearthnet4", bands=(0, 1, 2), b8="b8"),
        "desert-months": [pair for pair in pairs("desert-months", bands=(0, 1, 2)) if pair.name[:3] in QUARTERS],
    }


def month_of(name: str, raster: str) -> int | None:
    """The month of a raster of a set by its file name, or by what is published of the set; None where it is not known.

    SEN12MS-CR names the season alone: autumn is October here.
    """
    if name == "desert-months":
        return int(raster[1:3])
    if name == "sen1floods11-spain1":
        return 9
    if raster.startswith("fall"):
        return 10
    found = parse_date(raster)
    return None if found is None else found.month


QUARTERS = ("m01", "m04", "m07", "m10")
"""Months of the desert set, which hardly changes, that are taken."""


def write_pairs(root: Path, name: str, pairs: list[Pair], licence: str, references: bool = False) -> Path:
    """Write pairs as a data root.

    Args:
        references: write optical_reference too: the earlier image or, without one, the optical image itself.
    """
    roles = ("sar", "optical", *(("optical_reference",) if references else ()))
    for role in roles:
        (root / role).mkdir(parents=True)
    for pair in pairs:
        with Scene.open(pair.sar) as scene:
            values, valid = scene.read()
            values[:, ~valid] = np.nan
            place = scene.georeference
        if len(values) == 1:
            noise = np.random.default_rng(0).uniform(*ABSENT_DB, valid.shape).astype(np.float32)
            values = np.concatenate([values, np.where(valid, noise, np.nan)[None]])
        file = f"{pair.name}.tif"
        write_array(root / "sar" / file, values, band_names=["VV", "VH"], georeference=place)
        for role in roles[1:]:
            path = pair.earlier if role == "optical_reference" and pair.earlier else pair.optical
            with rasterio.open(path) as image:
                pixels = image.read([band + 1 for band in pair.bands])
            if pair.b8 is not None:
                with rasterio.open(pair.b8) as image:
                    pixels = np.concatenate([pixels, image.read()])
            elif len(pixels) == 3:
                pixels = np.concatenate([pixels, pixels[:1] * SAND_B8])
            pixels = pixels.clip(0, 65535).astype(np.uint16)
            write_array(root / role / file, pixels, band_names=OPTICAL_BANDS, georeference=place, nodata=0)
    description = {
        "name": name,
        "gsd_m": 10.0,
        "paired": True,
        "sar": {"bands": ["VV", "VH"], "units": "sigma0_db"},
        "optical": {"bands": list(OPTICAL_BANDS), "units": "reflectance x 10000"},
        "licence": licence,
    }
    write_description(root, description, [(pair.name, pair.split, pair.month or "") for pair in pairs], ["month"])
    return root
