"""How well translations can be matched with the truth, beside the untranslated input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from saropt.evaluation.gallery import Bytes
from saropt.evaluation.watching import Tile
from saropt.matching import Matcher, Rates, match_pair
from saropt.matching.rates import CONVENTION, PairMatches

DRAWINGS = 3
_SCALE, _GAP = 2, 6
_AGREE, _ASTRAY = (60, 200, 90), (225, 60, 50)


class MatchWatcher:
    """Rates of matching (`saropt.matching.rates`) by model and matcher; of the input as it is under "raw".

    The last matcher's matches are drawn for the first tile of each of the first three rasters: chosen blindly.
    """

    section = "matching"
    convention = CONVENTION

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._matchers = list(matchers)
        self._raw = {matcher.name: Rates() for matcher in matchers}
        self._models: dict[str, dict[str, Rates]] = {}
        self.drawings: dict[str, list[tuple[str, Bytes]]] = {}

    def see(self, model: str, tile: Tile) -> None:
        """See `Watcher`."""
        first = not self._models or model == next(iter(self._models))
        rates = self._models.setdefault(model, {matcher.name: Rates() for matcher in self._matchers})
        truth, output = tile.wanted.mean(0), tile.output.mean(0)
        for matcher in self._matchers:
            found = match_pair(matcher, output, truth, tile.valid)
            rates[matcher.name].add(found)
            if first:
                self._raw[matcher.name].add(match_pair(matcher, tile.given.mean(0), truth, tile.valid))
        drawn = self.drawings.setdefault(model, [])
        if len(drawn) < DRAWINGS and tile.pair.name not in [name for name, _ in drawn]:
            drawn.append((tile.pair.name, draw_matches(output, truth, found)))

    def summary(self) -> dict[str, Any]:
        """Rates of the raw input and of each model, by matcher."""
        return {
            "raw": {name: rates.summary() for name, rates in self._raw.items()},
            "models": {
                model: {name: rates.summary() for name, rates in by_matcher.items()}
                for model, by_matcher in self._models.items()
            },
        }


def draw_matches(a: np.ndarray, b: np.ndarray, found: PairMatches) -> Bytes:
    """Two grey images (h, w) in [0, 1] side by side at twice their size; RANSAC inliers green, other matches red."""
    height, width = a.shape
    canvas = Image.new("RGB", ((2 * width + _GAP) * _SCALE, height * _SCALE), (128, 128, 128))
    for image, left in ((a, 0), (b, width + _GAP)):
        picture = Image.fromarray(np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8))
        canvas.paste(picture.resize((width * _SCALE, height * _SCALE)), (left * _SCALE, 0))
    pen = ImageDraw.Draw(canvas)
    for index in np.argsort(found.inliers, kind="stable"):
        (x, y), (u, v) = found.a[index] * _SCALE, found.b[index] * _SCALE
        colour = _AGREE if found.inliers[index] else _ASTRAY
        pen.line((x, y, u + (width + _GAP) * _SCALE, v), fill=colour, width=1)
    return np.asarray(canvas)
