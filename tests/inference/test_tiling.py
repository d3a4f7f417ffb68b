"""Tiles cover every pixel once, on the stride, with a halo that covers the receptive field."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.inference.tiling import halo_of, plan_strips, plan_tiles


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (512, 512), (1000, 1), (777, 1234)])
@pytest.mark.parametrize(("tile", "halo", "stride"), [(256, 64, 16), (100, 0, 8), (64, 12, 4)])
def test_tiles_cover_the_frame_once(height: int, width: int, tile: int, halo: int, stride: int) -> None:
    count = np.zeros((height, width), int)
    tiles = plan_tiles(height, width, tile, halo, stride)
    for one in tiles:
        core, read = one.core, one.read
        count[core.row : core.row + core.height, core.col : core.col + core.width] += 1
        assert (read.row % stride, read.col % stride, read.height % stride, read.width % stride) == (0, 0, 0, 0)
        assert read.row == core.row - halo
        assert read.col == core.col - halo
        assert read.row + read.height >= core.row + core.height + halo
        assert read.col + read.width >= core.col + core.width + halo
    assert (count == 1).all()
    assert len({(one.read.height, one.read.width) for one in tiles}) == 1
    assert [one.index for one in tiles] == list(range(len(tiles)))


def test_halo_covers_half_of_the_receptive_field_on_the_stride() -> None:
    assert halo_of(352, 16) == 176
    assert halo_of(353, 16) == 176
    assert halo_of(355, 16) == 192
    assert halo_of(1, 4) == 0


@pytest.mark.parametrize(("tile", "halo", "stride"), [(0, 0, 1), (64, 3, 4)])
def test_impossible_plans_are_refused(tile: int, halo: int, stride: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        plan_tiles(10, 10, tile, halo, stride)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (256, 256), (257, 700), (1000, 300)])
def test_strips_are_final_once_each(height: int, width: int) -> None:
    strips = plan_strips(height, width, 256, 64)
    assert [strip.row for strip in strips] == [192 * i for i in range(len(strips))]
    assert sum(strip.height for strip in strips) == height
    assert all(strip.height <= 256 for strip in strips)
    assert strips[0].columns[-1] + 256 >= width
