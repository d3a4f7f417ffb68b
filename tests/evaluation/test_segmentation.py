"""Segmenters as judges of translated images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import FunctionBackend, make_model, make_root, run

from saropt.artifacts import ImageCard, SegmenterCard, TrainingCard
from saropt.errors import InputError
from saropt.inference import Segmenter
from saropt.scenes import Scene, write_array

CLASSES = {5: "dark", 9: "middle", 255: "light"}
EXTRA = "classes: {5: dark, 9: middle, 255: light}\nignore_index: 7\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Labels by red: below 60 dark, else light (no middle); 7 (no label) in the first ten columns."""
    path = make_root(tmp_path, {"a": "train", "b": "test", "c": "test"}, shape=(70, 64), extra=EXTRA)
    (path / "label").mkdir()
    for name in ("a", "b", "c"):
        with Scene.open(path / "optical" / f"{name}.tif") as scene:
            red = scene.read()[0][0]
        label = np.where(red < 60, 5, 255).astype(np.uint8)
        label[:, :10] = 7
        write_array(path / "label" / f"{name}.tif", label[None])
    return path


def make_segmenter(role: str = "optical", bands: tuple[str, ...] = ("R",), classes: dict | None = None, limit=60):
    """A segmenter that sees its first band below `limit` as dark and the rest as light."""
    classes = CLASSES if classes is None else classes
    card = SegmenterCard(
        name=f"{role} judge",
        network="function",
        stride=1,
        receptive_field=1,
        input=ImageCard(
            role=role,
            bands=bands,
            units="uint8" if role == "optical" else "amplitude",
            dtype="uint8",
            recipe={"kind": "eight_bit"},
        ),
        classes=classes,
        gsd_m=10.0,
        training=TrainingCard(data="toy", split="train", steps=0, seed=0, licence="none"),
    )

    def probabilities(values):
        assert len(values) == len(bands)
        index = np.where(values[0] < limit, 0, len(classes) - 1)
        return np.stack([index == place for place in range(len(classes))]) * 255.0

    return Segmenter(Path("judge.safetensors"), card, FunctionBackend(probabilities))


def shares(root: Path, predict) -> tuple[float, dict[str, float]]:
    """Pixel accuracy and IoU by loops over the pixels of the tiles of 32."""
    pairs = []
    for name in ("b", "c"):
        with (
            Scene.open(root / "sar" / f"{name}.tif") as sar,
            Scene.open(root / "optical" / f"{name}.tif") as optical,
            Scene.open(root / "label" / f"{name}.tif") as label,
        ):
            given, red, labels = sar.read()[0][0], optical.read()[0][0], label.read()[0][0]
        for row in range(64):
            for column in range(10, 64):
                pairs.append((int(labels[row, column]), predict(given[row, column], red[row, column])))
    right = sum(t == f for t, f in pairs) / len(pairs)
    iou = {
        CLASSES[value]: sum(t == f == value for t, f in pairs) / sum(value in pair for pair in pairs)
        for value in (5, 255)
    }
    return right, iou


def test_against_loops(root: Path, tmp_path: Path) -> None:
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    report = run([model], root, tmp_path / "out", tile=32, segmenters=[make_segmenter()])
    judged = report["segmentation"]["sar2opt"]
    assert list(report["segmentation"]) == ["sar2opt"]
    assert judged["segmenter"] == "optical judge"
    found = judged["models"]["grey"]
    accuracy, iou = shares(root, lambda sar, red: 5 if sar < 60 else 255)
    assert found["pixel_accuracy"] == pytest.approx(accuracy, abs=1e-12)
    assert 0.2 < accuracy < 0.9
    for title, value in iou.items():
        assert found["class_iou"][title] == pytest.approx(value, abs=1e-12)
    assert found["class_iou"]["middle"] is None
    assert found["absent"] == ["middle"]
    assert found["pixels"] == 2 * 64 * 54
    real = judged["real"]
    assert (real["pixel_accuracy"], real["miou"], real["mean_class_accuracy"]) == (1, 1, 1)
    assert judged["majority"] == pytest.approx(shares(root, lambda sar, red: 255)[0], abs=1e-12)
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["segmentation"] == report["segmentation"]
    html = (tmp_path / "out" / "report.html").read_text()
    assert "segmented by optical judge" in html
    assert f"{found['pixel_accuracy']:.3f}" in html
    assert "without a labelled pixel: middle" in html


