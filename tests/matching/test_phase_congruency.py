from __future__ import annotations

import numpy as np
import pytest

from saropt.matching.phase_congruency import phase_congruency


def grating(angle: float, size: int = 96, wavelength: float = 8.0) -> np.ndarray:
    """Stripes whose normal stands at `angle`, counted anticlockwise as seen."""
    rows, columns = np.mgrid[:size, :size]
    return np.sin(2 * np.pi * (columns * np.cos(angle) - rows * np.sin(angle)) / wavelength)


@pytest.mark.parametrize("index", range(6))
def test_the_strongest_orientation_is_that_of_the_stripes(index: int) -> None:
    strongest = phase_congruency(grating(index * np.pi / 6)).strongest
    assert (strongest[24:-24, 24:-24] == index).all()


def test_a_step_is_seen_where_it_is_whatever_its_height_and_sign() -> None:
    step = np.zeros((64, 64), np.float32)
    step[:, 32:] = 1.0
    maps = [phase_congruency(image) for image in (step, 0.02 * step, 1.0 - step)]
    for found in maps:
        profile = found.largest[32]
        assert int(profile[16:48].argmax()) + 16 in (31, 32)
        assert profile[24] < 0.3 * profile[31:33].max()
        assert found.smallest[24:40, 24:40].max() < 0.3 * found.largest[24:40, 24:40].max()
    assert np.allclose(maps[0].largest, maps[2].largest, atol=1e-4)
    assert np.allclose(maps[0].largest, maps[1].largest, atol=1e-4)


def test_a_corner_has_both_moments() -> None:
    square = np.zeros((64, 64), np.float32)
    square[:32, :32] = 1.0
    smallest = phase_congruency(square).smallest
    row, column = np.unravel_index(smallest[16:48, 16:48].argmax(), (32, 32))
    assert abs(row + 16 - 31.5) <= 2
    assert abs(column + 16 - 31.5) <= 2


def test_values_are_bounded(texture: np.ndarray) -> None:
    found = phase_congruency(texture)
    assert found.smallest.min() >= -1e-5
    assert (found.largest >= found.smallest).all()
    assert found.largest.max() <= 2.0
    assert set(np.unique(found.strongest)) == set(range(6))
