"""Whether a GeoTIFF has its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from saropt.scenes import write_array
from saropt.scenes.cog import is_whole


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}, {"interleave": "band"}])
def test_any_geotiff_is_whole_until_it_is_cut(layout: dict[str, object], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 150, 130)).astype(np.uint8)
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", "GTiff", 130, 150, 3, dtype="uint8", compress="deflate", **layout) as dataset:
        dataset.write(pixels)
    assert is_whole(path)
    for size in (path.stat().st_size // 2, 200, 3, 0):
        path.write_bytes(path.read_bytes()[:size])
        assert not is_whole(path)


def test_a_written_scene_is_whole_until_it_is_cut(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 700, 1100)).astype(np.uint8)
    path = Path(write_array(tmp_path / "a.tif", pixels))
    assert is_whole(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_whole(path)
