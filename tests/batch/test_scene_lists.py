"""Rasters that come with scenes: by name from folders, by row from tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from saropt.batch.scene_lists import list_companions, list_scenes
from saropt.errors import SaroptError


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_folders_are_matched_by_name(tmp_path: Path) -> None:
    scenes = list_scenes(str(touched(tmp_path / "now", "a.tif", "b.tif")))
    assert scenes is not None
    old = touched(tmp_path / "old", "a.png", "c.tif", "b.txt")
    found = list_companions(str(tmp_path / "now"), scenes, {"reference": str(old)})
    assert found == {scenes[0]: {"reference": str(old / "a.png")}, scenes[1]: {}}


def test_a_table_names_the_rasters_of_each_scene(tmp_path: Path) -> None:
    table = tmp_path / "scenes.csv"
    table.write_text(
        "\ufeffscene,reference,reference_mask\r\nnow/a.tif,old/a.tif,\r\nnow/b.tif,,https://x.org/b.tif\r\n",
        encoding="utf-8",
    )
    scenes = list_scenes(str(table))
    assert scenes == [str(tmp_path / "now/a.tif"), str(tmp_path / "now/b.tif")]
    assert list_companions(str(table), scenes, {}) == {
        scenes[0]: {"reference": str(tmp_path / "old/a.tif")},
        scenes[1]: {"reference_mask": "https://x.org/b.tif"},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,reference\na,b\n", "must have the column scene"),
        ("scene,refrence\na,b\n", "must have the column scene, and may have reference"),
        ("scene\n", "lists no scene"),
    ],
)
def test_tables_that_say_something_else_are_refused(text: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "scenes.csv"
    table.write_text(text)
    with pytest.raises(SaroptError, match=message):
        list_scenes(str(table))


def test_folders_without_a_match_are_refused(tmp_path: Path) -> None:
    now, old = touched(tmp_path / "now", "a.tif"), touched(tmp_path / "old", "b.tif")
    scenes = [str(now / "a.tif")]
    with pytest.raises(SaroptError, match="no raster with the name of a scene"):
        list_companions(str(now), scenes, {"reference": str(old)})
    with pytest.raises(SaroptError, match="must be a folder with a raster for each scene"):
        list_companions(str(now), scenes, {"reference": str(old / "b.tif")})
