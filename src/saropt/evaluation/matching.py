"""How well translations can be matched with the truth, beside the untranslated input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from saropt.evaluation.gallery import Bytes
from saropt.evaluation.intervals import SceneShares
from saropt.evaluation.metric import Metric, register_metric
from saropt.evaluation.section import TileView
from saropt.evaluation.tile_image import read_only
from saropt.matching import Matcher, Rates, match_pair
from saropt.matching.rates import CONVENTION, RATES, PairMatches

DRAWINGS = 3
_SCALE, _GAP = 2, 6
_AGREE, _ASTRAY = (60, 200, 90), (225, 60, 50)


class MatchingRates:
    """Rates of matching (`saropt.matching.rates`) by model and matcher; of the input as it is under "raw".

    The last matcher's matches are drawn for the first tile of each of the first three rasters, chosen blindly, or of
    each raster named by `shown`.
    """

    key = "matching"
    convention = CONVENTION

    def __init__(self, matchers: Sequence[Matcher], shown: Sequence[str] = ()) -> None:
        self._matchers = list(matchers)
        self._shown = tuple(shown)
        self._raw = {matcher.name: _SceneRates() for matcher in matchers}
        self._models: dict[str, dict[str, _SceneRates]] = {}
        self.drawings: dict[str, list[tuple[str, Bytes]]] = {}

    def see(self, model: str, view: TileView) -> None:
        """See `Section`."""
        first = not self._models or model == next(iter(self._models))
        rates = self._models.setdefault(model, {matcher.name: _SceneRates() for matcher in self._matchers})
        tile = view.tile
        output, truth = (read_only(image.values.mean(0)) for image in (tile.output, tile.truth))
        valid = tile.truth.mask
        for matcher in self._matchers:
            found = match_pair(matcher, output, truth, valid)
            rates[matcher.name].add(view.rasters.scene, found)
            if first:
                raw = match_pair(matcher, tile.source.mean(0), truth, valid)
                self._raw[matcher.name].add(view.rasters.scene, raw)
        drawn = self.drawings.setdefault(model, [])
        name = view.rasters.name
        wanted = name in self._shown if self._shown else len(drawn) < DRAWINGS
        if wanted and name not in [drawn_name for drawn_name, _ in drawn]:
            drawn.append((name, draw_matches(output, truth, found)))

    def summary(self) -> dict[str, Any]:
        """Rates of the raw input and of each model, by matcher."""
        return {
            "raw": {name: rates.summary() for name, rates in self._raw.items()},
            "models": {
                model: {name: rates.summary() for name, rates in by_matcher.items()}
                for model, by_matcher in self._models.items()
            },
        }


class _SceneRates:
    """Rates, and their intervals over scenes."""

    def __init__(self) -> None:
        self._rates, self._shares = Rates(), SceneShares()

    def add(self, scene: str, pair: PairMatches) -> None:
        self._rates.add(pair)
        for key, part, whole in (
            ("pmr", len(pair.a), pair.keypoints),
            ("ir", pair.inliers.sum(), len(pair.a)),
            ("ir_ed", pair.correct.sum(), len(pair.a)),
        ):
            self._shares.add(scene, key, part, whole)

    def summary(self) -> dict[str, Any]:
        return self._rates.summary() | {"intervals": self._shares.intervals()}


def draw_matches(a: np.ndarray, b: np.ndarray, found: PairMatches) -> Bytes:
    """Two grey images (h, w) in [0, 1] side by side at twice their size; RANSAC inliers green, other matches red."""
    height, width = a.shape
    canvas = Image.new("RGB", ((2 * width + _GAP) * _SCALE, height * _SCALE), (128, 128, 128))
    for image, left in ((a, 0), (b, width + _GAP)):
        grey = Image.fromarray(np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8))
        canvas.paste(grey.resize((width * _SCALE, height * _SCALE)), (left * _SCALE, 0))
    pen = ImageDraw.Draw(canvas)
    for index in np.argsort(found.inliers, kind="stable"):
        (x, y), (u, v) = found.a[index] * _SCALE, found.b[index] * _SCALE
        colour = _AGREE if found.inliers[index] else _ASTRAY
        pen.line((x, y, u + (width + _GAP) * _SCALE, v), fill=colour, width=1)
    return np.asarray(canvas)


for _key, _title, _convention in RATES:
    register_metric(Metric(_key, _title, _convention, better=1, needs=("a matcher",), section="matching"))