def test_both_directions(root: Path, tmp_path: Path) -> None:
    there = make_model("there", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    back = make_model("back", lambda v: v[:1], "opt2sar", optical_bands=("R", "G", "B"))
    judges = [make_segmenter("sar", ("VH",)), make_segmenter(bands=("B4", "G"))]
    report = run([there, back], root, tmp_path / "out", tile=32, segmenters=judges, html=False)
    judged = report["segmentation"]
    assert list(judged["sar2opt"]["models"]) == ["there"]
    assert judged["opt2sar"]["models"]["back"]["pixel_accuracy"] == 1
    assert judged["opt2sar"]["real"]["pixel_accuracy"] == pytest.approx(
        judged["sar2opt"]["models"]["there"]["pixel_accuracy"]
    )


def test_invalid_pixels_are_left_out(tmp_path: Path, root: Path) -> None:
    with Scene.open(root / "sar" / "b.tif") as scene:
        values = scene.read()[0].astype(np.uint8)
    values[:, :20] = 0
    write_array(root / "sar" / "b.tif", values, nodata=0, overwrite=True)
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    report = run([model], root, tmp_path / "out", tile=64, segmenters=[make_segmenter()], html=False)
    for scores in (report["segmentation"]["sar2opt"]["real"], report["segmentation"]["sar2opt"]["models"]["grey"]):
        assert scores["pixels"] == 2 * 64 * 54 - 20 * 54
    assert report["segmentation"]["sar2opt"]["real"]["pixel_accuracy"] == 1


def test_without_a_segmenter_there_is_no_such_table(root: Path, tmp_path: Path) -> None:
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    report = run([model], root, tmp_path / "out", tile=32)
    assert "segmentation" not in report
    assert "segmented by" not in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("judges", "words"),
    [
        ([make_segmenter(), make_segmenter()], "one of several segmenters of optical images"),
        ([make_segmenter("sar", ("VH",))], "segments sar images, which no translator here makes"),
        ([make_segmenter(classes={0: "dry", 1: "wet"})], "has other classes than toy: 0 dry, 1 wet"),
        ([make_segmenter(bands=("B8",))], "takes the bands B8; the images have R, G, B"),
    ],
)
def test_refusals(judges, words: str, root: Path, tmp_path: Path) -> None:
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    with pytest.raises(InputError, match=words):
        run([model], root, tmp_path / "out", tile=32, segmenters=judges)
    assert not (tmp_path / "out").exists()


def test_labels_that_cannot_be_used(root: Path, tmp_path: Path) -> None:
    model = make_model("grey", lambda v: v.repeat(3, 0), optical_bands=("R", "G", "B"))
    write_array(root / "label" / "b.tif", np.full((1, 64, 64), 5, np.uint8), overwrite=True)
    with pytest.raises(InputError, match=r"label/b\.tif: SAR and class labels are not on one grid: 64x70"):
        run([model], root, tmp_path / "out", tile=32, segmenters=[make_segmenter()])
    (root / "label" / "b.tif").unlink()
    with pytest.raises(InputError, match="no raster named b"):
        run([model], root, tmp_path / "out", tile=32, segmenters=[make_segmenter()])
    plain = make_root(tmp_path / "plain", {"a": "train", "b": "test"})
    with pytest.raises(InputError, match="toy: names no classes"):
        run([model], plain, tmp_path / "out", tile=32, segmenters=[make_segmenter()])
