"""What is not measured in A is not measured in A with control points, nor in A registered; nothing else is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from saropt.matching import SceneMatch, Sift, match_scenes, register, write_tie_points
from saropt.scenes import Scene

from .conftest import UTM, at, make_texture
from .test_scene_matching import save

SIDE = 300


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> SceneMatch:
    folder, image = tmp_path_factory.mktemp("validity"), make_texture(SIDE)
    a, b = (save(folder / f"{name}.tif", image, at(5e5, 4e6)) for name in "ab")
    return match_scenes(a, b, Sift(), "translation")


def write_a(path: Path, kind: str) -> Path:
    """A of many kinds of validity; every number of its type stands among the valid pixels of bytes."""
    rng, inside = np.random.default_rng(1), np.full((SIDE, SIDE), 255, np.uint8)
    inside[40:90, 100:180] = 0
    pixels = rng.integers(0, 256, (1, SIDE, SIDE))
    profile: dict[str, Any] = {"driver": "GTiff", "width": SIDE, "height": SIDE, "crs": UTM}
    profile |= {"transform": at(5e5, 4e6).transform, "count": len(pixels), "dtype": "uint8"}
    if kind == "alpha":
        pixels, profile["count"] = np.concatenate([pixels, inside[None]]), 2
    elif kind in ("scaled", "16 bits"):
        profile |= {"dtype": "uint16"} | ({"nodata": 0} if kind == "scaled" else {})
        pixels = np.where(inside > 0, pixels * 257, 0)
    elif kind == "floats":
        profile["dtype"] = "float32"
    elif kind == "nodata":
        profile["nodata"] = 7
        pixels = np.where(inside > 0, pixels, 7)
    elif kind == "all":
        inside[:] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        if kind == "alpha":
            file.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
        file.write(pixels.astype(profile["dtype"]))
        if kind in ("mask", "floats", "16 bits"):
            file.write_mask(inside)
        elif kind == "scaled":
            file.scales, file.offsets = [0.01], [-40.0]
    return path


@pytest.mark.parametrize("kind", ["alpha", "mask", "scaled", "16 bits", "floats", "nodata", "all"])
def test_products_are_as_valid_as_a(kind: str, match: SceneMatch, tmp_path: Path) -> None:
    of_a = dataclasses.replace(match, a=write_a(tmp_path / "a.tif", kind))
    tied = write_tie_points(tmp_path / "tied.tif", of_a)
    with Scene.open(of_a.a) as before, Scene.open(tied) as made:
        (wanted, valid), (values, kept) = before.read(), made.read()
        assert made.band_names == before.band_names
    np.testing.assert_array_equal(kept, valid)
    np.testing.assert_array_equal(values, wanted)
    assert valid.all() == (kind == "all")
    with Scene.open(register(of_a, tmp_path / "registered.tif")) as made:
        moved = made.read()[1]
    assert (moved == valid)[2:-2, 2:-2].mean() > 0.995


def test_a_colour_that_is_the_index_of_nodata_stays(match: SceneMatch, tmp_path: Path) -> None:
    """In a picture with a palette, nodata is an index; the colours have that number too."""
    with rasterio.open(write_a(tmp_path / "grey.tif", "all")) as file:
        profile = file.profile
    profile["nodata"] = 0
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        pixels = np.random.default_rng(2).integers(1, 5, (1, SIDE, SIDE)).astype(np.uint8)
        pixels[:, 40:90] = 0
        file.write(pixels)
        file.write_colormap(1, {0: (0, 0, 0, 255), 1: (0, 0, 255, 255), 2: (0, 255, 0, 255), 3: (9, 9, 9, 255)})
    of_a = dataclasses.replace(match, a=tmp_path / "a.tif")
    with Scene.open(of_a.a) as before, Scene.open(write_tie_points(tmp_path / "tied.tif", of_a)) as made:
        (wanted, valid), (values, kept) = before.read(), made.read()
    np.testing.assert_array_equal(kept, valid)
    np.testing.assert_array_equal(values, wanted)
    with Scene.open(register(of_a, tmp_path / "registered.tif")) as made:
        moved = made.read()[1]
    assert (moved == valid)[2:-2, 2:-2].mean() > 0.99
