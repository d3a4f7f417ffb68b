from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import make_model, make_root

from saropt.errors import InputError, MissingExtraError
from saropt.evaluation import ImageQuality, Linear, evaluate, stream_tiles, unit_range
from saropt.roots import DataRoot

SPLITS = {"t1": "train", "t2": "train", "a": "test", "b": "test"}


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values, 3, 0)


def half_red(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values / 2, np.full_like(values, 127), np.full_like(values, 127)])


def test_report_follows_the_schema_and_the_tiles(tmp_path: Path) -> None:
    path = make_root(tmp_path, SPLITS, (70, 64))
    steps: list[tuple[str, int, int]] = []
    models = [make_model("half", half_red), make_model("grey", grey)]
    report = evaluate(models, path, tmp_path / "out", tile=32, progress=lambda *s: steps.append(s))
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    assert (report["split"], report["n"], report["skipped"], report["tile"]) == ("test", 8, 0, 32)
    assert [m["model"] for m in report["models"]] == ["half", "grey"]
    assert list(report["baselines"]) == ["sar2opt"]
    assert list(report["baselines"]["sar2opt"]) == ["train_mean", "linear", "histogram_match", "image_mean_oracle"]
    assert steps[-1] == ("test b", 4, 4)
    assert [c[:2] for c in models[0].calls] == [((1, 70, 64), "amplitude")] * 2

    root = DataRoot.open(path)
    expected = ImageQuality(["R", "G", "B"])
    linear = Linear().fit(
        (p.sar.values / 255, p.optical.values / 255, None) for p in stream_tiles(root, root.names("train"), 32)
    )
    fitted = ImageQuality(["R", "G", "B"])
    for pair in stream_tiles(root, root.names("test"), 32):
        sar, optical = (unit_range(p.values, p.units, p.dtype) for p in (pair.sar, pair.optical))
        expected.add(half_red(pair.sar.values) / 255, sar, optical)
        fitted.add(linear.predict(sar, optical), sar, optical)
    found = report["models"][0]["directions"]["sar2opt"]
    for name in ("psnr", "ssim", "mae", "collapse_ratio", "psnr_shift", "psnr_colour_free"):
        assert found[name] == pytest.approx(expected.summary()[name], abs=1e-6)
        assert report["baselines"]["sar2opt"]["linear"][name] == pytest.approx(fitted.summary()[name], abs=1e-5)
    assert found["seconds_per_megapixel"] > 0
    assert len(found["warnings"]) == 1
    assert found["warnings"][0].endswith("dB is below the trivial baseline linear")


