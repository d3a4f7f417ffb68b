"""`saropt match` and `saropt evaluate --match` from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

from saropt.cli import main
from saropt.scenes import Georeference, Scene, write_array

PLACE = Georeference(CRS.from_epsg(32611), Affine(10, 0, 4e5, 0, -10, 3.7e6))


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A lies 5 columns left and 3 rows above of where it belongs, and has the other sign of contrast."""
    folder, random = tmp_path_factory.mktemp("pair"), np.random.default_rng(0)
    image = np.sign(ndimage.gaussian_filter(random.normal(size=(330, 330)), 5))
    image = ndimage.gaussian_filter(image, 1) + 0.2 * ndimage.gaussian_filter(random.normal(size=image.shape), 1)
    grey = np.rint(np.interp(image, (image.min(), image.max()), (1, 255))).astype(np.uint8)
    write_array(folder / "a.tif", (256 - grey[None, 3:303, 5:305].astype(int)).astype(np.uint8), georeference=PLACE)
    write_array(folder / "b.tif", grey[None, :300, :300], georeference=PLACE)
    return folder / "a.tif", folder / "b.tif"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def check(*arguments: object) -> str:
        capsys.readouterr()
        assert run(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("saropt: error: ")
        assert err.count("\n") == 1
        return err

    return check


def test_match_and_register(pair: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    ties, out = tmp_path / "ties.json", tmp_path / "out.tif"
    assert run("match", *pair, "--transform", "translation", "--out", ties, "--register", out) == 0
    shown = capsys.readouterr().out
    assert "A moves +5." in shown or "A moves +4.9" in shown
    assert f"wrote {out}" in shown
    assert json.loads(ties.read_text())["shift"] == pytest.approx([5.0, 3.0], abs=0.2)
    with Scene.open(out) as made, Scene.open(pair[1]) as wanted:
        values, valid = made.read()
        truth = wanted.read()[0]
        assert np.abs(256 - values - truth)[:, valid].mean() < 8
        assert made.georeference == wanted.georeference
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tif", "ties.json"]


def test_via_a_translator(run_folder: Path, data_root: Path, tmp_path: Path, capsys) -> None:
    """The file says which translator; whether so bad a one (six steps) helps is not asked."""
    scene = data_root / "sar" / "test_000.tif"
    code = run("match", scene, scene, "--via", run_folder, "--method", "sift", "--out", tmp_path / "ties.csv")
    out, err = capsys.readouterr()
    if code:
        assert "after translation" in err
        assert "saropt-match-" not in err
        assert list(tmp_path.iterdir()) == []
    else:
        assert "sift after tiny" in out


def test_train_and_use_a_matcher(data_root: Path, run_folder: Path, tmp_path: Path, capsys) -> None:
    quick = [part for s in ("width=4", "data.crop=96", "data.batch_size=2") for part in ("--set", s)]
    options = ["--max-steps", 2, "--device", "cpu", "--set", "engine.validation_windows=1", *quick]
    assert run("match", "train", data_root, "--out", tmp_path / "run", *options) == 0
    assert "matching_score" in capsys.readouterr().out
    arguments = ["evaluate", run_folder, "--data", data_root, "--out", tmp_path / "report"]
    assert run(*arguments, "--matcher", tmp_path / "run") == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    found = report["matching"]["sar2opt"]
    assert list(found["raw"]) == list(found["models"]["tiny"]) == ["sift", "rift-like", "run"]
    assert found["raw"]["sift"]["keypoints"] > 10
    assert set(report["curves"]) == {"tiny"}
    html = (tmp_path / "report" / "report.html").read_text()
    assert "matched with the truth" in html
    assert "<h2>Training</h2>" in html
    assert "matched with the truth" in capsys.readouterr().out


class TestRefusals:
    def test_files(self, refused: Callable[..., str], pair: tuple[Path, Path], tmp_path: Path) -> None:
        a, b = pair
        empty = tmp_path / "empty.tif"
        empty.touch()
        flat = write_array(tmp_path / "flat.tif", np.full((1, 300, 300), 9, np.uint8), georeference=PLACE)
        before = sorted(tmp_path.iterdir())
        out = ("--out", tmp_path / "t.csv", "--register", tmp_path / "r.tif")
        assert "empty" in refused("match", empty, b, *out)
        assert "no such file" in refused("match", a, tmp_path / "missing.tif", *out)
        assert "flat.tif: has no keypoints" in refused("match", a, flat, *out)
        assert "sift" in refused("match", a, b, "--method", "orb", *out)
        assert "use .csv or .geojson or .json" in refused("match", a, b, "--out", tmp_path / "t.txt")
        assert "use .tif" in refused("match", a, b, "--register", tmp_path / "r.png")
        assert sorted(tmp_path.iterdir()) == before

    def test_no_match(self, refused: Callable[..., str], pair: tuple[Path, Path], tmp_path: Path) -> None:
        noise = np.random.default_rng(5).integers(1, 255, (1, 300, 300)).astype(np.uint8)
        other = write_array(tmp_path / "noise.tif", noise, georeference=PLACE)
        assert "no more than chance would give" in refused("match", pair[0], other, "--method", "sift")

    def test_existing_outputs(self, refused: Callable[..., str], pair: tuple[Path, Path], tmp_path: Path) -> None:
        there = tmp_path / "t.csv"
        there.write_text("mine")
        assert "exists already" in refused("match", *pair, "--out", there)
        assert there.read_text() == "mine"

    def test_usage(self, refused: Callable[..., str], pair: tuple[Path, Path]) -> None:
        assert "Missing argument" in refused("match", pair[0])
        assert "--search" in refused("match", *pair, "--search", "0")


def test_the_short_form_without_torch(pair: tuple[Path, Path]) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from saropt.cli import main; sys.exit(main(['match', *sys.argv[1:]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *pair], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rift-like" in done.stdout


@pytest.mark.parametrize(("option", "told"), [("--bands", "is for --via"), ("--units", "is for --via and --register")])
def test_options_that_do_nothing_are_refused(
    pair: tuple[Path, Path], refused: Callable[..., str], option: str, told: str
) -> None:
    assert told in refused("match", *pair, option, "VH")


def test_wrong_units_are_refused_before_anything_is_written(
    pair: tuple[Path, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "ties.csv"
    told = refused("match", *pair, "--register", tmp_path / "out.tif", "--out", out, "--units", "bogus")
    assert "--units bogus: must be one of" in told
    assert not out.exists()
