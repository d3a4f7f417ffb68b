"""The unit behind a number: of the band, of the folder, of the tags, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from asking import ORDER, PLACE, scene_named
from fastapi.testclient import TestClient

from saropt.scenes import write_array


@pytest.mark.parametrize(
    ("tags", "bands", "expected"),
    [
        ({}, (), [None, None]),
        ({"CALIBRATED_TO": "gamma0_db"}, (), ["dB", "dB"]),
        ({"UNITS": "sigma0"}, (), ["sigma0", "sigma0"]),
        ({"UNITS": "reflectance x 10000"}, (), ["reflectance × 10,000"] * 2),
        ({"UNITS": "uint8"}, (), [None, None]),
        ({}, ("m", "%"), ["m", "%"]),
        ({"UNITS": "sigma0_db"}, ("", "metre"), ["dB", "metre"]),
    ],
)
def test_units_of_tags_and_bands(
    viewer: TestClient, folder: Path, tags: dict[str, str], bands: tuple[str, ...], expected: list[str | None]
) -> None:
    pixels = np.arange(1, 2 * 32 * 32 + 1, dtype=np.float32).reshape(2, 32, 32)
    path = write_array(folder / "two.tif", pixels, georeference=PLACE, tags=tags)
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        for number, unit in enumerate(bands, 1):
            dataset.set_band_unit(number, unit)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    (layer,) = scene_named(viewer, "two.tif")["layers"]
    assert layer["band_units"] == expected


@pytest.mark.parametrize(
    ("tags", "band", "expected"),
    [
        ({"CALIBRATED_TO": "sigma0_db"}, "", None),
        ({"UNITS": "gamma0_db"}, "", None),
        ({"UNITS": "Gamma0"}, "", None),
        ({"UNITS": "reflectance x 10000"}, "", None),
        ({}, "dB", None),
        ({"UNITS": "amplitude"}, "", "amplitude"),
        ({}, "%", "%"),
    ],
)
def test_units_of_what_an_8_bit_picture_was_made_of(
    viewer: TestClient, folder: Path, tags: dict[str, str], band: str, expected: str | None
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 32, 32), dtype=np.uint8)
    path = write_array(folder / "picture.tif", pixels, band_names=["VV"], georeference=PLACE, tags=tags)
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.set_band_unit(1, band)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    (layer,) = scene_named(viewer, "picture.tif")["layers"]
    assert layer["band_units"] == [expected]


def test_units_of_the_folder(viewer: TestClient) -> None:
    layers = scene_named(viewer, "root/sar/a.tif")["layers"]
    assert [layer["band_units"] for layer in layers] == [["dB"], [None] * 3]
