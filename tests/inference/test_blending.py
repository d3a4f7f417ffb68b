"""Windows are blended as by hand on whole rows, and no block is wider than a window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from saropt.inference.engine import run_blended
from saropt.inference.tiling import plan_strips

TILE, OVERLAP = 16, 4


def network(window) -> np.ndarray:
    """(2, TILE, TILE), other values in each window."""
    return np.random.default_rng((window.row, window.col)).random((2, TILE, TILE)).astype(np.float32)


def blended_by_hand(strips, valid: np.ndarray) -> np.ndarray:
    """Weights by distance from the edge, first across the columns of a row of windows, then down."""
    rise = (np.arange(OVERLAP) + 0.5) / OVERLAP
    ramp = np.concatenate([rise, np.ones(TILE - 2 * OVERLAP), rise[::-1]])
    rows = []
    for strip in strips:
        total, weight = np.zeros((2, TILE, valid.shape[1])), np.full(valid.shape[1], 1e-6)
        for col in strip.columns:
            if valid[strip.row : strip.row + TILE, col : col + TILE].any():
                total[:, :, col : col + TILE] += network(SimpleNamespace(row=strip.row, col=col)) * ramp
                weight[col : col + TILE] += ramp
        rows.append(total / weight)
    image = np.zeros((2, *valid.shape))
    for number, (strip, row) in enumerate(zip(strips, rows, strict=True)):
        if number:
            down = rise[:, None]
            row[:, :OVERLAP] = down * row[:, :OVERLAP] + (1 - down) * rows[number - 1][:, -OVERLAP:]
        image[:, strip.row : strip.row + TILE] = row
    return image


@pytest.mark.parametrize("done", [set(), {0, 1}])
def test_windows_are_blended_as_by_hand(done):
    strips = plan_strips(52, 64, TILE, OVERLAP)
    valid = np.zeros((strips[-1].row + TILE, strips[0].columns[-1] + TILE), bool)
    valid[:52, :64] = True
    valid[:20, 20:50] = valid[:, :3] = False

    def read(window):
        return np.zeros((1, TILE, TILE), np.float32), valid[window.row :, window.col :][:TILE, :TILE]

    blocks = []
    read_all = type("Reader", (), {"width": 64, "height": 52, "__call__": staticmethod(read)})()
    run_blended(
        strips,
        TILE,
        OVERLAP,
        read_all,
        lambda batch, windows: network(windows[0])[None],
        lambda *block: blocks.append(block),
        lambda *_: None,
        done,
    )
    image, seen = np.zeros((2, 52, 64)), np.zeros((52, 64), int)
    for row, col, values, block_valid, _ in blocks:
        assert values.shape[-1] <= TILE
        place = np.s_[..., row : row + values.shape[1], col : col + values.shape[2]]
        image[place], seen[place] = values, seen[place] + 1
        np.testing.assert_array_equal(block_valid, valid[place][: values.shape[1]])
    made = np.zeros((52, 64), bool)
    for strip in strips:
        made[strip.row : strip.row + strip.height] = strip.index not in done
    np.testing.assert_array_equal(seen, made)
    assert [key for *_, key in blocks if key is not None] == [s.index for s in strips if s.index not in done]
    shown = made & valid[:52, :64]
    np.testing.assert_allclose(image[:, shown], blended_by_hand(strips, valid)[:, :52, :64][:, shown], rtol=1e-4)
