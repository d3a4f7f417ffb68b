"""Haar bands are an orthonormal transform; their L1 against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saropt.losses import haar_bands, haar_l1


def image(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_energy_is_kept():
    x = image(0, 2, 3, 16, 12)
    approximation, details = haar_bands(x)
    assert approximation.shape == (2, 3, 8, 6)
    assert details.shape == (2, 9, 8, 6)
    assert (approximation.square().sum() + details.square().sum()).item() == pytest.approx(x.square().sum().item())


def test_matrix_is_orthonormal():
    """The transform of the four unit pixels of a 2x2 block is an orthogonal matrix."""
    units = torch.eye(4, dtype=torch.float64).view(4, 1, 2, 2)
    approximation, details = haar_bands(units)
    matrix = torch.cat([approximation, details], dim=1).view(4, 4)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(4, dtype=torch.float64))


def test_constants_have_no_details_and_stripes_land_in_one_band():
    approximation, details = haar_bands(torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64))
    assert (approximation == 1.0).all()
    assert not details.any()
    stripes = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(2).expand(1, 1, 4, 4)
    approximation, details = haar_bands(stripes)
    assert not approximation.any()
    assert [bool(band.any()) for band in details[0]] == [True, False, False]


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_l1_against_loops(levels):
    x, y = image(1, 2, 2, 16, 16), image(2, 2, 2, 16, 16)
    expected = 0.0
    a, b = x.numpy(), y.numpy()
    for _ in range(levels):
        errors, halves = [], []
        for z in (a, b):
            p, q, r, s = z[..., ::2, ::2], z[..., ::2, 1::2], z[..., 1::2, ::2], z[..., 1::2, 1::2]
            errors.append(np.stack([p - q + r - s, p + q - r - s, p - q - r + s]) / 2)
            halves.append((p + q + r + s) / 2)
        expected += np.abs(errors[0] - errors[1]).mean() / levels
        a, b = halves
    assert haar_l1(x, y, levels).item() == pytest.approx(expected)


def test_l1_ignores_an_offset_and_is_symmetric():
    x, y = image(1, 1, 3, 16, 16), image(2, 1, 3, 16, 16)
    assert haar_l1(x, x + 0.7).item() == pytest.approx(0.0, abs=1e-12)
    assert haar_l1(x, y).item() == pytest.approx(haar_l1(y, x).item())