def test_a_collapsed_model_is_flagged(tmp_path: Path) -> None:
    report = evaluate([make_model("copy", grey)], make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    scores = report["models"][0]["directions"]["sar2opt"]
    assert scores["collapse_ratio"] == 0
    assert "collapse_ratio 0.00 is below 1" in scores["warnings"][0]
    assert "below the trivial baseline train_mean" in scores["warnings"][1]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('class="warning"') == 2
    assert '<span class="warn">0.00</span>' in page


def test_both_directions_and_a_perfect_model(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    truth = [DataRoot.open(root).optical_path(n) for n in ("a", "b")]
    from saropt.scenes import Scene

    def oracle(values: np.ndarray) -> np.ndarray:
        with Scene.open(truth.pop(0)) as scene:
            return scene.read()[0]

    models = [make_model("oracle", oracle), make_model("back", lambda v: v[:1] * 2, "opt2sar")]
    report = evaluate(models, root, tmp_path / "out", tile=32)
    perfect = report["models"][0]["directions"]["sar2opt"]
    assert perfect["psnr"] is None
    assert perfect["mae"] == 0
    assert perfect["ssim"] == pytest.approx(1)
    assert list(report["baselines"]) == ["sar2opt", "opt2sar"]
    assert list(report["models"][1]["directions"]) == ["opt2sar"]
    assert list(report["models"][1]["directions"]["opt2sar"]["rmse_per_band"]) == ["VH"]


def test_both_directions_of_one_model_are_one_entry(tmp_path: Path) -> None:
    models = [make_model("both", half_red), make_model("both", lambda v: v[:1], "opt2sar"), make_model("half", grey)]
    report = evaluate(models, make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    assert [(m["model"], list(m["directions"])) for m in report["models"]] == [
        ("both", ["sar2opt", "opt2sar"]),
        ("half", ["sar2opt"]),
    ]
    assert [len(m.calls) for m in models] == [2, 2, 2]
    back = report["models"][0]["directions"]["opt2sar"]
    assert list(back["rmse_per_band"]) == ["VH"]
    assert back["rmse_per_band"]["VH"] > 0.1
    baselines = ["train_mean", "linear", "histogram_match", "image_mean_oracle"]
    assert [list(b) for b in report["baselines"].values()] == [baselines, baselines]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("<h2>SAR to optical</h2>") < page.index("<h2>Optical to SAR</h2>")
    assert page.count("both: best, median and worst tiles") == 2


def test_mostly_invalid_tiles_are_skipped_and_invalid_pixels_left_out(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS, (96, 64), invalid_rows=40)

    def spoilt(values: np.ndarray) -> np.ndarray:
        output = half_red(values)
        output[:, :40] = np.nan
        return output

    model = make_model("half", spoilt)
    report = evaluate([model], root, tmp_path / "out", tile=32)
    assert (report["n"], report["skipped"]) == (8, 4)
    assert report["models"][0]["directions"]["sar2opt"]["rmse_per_band"]["R"] < 0.02
    assert not model.calls[0][2][:40].any()
    assert model.calls[0][2][40:].all()


def test_without_a_train_split_the_oracle_is_left(tmp_path: Path) -> None:
    report = evaluate([make_model("half", half_red)], make_root(tmp_path, {"a": "test"}), tmp_path / "out")
    assert list(report["baselines"]["sar2opt"]) == ["image_mean_oracle"]
    assert report["notes"][1].startswith("toy has no train split")
    assert report["n"] == 1


def test_baselines_can_come_from_another_root(tmp_path: Path) -> None:
    here = make_root(tmp_path, {"a": "test"})
    (tmp_path / "other").mkdir()
    there = make_root(tmp_path / "other", SPLITS)
    report = evaluate([], here, tmp_path / "out", tile=32, baselines_from=there)
    assert "linear" in report["baselines"]["sar2opt"]
    assert report["notes"][1] == "The baselines are fitted on the train split of toy."
    text = (there / "dataset.yaml").read_text().replace("[VH]", "[VH, VV]")
    (there / "dataset.yaml").write_text(text)
    with pytest.raises(InputError, match="toy: has the bands VH, VV, not VH"):
        evaluate([], here, tmp_path / "none", baselines_from=there)


def test_baselines_alone(tmp_path: Path) -> None:
    report = evaluate([], make_root(tmp_path, SPLITS), tmp_path / "out")
    assert report["models"] == []
    assert list(report["baselines"]) == ["sar2opt", "opt2sar"]
    with pytest.raises(ValueError, match="neither a model nor baselines"):
        evaluate([], make_root(tmp_path, SPLITS), tmp_path / "none", baselines=False)


def test_bands_are_found_by_name_and_strangers_are_reported(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    red = make_model("red", lambda v: v / 2, optical_bands=("B04",), sar_bands=("VV",), optical_units="reflectance")
    scores = evaluate([red], root, tmp_path / "out", tile=32)
    model = scores["models"][0]["directions"]["sar2opt"]
    assert list(model["rmse_per_band"]) == ["R"]
    assert model["rmse_per_band"]["R"] < 0.05
    assert list(scores["baselines"]["sar2opt"]["train_mean"]["rmse_per_band"]) == ["R"]
    assert "made for the bands VV, the data have VH" in model["warnings"][0]
    assert "'reflectance', the truth in 'uint8'" in model["warnings"][1]
    with pytest.raises(InputError, match="gives other bands than red"):
        evaluate([red, make_model("rgb", grey)], root, tmp_path / "other")
    with pytest.raises(InputError, match="is made for the bands VV, VH; the data have VH"):
        evaluate([make_model("dual", grey, sar_bands=("VV", "VH"))], root, tmp_path / "other")


@pytest.mark.parametrize(
    ("translate", "message"),
    [
        (lambda v: v, r"odd: gives \(1, 64, 64\) for a, not \(3, 64, 64\)"),
        (lambda v: grey(v)[:, 1:], r"odd: gives \(3, 63, 64\)"),
        (lambda v: grey(v) * np.nan, "odd: gives values that are not finite at valid pixels of a"),
    ],
)
def test_outputs_that_do_not_fit_leave_no_report(tmp_path: Path, translate, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate([make_model("odd", translate)], make_root(tmp_path, SPLITS), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unusable_requests_are_refused(tmp_path: Path) -> None:
    root, model = make_root(tmp_path, SPLITS), make_model("m", grey)
    with pytest.raises(InputError, match="split 'val' is empty"):
        evaluate([model], root, tmp_path / "out", split="val")
    with pytest.raises(InputError, match="two models have this name"):
        evaluate([model, make_model("m", half_red)], root, tmp_path / "out")
    other = make_model("m", half_red, "opt2sar")
    other.card.training = "other data"
    with pytest.raises(InputError, match="two models have this name"):
        evaluate([model, other], root, tmp_path / "out")
    with pytest.raises(InputError, match="direction 'sideways' is not one of sar2opt, opt2sar"):
        evaluate([make_model("m", grey, "sideways")], root, tmp_path / "out")
    with pytest.raises(InputError, match="no such folder"):
        evaluate([model], tmp_path / "absent", tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; a report is a folder"):
        evaluate([model], root, tmp_path / "file")
    (root / "dataset.yaml").write_text((root / "dataset.yaml").read_text() + "paired: false\n")
    with pytest.raises(InputError, match="is unpaired"):
        evaluate([model], root, tmp_path / "out")


def test_a_split_without_valid_tiles_is_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path, {"a": "test"}, invalid_rows=64)
    with pytest.raises(InputError, match="has no tile that is at least 50% valid"):
        evaluate([make_model("m", grey)], root, tmp_path / "out")
    root = make_root(tmp_path, SPLITS, invalid_rows=64)
    with pytest.raises(InputError, match="split 'train': no valid pixel"):
        evaluate([make_model("m", grey)], root, tmp_path / "out")


def test_existing_reports_are_kept_unless_told(tmp_path: Path) -> None:
    root, model, out = make_root(tmp_path, SPLITS), make_model("m", grey), tmp_path / "out"
    evaluate([model], root, out, tile=32)
    before = (out / "report.json").read_bytes()
    with pytest.raises(InputError, match=r"report\.json: exists already; use --overwrite"):
        evaluate([model], root, out, tile=32)
    assert (out / "report.json").read_bytes() == before
    evaluate([model], root, out, overwrite=True, html=False)
    assert [p.name for p in out.iterdir()] == ["report.json"]


def test_without_jinja_only_the_page_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    root = make_root(tmp_path, SPLITS)
    with pytest.raises(MissingExtraError, match=r"saropt\[train\]"):
        evaluate([], root, tmp_path / "out")
    assert evaluate([], root, tmp_path / "out", html=False)["n"] == 2


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    models = [make_model("<half>", half_red), make_model("back", lambda v: v[:1] * 2, "opt2sar")]
    evaluate(models, make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert not re.findall(r"<script|<link|@import|url\(", page)
    assert "&lt;half&gt;" in page
    assert "<half>" not in page
    assert "none &lt;at all&gt;" in page
    assert page.count("<svg") == 2
    assert page.count("data:image/jpeg;base64,") == 2 * 6 * 4
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_evaluation_needs_no_torch() -> None:
    import subprocess

    code = "import saropt.evaluation, sys; sys.exit('torch' in sys.modules or 'jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
