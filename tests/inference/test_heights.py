"""Heights as a further input: voids that no tag declares, and tags of other units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saropt.artifacts import ImageCard
from saropt.errors import InputError
from saropt.inference.sources import fit_input
from saropt.radiometry import Reflectance, ValueRule
from saropt.roots.values import measured_rule
from saropt.scenes import Scene, write_array
from saropt.scenes.measurements import find_measured, stored_fill

RECIPE = Reflectance(scale=1.0, high=1000.0).to_dict()
CARD = ImageCard(role="dem", bands=("height",), units="m", dtype="float32", recipe=RECIPE)


def heights(path: Path, void: float, dtype: str = "float32", **tags: str) -> Path:
    """128 pixels of ground, with a void of 30."""
    values = np.random.default_rng(0).uniform(0, 900, (1, 128, 128)).astype(dtype)
    values[:, 30:60, 30:60] = void
    return write_array(path, values, tags=tags)


@pytest.mark.parametrize(
    ("void", "dtype"), [(-9999, "float32"), (-32768, "int16"), (32767, "int16"), (-3.4e38, "float32")]
)
def test_voids_that_no_tag_declares_are_nodata(void: float, dtype: str, tmp_path: Path) -> None:
    with Scene.open(heights(tmp_path / "dem.tif", void, dtype)) as scene:
        fitted = fit_input(CARD, scene)
        values, _ = scene.read()
        assert (~fitted.rule.measured(values)).sum() == 900
        assert fitted.notes[0].startswith(f"{scene.source}: 5.49% of the pixels that it calls valid are fill")
        assert stored_fill(scene, fitted.rule) == np.float32(void)
        rule, note = measured_rule(scene, "dem", "metres", scene.sample())
        assert (~rule.measured(values)).sum() == 900
        assert note is not None


def test_ground_below_the_sea_is_kept(tmp_path: Path) -> None:
    depths = np.random.default_rng(0).uniform(-9000, 0, (1, 128, 128)).astype(np.float32)
    depths[:, :32] = 0
    with Scene.open(write_array(tmp_path / "sea.tif", depths)) as scene:
        fitted = fit_input(CARD, scene)
        assert fitted.rule.measured(depths).all()
        assert fitted.notes == ()


@pytest.mark.parametrize(("units", "refused"), [("feet", True), ("cm", True), ("metres", False), ("unknown", False)])
def test_heights_in_another_unit_are_refused(units: str, refused: bool, tmp_path: Path) -> None:
    with Scene.open(heights(tmp_path / "dem.tif", 5, UNITS=units)) as scene:
        if not refused:
            assert fit_input(CARD, scene).notes == ()
            return
        with pytest.raises(InputError, match=f"its tags say {units}: heights in m are taken$"):
            fit_input(CARD, scene)


def test_impossible_values_are_not_mixed_into_others(tmp_path: Path) -> None:
    """What is resampled to another grid needs the number, of backscatter and reflectance, too."""
    with Scene.open(heights(tmp_path / "old.tif", -9999)) as scene:
        found = find_measured(scene, scene.sample(), ValueRule.of("reflectance x 10000", "float32"), "reflectance")
        assert stored_fill(scene, found.rule) == -9999
