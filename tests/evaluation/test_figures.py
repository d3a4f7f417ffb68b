"""Figures: the same tiles across models, with labels and segmentations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import make_model, run
from PIL import Image
from test_segmentation import make_segmenter, root  # noqa: F401

from saropt.errors import OptionError
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.evaluation.figures import loss_figure, moving_average
from saropt.evaluation.shown_tiles import CLASS_COLOURS
from saropt.matching import find_matcher


def test_tiles_are_shown_across_models(root: Path, tmp_path: Path) -> None:  # noqa: F811
    models = [
        make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B")),
        make_model("dark", lambda v: v.repeat(3, 0) * 0, optical_bands=("R", "G", "B")),
    ]
    out = tmp_path / "out"
    judged = {"segmenters": [make_segmenter()], "matchers": [find_matcher("rift")]}
    run(models, root, out, tile=64, tiles=("c",), **judged)
    kept = {path.name for path in (out / "tiles" / "sar2opt" / "c").iterdir()}
    pictures = {"source", "truth", "label", "truth-classes", "grey", "grey-classes", "dark", "dark-classes"}
    assert kept == {f"{name}.png" for name in pictures | {"grey-matches", "dark-matches"}}
    assert not (out / "tiles" / "sar2opt" / "b").exists()
    with Image.open(out / "tiles" / "sar2opt" / "c" / "label.png") as picture:
        label = np.asarray(picture)
    with Image.open(out / "tiles" / "sar2opt" / "c" / "truth-classes.png") as picture:
        segmented = np.asarray(picture)
    assert not label[:, :10].any(), "no label is black"
    assert np.array_equal(label[:, 10:], segmented[:, 10:])
    assert {tuple(c) for c in segmented.reshape(-1, 3).tolist()} == {tuple(CLASS_COLOURS[k].tolist()) for k in (0, 2)}
    for name in ("translations", "segmentations", "matches"):
        assert (out / f"{name}-sar2opt.png").stat().st_size > 1000
        words = (out / f"{name}-sar2opt.svg").read_text()
        assert ">grey<" in words
        assert ">dark<" in words
        assert (">label<" in words) == (">middle<" in words) == (name != "matches"), "the classes are named"


def test_land_cover_is_shown_without_a_segmenter(root: Path, tmp_path: Path) -> None:  # noqa: F811
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    run([model], root, tmp_path / "out", tile=64, tiles=("c",))
    words = (tmp_path / "out" / "translations-sar2opt.svg").read_text()
    titles = [words.index(f">{title}<") for title in ("input", "truth", "label", "grey")]
    assert titles == sorted(titles)
    with Image.open(tmp_path / "out" / "tiles" / "sar2opt" / "c" / "label.png") as picture:
        assert np.asarray(picture)[:, 10:].any()


def test_pictures_of_an_earlier_report_do_not_stay(root: Path, tmp_path: Path) -> None:  # noqa: F811
    first, second = (make_model(name, lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B")) for name in ("a", "b"))
    out = tmp_path / "out"
    run([first], root, out, tile=64, tiles=("c",))
    others = [out / "mine.png", out / "tiles" / "mine.png"]
    for path in others:
        path.write_text("of the user")
    spec = EvaluationSpec(root, [second], tile=64, tiles=("c",), overwrite=True)
    assert evaluate(spec, out).removed == (out / "tiles" / "sar2opt" / "c" / "a.png",)
    assert evaluate(replace(spec, tiles=()), out).removed[0] == out / "tiles" / "sar2opt" / "c" / "b.png"
    found = sorted(path.name for path in out.rglob("*"))
    assert found == ["mine.png", "mine.png", "report.html", "report.json", "tiles"]


def test_an_unknown_tile_is_refused(root: Path, tmp_path: Path) -> None:  # noqa: F811
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    with pytest.raises(OptionError, match="split 'test' has no such raster"):
        run([model], root, tmp_path / "out", tile=64, tiles=("a",))


def test_losses_are_under_a_moving_average(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(30)
    assert moving_average(values)[10] == pytest.approx(values[8:13].mean())
    lines = {"lambda_4 = 1": (range(30), values), "lambda_4 = 2": (range(30), values)}
    written = loss_figure({"L_seg": lines, "L_sc": lines}, tmp_path / "losses")
    assert [path.name for path in written] == ["losses.png", "losses.svg"]
    assert ">lambda_4 = 2<" in written[1].read_text()
    again = loss_figure({"L_seg": lines, "L_sc": lines}, tmp_path / "again")
    assert again[1].read_bytes() == written[1].read_bytes()
