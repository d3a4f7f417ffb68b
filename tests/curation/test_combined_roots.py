"""Data roots made of others: colours brought to an earlier image, several roots as one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from saropt.cli import main
from saropt.curation.filtering import filter_root
from saropt.curation.harmonising import harmonise_root
from saropt.curation.joining import join_roots
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Scene, write_array


def make_root(path: Path, names: Sequence[str] = "ab", changed: float = 0.3, **description: object) -> Path:
    """Places whose optical image is the earlier one with a gain of .5, an offset of 40, and water where it flooded."""
    rng = np.random.default_rng(len(names))
    for role in ("sar", "optical", "optical_reference", "label"):
        (path / role).mkdir(parents=True)
    for name in names:
        old = rng.integers(20, 200, (3, 40, 50)).astype(np.float64)
        label = np.zeros((1, 40, 50), np.uint8)
        label[:, : int(40 * changed)] = 255
        now = np.where(label == 255, 10.0, 0.5 * old + 40.0)
        sar = rng.integers(1, 255, (1, 40, 50)).astype(np.uint8)
        for role, values in (("sar", sar), ("optical", now), ("optical_reference", old), ("label", label)):
            write_array(path / role / f"{name}.tif", np.rint(values).astype(np.uint8))
    base = {
        "name": path.name,
        "gsd_m": 10.0,
        "sar": {"bands": ["VV"], "units": "uint8"},
        "optical": {"bands": ["B4", "B3", "B2"], "units": "uint8"},
        "classes": {0: "dry", 255: "flooded"},
        "licence": "none",
    }
    (path / "dataset.yaml").write_text(yaml.safe_dump({**base, **description}))
    (path / "splits.csv").write_text("name,split,group\n" + "".join(f"{name},train,g\n" for name in names))
    return path


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read().astype(float)


def test_folders_of_earlier_images_need_no_entry(tmp_path: Path) -> None:
    root = DataRoot.open(make_root(tmp_path / "root"))
    assert root.images["optical_reference"].bands == ("B4", "B3", "B2")
    assert root.images["optical_reference"].optional
    assert "sar_reference" not in root.images


def test_unchanged_ground_gets_the_colours_of_the_earlier_image(tmp_path: Path) -> None:
    source = make_root(tmp_path / "root")
    out, dropped = harmonise_root(source, tmp_path / "even", ["flooded"])
    assert dropped == {}
    for name in "ab":
        old, now = read(source / "optical_reference" / f"{name}.tif"), read(out / "optical" / f"{name}.tif")
        dry = read(source / "label" / f"{name}.tif")[0] == 0
        assert np.abs(now - old)[:, dry].max() <= 2
        assert now[:, ~dry].max() <= 0  # 2 * (10 - 40), clipped at black
    assert (out / "splits.csv").read_text() == (source / "splits.csv").read_text()


def test_changed_ground_does_not_count(tmp_path: Path) -> None:
    source = make_root(tmp_path / "root")
    out, _ = harmonise_root(source, tmp_path / "even")
    dry = read(source / "label" / "a.tif")[0] == 0
    difference = np.abs(read(out / "optical" / "a.tif") - read(source / "optical_reference" / "a.tif"))
    assert difference[:, dry].mean() > 10


def test_places_without_unchanged_ground_are_left_out(tmp_path: Path) -> None:
    source = make_root(tmp_path / "root", changed=1.0)
    with pytest.raises(InputError, match="no raster with unchanged ground"):
        harmonise_root(source, tmp_path / "even", ["flooded"])
    assert not (tmp_path / "even").exists()
    with pytest.raises(InputError, match="no class named wet"):
        harmonise_root(source, tmp_path / "even", ["wet"])


def test_of_many_places_left_out_the_first_are_named_and_the_others_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_root(tmp_path / "root", names="abcdefghijklm")
    for name in "bcdefghijklm":
        (source / "optical_reference" / f"{name}.tif").unlink()
    assert main(["data", "harmonise", str(source), str(tmp_path / "even")]) == 0
    told = "left out 12 places with no earlier image: b, c, d, e, f, g, h, i, j, k and 2 more"
    assert capsys.readouterr().out.splitlines()[-1] == told


def test_columns_may_stand_in_any_order_and_names_that_are_left_out_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_root(tmp_path / "root", names="abc")
    rows = 'group,name,note,split\ng,a,"one, two",train\ng,b,,test\ng,c,,val\n'
    (source / "splits.csv").write_text("\ufeff" + rows, encoding="utf-8")
    (source / "optical_reference" / "c.tif").unlink()
    assert main(["data", "harmonise", str(source), str(tmp_path / "even"), "--changed", "flooded"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "left out 1 place with no earlier image: c"
    assert (tmp_path / "even" / "splits.csv").read_text() == rows.rpartition("g,c")[0]
    assert dict(DataRoot.open(tmp_path / "even").splits) == {"a": "train", "b": "test"}


def test_joined_roots_keep_names_splits_and_what_is_missing(tmp_path: Path) -> None:
    first, second = make_root(tmp_path / "one"), make_root(tmp_path / "two", names="c")
    (second / "optical_reference" / "c.tif").unlink()
    root = DataRoot.open(join_roots(tmp_path / "all", [first, second]))
    assert dict(root.splits) == dict.fromkeys(("one-a", "one-b", "two-c"), "train")
    assert root.images["optical_reference"].optional
    assert root.path_of("optical_reference", "two-c") is None
    assert np.array_equal(read(root.raster("optical", "one-b")), read(first / "optical" / "b.tif"))
    assert root.classes == {0: "dry", 255: "flooded"}
    names = [DataRoot.open(one).name for one in (first, second)]
    assert root.data_names == tuple(dict.fromkeys(("all", *names)))
    root.path.rename(tmp_path / "both")
    assert {"all", *names} < set(DataRoot.open(join_roots(tmp_path / "again", [tmp_path / "both", first])).data_names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sar": {"bands": ["VH"], "units": "uint8"}}, "sar has VH in uint8"),
        ({"gsd_m": 20.0}, "pixels of 20 m"),
        ({"classes": {0: "dry", 1: "wet"}}, "other classes"),
    ],
)
def test_roots_that_do_not_fit_are_not_joined(changes: dict, message: str, tmp_path: Path) -> None:
    first, second = make_root(tmp_path / "one"), make_root(tmp_path / "two", **changes)
    with pytest.raises(InputError, match=message):
        join_roots(tmp_path / "all", [first, second])
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_holes_of_an_optical_image_stay_holes(tmp_path: Path, dtype: str) -> None:
    source = make_root(tmp_path / "root", names="a", optical={"bands": ["B4", "B3", "B2"], "units": dtype})
    values = read(source / "optical" / "a.tif")
    values[:, :5] = 0
    hole = np.zeros((40, 50), bool)
    hole[30:, 30:] = True
    if dtype == "float32":
        values[:, hole] = np.nan
    path = write_array(source / "optical" / "a.tif", values.astype(dtype), overwrite=True)
    if dtype == "uint8":
        with rasterio.open(f"{path}.msk", "w", driver="GTiff", width=50, height=40, count=1, dtype="uint8") as mask:
            mask.write(np.where(hole, 0, 255).astype(np.uint8), 1)
            mask.update_tags(INTERNAL_MASK_FLAGS_1="2")
    out, _ = harmonise_root(source, tmp_path / "even")
    with Scene.open(out / "optical" / "a.tif") as scene:
        assert scene.nodata is not None
        assert (scene.read()[1] == ~hole).all()


def test_dark_pixels_of_a_whole_image_do_not_become_its_nodata(tmp_path: Path) -> None:
    source = make_root(tmp_path / "root", names="a")
    values = read(source / "optical" / "a.tif").astype(np.uint8)
    write_array(source / "optical" / "a.tif", values, nodata=0, overwrite=True)
    out, _ = harmonise_root(source, tmp_path / "even", ["flooded"])
    with Scene.open(out / "optical" / "a.tif") as scene:
        stored, valid = scene.read_stored()
        assert scene.nodata == 0
    assert valid.all()
    assert stored.min() == 1


@pytest.mark.parametrize("other", [{"units": "reflectance x 10000"}, {"bands": ["B2", "B3", "B4"], "units": "uint8"}])
def test_earlier_images_in_other_units_or_bands_are_not_compared(tmp_path: Path, other: dict) -> None:
    earlier = {"bands": ["B4", "B3", "B2"], **other}
    source = make_root(tmp_path / "root", optical_reference=earlier)
    with pytest.raises(InputError, match="only equal bands and units can be compared"):
        harmonise_root(source, tmp_path / "even")
    assert not (tmp_path / "even").exists()


def test_names_with_folders_are_harmonised_and_filtered(tmp_path: Path) -> None:
    source = make_root(tmp_path / "root", sar={"bands": ["VV"], "units": "amplitude"})
    for role in ("sar", "optical", "optical_reference", "label"):
        (source / role / "x").mkdir()
        (source / role / "b.tif").rename(source / role / "x" / "b.tif")
    (source / "splits.csv").write_text("name,split\na,train\nx/b,val\n")
    even, _ = harmonise_root(source, tmp_path / "even", ["flooded"])
    smooth = filter_root(source, tmp_path / "smooth", "lee", 4.4)
    for out in (even, smooth):
        assert DataRoot.open(out).raster("optical", "x/b").is_file()
        assert DataRoot.open(out).raster("sar", "x/b").is_file()


@pytest.mark.parametrize("kind", ["link to nothing", "pipe", "loop"])
def test_what_cannot_be_copied_is_told_before_the_work(tmp_path: Path, kind: str) -> None:
    source = make_root(tmp_path / "root", sar={"bands": ["VV"], "units": "amplitude"})
    (source / "notes").mkdir()
    odd = source / "notes" / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("gone" if kind == "link to nothing" else source)
    for make in (
        lambda: harmonise_root(source, tmp_path / "out"),
        lambda: filter_root(source, tmp_path / "out", "lee", 4.4),
    ):
        with pytest.raises(InputError, match="cannot be copied") as told:
            make()
        assert told.value.source == str(odd)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_a_linked_folder_is_copied(tmp_path: Path) -> None:
    source = make_root(tmp_path / "root", sar={"bands": ["VV"], "units": "amplitude"})
    (source / "label").rename(tmp_path / "label")
    (source / "label").symlink_to(tmp_path / "label")
    out = filter_root(source, tmp_path / "out", "lee", 4.4)
    assert (out / "label" / "a.tif").is_file()
    assert not (out / "label").is_symlink()


def test_joined_roots_keep_groups_and_further_columns(tmp_path: Path) -> None:
    first, second = make_root(tmp_path / "one"), make_root(tmp_path / "two", names="ab")
    third = make_root(tmp_path / "three", names="a")
    (second / "splits.csv").write_text("name,split,month,group,region\na,train,7,g,north\nb,val,,,\n")
    (third / "splits.csv").write_text("name,split\na,test\n")
    root = DataRoot.open(join_roots(tmp_path / "all", [first, second, third]))
    assert (root.path / "splits.csv").read_text().splitlines() == [
        "name,split,group,month,region",
        "one-a,train,one/g,,",
        "one-b,train,one/g,,",
        "two-a,train,two/g,7,north",
        "two-b,val,,,",
        "three-a,test,,,",
    ]
    assert {name: root.scene_of(name) for name in ("one-b", "two-a", "two-b")} == {
        "one-b": "group one/g",
        "two-a": "group two/g",
        "two-b": "two-b",
    }


@pytest.mark.parametrize("classes", [{}, {0: "dry", 255: "flooded"}])
def test_what_only_some_roots_have_is_told(classes: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = make_root(tmp_path / "one", classes=classes), make_root(tmp_path / "two", names="c")
    for role in ("label", "optical_reference"):
        shutil.rmtree(first / role)
    assert main(["data", "join", str(tmp_path / "all"), str(first), str(second)]) == 0
    assert [
        line.removeprefix("saropt: warning: ") for line in capsys.readouterr().err.splitlines() if "left out" in line
    ] == [
        f"optical_reference of {second} is left out: {first}, the first root, has none",
        f"the labels of {second} are left out: no labels in {first}",
    ]
    assert not DataRoot.open(tmp_path / "all").classes


def test_joined_rasters_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = make_root(tmp_path / "one", names=["a-b"]), make_root(tmp_path / "one-a", names="b")
    with pytest.raises(InputError, match="b would be one-a-b, as another raster"):
        join_roots(tmp_path / "all", [first, second])
    assert not (tmp_path / "all").exists()


def test_joined_labels_have_one_value_without_a_class(tmp_path: Path) -> None:
    roots = [make_root(tmp_path / name, ignore_index=value) for name, value in (("a", None), ("b", 7), ("c", 9))]
    assert DataRoot.open(join_roots(tmp_path / "two", roots[:2])).ignore_index == 7
    with pytest.raises(InputError, match="has the ignore_index 9"):
        join_roots(tmp_path / "all", roots)
