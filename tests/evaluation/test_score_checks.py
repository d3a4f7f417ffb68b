"""What a score must not take in silence: other train images, scales, units, masks and orders of bands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import make_root

from saropt.cli import main
from saropt.curation.clean_splits import write_splits
from saropt.curation.cleaning import clean_root
from saropt.curation.inspection import inspect_root
from saropt.errors import InputError
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.evaluation.compare import compare
from saropt.evaluation.score import score
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene, write_array

SPLITS = {"t1": "train", "t2": "train", **{f"s{k}": "test" for k in range(5)}}


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray], to: Path | None = None, **options: object) -> None:
    """A raster again, or another beside it, after a change of its stored values."""
    with Scene.open(path) as scene:
        values, place, names, nodata = scene.read_stored()[0], scene.georeference, scene.stated_names, scene.nodata
    kept: dict = {"nodata": nodata, "georeference": place, **options}
    if all(names):
        kept.setdefault("band_names", names)
    write_array(to or path, change(values), overwrite=True, **kept)


def copied(root: Path, folder: Path, change: Callable[[np.ndarray], np.ndarray], role: str = "optical") -> Path:
    """A folder of the true test images after a change of their values."""
    folder.mkdir()
    for path in sorted((root / role).glob("[st]*.tif")):
        if path.stem.startswith(("test", "s")):
            rewrite(path, change, folder / path.name)
    return folder


def darker(values: np.ndarray) -> np.ndarray:
    return np.maximum(values * 0.9, 1).astype(values.dtype)


@pytest.fixture
def frozen(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A data root, its split file with hashes, and a folder of predictions."""
    root = make_root(tmp_path, SPLITS, (64, 64))
    write_splits(clean_root(root), tmp_path / "frozen.csv", drop=())
    return root, tmp_path / "frozen.csv", copied(root, tmp_path / "made", darker)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of an error."""
    assert main([str(one) for one in arguments]) == 2
    return capsys.readouterr().err


def test_changed_train_images_are_refused(frozen: tuple[Path, Path, Path], tmp_path: Path, capsys) -> None:
    root, split, made = frozen
    rewrite(root / "optical" / "t2.tif", lambda values: values // 3 + 1)
    out = tmp_path / "a.json"
    line = refused(capsys, "score", made, "--data", root, "--split", split, "--out", out)
    where = root / "optical" / "t2.tif"
    assert line == f"saropt: error: {where}: its pixels are not those that frozen.csv was written for\n"
    assert not out.exists()


def test_the_constant_needs_all_train_images(frozen: tuple[Path, Path, Path], tmp_path: Path) -> None:
    root, split, made = frozen
    score(made, root, split, tmp_path / "whole.json")
    (root / "optical" / "t2.tif").unlink()
    found = score(made, root, split, tmp_path / "less.json")
    line = "without the constant train mean: 1 of 2 rasters of split 'train' is missing: t2"
    assert line in found["warnings"]
    assert "train_mean" not in found["baselines"]
    for files in (["whole.json", "less.json"], ["less.json", "whole.json"]):
        rows = compare([tmp_path / name for name in files])[1]
        assert sorted(row[0] for row in rows) == ["made", "made", "train_mean (constant)"]


def test_a_row_without_a_constant_of_its_own_is_marked_too(frozen: tuple[Path, Path, Path], tmp_path: Path) -> None:
    root, split, made = frozen
    score(made, root, split, tmp_path / "good.json")
    (root / "optical" / "t2.tif").unlink()
    bad = copied(root, tmp_path / "bad", lambda values: 255 - values)
    score(bad, root, split, tmp_path / "bad.json")
    rows = compare([tmp_path / "bad.json", tmp_path / "good.json"])[1]
    assert [row[0] for row in rows] == ["made", "train_mean (constant)", "bad †"]


@pytest.mark.parametrize(("key", "value"), [("n", None), ("data", None), ("scenes", None), ("scenes", "five")])
def test_files_that_lack_a_part_are_one_line(frozen, tmp_path: Path, capsys, key: str, value: str | None) -> None:
    root, split, made = frozen
    one = tmp_path / "one.json"
    found = score(made, root, split, one)
    one.write_text(json.dumps({name: text for name, text in (found | {key: value}).items() if text is not None}))
    assert refused(capsys, "compare", one).startswith(f"saropt: error: {one}: {key}: ")


def test_other_constants_are_not_compared(frozen: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """The split file has no hashes, so that nothing else tells of other train images."""
    root, _, made = frozen
    score(made, root, root / "splits.csv", tmp_path / "one.json")
    rewrite(root / "optical" / "t2.tif", lambda values: values // 3 + 1)
    score(made, root, root / "splits.csv", tmp_path / "two.json")
    for files in (["one.json", "two.json"], ["two.json", "one.json"]):
        with pytest.raises(InputError, match="beside another constant train mean"):
            compare([tmp_path / name for name in files])


def test_figures_of_other_scales_are_not_compared(frozen: tuple[Path, Path, Path], tmp_path: Path, capsys) -> None:
    root, split, made = frozen
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    score(made, root, split, one)
    described = root / "dataset.yaml"
    described.write_text(described.read_text().replace("units: uint8", "units: uint8, range: [0, 300]"))
    score(made, root, split, two)
    words = f"was scored with another scale (0..300 of 8 bits here, 0..255 of 8 bits there) than {one}"
    line = f"saropt: error: {two}: {words}: they cannot be compared\n"
    assert refused(capsys, "compare", one, two) == line
    older = []
    for path in (one, two):
        found = json.loads(path.read_text())
        del found["scale"], found["bands"], found["hashes"]["valid"]
        older.append(found)
        path.write_text(json.dumps(found))
    with pytest.raises(InputError, match="constant train mean"):
        compare([one, two])
    assert len(compare([one, one])[1]) == 3, "files of an earlier version whose constants are equal"
    del older[0]["baselines"]["train_mean"]
    one.write_text(json.dumps(older[0]))
    with pytest.raises(InputError, match="does not state the scale"):
        compare([one, two])


def test_another_nodata_value_of_the_truth_is_refused(frozen: tuple[Path, Path, Path], tmp_path: Path) -> None:
    root, split, made = frozen
    names_only = root / "splits.csv"
    score(made, root, names_only, tmp_path / "one.json")
    columns = split.read_text().splitlines()
    kept = columns[0].split(",").index("valid_sar")
    (tmp_path / "older.csv").write_text("\n".join(",".join(line.split(",")[:kept]) for line in columns) + "\n")
    score(made, root, tmp_path / "older.csv", tmp_path / "older.json")
    rewrite(root / "optical" / "s3.tif", lambda values: values, nodata=7)
    with pytest.raises(InputError, match=r"s3\.tif: \d+ of its pixels are valid, not 4096 as in frozen\.csv: is its"):
        score(made, root, split, tmp_path / "two.json")
    score(made, root, tmp_path / "older.csv", tmp_path / "two.json")
    with pytest.raises(InputError, match="another set of valid pixels"):
        compare([tmp_path / "older.json", tmp_path / "two.json"])


def simulated(tmp_path: Path, units: str = "sigma0_db") -> Path:
    """A simulated root of SAR in `units` and of optical reflectance times 10,000 with the bands B4, B3 and B2."""
    root = write_simulated_root(tmp_path / "root", scenes=(1, 0, 2), size=64, units=units)
    described = root / "dataset.yaml"
    described.write_text(described.read_text().replace("units: uint8", "units: reflectance x 10000"))
    for path in (root / "optical").glob("*.tif"):
        rewrite(path, lambda values: values.astype(np.uint16) * 16 + 1, band_names=["B4", "B3", "B2"])
    return root


def test_pictures_of_8_bits_are_no_reflectance(tmp_path: Path) -> None:
    root = simulated(tmp_path)
    made = copied(root, tmp_path / "made", lambda values: (values // 16).astype(np.uint8))
    with pytest.raises(InputError, match=r"true images are in reflectance x 10000: .* 8 bits hold a picture"):
        score(made, root, root / "splits.csv", tmp_path / "a.json")


def test_pictures_of_8_bits_are_no_calibrated_amplitude(tmp_path: Path) -> None:
    root = write_simulated_root(tmp_path / "root", scenes=(1, 0, 2), size=64, units="sigma0")
    described = root / "dataset.yaml"
    described.write_text(described.read_text().replace("units: sigma0", "units: amplitude"))
    for path in (root / "sar").glob("*.tif"):
        rewrite(path, np.sqrt)
    right = copied(root, tmp_path / "right", lambda values: values * 0.9, "sar")
    score(right, root, root / "splits.csv", tmp_path / "a.json", role="sar")
    made = copied(root, tmp_path / "made", lambda values: np.clip(values * 255, 1, 255).astype(np.uint8), "sar")
    with pytest.raises(InputError, match="true images are in amplitude"):
        score(made, root, root / "splits.csv", tmp_path / "b.json", role="sar")


def bgr_root(tmp_path: Path) -> Path:
    """A root of 8-bit images with the bands B2, B3 and B4 in this order, by their names."""
    root = make_root(tmp_path, SPLITS, (64, 64))
    described = root / "dataset.yaml"
    described.write_text(described.read_text().replace("[R, G, B]", "[B2, B3, B4]"))
    for path in (root / "optical").glob("*.tif"):
        rewrite(path, lambda values: values[::-1], band_names=["B2", "B3", "B4"])
    return root


@pytest.mark.parametrize("named", [True, False])
def test_the_colours_of_a_picture_are_bands(named: bool, tmp_path: Path) -> None:
    """Whether the bands of the true images have names, or their order stands in dataset.yaml alone."""
    root = bgr_root(tmp_path)
    for path in [] if named else (root / "optical").glob("*.tif"):
        rewrite(path, lambda values: values, band_names=[""] * 3)
    (tmp_path / "made").mkdir()
    for path in (root / "optical").glob("s*.tif"):
        rewrite(path, lambda values: values[::-1], tmp_path / "made" / f"{path.stem}.png", band_names=[""] * 3)
    assert score(tmp_path / "made", root, root / "splits.csv", tmp_path / "a.json")["figures"]["mae"] == 0


def test_the_colours_of_a_picture_do_not_count_where_they_do_not_fit(tmp_path: Path) -> None:
    root = bgr_root(tmp_path)
    described = root / "dataset.yaml"
    described.write_text(described.read_text().replace("[B2, B3, B4]", "[B8, B4, B3]"))
    (tmp_path / "made").mkdir()
    for path in (root / "optical").glob("*.tif"):
        rewrite(path, lambda values: values, band_names=["B8", "B4", "B3"])
        rewrite(path, lambda values: values, tmp_path / "made" / f"{path.stem}.png", band_names=[""] * 3)
    assert score(tmp_path / "made", root, root / "splits.csv", tmp_path / "a.json")["figures"]["mae"] == 0


def test_pictures_are_compared_with_pictures_by_the_place_of_their_bands(tmp_path: Path) -> None:
    root = bgr_root(tmp_path)
    for path in (root / "optical").glob("*.tif"):
        rewrite(path, lambda values: values, path.with_suffix(".png"), band_names=[""] * 3)
        path.unlink()
    found = score(root / "optical", root, root / "splits.csv", tmp_path / "a.json")
    assert found["figures"]["mae"] == 0


@pytest.mark.parametrize("by", ["tags", "band names"])
def test_units_that_a_prediction_states_are_not_ignored(by: str, tmp_path: Path, capsys) -> None:
    root = simulated(tmp_path)
    stated = {"tags": {"UNITS": "gamma0_db"}} if by == "tags" else {"band_names": ["Gamma0_VV_db", "Gamma0_VH_db"]}
    made = tmp_path / "made"
    made.mkdir()
    for path in (root / "sar").glob("test*.tif"):
        rewrite(path, lambda values: values - 1, made / path.name, **stated)
    split = root / "splits.csv"
    arguments = ["score", made, "--data", root, "--split", split, "--role", "sar", "--out", tmp_path / "a.json"]
    words = f"its {by} say gamma0_db, the true images are in sigma0_db"
    assert refused(capsys, *arguments) == f"saropt: error: {made / 'test_000.tif'}: {words}\n"
    for path in (root / "sar").glob("*.tif"):
        rewrite(path, lambda values: values, **stated)
    warnings = score(made, root, split, tmp_path / "b.json", role="sar")["warnings"]
    assert f"sar/test_000: its {by} say gamma0_db, dataset.yaml says sigma0_db" in warnings[0]
    (told,) = evaluate(EvaluationSpec(root, tile=64, html=False), tmp_path / "report").warnings
    assert f"sar/test_001: its {by} say gamma0_db, dataset.yaml says sigma0_db" in told
    told = inspect_root(root)[1][0].facts["warning"]
    assert told == f"train_000.tif: its {by} say gamma0_db, dataset.yaml says sigma0_db (2 more as well)"


@pytest.mark.parametrize("hashes", [True, False])
@pytest.mark.parametrize(
    "place", ["made/s0.tif", "made/s4.tif", "root/optical/s0.tif", "root/sar/s4.tif", "root/optical/t1.tif"]
)
def test_rasters_that_change_while_they_are_scored(frozen, tmp_path: Path, place: str, hashes: bool) -> None:
    root, split, made = frozen
    if not hashes:
        split = root / "splits.csv"

    def change(done: int, total: int, name: str) -> None:
        if done == 2:
            rewrite(tmp_path / place, darker)

    with pytest.raises(InputError, match=f"{place}: has changed while it was read: nothing is written"):
        score(made, root, split, tmp_path / "a.json", progress=change)
    assert not (tmp_path / "a.json").exists()
