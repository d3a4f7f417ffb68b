"""Histograms by split and class, and the page that shows them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from saropt.cli import main
from saropt.curation.distribution import BINS, class_colours, distribution_of, thumbnail
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene
from saropt.simulate import CLASSES


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_simulated_root(tmp_path_factory.mktemp("page") / "sim<b>", scenes=(2, 1, 0), size=96, units="sigma0")


def test_counts_are_those_of_the_pixels(root):
    calls = []
    found = distribution_of(root, lambda *a: calls.append(a))
    assert [(h.role, h.band) for h in found.histograms] == [
        *(("sar", band) for band in ("VV", "VH")),
        *(("optical", band) for band in ("B4", "B3", "B2")),
    ]
    assert found.sampled == (3, 3)
    assert calls[-1][:2] == (3, 3)
    for histogram in found.histograms:
        assert histogram.by_split["train"].sum() == 2 * 96 * 96
        assert histogram.by_split["val"].sum() == 96 * 96
        total = sum(counts for counts in histogram.by_class.values())
        np.testing.assert_array_equal(total, histogram.by_split["train"] + histogram.by_split["val"])
    labels = []
    for name in ("train_000", "train_001"):
        with Scene.open(root / "label" / f"{name}.tif") as scene:
            labels.append(scene.read_stored()[0])
    for value, name in CLASSES.items():
        assert found.class_pixels[name]["train"] == sum(int((label == value).sum()) for label in labels)
        assert found.class_pixels[name]["test"] == 0
    vv = found.histograms[0]
    assert vv.units == "sigma0, dB"
    with Scene.open(root / "sar" / "val_000.tif") as scene:
        decibels = 10 * np.log10(scene.read()[0][0])
    expected = np.histogram(np.clip(decibels, vv.edges[0], vv.edges[-1]), vv.edges)[0]
    assert np.abs(vv.by_split["val"] - expected).sum() <= 2
    assert len(expected) == BINS


def test_thumbnails_and_colours():
    values = np.zeros((4, 400, 200), np.float32)
    values[2] = 255
    picture = thumbnail(values, ["B8", "B2", "B4", "B3"], "uint8")
    assert picture.shape == (133, 66, 3)
    assert (picture == [255, 0, 0]).all()
    assert thumbnail(np.ones((2, 10, 10)), ["VV", "VH"], "sigma0_db").shape == (10, 10, 3)
    assert len(np.unique(class_colours(12), axis=0)) == 12


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.outside = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img", "line", "polyline", "i"):
            self.open.append(tag)
        self.outside += [v for k, v in attributes if k in ("src", "href") and not v.startswith("data:image/png")]

    def handle_endtag(self, tag):
        if tag not in ("line", "polyline", "i"):
            assert self.open.pop() == tag


def test_the_page_stands_alone(tmp_path, root, capsys):
    arguments = ["data", "inspect", str(root), "--html", str(tmp_path / "page.html")]
    assert main(arguments) == 0
    text = (tmp_path / "page.html").read_text()
    assert text.count("<polyline") >= 2 * 5
    assert text.count("data:image/png") == 3 * 3
    assert "sim&lt;b&gt;" in text
    assert "sim<b>" not in text
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.outside == []
    assert not re.search(r"https?://", text)
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_page_of_one_raster(tmp_path, root):
    page = tmp_path / "page.html"
    assert main(["data", "inspect", str(root / "sar" / "val_000.tif"), "--html", str(page)]) == 0
    assert page.read_text().count("<svg") == 2
