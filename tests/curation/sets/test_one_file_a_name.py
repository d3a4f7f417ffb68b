"""Files of a published set that would stand for one name of the data root."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.curation.sets import prepare
from saropt.curation.sets.sen12jhl import read_tiles
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import write_array


def pictures(folder, names, count):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        values = np.random.default_rng(number).integers(1, 200, (count, 32, 32))
        write_array(folder / f"{name}.png", values.astype(np.uint8))


def test_two_files_of_one_name_are_refused(tmp_path):
    for folder, count in (("sar", 1), ("optical", 3)):
        pictures(tmp_path / "f" / folder, ["t0", "t1", "t2"], count)
    write_array(tmp_path / "f" / "optical" / "t0.tif", np.ones((3, 32, 32), np.uint8))
    with pytest.raises(InputError, match=r"optical.t0\.png: t0\.tif is there too: keep one of them"):
        prepare("folder", tmp_path / "f", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for folder, count in (("sar_256_oc_0.2", 1), ("opt_256_oc_0.2", 3)):
        pictures(tmp_path / "q" / folder, ["1", "2", "001"], count)
    with pytest.raises(InputError, match=r"001\.png: 1\.png is there too"):
        prepare("qxs-saropt", tmp_path / "q", tmp_path / "out", partial=True)
    for kind, count in (("s1", 1), ("s2", 3)):
        for copy in ("a", "b"):
            pictures(tmp_path / "sen12" / copy / kind, [f"ROIs1158_spring_{kind}_1_p30"], count)
    with pytest.raises(InputError, match=r"sen12.a.s1.ROIs.*: .*sen12.b.s1.ROIs.* is there too"):
        prepare("sen12", tmp_path / "sen12", tmp_path / "out", partial=True)
    for copy in ("a", "b"):
        (tmp_path / "hrlulc" / copy).mkdir(parents=True)
        (tmp_path / "hrlulc" / copy / "LC_N34E138.tif").touch()
    with pytest.raises(InputError, match=r"a.LC_N34E138\.tif: .*b.LC_N34E138\.tif is there too"):
        read_tiles(tmp_path / "hrlulc")


def test_one_file_under_two_names_is_one(tmp_path):
    for folder, count in (("sar", 1), ("optical", 3)):
        pictures(tmp_path / "f" / folder, ["t0", "t1", "t2"], count)
    (tmp_path / "f" / "sar" / "t0.PNG").symlink_to(tmp_path / "f" / "sar" / "t0.png")
    assert len(DataRoot.open(prepare("folder", tmp_path / "f", tmp_path / "out", ["gsd_m=10"])).splits) == 3


def test_two_rasters_of_one_polarisation_are_refused(tmp_path):
    radar = np.ones((1, 8, 8), np.uint16)
    (tmp_path / "GF3_X.meta.xml").write_text("<product/>")
    write_array(tmp_path / "GF3_X_HH_L2.tiff", radar)
    write_array(tmp_path / "GF3_X_HH_L2_filtered.tiff", radar)
    with pytest.raises(InputError, match=r"GF3_X_HH_L2\.tiff: GF3_X_HH_L2_filtered\.tiff is of HH too: keep one"):
        prepare("gaofen3", tmp_path, tmp_path / "out")
