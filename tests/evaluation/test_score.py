"""Scores of folders of rasters, and the leaderboard of submission files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import make_model, make_root, run

from saropt.cli import main
from saropt.curation.clean_splits import write_splits
from saropt.curation.cleaning import clean_root
from saropt.errors import BusyError, InputError
from saropt.evaluation.compare import compare
from saropt.evaluation.score import score
from saropt.inference import Translator
from saropt.roots import DataRoot
from saropt.roots.frozen import read_frozen
from saropt.scenes import Scene, write_array

SPLITS = {"t1": "train", **{f"s{k}": "test" for k in range(6)}}


def predict(root: Path, folder: Path, change: object) -> Path:
    """A folder of the true test images after a change of their values."""
    folder.mkdir()
    data = DataRoot.open(root)
    for number, name in enumerate(data.names("test")):
        with Scene.open(data.raster("optical", name)) as scene:
            values = scene.read()[0].astype(np.float32)
        made = np.clip(np.rint(change(values, number)), 1, 255).astype(np.uint8)  # type: ignore[operator]
        write_array(folder / f"{name}.tif", made)
    return folder


@pytest.fixture
def frozen(tmp_path: Path) -> tuple[Path, Path]:
    root = make_root(tmp_path, SPLITS, (64, 64))
    write_splits(clean_root(root), tmp_path / "frozen.csv", drop=())
    return root, tmp_path / "frozen.csv"


def test_a_folder_scores_as_the_model_that_made_it(tmp_path: Path, frozen: tuple[Path, Path]) -> None:
    root, split = frozen

    def half_red(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values // 2, np.full_like(values, 127), np.full_like(values, 127)])

    model: Translator = make_model("half", half_red)
    report = run([model], root, tmp_path / "report", html=False)
    folder = tmp_path / "made"
    folder.mkdir()
    data = DataRoot.open(root)
    for name in data.names("test"):
        with Scene.open(data.raster("sar", name)) as scene:
            made = np.maximum(half_red(scene.read()[0]), 1)
        write_array(folder / f"{name}.tif", made)
    found = score(folder, root, split, tmp_path / "a.json")
    expected = report["models"][0]["directions"]["sar2opt"]
    for key in ("psnr", "ssim", "mae", "collapse_ratio"):
        assert found["figures"][key] == pytest.approx(expected[key], abs=1e-6)
    assert found["figures"]["intervals"]["psnr"] == pytest.approx(expected["intervals"]["psnr"], rel=1e-6)
    for name in ("train_mean", "copy_input"):
        assert found["baselines"][name]["psnr"] == pytest.approx(report["baselines"]["sar2opt"][name]["psnr"], abs=1e-5)
    assert found["scenes"] == 6
    assert found["truth_checked"]
    assert json.loads((tmp_path / "a.json").read_text()) == found


def test_of_two_runs_at_once_the_later_is_refused(tmp_path: Path, frozen: tuple[Path, Path]) -> None:
    root, split = frozen
    folder, refused = predict(root, tmp_path / "made", lambda values, number: values), []

    def again(*_: object) -> None:
        with pytest.raises(BusyError, match=r"a\.json: is being written by another process"):
            score(folder, root, split, tmp_path / "a.json", overwrite=True)
        refused.append(True)

    score(folder, root, split, tmp_path / "a.json", progress=again)
    assert refused
    with pytest.raises(InputError, match="exists already"):
        score(folder, root, split, tmp_path / "a.json")


def test_the_leaderboard_tests_rows_and_marks_those_below_the_constant(
    tmp_path: Path, frozen: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, split = frozen
    folders = {
        "good": lambda values, number: values * 0.9 + 3 * number,
        "bad": lambda values, number: 255 - values,
    }
    for name, change in folders.items():
        folder = predict(root, tmp_path / name, change)
        out = str(tmp_path / f"{name}.json")
        arguments = ["score", str(folder), "--data", str(root), "--split", str(split), "--out", out]
        assert main(arguments) == 0
        assert main(arguments) == 2
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "bad.json"), str(tmp_path / "good.json")]) == 0
    out = capsys.readouterr().out
    assert "† PSNR below the constant train mean" in out
    rows = compare([tmp_path / "bad.json", tmp_path / "good.json"])[1]
    assert [row[0] for row in rows] == ["good", "train_mean (constant)", "bad †"]
    assert [row[-1][:5] for row in rows] == ["", "worse", "worse"]
    one, two = (json.loads((tmp_path / f"{name}.json").read_text())["hashes"] for name in folders)
    assert one["split"] == two["split"]
    assert one["predictions"] != two["predictions"]


def test_changed_truth_missing_rasters_and_other_splits_are_refused(tmp_path: Path, frozen: tuple[Path, Path]) -> None:
    root, split = frozen
    folder = predict(root, tmp_path / "made", lambda values, number: values)
    score(folder, root, split, tmp_path / "a.json")
    score(folder, root, root / "splits.csv", tmp_path / "b.json")
    with pytest.raises(InputError, match="another split file"):
        compare([tmp_path / "a.json", tmp_path / "b.json"])
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(InputError, match="no submission file"):
        compare([tmp_path / "c.json"])
    with Scene.open(folder / "s2.tif") as scene:
        values = scene.read()[0]
    write_array(folder / "s2.tif", values[:, :32], overwrite=True)
    with pytest.raises(InputError, match="3 bands of 64x32 pixels, the true image 3 bands of 64x64"):
        score(folder, root, split, tmp_path / "d.json")
    (folder / "s2.tif").unlink()
    with pytest.raises(InputError, match="no raster named s2"):
        score(folder, root, split, tmp_path / "d.json")
    write_array(root / "optical" / "s1.tif", values, overwrite=True)
    write_array(folder / "s2.tif", values, overwrite=True)
    with pytest.raises(InputError, match=r"are not those that frozen\.csv was written for"):
        score(folder, root, split, tmp_path / "d.json")
    assert not (tmp_path / "d.json").exists()


def test_other_true_images_are_refused_without_hashes_in_the_split_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {}
    for name in ("one", "two", "tiles"):
        (tmp_path / name).mkdir()
        root = make_root(tmp_path / name, SPLITS, (64, 64))
        if name == "two":
            path = root / "optical" / "s3.tif"
            with Scene.open(path) as scene:
                values = scene.read_stored()[0]
            values[0, 3, 5] ^= 1
            write_array(path, values, overwrite=True)
        if name == "tiles":
            write_array(root / "sar" / "s3.tif", np.zeros((1, 64, 64), np.uint8), nodata=0, overwrite=True)
        folder = predict(root, tmp_path / f"made-{name}", lambda values, number: values * 0.9)
        files[name] = tmp_path / f"{name}.json"
        score(folder, root, root / "splits.csv", files[name])
        score(folder, root, root / "splits.csv", tmp_path / f"{name}-again.json", name="again")
        assert len(compare([files[name], tmp_path / f"{name}-again.json"])[1]) == 3
    capsys.readouterr()
    assert main(["compare", str(files["one"]), str(files["two"])]) == 2
    words = f"was scored with another set of true images than {files['one']}: they cannot be compared"
    assert capsys.readouterr().err == f"saropt: error: {files['two']}: {words}\n"
    with pytest.raises(InputError, match="another set of tiles"):
        compare([files["one"], files["tiles"]])
    earlier = json.loads(files["two"].read_text())
    del earlier["hashes"]["truth"]
    files["two"].write_text(json.dumps(earlier))
    with pytest.raises(InputError, match="does not state the true images"):
        compare([files["one"], files["two"]])
    earlier["hashes"]["split"] = "of another file"
    files["two"].write_text(json.dumps(earlier))
    with pytest.raises(InputError, match="another split file"):
        compare([files["one"], files["two"]])


def test_the_constant_is_fitted_where_all_roles_are_valid(tmp_path: Path, frozen: tuple[Path, Path]) -> None:
    """SAR of the train split is nodata where the optical image is bright."""
    root, _ = frozen
    with Scene.open(root / "sar" / "t1.tif") as scene, Scene.open(root / "optical" / "t1.tif") as optical:
        values, bright = scene.read_stored()[0], optical.read_stored()[0][0] > 60
    values[:, bright] = 0
    write_array(root / "sar" / "t1.tif", values, nodata=0, overwrite=True)
    report = run([], root, tmp_path / "report", html=False)
    folder = predict(root, tmp_path / "made", lambda values, number: values)
    found = score(folder, root, root / "splits.csv", tmp_path / "a.json")
    expected = report["baselines"]["sar2opt"]["train_mean"]["psnr"]
    assert found["baselines"]["train_mean"]["psnr"] == pytest.approx(expected, abs=1e-5)


def test_the_hash_is_of_pixels_and_not_of_files(tmp_path: Path, frozen: tuple[Path, Path]) -> None:
    root, split = frozen
    path = root / "optical" / "s0.tif"
    with Scene.open(path) as scene:
        values = scene.read_stored()[0]
    write_array(path, values, band_names=["a", "b", "c"], overwrite=True)
    read_frozen(split).check("optical", "s0", path)
    values[0, 3, 5] ^= 1
    write_array(path, values, overwrite=True)
    with pytest.raises(InputError, match="its pixels"):
        read_frozen(split).check("optical", "s0", path)


def test_a_raster_without_a_valid_tile_is_named(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS, (64, 64))
    lost, *_ = DataRoot.open(root).names("test")
    write_array(root / "sar" / f"{lost}.tif", np.zeros((1, 64, 64), np.uint8), nodata=0, overwrite=True)
    write_splits(clean_root(root), tmp_path / "frozen.csv", drop=())
    folder = predict(root, tmp_path / "made", lambda values, number: values)
    found = score(folder, root, tmp_path / "frozen.csv", tmp_path / "a.json")
    assert found["warnings"][0] == f"1 of 6 rasters of split 'test' is left out: {lost} (SAR has no valid pixel)"
