"""Roots appear whole or not at all, and interrupted work goes on."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.cli import main
from saropt.curation.sets import builder as module
from saropt.curation.sets import prepare
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import write_array


@pytest.fixture
def source(tmp_path):
    for side, bands in (("sar", 1), ("optical", 3)):
        (tmp_path / "src" / side).mkdir(parents=True)
        for number in range(6):
            values = np.random.default_rng(number).integers(0, 255, (bands, 24, 24)).astype(np.uint8)
            write_array(tmp_path / "src" / side / f"{number}.png", values)
    return tmp_path / "src"


def test_an_interrupt_leaves_no_root_and_the_same_call_goes_on(tmp_path, source, monkeypatch):
    def stop(done, total, name):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("folder", source, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="other settings"):
        prepare("folder", source, tmp_path / "out", ["seed=3"])
    written = []
    copy = module.shutil.copyfile
    monkeypatch.setattr(module.shutil, "copyfile", lambda a, b: (written.append(a.name), copy(a, b)))
    calls = []
    prepare("folder", source, tmp_path / "out", progress=lambda *a: calls.append(a))
    assert sorted(written) == sorted(["3.png", "4.png", "5.png"] * 2)
    assert calls[-1][:2] == (6, 6)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["dataset.yaml", "optical", "sar", "splits.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "src"]
    assert len(DataRoot.open(tmp_path / "out").splits) == 6


def test_a_damaged_file_is_named(tmp_path, source):
    (source / "sar" / "4.png").write_text("no picture")
    with pytest.raises(InputError, match=r"4\.png: is not a raster"):
        prepare("folder", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["whu", "SRC", "OUT"], "unknown set"),
        (["folder", "absent", "OUT"], "no such file or folder"),
        (["folder", "SRC", "SRC"], "exists already"),
        (["folder", "SRC", "absent/OUT"], "does not exist"),
        (["folder", "SRC", "OUT", "--set", "x"], "not key=value"),
        (["folder", "SRC", "OUT", "--set", "colour=red"], "folder takes seed"),
        (["folder", "SRC", "OUT", "--set", "train=0.9", "--set", "val=0.2"], "more than 1"),
        (["qxs-saropt", "SRC", "OUT"], "no folder named sar_256_oc_0.2"),
        (["sen12", "SRC", "OUT"], "no patches named like"),
    ],
)
def test_what_cannot_be_prepared_is_one_line(tmp_path, source, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    real = [{"SRC": "src", "OUT": "out"}.get(argument, argument) for argument in arguments]
    assert main(["data", "prepare", *real]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["src"]


def test_the_command_line_lists_sets_and_their_options(tmp_path, source, capsys):
    assert main(["data", "prepare"]) == 0
    assert "whu-opt-sar" in capsys.readouterr().out
    assert main(["data", "prepare", "sen12jhl"]) == 0
    assert "needed" in capsys.readouterr().out
    assert main(["data", "prepare", "folder", str(source), str(tmp_path / "out"), "--set", "gsd_m=2.5"]) == 0
    assert DataRoot.open(tmp_path / "out").gsd_m == 2.5


def test_empty_splits_and_wrong_units_are_told(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for side in ("sar", "optical"):
        (tmp_path / "src" / side).mkdir(parents=True)
    for name in ("a", "b"):
        write_array(tmp_path / "src" / "sar" / f"{name}.tif", rng.random((1, 64, 64)).astype(np.float32) * 0.2)
        write_array(tmp_path / "src" / "optical" / f"{name}.tif", rng.integers(1, 255, (3, 64, 64)).astype(np.uint8))
    settings = ["--set", "gsd_m=10", "--set", "train=1.0", "--set", "val=0.0", "--set", "units=sigma0_db"]
    assert main(["data", "prepare", "folder", str(tmp_path / "src"), str(tmp_path / "out"), *settings]) == 0
    out, err = capsys.readouterr()
    assert "2 train, 0 val, 0 test" in out
    assert "the split val is empty: a training cannot choose its best weights" in err
    assert "the split test is empty" in err
    assert "sar/a: units are declared as sigma0_db but" in err
    settings[-1] = "units=sigma0"
    assert main(["data", "prepare", "folder", str(tmp_path / "src"), str(tmp_path / "good"), *settings]) == 0
    assert "units" not in capsys.readouterr().err
