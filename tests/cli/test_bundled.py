"""The bundled translators and the demo, which the package must hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saropt.artifacts import read_card
from saropt.cli import main
from saropt.errors import install_words
from saropt.inference import list_translators
from saropt.scenes import Scene, write_array

BUNDLED = ["s1-losangeles", "losangeles-s1", "s1-world", "flood-reference", "s1-reference"]
FILES = ["optical.tif", "preview.png", "reference.tif", "report.json", "sar.tif", "two_dates", "two_dates.png"]
WITHOUT_TORCH = """
import importlib.machinery, sys
found = importlib.machinery.PathFinder.find_spec
extras = {"torch", "torchvision", "lightning_fabric", "tensorboard", "jinja2", "onnxscript"}
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name in extras else found(name, path, target)
)
from saropt.cli import main
sys.exit(main())
"""


def plain(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as if only the plain install were there."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = plain("demo", "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(folder / "preview.png") in done.stdout.replace("\n", "")
    return folder


def test_demo_files(demo_folder: Path) -> None:
    assert sorted(path.name for path in demo_folder.iterdir()) == FILES
    assert [path.name for path in demo_folder.parent.iterdir()] == ["out"]
    with Scene.open(demo_folder / "sar.tif") as sar, Scene.open(demo_folder / "optical.tif") as optical:
        assert (sar.dtype, sar.band_names) == ("uint8", ["VH"])
        assert sar.georeference == optical.georeference
        assert optical.is_rgb
        assert optical.tags["SAROPT_TRANSLATOR"] == "s1-losangeles"
    with Image.open(demo_folder / "preview.png") as preview:
        assert preview.width > 3 * 1024


def test_the_demo_shows_two_dates(demo_folder: Path) -> None:
    """The flood is seen, the rest stays: better than the copy where it flooded, and than SAR alone elsewhere."""
    rows = json.loads((demo_folder / "report.json").read_text())["two_dates"]
    ours, copy = rows["s1-reference"], rows["copy of the earlier image"]
    assert ours["flooded"] > copy["flooded"] + 3
    assert ours["under cloud"] > copy["under cloud"] + 3
    assert ours["other"] > rows["s1-reference from SAR alone"]["other"] + 3
    with Scene.open(demo_folder / "two_dates" / "optical_origin.tif") as origin:
        assert origin.band_names == ["from radar", "change likelihood"]
        assert "from 2026-07-06" in origin.tags["SAROPT_CONTENT"]
    with Image.open(demo_folder / "two_dates.png") as picture:
        assert picture.width > 3 * 512


def test_demo_scores_are_sane(demo_folder: Path) -> None:
    report = json.loads((demo_folder / "report.json").read_text())
    scores = report["models"][0]["directions"]["sar2opt"]
    assert report["n"] == 16
    assert scores["psnr"] > report["baselines"]["sar2opt"]["sar_as_grey"]["psnr"]
    assert scores["collapse_ratio"] > 1
    assert 0 < scores["ssim"] < 1


def test_demo_refuses_and_replaces(demo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "file").touch()
    for out, words in (
        (tmp_path, "not empty"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "a" / "b", "does not exist"),
    ):
        assert main(["demo", "--out", str(out)]) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine.txt"]
    assert main(["demo", "--out", str(tmp_path), "--overwrite"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "file", "mine.txt"])
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_translate_without_torch(demo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "optical.tif"
    done = plain("translate", demo_folder / "sar.tif", out)
    assert (done.returncode, done.stderr) == (0, "")
    with Scene.open(out) as again, Scene.open(demo_folder / "optical.tif") as first:
        assert (again.read()[0] == first.read()[0]).all()
    done = plain("translate", out, tmp_path / "back.tif", "--to", "sar")
    assert done.returncode == 0
    assert "unlike the training data" in done.stderr  # a translation is smoother than a photograph
    assert len(done.stderr.splitlines()) == 1


def test_methods_are_listed_without_torch() -> None:
    done = plain("methods")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Isola et al., CVPR 2017" in done.stdout
    assert "train" in done.stdout.splitlines()[-1], "how to install what training needs"


@pytest.mark.parametrize("arguments", [["methods", "pix2pix"], ["train", "pix2pix", "d", "--out", "r"]])
def test_missing_extra_without_torch(arguments: list[str]) -> None:
    done = plain(*arguments)
    assert done.returncode == 2
    assert done.stderr.endswith(f"pip install {install_words('train')}\n")
    assert done.stderr.count("\n") == 1


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_cards_say_what_they_must(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", name]) == 0
    rows = capsys.readouterr().out.splitlines()
    said = {row.split("  ")[0].strip() for row in rows}
    assert "train_mean" in said, "each table of figures has baselines"
    assert {"attribution", "data licence", "licence", "notes", "trained on"} <= said
    assert any("error bounds" in row and "inside on average of" in row for row in rows)
    assert any("psnr" in row and " tiles of " in row for row in rows)
    path = list_translators()[name]
    assert read_card(path).name == name
    assert path.stat().st_size <= 12_000_000


def test_a_retired_translator_is_not_listed_and_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sen12-vv" not in list_translators()
    values = np.random.default_rng(0).normal(-12, 3, (1, 64, 64)).astype(np.float32)
    scene = write_array(tmp_path / "scene.tif", values, band_names=["VV"])
    assert (
        main(["translate", str(scene), str(tmp_path / "out.tif"), "--model", "sen12-vv", "--units", "sigma0_db"]) == 0
    )
    assert "s1-world takes its place" in capsys.readouterr().err
