"""What a folder of pictures may hold beside the images of a root: folders, colours, odd names and other units."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from saropt.cli import main
from saropt.curation.inspection import inspect_root
from saropt.curation.sets import prepare
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.roots.splits import split_rows
from saropt.scenes import write_array


def picture(path, bands=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (32, 32) if bands == 1 else (32, 32, bands)
    Image.fromarray(np.random.default_rng(0).integers(1, 255, shape, dtype=np.uint8)).save(path)


@pytest.fixture
def source(tmp_path):
    for name in (f"s{scene}-{tile}" for scene in range(3) for tile in range(2)):
        picture(tmp_path / "src" / "sar" / f"{name}.png")
        picture(tmp_path / "src" / "optical" / f"{name}.png", 3)
    return tmp_path / "src"


def run(source, *options):
    lines = []
    out = source.with_name("out")
    root = prepare("folder", source, out, ["gsd_m=10", *options], tell=lines.append)
    return DataRoot.open(root), lines


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"s\d", r"group: 's\\d' has no group in parentheses"),
        (r"(.+)_\d", r"group: '\(.+\)_\\d' finds nothing in s0-0, s0-1, s1-0 and 3 more"),
    ],
)
def test_a_group_that_groups_nothing_is_refused(source, pattern, words):
    with pytest.raises(InputError, match=words):
        run(source, f"group={pattern}")
    assert not source.with_name("out").exists()


def test_names_that_fit_no_group_are_told(source):
    root, lines = run(source, r"group=(s[01])-\d")
    assert lines == [r"2 of 6 names (s2-0, s2-1) do not fit group=(s[01])-\d: each is a group of its own"]
    assert [row["group"] for row in split_rows(root.path / "splits.csv")] == ["s0", "s0", "s1", "s1", "", ""]


def test_files_and_folders_that_are_not_taken_are_told(source):
    picture(source / "sar" / "more" / "u.png")
    (source / "sar" / "big.jp2").write_bytes(b"x")
    for name in (".DS_Store", "Thumbs.db", "s0-0.png.aux.xml", "s0-0.pgw", "__MACOSX/s0-0.png", "empty/readme.txt"):
        (source / "optical" / name).parent.mkdir(exist_ok=True)
        (source / "optical" / name).write_bytes(b"x")
    words = "big.jp2, more are not taken; images are .tif, .tiff, .png, .jpg, .jpeg in the folder itself"
    (source / "optical" / "s0-0.png.aux.xml").unlink()
    (source / "optical" / "s0-0.pgw").unlink()
    assert run(source)[1] == [f"{source / 'sar'}: {words}"]


@pytest.mark.parametrize("side", ["sar", "optical"])
def test_files_of_other_numbers_of_bands_are_refused(source, side):
    picture(source / side / "s1-0.png", 3 if side == "sar" else 1)
    with pytest.raises(InputError, match=rf"s1-0\.png: has {3 if side == 'sar' else 1} bands?, the {side} of the data"):
        run(source)
    assert not source.with_name("out").exists()


def test_labels_in_colours_are_refused(source):
    for image in list((source / "sar").iterdir()):
        picture(source / "label" / image.name, 3)
    with pytest.raises(InputError, match=r"label/s0-0\.png: has 3 bands; labels have one"):
        run(source, "label=label")
    with pytest.raises(InputError, match=r"label/s0-0\.png: has 3 bands; labels have one"):
        prepare("ddhr", source, source.with_name("other"), partial=True)


@pytest.mark.parametrize("name", ["g\\h", "a\nb"])
def test_a_name_that_no_root_takes_is_refused_before_the_work(source, name):
    picture(source / "sar" / f"{name}.png")
    picture(source / "optical" / f"{name}.png", 3)
    with pytest.raises(InputError, match=r"src/(sar|optical): .* is no name of a raster") as caught:
        run(source)
    assert "\n" not in str(caught.value)
    assert [path.name for path in source.parent.iterdir()] == ["src"]


def test_every_raster_is_held_against_the_units(source, capsys):
    rng = np.random.default_rng(0)
    for path in sorted((source / "sar").iterdir()):
        values = rng.random((1, 32, 32)) if path.stem == "s2-0" else rng.normal(-12, 3, (1, 32, 32))
        write_array(path.with_suffix(".tif"), values.astype(np.float32))
        path.unlink()
    out = source.with_name("out")
    assert main(["data", "prepare", "folder", str(source), str(out), "--set", "units=sigma0_db"]) == 0
    assert "warning: sar/s2-0: units are declared as sigma0_db but" in capsys.readouterr().err
    assert inspect_root(out)[1][0].facts["warning"].startswith("s2-0.tif: units are declared as sigma0_db but")


@pytest.mark.parametrize("name", ["sen12", "sen12ms", "sar2opt", "folder"])
def test_an_archive_is_to_be_unpacked(tmp_path, name):
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"set\.zip: is an archive: unpack it and name the folder"):
        prepare(name, tmp_path / "set.zip", tmp_path / "out")
