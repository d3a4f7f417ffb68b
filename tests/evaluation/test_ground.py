"""Figures by kind of ground: against naive loops, and in a whole report."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from reference_files import reference_translator
from saropt.cli import main
from saropt.errors import InputError, OptionError
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.evaluation.ground import _bins, area_under
from saropt.evaluation.reference_baselines import DifferenceRegression, ValuePropagation
from saropt.inference import Translator
from saropt.scenes import Scene, write_array

Factory = Callable[..., Path]
SIDE = 64
DIRECTION = "sar+sarref+optref2opt"


def make_root(folder: Path, *, masked: bool = False, places: str = "ab") -> Path:
    """Places whose earlier image differs by noise, and by a flood in the label; `b` has no earlier image."""
    rng = np.random.default_rng(5)
    roles = ("sar", "sar_reference", "optical", "optical_reference", "label")
    for role in roles:
        (folder / role).mkdir(parents=True)
    date = "2026-05-01"
    for name in ("t", *places):
        old = rng.integers(40, 200, (3, SIDE, SIDE))
        label = np.zeros((1, SIDE, SIDE), np.uint8)
        label[:, 10:40, 5:50] = 255
        now = np.clip(np.where(label == 255, 30, old + rng.integers(-9, 10, old.shape)), 1, 255)
        sar = rng.uniform(-20, -5, (1, SIDE, SIDE)).astype(np.float32)
        before = old.copy()
        if masked:
            before[:, :, :20] = 0
        for role, values, when in (
            ("sar", sar, "2026-06-01"),
            ("sar_reference", sar - 2, date),
            ("optical", now.astype(np.uint8), "2026-06-01"),
            ("optical_reference", before.astype(np.uint8), date),
            ("label", label, date),
        ):
            if (role, name) != ("optical_reference", "b"):
                nodata = 0 if role == "optical_reference" and masked else None
                tags = {"ACQUISITION_DATE": when}
                write_array(folder / role / f"{name}.tif", values, nodata=nodata, tags=tags)
    description = {
        "name": "floods",
        "gsd_m": 10.0,
        "sar": {"bands": ["VH"], "units": "sigma0_db"},
        "optical": {"bands": ["B4", "B3", "B2"], "units": "uint8"},
        "classes": {0: "dry", 255: "flooded"},
    }
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description))
    (folder / "splits.csv").write_text("name,split\nt,train\n" + "".join(f"{name},test\n" for name in places))
    return folder


def read(path: Path) -> np.ndarray:
    import rasterio

    with rasterio.open(path) as dataset:
        return dataset.read().astype(float)


def naive_psnr(root: Path, name: str, where: np.ndarray) -> float:
    """PSNR of the copy over some pixels, one by one."""
    truth, copy = read(root / "optical" / f"{name}.tif") / 255, read(root / "optical_reference" / f"{name}.tif") / 255
    squares = [
        (truth[c, i, j] - copy[c, i, j]) ** 2 for c in range(3) for i in range(SIDE) for j in range(SIDE) if where[i, j]
    ]
    return float(-10 * np.log10(np.mean(squares)))


@pytest.fixture
def report(tmp_path: Path) -> dict:
    root = make_root(tmp_path / "root", masked=True)
    model = reference_translator(tmp_path, fresh=True)
    arguments = [str(model), "--data", str(root), "--out", str(tmp_path / "out"), "--changed", "flooded"]
    assert main(["evaluate", *arguments]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "by kind of ground" in page
    assert "Where little ground changes, a copy of the earlier image wins the average" in page
    found: dict = json.loads((tmp_path / "out" / "report.json").read_text())
    return found


def test_the_copy_has_the_figures_of_naive_loops(report: dict, tmp_path: Path) -> None:
    found = report["ground"][DIRECTION]
    label = read(tmp_path / "root" / "label" / "a.tif")[0] == 255
    hidden = np.zeros_like(label)
    hidden[:, :20] = True
    copied = found["psnr"]["copy_reference"]
    assert copied["other"] == pytest.approx(naive_psnr(tmp_path / "root", "a", ~label & ~hidden), abs=1e-4)
    assert copied["changed"] == pytest.approx(naive_psnr(tmp_path / "root", "a", label & ~hidden), abs=1e-4)
    assert found["changed"] == "labelled flooded"
    assert found["pixels"]["all"] == 2 * SIDE * SIDE
    assert found["pixels"]["hidden"] == SIDE * 20 + SIDE * SIDE
    assert found["pixels"]["changed"] == (label & ~hidden).sum()
    assert sum(found["pixels"][kind] for kind in ("changed", "other", "hidden")) == found["pixels"]["all"]
    assert found["tiles"] == {"all": 2, "changed": 1, "other": 1, "hidden": 2}


def test_an_untrained_translator_is_the_copy_on_other_ground(report: dict) -> None:
    found = report["ground"][DIRECTION]
    assert found["psnr"]["test"]["other"] == pytest.approx(found["psnr"]["copy_reference"]["other"], abs=1e-5)
    assert set(found["auc"]) == {"test"}
    assert found["auc"]["test"]["labelled"] == 0.5
    assert found["by_days"]["16 to 45 days"]["copy_reference"] > 5


def test_figures_by_kind_of_ground_have_intervals_over_places(report: dict, tmp_path: Path) -> None:
    few = report["ground"][DIRECTION]
    assert few["intervals"]["copy_reference"]["changed"] is None, "two places are too few"
    root = make_root(tmp_path / "more", places="abcdefg")
    model = reference_translator(tmp_path, fresh=True)
    arguments = [str(model), "--data", str(root), "--out", str(tmp_path / "more-out"), "--changed", "flooded"]
    assert main(["evaluate", *arguments]) == 0
    held = json.loads((tmp_path / "more-out" / "report.json").read_text())
    found = held["ground"][DIRECTION]
    assert found["scenes"]["changed"] == found["scenes"]["other"] == 6, "one place has no earlier image"
    low, high = found["intervals"]["copy_reference"]["other"]
    assert low < found["psnr"]["copy_reference"]["other"] < high
    flooded = [naive_psnr(root, name, read(root / "label" / f"{name}.tif")[0] == 255) for name in "acdefg"]
    assert low > max(flooded), "the copy is better on other ground than on flooded ground in every place"
    low, high = found["gain_intervals"]["test"]["other"]
    assert low <= found["gain_over_copy"]["test"]["other"] <= high
    assert high - low < 0.01, "an untrained translator is the copy: the paired interval is narrow"


def test_a_copy_that_some_places_lack_is_compared_where_it_is(report: dict, tmp_path: Path) -> None:
    found = report["ground"][DIRECTION]
    assert found["row_tiles"]["copy_reference"]["all"] == 1
    copy = report["baselines"][DIRECTION]["copy_reference"]["by_scene"]["psnr"]["a"][0]
    alone = next(entry for entry in report["models"] if entry["model"] == "test, SAR alone")["directions"][DIRECTION]
    own = alone["by_scene"]["psnr"]["a"][0]
    assert found["gain_over_copy"]["test, SAR alone"]["all"] == pytest.approx(own - copy, abs=1e-3)
    told = f"a copy of the earlier image ({copy:.2f} dB against {own:.2f} dB over 1 of 2 tiles, not tested)"
    assert any(told in line for line in alone["warnings"])
    assert "reference, 1 tile<" in (tmp_path / "out" / "report.html").read_text()


def test_the_same_translator_without_earlier_images_is_a_row(report: dict) -> None:
    rows = report["ground"][DIRECTION]["psnr"]
    assert list(rows)[:2] == ["test", "test, SAR alone"]
    assert rows["test, SAR alone"]["other"] < rows["test"]["other"] - 5
    names = [entry["model"] for entry in report["models"]]
    assert names == ["test", "test, SAR alone"]


def restate(root: Path, **roles: dict) -> None:
    path = root / "dataset.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | roles))


def read_stored(path: Path) -> np.ndarray:
    with Scene.open(path) as scene:
        return scene.read_stored()[0]


def rewrite(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in folder.iterdir():
        with Scene.open(path) as scene:
            tags, nodata = {"ACQUISITION_DATE": scene.tags["ACQUISITION_DATE"]}, scene.nodata
        write_array(path, change(read_stored(path)), nodata=nodata, tags=tags, overwrite=True)


def evaluated(root: Path, tmp_path: Path) -> dict:
    model, out = reference_translator(tmp_path, fresh=True), tmp_path / "report"
    assert main(["evaluate", str(model), "--data", str(root), "--out", str(out), "--overwrite"]) == 0
    found: dict = json.loads((out / "report.json").read_text())
    return found


def figures_of_rows(report: dict) -> dict:
    rows = report["baselines"][DIRECTION]
    return {name: row["psnr"] for name, row in rows.items()} | report["ground"][DIRECTION]["pixels"]


@pytest.mark.parametrize("extra", [False, True])
def test_bands_of_earlier_images_are_taken_by_name(tmp_path: Path, extra: bool) -> None:
    root = make_root(tmp_path / "root")
    rewrite(root / "sar", lambda sar: np.concatenate([sar, sar[:, ::-1] - 5]))
    rewrite(root / "sar_reference", lambda sar: np.concatenate([sar, sar[:, ::-1] - 7]))
    sar = {"bands": ["VH", "VV"], "units": "sigma0_db"}
    restate(root, sar=sar, sar_reference=sar | {"optional": True})
    wanted = figures_of_rows(evaluated(root, tmp_path))
    rewrite(root / "sar_reference", lambda sar: sar[::-1])
    names = ["B2", "B4", "B8", "B3"] if extra else ["B2", "B4", "B3"]
    places = [2, 0, 1, 1] if extra else [2, 0, 1]

    def reordered(image: np.ndarray) -> np.ndarray:
        image = image[places]
        if extra:
            image[2] = 255 - image[2]
        return image

    rewrite(root / "optical_reference", reordered)
    optical = {"bands": names, "units": "uint8", "optional": True}
    restate(root, optical_reference=optical, sar_reference=sar | {"bands": ["VV", "VH"], "optional": True})
    assert figures_of_rows(evaluated(root, tmp_path)) == pytest.approx(wanted, abs=1e-4)


def test_baselines_are_fitted_on_bands_of_another_root_by_name(tmp_path: Path) -> None:
    root, other = make_root(tmp_path / "root"), make_root(tmp_path / "other")
    wanted = figures_of_rows(evaluated(root, tmp_path))
    rewrite(other / "optical", lambda image: image[::-1])
    restate(other, optical={"bands": ["B2", "B3", "B4"], "units": "uint8"})
    rewrite(other / "optical_reference", lambda image: image[[1, 0, 2]])
    restate(other, optical_reference={"bands": ["B3", "B4", "B2"], "units": "uint8", "optional": True})
    model = Translator.load(reference_translator(tmp_path, fresh=True))
    found = evaluate(
        EvaluationSpec(data=root, models=[model], baselines_from=other, html=False), tmp_path / "other-report"
    ).report
    assert figures_of_rows(found) == pytest.approx(wanted, abs=1e-4)


def test_an_image_of_another_date_with_other_bands_makes_no_rows(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", places="a")
    (root / "optical_reference_2").mkdir()
    for path in (root / "optical").iterdir():
        write_array(
            root / "optical_reference_2" / path.name, read_stored(path), tags={"ACQUISITION_DATE": "2026-07-01"}
        )
    assert "linear_in_time" in evaluated(root, tmp_path)["baselines"][DIRECTION]
    restate(root, optical_reference_2={"bands": ["B4", "B3", "B8"], "units": "uint8"})
    found = evaluated(root, tmp_path)
    assert "linear_in_time" not in found["baselines"][DIRECTION]
    line = "optical_reference_2 holds B4, B3, B8, not B4, B3, B2: rows that compare it with optical are left out."
    assert f"floods: {line}" in found["notes"]


def test_pixels_without_a_needed_earlier_image_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_root(tmp_path / "root", masked=True, places="a")
    kept = evaluated(root, tmp_path)
    assert not kept["warnings"]
    assert kept["ground"][DIRECTION]["pixels"]["hidden"] == SIDE * 20
    restate(root, optical_reference={"bands": ["B4", "B3", "B2"], "units": "uint8"})
    capsys.readouterr()
    lost = evaluated(root, tmp_path)
    (line,) = lost["warnings"]
    assert "earlier optical is not valid in 31.2% of the pixels that could be measured without it" in line
    assert "state `optional: true` for optical_reference in dataset.yaml" in line
    assert "is not valid in 31.2%" in " ".join(capsys.readouterr().out.split())
    assert lost["ground"][DIRECTION]["pixels"]["hidden"] == 0


def test_equal_pixels_count_as_the_convention_says(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", places="a")
    for path in (root / "optical").iterdir():
        write_array(root / "optical_reference" / path.name, read_stored(path), overwrite=True)
    found = evaluated(root, tmp_path)
    assert found["ground"][DIRECTION]["psnr"]["copy_reference"]["all"] == 120
    assert "120 dB at most (equal pixels)" in found["conventions"]["ground"]


def test_regression_of_the_difference_sees_the_difference() -> None:
    rng = np.random.default_rng(0)
    old, sar, before = rng.uniform(0, 1, (2, 500)), rng.uniform(0, 1, (1, 500)), rng.uniform(0, 1, (1, 500))
    target = 0.5 * old + 0.3 * (sar - before) + 0.1
    baseline = DifferenceRegression()
    source = np.concatenate([old, sar, before])
    baseline.fit([(source[:, :, None], target[:, :, None], None)])
    assert np.allclose(baseline.predict(source[:, :, None], target[:, :, None]), np.clip(target, 0, 1)[:, :, None])


def test_holes_are_filled_as_by_propagating_values_until_nothing_changes() -> None:
    rng = np.random.default_rng(3)
    image, sar, hole = rng.uniform(0.2, 0.3, (2, 7, 9)), rng.uniform(0.4, 0.6, (1, 7, 9)), rng.random((7, 9)) < 0.6
    hole[0, :3] = True
    feature = np.zeros((7, 9))
    for i in range(7):
        for j in range(9):
            block = [sar[0, mirror(i + a, 7), mirror(j + b, 9)] for a in range(-2, 3) for b in range(-2, 3)]
            feature[i, j] = np.mean(block)
    wanted = np.where(hole, 0.25, image)
    for _ in range(3000):
        for i, j in zip(*np.nonzero(hole), strict=True):
            near = [(i + a, j + b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1)) if 0 <= i + a < 7 and 0 <= j + b < 9]
            wanted[:, i, j] = np.mean([wanted[:, k, n] * feature[i, j] / feature[k, n] for k, n in near], axis=0)
    source = np.concatenate([np.where(hole, np.nan, image), sar])
    assert np.allclose(ValuePropagation().predict(source, image), wanted, atol=1e-9)
    assert (ValuePropagation().predict(np.full((3, 4, 4), np.nan), image[:, :4, :4]) == 0.5).all()


def mirror(index: int, size: int) -> int:
    """The index inside, counted back from the border: the border pixel itself is repeated."""
    return -index - 1 if index < 0 else 2 * size - index - 1 if index >= size else index


def test_two_images_of_other_dates_give_the_value_on_the_line_through_them(tmp_path: Path) -> None:
    """Place a: 31 of the 61 days between its two images have passed. A date of place c is unknown."""
    root = make_root(tmp_path / "root", places="ac")
    rng = np.random.default_rng(6)
    (root / "optical_reference_2").mkdir()
    for name, tags in (("t", {}), ("a", {"ACQUISITION_DATE": "2026-07-01"}), ("c", {})):
        values = rng.integers(40, 200, (3, SIDE, SIDE)).astype(np.uint8)
        write_array(root / "optical_reference_2" / f"{name}.tif", values, tags=tags)
    model = str(reference_translator(tmp_path, fresh=True))
    assert main(["evaluate", model, "--data", str(root), "--out", str(tmp_path / "report")]) == 0
    found = json.loads((tmp_path / "report" / "report.json").read_text())["baselines"][DIRECTION]["linear_in_time"]
    first, second, now = (
        read(root / role / "a.tif") / 255 for role in ("optical_reference", "optical_reference_2", "optical")
    )
    errors = [
        (now[c, i, j] - first[c, i, j] - 31 / 61 * (second[c, i, j] - first[c, i, j])) ** 2
        for c in range(3)
        for i in range(SIDE)
        for j in range(SIDE)
    ]
    assert found["n"] == 1
    assert found["psnr"] == pytest.approx(-10 * np.log10(np.mean(errors)), abs=1e-4)


@pytest.mark.parametrize(("hours", "expected"), [(-372, "0 to 15"), (372, "0 to 15"), (-390, "16 to 45")])
def test_days_are_whole_ones_before_and_after(hours: int, expected: str) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    scenes = {"sar": SimpleNamespace(acquired=now), "back": SimpleNamespace(acquired=now + timedelta(hours=hours))}
    assert _bins(SimpleNamespace(scenes=scenes), "back") == [f"{expected} days"]  # type: ignore[arg-type]


def test_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.integers(0, 8, 300), rng.random(300) < 0.3
    pairs = [
        (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])
        for i in np.flatnonzero(truth)
        for j in np.flatnonzero(~truth)
    ]
    counts = [np.bincount(scores[truth == outcome], minlength=8) for outcome in (False, True)]
    assert area_under(*counts) == pytest.approx(np.mean(pairs))
    assert area_under(np.zeros(8, int), counts[1]) is None


def test_unknown_classes_are_refused(tmp_path: Path) -> None:
    model = Translator.load(reference_translator(tmp_path, fresh=True))
    spec = EvaluationSpec(make_root(tmp_path / "root"), [model], changed=["wet"])
    with pytest.raises(InputError, match="has no class wet; it has dry, flooded"):
        evaluate(spec, tmp_path / "out")


def test_classes_are_refused_where_nothing_takes_an_earlier_image(tmp_path: Path) -> None:
    spec = EvaluationSpec(make_root(tmp_path / "root"), changed=["flooded"])
    with pytest.raises(OptionError, match="changed='flooded': no translator takes an earlier image of these data"):
        evaluate(spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_data_may_lack_an_optional_role(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    for path in (root / "sar_reference").iterdir():
        path.unlink()
    (root / "sar_reference").rmdir()
    model = reference_translator(tmp_path, fresh=True)
    assert main(["evaluate", str(model), "--data", str(root), "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["ground"][DIRECTION]["changed"] == "measured"
    assert "sar_difference" not in found["baselines"][DIRECTION]
