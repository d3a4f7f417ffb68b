"""Data roots: what opens, and one line naming the file for what does not."""

from __future__ import annotations

import shutil

import pytest
import yaml

from saropt.errors import InputError
from saropt.roots import DataRoot, ImageSpec


@pytest.fixture
def root(amplitude_root, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(amplitude_root, tmp_path / "root")


def describe(root, **changes) -> None:
    description = yaml.safe_load((root / "dataset.yaml").read_text())
    description |= changes
    (root / "dataset.yaml").write_text(yaml.safe_dump({k: v for k, v in description.items() if v is not None}))


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        DataRoot.open(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_opens(amplitude_root):
    root = DataRoot.open(amplitude_root)
    assert (root.name, root.gsd_m, root.licence, root.paired) == ("toy", 10.0, "CC0-1.0", True)
    assert root.images["sar"] == ImageSpec(("VH",), "amplitude")
    assert root.images["optical"].bands == ("B4", "B3", "B2")
    assert root.names("train") == ["a", "b"]
    assert root.raster("sar", "a") == amplitude_root / "sar" / "a.tif"
    assert root.raster("optical", "d") == amplitude_root / "optical" / "d.tif"
    assert root.classes == {}
    assert root.ignore_index is None


def test_optional_fields(root):
    describe(root, classes={0: "land", 1: "water"}, ignore_index=255, paired=False, licence=None)
    opened = DataRoot.open(root)
    assert opened.classes == {0: "land", 1: "water"}
    assert (opened.ignore_index, opened.paired, opened.licence) == (255, False, "not stated")


def test_no_folder(tmp_path, root):
    assert "no such folder" in refused(tmp_path / "absent")
    assert "is a file" in refused(root / "splits.csv")


def test_missing_files(root):
    (root / "splits.csv").unlink()
    assert "splits.csv: no such file" in refused(root)
    (root / "dataset.yaml").unlink()
    assert "dataset.yaml is missing" in refused(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1, 2", "not readable YAML"),
        (b"\xff\xfe\x00", "not readable YAML"),
        (b"- a\n- b\n", "must hold a mapping"),
        (b"", "must hold a mapping"),
    ],
)
def test_unreadable_description(root, content, message):
    (root / "dataset.yaml").write_bytes(content)
    text = refused(root)
    assert message in text
    assert "dataset.yaml" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gsd_m": None}, "lacks gsd_m"),
        ({"name": None, "sar": None}, "lacks name, sar"),
        ({"gsd_m": "ten"}, "ten"),
        ({"gsd_m": -10}, "gsd_m must be positive"),
        ({"gsd_m": float("nan")}, "gsd_m must be positive"),
        ({"sar": {"bands": ["VH"], "units": "beta0"}}, "'beta0' is not one of"),
        ({"sar": {"bands": "VH", "units": "amplitude"}}, "sar must hold bands (a list) and units"),
        ({"optical": {"bands": ["R"]}}, "optical must hold"),
        ({"optical": ["R", "G"]}, "optical must hold"),
        ({"optical": {"bands": [], "units": "uint8"}}, "at least one band"),
        ({"sar": {"bands": ["VH", "VH"], "units": "amplitude"}}, "each once"),
        ({"classes": ["land", "water"]}, "classes must map"),
        ({"classes": {"land": 0}}, "land"),
        ({"joined_from": "mine"}, "joined_from must be a list"),
        ({"joined_from": [None]}, "joined_from[0] must be a text"),
    ],
)
def test_unfit_fields(root, changes, message):
    describe(root, **changes)
    text = refused(root)
    assert message in text
    assert "dataset.yaml" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,train\n", "must have the columns name and split"),
        (b"", "must have the columns"),
        (b"name,split\na,train\nb,validation\n", "line 3: split 'validation'"),
        (b"name,split\na,train\na,test\n", "line 3: a appears twice"),
        (b"name,split\na\n", "line 2"),
        (b"name,split\n\xe9,train\n", "UTF-8"),
    ],
)
def test_unfit_splits(root, content, message):
    (root / "splits.csv").write_bytes(content)
    text = refused(root)
    assert message in text
    assert "splits.csv" in text


def test_splits_from_a_spreadsheet(root):
    (root / "splits.csv").write_bytes(b'\xef\xbb\xbfname,split\r\n"a",train\r\n\r\nb,test\r\n')
    assert dict(DataRoot.open(root).splits) == {"a": "train", "b": "test"}


def test_split_lookups(amplitude_root, root):
    with pytest.raises(InputError, match="unknown split 'dev'; known: train, val, test"):
        DataRoot.open(amplitude_root).names("dev")
    (root / "splits.csv").write_text("name,split\na,train\n")
    with pytest.raises(InputError, match=r"splits\.csv: split 'val' is empty"):
        DataRoot.open(root).names("val")


def test_missing_raster(root):
    (root / "sar" / "a.tif").unlink()
    with pytest.raises(InputError, match="sar: no raster named a"):
        DataRoot.open(root).raster("sar", "a")


def test_other_suffixes(root):
    (root / "optical" / "a.tif").rename(root / "optical" / "a.png")
    assert DataRoot.open(root).raster("optical", "a").name == "a.png"


def test_real_roots_open(shared_data):
    roots = sorted(path.parent for path in shared_data.glob("*/dataset.yaml"))
    assert roots
    for path in roots:
        root = DataRoot.open(path)
        name = next(iter(root.splits))
        assert root.raster("sar", name).is_file()
        assert root.raster("optical", name).is_file()


def test_names_in_capital_letters_windows_lines_and_a_byte_order_mark(db_root, tmp_path):
    root = shutil.copytree(db_root, tmp_path / "root")
    for path in [*(root / "sar").iterdir(), *(root / "optical").iterdir()]:
        path.rename(path.with_suffix(".TIF"))
    lines = (root / "splits.csv").read_text(encoding="utf-8").splitlines()
    (root / "splits.csv").write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    opened = DataRoot.open(root)
    assert opened.splits == DataRoot.open(db_root).splits
    assert {path.name for path in opened.rasters("sar", "train").values()} == {"a.TIF", "b.TIF"}
    assert opened.raster("optical", "c").name == "c.TIF"
