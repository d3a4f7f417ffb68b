"""What a run removes of the earlier run whose image it replaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio

from saropt.inference import LoadOptions, TranslateOptions, Translator
from saropt.inference.earlier import find_outdated
from translator_fixtures import make_scene

__all__ = ["make_scene"]
Factory = Callable[..., Path]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load("s1-world", LoadOptions(reliability=True), threads=1)


def test_what_another_run_does_not_make_goes_with_its_image(
    translator: Translator, make_scene: Factory, tmp_path: Path
) -> None:
    """Products and items of other images stay, whatever their names begin with."""
    first, then = make_scene(64, 64, name="first.tif"), make_scene(64, 72, name="then.tif")
    (tmp_path / "out").mkdir()
    for name in ("x.tif", "x_2.tif"):
        translator.run(first, tmp_path / "out" / name, TranslateOptions(units="sigma0_db", stac=True))
    (tmp_path / "out" / "x_notes.tif").write_text("mine")
    plain = Translator.load("s1-world", threads=1)
    result = plain.run(then, tmp_path / "out" / "x.tif", TranslateOptions(units="sigma0_db", overwrite=True))
    assert sum("is removed" in line for line in result.warnings) == 2
    others = ["x_2.json", "x_2.tif", "x_2_reliability.tif"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.tif", *others, "x_notes.tif"]
    (tmp_path / "out" / "x_2.json").write_text("{}")
    with rasterio.open(tmp_path / "out" / "x_2_reliability.tif", "r+", IGNORE_COG_LAYOUT_BREAK=True) as dataset:
        dataset.update_tags(SAROPT_RUN="of another image")
    plain.run(then, tmp_path / "out" / "x_2.tif", TranslateOptions(units="sigma0_db", overwrite=True))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.tif", *others, "x_notes.tif"]


def test_what_the_other_run_reads_stays(translator: Translator, make_scene: Factory, tmp_path: Path) -> None:
    out, beside = tmp_path / "x.tif", tmp_path / "x_reliability.tif"
    translator.run(make_scene(64, 64), out, TranslateOptions(units="sigma0_db"))
    assert find_outdated(out, [out], []) == [beside]
    assert find_outdated(out, [out], [str(beside)]) == []
    assert find_outdated(out, [out, beside], []) == []
