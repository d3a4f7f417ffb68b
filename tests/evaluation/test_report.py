from __future__ import annotations

import numpy as np
import pytest

from saropt.evaluation.gallery import Gallery, Shot, as_rgb, heat
from saropt.evaluation.metric import METRICS
from saropt.evaluation.report_html import histogram_svg, ranks, table_rows

PSNR, MAE, COLLAPSE = COLUMNS = [METRICS[key] for key in ("psnr", "mae", "collapse_ratio")]


def shot(psnr: float, label: str) -> Shot:
    blank = np.zeros((2, 2, 3), np.uint8)
    return Shot(label, psnr, blank, blank, blank, blank)


def test_ranks_follow_the_printed_digits() -> None:
    assert ranks([16.604, 17.0, 16.601, None, 12.0], PSNR) == ["second", "best", "second", "", ""]
    assert ranks([0.2, 0.1, 0.3], MAE) == ["second", "best", ""]
    assert ranks([0.2, 1.4], COLLAPSE) == ["", ""]


def test_the_oracle_is_last_and_takes_no_rank() -> None:
    score = {c.key: 1.0 for c in COLUMNS} | {"std": {}}
    baselines = {"image_mean_oracle": score | {"psnr": 99.0}, "train_mean": score | {"psnr": 2.0}}
    rows = table_rows({"m": score}, baselines, COLUMNS)
    assert [(r["name"], r["kind"], r["cells"][0]["mark"]) for r in rows] == [
        ("m †", "model", "second"),
        ("train_mean", "baseline", "best"),
        ("image_mean_oracle", "oracle", ""),
    ]


def test_a_row_over_fewer_tiles_says_so_and_takes_no_rank() -> None:
    score = {c.key: 1.0 for c in COLUMNS} | {"std": {}, "n": 30}
    baselines = {"copy_reference": score | {"psnr": 9.0, "n": 12}, "copy_input": score | {"psnr": 0.5}}
    rows = table_rows({"m": score}, baselines, COLUMNS)
    assert [(row["name"], row["cells"][0]["mark"]) for row in rows] == [
        ("m", "best"),
        ("copy_reference, 12 tiles", ""),
        ("copy_input", "second"),
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 500])
def test_gallery_keeps_best_worst_and_middle(n: int) -> None:
    values = np.random.default_rng(0).permutation(n).astype(float)
    gallery = Gallery()
    for value in values:
        if gallery.slot(value):
            gallery.add(shot(value, str(value)))
    found = [(kind, s.psnr) for kind, s in gallery.shots()]
    assert len({v for _, v in found}) == len(found) == min(n, 6)
    each = 2 if n > 3 else 1
    assert [v for k, v in found if k == "best"] == sorted(values, reverse=True)[:each]
    if n > 1:
        assert [v for k, v in found if k == "worst"] == [1.0, 0.0][-each:]
    if n > 2:
        middle = [v for k, v in found if k == "median"]
        assert all(abs(v - n / 2) < max(2, 0.25 * n) for v in middle)
    assert len(gallery._sample) <= 24


def test_gallery_of_a_few_tiles_has_the_true_median() -> None:
    gallery = Gallery(each=1)
    for value in (3.0, 9.0, 1.0, 5.0, 7.0, float("inf"), 4.0):
        assert gallery.slot(value)
        gallery.add(shot(value, str(value)))
    assert [(k, s.psnr) for k, s in gallery.shots()] == [("best", float("inf")), ("median", 5.0), ("worst", 1.0)]


def test_images_take_red_green_blue_by_name() -> None:
    image = np.stack([np.full((2, 2), v) for v in (0.0, 0.2, 0.4, 0.6)])
    assert as_rgb(image, ["B02", "B03", "B04", "B08"])[0, 0].tolist() == [102, 51, 0]
    assert as_rgb(image[:3], ["SWIR", "NIR", "visible"])[0, 0].tolist() == [0, 51, 102]
    assert as_rgb(image[1:3], ["VV", "VH"])[0, 0].tolist() == [51, 51, 51]
    assert as_rgb(image, ["R", "G", "B", "N"], gain=3.0)[0, 0].tolist() == [0, 153, 255]


def test_heat_grows_with_the_error_and_saturates() -> None:
    colours = heat(np.array([[0.0, 0.1, 0.3, 0.5, 0.9]]))[0].astype(int)
    assert (np.diff(colours.sum(1))[:3] > 0).all()
    assert (colours[3] == colours[4]).all()


def test_histogram_shares_sum_to_one_tile() -> None:
    one = {"start_db": 10.0, "step_db": 0.5, "counts": [4]}
    two = {"start_db": 40.0, "step_db": 0.5, "counts": [1, 1]}
    svg = histogram_svg([("a", one, "s0"), ("b", two, "s1"), ("none", {**one, "counts": []}, "s2")])
    assert svg.count("<polyline") == 2
    assert "100 %" in svg
    assert histogram_svg([]) == ""
