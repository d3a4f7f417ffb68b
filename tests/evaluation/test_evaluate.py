from __future__ import annotations

import html
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import make_model, make_root, run

from saropt.cli import main
from saropt.errors import BusyError, InputError, MissingExtraError
from saropt.evaluation import EvaluationSpec, ImageQuality, Linear, Subject, Tile, evaluate, stream_tiles
from saropt.evaluation.tiles import LeftOut
from saropt.roots import DataRoot
from saropt.scenes import write_array

SPLITS = {"t1": "train", "t2": "train", "a": "test", "b": "test"}


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values, 3, 0)


def half_red(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values // 2, np.full_like(values, 127), np.full_like(values, 127)])


def test_report_follows_the_schema_and_the_tiles(tmp_path: Path) -> None:
    path = make_root(tmp_path, SPLITS, (70, 64))
    steps: list[tuple[int, int, str]] = []
    shapes: list[tuple[int, ...]] = []

    def half(values: np.ndarray) -> np.ndarray:
        shapes.append(values.shape)
        return half_red(values)

    models = [make_model("half", half), make_model("grey", grey)]
    spec = EvaluationSpec(path, models, tile=32)
    result = evaluate(spec, tmp_path / "out", progress=lambda *s: steps.append(s))
    report = result.report
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert result.paths == (tmp_path / "out" / "report.json", tmp_path / "out" / "report.html")
    assert report["data"]["images"]["sar"] == {"bands": ["VH"], "units": "amplitude"}
    scale = {"bands": 3, "range": "0..255", "network": "0..255"}
    assert report["directions"] == {"sar2opt": {"inputs": ["sar"], "output": "optical", "scale": scale}}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    assert (report["split"], report["n"], report["skipped"], report["tile"]) == ("test", 8, 0, 32)
    assert [m["model"] for m in report["models"]] == ["half", "grey"]
    assert list(report["baselines"]) == ["sar2opt"]
    assert list(report["baselines"]["sar2opt"]) == [
        "train_mean",
        "copy_input",
        "linear",
        "histogram_match",
        "image_mean_oracle",
    ]
    assert steps[-1] == (4, 4, "test b")
    assert shapes == [(1, 70, 64)] * 2, "every raster is translated once"

    root = DataRoot.open(path)
    expected = ImageQuality(Subject(["R", "G", "B"]))
    linear = Linear().fit(
        (p.images["sar"].values / 255, p.images["optical"].values / 255, None)
        for p in stream_tiles(root, root.names("train"), 32)
    )
    fitted = ImageQuality(Subject(["R", "G", "B"]))
    for place in stream_tiles(root, root.names("test"), 32):
        sar, optical = (place.images[role].in_unit_range("toy") for role in ("sar", "optical"))
        expected.add(Tile.of(np.maximum(half_red(place.images["sar"].values), 1) / 255, sar, optical))
        fitted.add(Tile.of(linear.predict(sar, optical), sar, optical))
    found = report["models"][0]["directions"]["sar2opt"]
    for name in ("psnr", "ssim", "mae", "collapse_ratio", "psnr_shift", "psnr_colour_free"):
        assert found[name] == pytest.approx(expected.figures()[name], abs=1e-6)
        assert report["baselines"]["sar2opt"]["linear"][name] == pytest.approx(fitted.figures()[name], abs=1e-5)
    assert found["seconds_per_megapixel"] > 0
    assert result.warnings[0] == f"half: {found['warnings'][0]}"
    assert len(found["warnings"]) == 1
    assert "dB is below the trivial baseline linear (" in found["warnings"][0]


def test_a_collapsed_model_is_flagged(tmp_path: Path) -> None:
    report = run([make_model("copy", grey)], make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    scores = report["models"][0]["directions"]["sar2opt"]
    assert scores["collapse_ratio"] == 0
    assert "collapse_ratio 0.00 is below 1" in scores["warnings"][0]
    assert "below the constant train mean" in scores["warnings"][1]
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count('class="warning"') == 2
    assert '<span class="warn">0.00</span>' in html


def test_both_directions_and_a_perfect_model(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    truth = [DataRoot.open(root).raster("optical", n) for n in ("a", "b")]
    from saropt.scenes import Scene

    def oracle(values: np.ndarray) -> np.ndarray:
        with Scene.open(truth.pop(0)) as scene:
            return scene.read()[0]

    models = [make_model("oracle", oracle), make_model("back", lambda v: v[:1] * 2, "opt2sar")]
    report = run(models, root, tmp_path / "out", tile=32)
    perfect = report["models"][0]["directions"]["sar2opt"]
    assert perfect["psnr"] is None
    assert perfect["mae"] == 0
    assert perfect["ssim"] == pytest.approx(1)
    assert list(report["baselines"]) == ["sar2opt", "opt2sar"]
    assert list(report["models"][1]["directions"]) == ["opt2sar"]
    assert list(report["models"][1]["directions"]["opt2sar"]["rmse_per_band"]) == ["VH"]


def test_both_directions_of_one_model_are_one_entry(tmp_path: Path) -> None:
    models = [make_model("both", half_red), make_model("both", lambda v: v[:1], "opt2sar"), make_model("half", grey)]
    report = run(models, make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    assert [(m["model"], list(m["directions"])) for m in report["models"]] == [
        ("both", ["sar2opt", "opt2sar"]),
        ("half", ["sar2opt"]),
    ]
    back = report["models"][0]["directions"]["opt2sar"]
    assert list(back["rmse_per_band"]) == ["VH"]
    assert back["rmse_per_band"]["VH"] > 0.1
    baselines = ["train_mean", "copy_input", "linear", "histogram_match", "image_mean_oracle"]
    assert [list(b) for b in report["baselines"].values()] == [baselines, baselines]
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.index("<h2>SAR to optical</h2>") < html.index("<h2>Optical to SAR</h2>")
    assert html.count("both: best, median and worst tiles") == 2


def test_mostly_invalid_tiles_are_skipped_and_invalid_pixels_left_out(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS, (96, 64), invalid_rows=40)

    def spoilt(values: np.ndarray) -> np.ndarray:
        output = half_red(values).astype(np.float32)
        output[:, :40] = np.nan
        return output

    model = make_model("half", spoilt, dtype="float32")
    report = run([model], root, tmp_path / "out", tile=32)
    assert (report["n"], report["skipped"]) == (8, 4)
    assert report["models"][0]["directions"]["sar2opt"]["rmse_per_band"]["R"] < 0.02


def test_without_a_train_split_the_oracle_is_left(tmp_path: Path) -> None:
    report = run([make_model("half", half_red)], make_root(tmp_path, {"a": "test"}), tmp_path / "out")
    assert list(report["baselines"]["sar2opt"]) == ["copy_input", "image_mean_oracle"]
    assert report["notes"][1].startswith("toy has no train split")
    assert report["n"] == 1


def test_baselines_can_come_from_another_root(tmp_path: Path) -> None:
    here = make_root(tmp_path, {"a": "test"})
    (tmp_path / "other").mkdir()
    there = make_root(tmp_path / "other", SPLITS)
    report = run([], here, tmp_path / "out", tile=32, baselines_from=there)
    assert "linear" in report["baselines"]["sar2opt"]
    assert report["notes"][1] == "The baselines are fitted on the train split of toy."
    text = (there / "dataset.yaml").read_text().replace("[VH]", "[VH, VV]")
    (there / "dataset.yaml").write_text(text)
    with pytest.raises(InputError, match="toy: has the bands VH, VV, not VH"):
        run([], here, tmp_path / "none", baselines_from=there)


def test_baselines_alone(tmp_path: Path) -> None:
    report = run([], make_root(tmp_path, SPLITS), tmp_path / "out")
    assert report["models"] == []
    assert list(report["baselines"]) == ["sar2opt", "opt2sar"]
    with pytest.raises(ValueError, match="neither a model nor baselines"):
        run([], make_root(tmp_path, SPLITS), tmp_path / "none", baselines=False)


def test_bands_are_found_by_name_and_strangers_are_reported(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    red = make_model("red", lambda v: v / 2, optical_bands=("B04",), sar_bands=("raw",), optical_units="reflectance")
    scores = run([red], root, tmp_path / "out", tile=32)
    model = scores["models"][0]["directions"]["sar2opt"]
    assert list(model["rmse_per_band"]) == ["R"]
    assert model["rmse_per_band"]["R"] < 0.05
    assert list(scores["baselines"]["sar2opt"]["train_mean"]["rmse_per_band"]) == ["R"]
    assert "made for the bands raw, the data have VH" in model["warnings"][0]
    assert "'reflectance', the truth in 'uint8'" in model["warnings"][1]
    with pytest.raises(InputError, match="gives other bands than red"):
        run([red, make_model("rgb", grey)], root, tmp_path / "other")
    with pytest.raises(InputError, match="is made for the bands VV; the data have VH"):
        run([make_model("other", grey, sar_bands=("VV",))], root, tmp_path / "other")
    with pytest.raises(InputError, match="is made for the bands VV, VH; the data have VH"):
        run([make_model("dual", grey, sar_bands=("VV", "VH"))], root, tmp_path / "other")


@pytest.mark.parametrize(
    ("translate", "message"),
    [
        (lambda v: v, "odd: gives 1 band for a, not 3"),
        (lambda v: grey(v) * np.nan, "the network gives numbers that are not finite"),
    ],
)
def test_outputs_that_do_not_fit_leave_no_report(tmp_path: Path, translate, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run([make_model("odd", translate, dtype="float32")], make_root(tmp_path, SPLITS), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unusable_requests_are_refused(tmp_path: Path) -> None:
    root, model = make_root(tmp_path, SPLITS), make_model("m", grey)
    with pytest.raises(InputError, match="split 'val' is empty"):
        run([model], root, tmp_path / "out", split="val")
    with pytest.raises(InputError, match="two models have this name"):
        run([model, make_model("m", half_red)], root, tmp_path / "out")
    other = make_model("m", half_red, "opt2sar", training="other data")
    with pytest.raises(InputError, match="two models have this name"):
        run([model, other], root, tmp_path / "out")
    with pytest.raises(InputError, match="m: needs optical_reference images; toy has sar, optical"):
        run([make_model("m", grey, "optref2opt")], root, tmp_path / "out")
    with pytest.raises(InputError, match="no such folder"):
        run([model], tmp_path / "absent", tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; a report is a folder"):
        run([model], root, tmp_path / "file")
    (root / "dataset.yaml").write_text((root / "dataset.yaml").read_text() + "paired: false\n")
    with pytest.raises(InputError, match="is unpaired"):
        run([model], root, tmp_path / "out")


def test_a_split_without_valid_tiles_is_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path, {"a": "test"}, invalid_rows=64)
    with pytest.raises(InputError, match="has no tile that is at least 50% valid"):
        run([make_model("m", grey)], root, tmp_path / "out")
    root = make_root(tmp_path, SPLITS, invalid_rows=64)
    with pytest.raises(InputError, match="split 'train': no valid pixel"):
        run([make_model("m", grey)], root, tmp_path / "out")


def test_existing_reports_are_kept_unless_told(tmp_path: Path) -> None:
    root, model, out = make_root(tmp_path, SPLITS), make_model("m", grey), tmp_path / "out"
    run([model], root, out, tile=32)
    before = (out / "report.json").read_bytes()
    with pytest.raises(InputError, match=r"report\.json: exists already \(overwrite=True replaces it\)"):
        run([model], root, out, tile=32)
    assert (out / "report.json").read_bytes() == before
    run([model], root, out, overwrite=True, html=False)
    assert [p.name for p in out.iterdir()] == ["report.json"]


@pytest.mark.parametrize("moved", [None, 0, 1])
def test_files_of_two_reports_never_stand_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int | None
) -> None:
    """Broken off while it draws, or between two renames, it leaves the earlier report."""
    root, out = make_root(tmp_path, SPLITS), tmp_path / "out"
    run([make_model("old", grey)], root, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if moved is None:
        monkeypatch.setattr("saropt.evaluation.report_files._keep_tiles", stop)
    else:
        real, done = os.replace, []

        def move(source: Path, target: Path) -> None:
            if Path(target).parent == out:
                done.append(target)
                if len(done) == moved + 1:
                    stop()
            real(source, target)

        monkeypatch.setattr(os, "replace", move)
    with pytest.raises(KeyboardInterrupt):
        run([make_model("new", half_red)], root, out, overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_of_two_runs_at_once_the_later_is_refused(tmp_path: Path) -> None:
    root, out, refused = make_root(tmp_path, SPLITS), tmp_path / "out", []

    def again(*_: object) -> None:
        with pytest.raises(BusyError, match=r"report\.json: is being written by another process"):
            run([], root, out, html=False, overwrite=True)
        refused.append(True)

    evaluate(EvaluationSpec(root, html=False), out, progress=again)
    assert refused
    assert [path.name for path in out.iterdir()] == ["report.json"]


def test_a_run_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS, invalid_rows=64)
    with pytest.raises(InputError, match="no valid pixel"):
        run([], root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_jinja_only_the_html_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    root = make_root(tmp_path, SPLITS)
    with pytest.raises(MissingExtraError, match=r"\[train\]"):
        run([], root, tmp_path / "out")
    assert run([], root, tmp_path / "out", html=False)["n"] == 2


def test_the_html_is_self_contained(tmp_path: Path) -> None:
    models = [make_model("<half>", half_red), make_model("back", lambda v: v[:1] * 2, "opt2sar")]
    run(models, make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    html = (tmp_path / "out" / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert not re.findall(r"<script|<link|@import|url\(", html)
    assert "&lt;half&gt;" in html
    assert "<half>" not in html
    assert "none &lt;at all&gt;" in html
    assert html.count("<svg") == 2
    assert html.count("data:image/jpeg;base64,") == 2 * 6 * 4
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_evaluation_needs_no_torch() -> None:
    import subprocess

    code = "import saropt.evaluation, sys; sys.exit('torch' in sys.modules or 'jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rasters_without_a_valid_tile_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_root(tmp_path, SPLITS, (64, 64))
    write_array(path / "sar" / "b.tif", np.zeros((1, 64, 64), np.uint8), nodata=0, overwrite=True)
    spec = EvaluationSpec(path, [make_model("half", half_red)], tile=64)
    result = evaluate(spec, tmp_path / "out")
    line = "1 of 2 rasters of split 'test' is left out: b (SAR has no valid pixel)"
    assert result.report["left_out"] == {"b": "SAR has no valid pixel"}
    assert result.report["warnings"] == [line]
    assert result.warnings[0] == line
    assert line in html.unescape((tmp_path / "out" / "report.html").read_text())
    assert main(["evaluate", "s1-losangeles", "--data", str(path), "--out", str(tmp_path / "again")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert line in printed
    assert "1 tile of 1 scene" in printed


def test_a_raster_with_few_valid_pixels_says_so() -> None:
    left_out = LeftOut()
    for share, measured in ((0.2, False), (0.4, False)):
        left_out.look("a", {"sar": share}, measured)
    left_out.look("b", {"sar": 0.9}, True)
    assert left_out.reasons == {"a": "no tile is at least 50% valid"}
    assert LeftOut().line("test", 2) is None
