"""Interrupted preparing goes on with what its sources are now."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from saropt.curation.sets import prepare
from saropt.curation.sets import rasters as module
from saropt.curation.sets.base import Entry, Source
from saropt.curation.sets.written import Written
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Scene, write_array
from set_files import pixels, sen12ms, write_uavsar


@pytest.fixture
def source(tmp_path):
    for side, bands in (("sar", 1), ("optical", 3)):
        (tmp_path / "src" / side).mkdir(parents=True)
        for number in range(6):
            write_array(tmp_path / "src" / side / f"{number}.png", pixels(bands, 24, 24, number))
    return tmp_path / "src"


def stopped_at(number):
    """A progress that interrupts after so many entries."""

    def stop(done, total, name):
        if done == number:
            raise KeyboardInterrupt

    return stop


def test_what_was_made_of_files_that_changed_since_is_made_anew(tmp_path, source):
    (source / "sar" / "1.png.aux.xml").write_text("<PAMDataset/>")
    with pytest.raises(KeyboardInterrupt):
        prepare("folder", source, tmp_path / "out", progress=stopped_at(4))
    changed = np.full((1, 24, 24), 77, np.uint8)
    write_array(source / "sar" / "0.png", changed, overwrite=True)
    (source / "sar" / "1.png").rename(source / "sar" / "1.PNG")
    (source / "sar" / "1.png.aux.xml").unlink()
    (source / "sar" / "2.png").unlink()
    write_array(source / "sar" / "2.tif", changed)
    root = DataRoot.open(prepare("folder", source, tmp_path / "out"))
    for name in root.splits:
        for side in ("sar", "optical"):
            (own,) = (path for path in (source / side).iterdir() if path.stem == name)
            with Scene.open(root.raster(side, name)) as made, Scene.open(own) as given:
                assert (made.read_stored()[0] == given.read_stored()[0]).all()
    assert len(list((tmp_path / "out" / "sar").iterdir())) == 6
    assert not list((tmp_path / "out").glob(".*"))


def test_a_file_that_changes_after_it_was_read_is_refused_and_made_anew(tmp_path, source):
    changed = np.full((1, 24, 24), 77, np.uint8)

    def change(done, total, name):
        if done == total:
            write_array(source / "sar" / "0.png", changed, overwrite=True)

    with pytest.raises(InputError, match=r"0\.png: has changed while it was read: nothing is written"):
        prepare("folder", source, tmp_path / "out", progress=change)
    assert not (tmp_path / "out").exists()
    root = DataRoot.open(prepare("folder", source, tmp_path / "out"))
    with Scene.open(root.raster("sar", "0")) as made:
        assert (made.read_stored()[0] == changed).all()


def test_new_rights_and_links_of_a_file_are_no_change(tmp_path, source):
    def change(done, total, name):
        if done == total:
            (source / "sar" / "0.png").chmod(0o600)
            (source / "other").hardlink_to(source / "optical" / "1.png")

    assert prepare("folder", source, tmp_path / "out", progress=change).exists()


def test_a_file_of_all_entries_that_changes_is_refused(tmp_path):
    for name in ("shared", "own"):
        (tmp_path / name).write_text("old")
    entry = Entry("tile", "train", {"sar": Source((tmp_path / "own",))})
    with Written(tmp_path / "lines", [tmp_path / "shared"]) as written:
        written.finish(entry, written.state(entry))
        written.check([entry])
        (tmp_path / "shared").write_text("newer")
        with pytest.raises(InputError, match="has changed while it was read"):
            written.check([entry])


def test_work_on_other_names_is_not_gone_on_with(tmp_path, source):
    with pytest.raises(KeyboardInterrupt):
        prepare("folder", source, tmp_path / "out", progress=stopped_at(4))
    for side in ("sar", "optical"):
        (source / side / "0.png").rename(source / side / "9.png")
    with pytest.raises(InputError, match="unfinished work with other settings is in the way"):
        prepare("folder", source, tmp_path / "out")


def test_an_entry_that_was_begun_is_made_anew(tmp_path, source, monkeypatch):
    copy = module.shutil.copyfile

    def killed(a, b):
        if a.name == "2.png" and a.parent.name == "optical":
            raise KeyboardInterrupt
        copy(a, b)

    monkeypatch.setattr(module.shutil, "copyfile", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare("folder", source, tmp_path / "out")
    monkeypatch.setattr(module.shutil, "copyfile", copy)
    changed = np.full((1, 24, 24), 77, np.uint8)
    write_array(source / "sar" / "2.png", changed, overwrite=True)
    with Scene.open(prepare("folder", source, tmp_path / "out") / "sar" / "2.png") as scene:
        assert (scene.read_stored()[0] == changed).all()


def test_tables_and_what_functions_read_count_too(tmp_path):
    (tmp_path / "line").mkdir()
    line, _ = write_uavsar(tmp_path / "line")
    with pytest.raises(KeyboardInterrupt):
        prepare("uavsar", line, tmp_path / "out", ["product=grd", "bands=VV", "gap=0"], progress=stopped_at(1))
    for path in line.parent.glob("*VVVV*.grd"):
        (4 * np.fromfile(path, "<f4")).tofile(path)
    again = prepare("uavsar", line, tmp_path / "out", ["product=grd", "bands=VV", "gap=0"])
    anew = prepare("uavsar", line, tmp_path / "anew", ["product=grd", "bands=VV", "gap=0"])
    for path in (again / "sar").iterdir():
        with Scene.open(path) as made, Scene.open(anew / "sar" / path.name) as right:
            np.testing.assert_array_equal(made.read()[0], right.read()[0])


def test_a_changed_table_of_classes_makes_labels_anew(tmp_path):
    utm = CRS.from_epsg(32654)
    sen12ms(tmp_path / "src", place=lambda n: Georeference(utm, Affine(10, 0, 4e5 + 2000 * n, 0, -10, 39e5)))
    (tmp_path / "hrlulc").mkdir()
    corner = Georeference(CRS.from_epsg(4326), Affine(1 / 1200, 0, 139.5, 0, -1 / 1200, 35.5))
    write_array(tmp_path / "hrlulc" / "LC_N35E139.tif", np.full((1, 500, 900), 3, np.uint8), georeference=corner)
    merge = tmp_path / "merge.yaml"
    options = [f"hrlulc={tmp_path / 'hrlulc'}", "window=32", f"merge={merge}"]
    merge.write_text("1: [low, [3]]\n2: [trees, [8]]\n")
    with pytest.raises(KeyboardInterrupt):
        prepare("sen12jhl", tmp_path / "src", tmp_path / "out", options, progress=stopped_at(1))
    merge.write_text("1: [trees, [8]]\n2: [low, [3]]\n")
    root = DataRoot.open(prepare("sen12jhl", tmp_path / "src", tmp_path / "out", options))
    for name in root.splits:
        with Scene.open(root.raster("label", name), palette="index") as scene:
            assert (scene.read()[0] == 2).all()
