"""Windows of large rasters come from decoded blocks, the same as read directly, and from several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio

from saropt.roots import block_cache as blocks
from saropt.roots.block_cache import BlockCache
from saropt.roots.rasters import Rasters
from saropt.scenes import Scene, Window

SIDE = 700


@pytest.fixture(scope="module", params=["tiled", "strips", "one line"])
def raster(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("blocks") / "a.tif"
    values = np.random.default_rng(0).integers(0, 255, (2, SIDE, SIDE + 31)).astype(np.uint8)
    form = {"driver": "GTiff", "count": 2, "height": SIDE, "width": SIDE + 31, "dtype": "uint8", "nodata": 7}
    layout = {
        "tiled": {"tiled": True, "blockxsize": 256, "blockysize": 256},
        "strips": {"blockysize": 16},
        "one line": {"blockysize": 1},
    }
    with rasterio.open(path, "w", **form, **layout[request.param], compress="deflate") as dataset:
        dataset.write(values)
    return path


def windows(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height, width = (int(n) for n in rng.integers(1, 300, 2))
        yield Window(int(rng.integers(SIDE - height + 1)), int(rng.integers(SIDE + 31 - width + 1)), height, width)


@pytest.mark.parametrize("budget", [1 << 16, 1 << 24])
def test_windows_are_what_the_file_holds(raster, budget):
    cache = BlockCache(budget)
    with Scene.open(raster, bands=(2, 1)) as scene:
        for window in [Window(0, 0, SIDE, SIDE + 31), *windows(30)]:
            (values, valid), (expected, mask) = cache.read(raster, (2, 1), window), scene.read(window)
            assert values.dtype == np.float32
            np.testing.assert_array_equal(valid, mask)
            np.testing.assert_array_equal(values, expected)
    assert cache._bytes == sum(v.nbytes + m.nbytes for v, m in cache._blocks.values())
    assert cache._bytes <= budget or len(cache._blocks) == 1
    with pytest.raises(ValueError, match="not inside"):
        cache.read(raster, (1,), Window(SIDE - 1, 0, 2, 2))


def test_threads_read_at_once_and_few_files_stay_open(raster, monkeypatch):
    monkeypatch.setattr(blocks, "OPEN_SCENES", 3)
    cache = BlockCache(1 << 18)
    asked = list(windows(60, 3))
    with Scene.open(raster, bands=(1,)) as scene:
        expected = [scene.read(window)[0] for window in asked]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda window: cache.read(raster, (1,), window)[0], asked))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sum(map(len, cache._idle.values())) <= 3


def test_blocks_are_decoded_once(raster, monkeypatch):
    cache = BlockCache(1 << 26)
    cache.read(raster, (1,), Window(10, 10, 100, 100))
    monkeypatch.setattr(Scene, "read", lambda *arguments: pytest.fail("read again"))
    cache.read(raster, (1,), Window(12, 14, 90, 80))


def test_large_rasters_go_through_blocks(raster):
    small, large = Rasters(1 << 30), Rasters(1 << 20)
    for window in windows(5, 8):
        for one, other in zip(small.read(raster, (1, 2), window), large.read(raster, (1, 2), window), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not small._large
    assert large._large == {raster}
