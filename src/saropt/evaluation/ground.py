"""Errors on changed, unchanged and hidden ground, where translation starts from an earlier optical image.

Where little ground changes, a copy of the earlier image wins the average. So the figures are taken apart, and
the gain over the copy on changed ground is the headline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from saropt.errors import InputError, counted
from saropt.evaluation.by_class import Labels
from saropt.evaluation.intervals import SceneSums, difference, ends, shared_means, with_ends
from saropt.evaluation.metric import Tile
from saropt.evaluation.reference_baselines import CopyReference
from saropt.evaluation.tiles import Place, Rasters
from saropt.roots import IGNORED, DataRoot

KEY = "ground"
THRESHOLD, SMOOTHING_PX, LEAST_PIXELS = 0.08, 9, 64
_HIGHEST_DB = 120.0
GROUNDS = ("all", "changed", "other", "hidden")
CONVENTION = (
    f"PSNR over the pixels of a tile that lie on one kind of ground, {_HIGHEST_DB:g} dB at most (equal pixels), then "
    f"mean over tiles with {LEAST_PIXELS} such pixels or more. Changed: labelled so, where the earlier image shows it; "
    "without such a label, measured change. Measured change: mean absolute difference of truth and earlier image in "
    f"[0, 1], averaged over {SMOOTHING_PX}x{SMOOTHING_PX} pixels, above {THRESHOLD}. Other: known and unchanged. "
    "Hidden: the earlier image is missing or masked. AUC: area under the receiver operating curve of the likelihood of "
    "change, over pixels with an earlier image"
)
_DAYS = (0, 16, 46, 121)
_LEVELS = 101


class GroundErrors:
    """What is gathered by kind of ground in one direction.

    Args:
        root: the data.
        role: role of the earlier images.
        bands: positions of their bands that the models give.
        changed: names of the classes that mark changed ground; empty for measured change.

    Raises:
        InputError: the data have no such class.
    """

    def __init__(self, root: DataRoot, role: str, bands: Sequence[int], changed: Sequence[str]) -> None:
        self._role, self._bands = role, list(bands)
        self._labels = Labels(root) if changed else None
        titles = self._labels.classes.titles if self._labels is not None else []
        unknown = [name for name in changed if name not in titles]
        if unknown:
            raise InputError(
                root.path / "dataset.yaml", f"has no class {', '.join(unknown)}; it has {', '.join(titles)}"
            )
        self._indices = [titles.index(name) for name in changed]
        self._changed = f"labelled {', '.join(changed)}" if changed else "measured"
        self._last: tuple[Place, dict[str, NDArray[np.bool_]]] | None = None
        self._psnr: dict[str, dict[str, SceneSums]] = {}
        self._pixels = dict.fromkeys(GROUNDS, 0)
        self._votes: dict[str, dict[str, NDArray[np.int64]]] = {}

    def see(self, name: str, rasters: Rasters, place: Place, tile: Tile, change: NDArray[np.uint8] | None) -> None:
        """Take one tile of a model or baseline.

        Args:
            change: (h, w), likelihood of change in per cent; None where the row gives none.
        """
        kinds = self._kinds(place, tile)
        error = np.square(tile.output.values.astype(np.float64) - tile.truth.values).mean(axis=0)
        for kind in (*GROUNDS, *_bins(rasters, self._role)):
            where = kinds["all" if kind not in kinds else kind]
            if where.sum() >= LEAST_PIXELS:
                row = self._psnr.setdefault(name, {}).setdefault(kind, SceneSums())
                row.add(rasters.scene, float(-10.0 * np.log10(max(error[where].mean(), 10 ** (-_HIGHEST_DB / 10)))))
        if change is None:
            return
        known = kinds["all"] & ~kinds["hidden"]
        for truth in ("labelled", "measured"):
            if truth in kinds:
                votes = self._votes.setdefault(name, {}).setdefault(truth, np.zeros((2, _LEVELS), np.int64))
                for outcome in (0, 1):
                    chosen = known & (kinds[truth] == bool(outcome)) & kinds["known"]
                    votes[outcome] += np.bincount(change[chosen].astype(np.int64), minlength=_LEVELS)[:_LEVELS]

    def _kinds(self, place: Place, tile: Tile) -> dict[str, NDArray[np.bool_]]:
        if self._last is not None and self._last[0] is place:
            return self._last[1]
        valid = place.valid
        earlier = place.images.get(self._role)
        hidden = valid.copy() if earlier is None else valid & ~earlier.valid
        kinds = {"all": valid, "hidden": hidden, "measured": np.zeros_like(valid), "known": valid}
        if earlier is not None:
            before = earlier.in_unit_range(place.name)[self._bands]
            difference = np.where(valid & earlier.valid, np.abs(tile.truth.values - before).mean(axis=0), 0.0)
            kinds["measured"] = ndimage.uniform_filter(difference, SMOOTHING_PX) > THRESHOLD
        kinds["changed"] = kinds["measured"] & valid & ~hidden
        if self._labels is not None:
            labels = self._labels.of(place)
            kinds["known"] = valid & (labels != IGNORED)
            kinds["labelled"] = np.isin(labels, self._indices)
            kinds["changed"] = kinds["labelled"] & valid & ~hidden
        kinds["other"] = kinds["known"] & ~kinds["changed"] & ~hidden
        self._last = place, kinds
        for kind in GROUNDS:
            self._pixels[kind] += int(kinds[kind].sum())
        return kinds

    def _against_copy(self) -> Iterator[tuple[str, str, dict[str, list[float]], dict[str, list[float]]]]:
        """Row, kind of ground, and the sums by scene of the row and of the copy."""
        scenes = self._by_ground()
        copied = {kind: sums.as_dict() for kind, sums in scenes.pop(CopyReference.name, {}).items()}
        for name, kinds in scenes.items():
            yield from ((name, kind, sums.as_dict(), copied[kind]) for kind, sums in kinds.items() if kind in copied)

    def _by_ground(self) -> dict[str, dict[str, SceneSums]]:
        """Row -> kind of ground -> PSNR by scene, without the bins by days."""
        return {
            name: {kind: sums for kind, sums in kinds.items() if kind in GROUNDS} for name, kinds in self._psnr.items()
        }

    def summary(self) -> dict[str, Any]:
        """Figures by row; empty where no tile was seen."""
        if not self._psnr:
            return {}
        scenes = self._by_ground()
        psnr = {name: {kind: sums.mean for kind, sums in kinds.items()} for name, kinds in scenes.items()}
        gains: dict[str, dict[str, float]] = {name: {} for name in psnr if name != CopyReference.name}
        spans: dict[str, dict[str, list[float] | None]] = {name: {} for name in gains}
        for name, kind, own, copied in self._against_copy():
            spans[name][kind] = ends(difference(own, copied))
            if (shared := shared_means(own, copied)) is not None:
                gains[name][kind] = shared[0] - shared[1]
        days = sorted({kind for kinds in self._psnr.values() for kind in kinds if kind not in GROUNDS})
        first = next(iter(scenes.values()))
        return {
            "changed": self._changed,
            "pixels": self._pixels,
            "tiles": {kind: first[kind].n for kind in GROUNDS if kind in first},
            "row_tiles": {name: {kind: sums.n for kind, sums in kinds.items()} for name, kinds in scenes.items()},
            "psnr": psnr,
            "intervals": {
                name: {kind: ends(sums.interval()) for kind, sums in kinds.items()} for name, kinds in scenes.items()
            },
            "gain_intervals": spans,
            "scenes": {kind: len(sums.means()) for kind, sums in first.items()},
            "gain_over_copy": gains,
            "auc": {
                name: {truth: area_under(*votes) for truth, votes in by.items()} for name, by in self._votes.items()
            },
            "by_days": {
                kind: {name: kinds[kind].mean for name, kinds in self._psnr.items() if kind in kinds} for kind in days
            },
        }


def _bins(rasters: Rasters, role: str) -> list[str]:
    """The bin of the days between the earlier image and the scene, where both dates are known."""
    now, before = next(iter(rasters.scenes.values())), rasters.scenes.get(role)
    if before is None or now.acquired is None or before.acquired is None:
        return []
    days = abs(now.acquired - before.acquired).days
    first = max(edge for edge in _DAYS if edge <= days)
    later = [edge for edge in _DAYS if edge > days]
    return [f"{first} to {later[0] - 1} days" if later else f"{first} days and more"]


def area_under(negatives: NDArray[np.int64], positives: NDArray[np.int64]) -> float | None:
    """Area under the receiver operating curve from counts by score; ties count half. None without both outcomes.

    >>> area_under(np.array([3, 1, 0]), np.array([0, 1, 3]))
    0.96875
    """
    if not (negatives.sum() and positives.sum()):
        return None
    below = np.cumsum(negatives) - negatives
    won = (positives * (below + 0.5 * negatives)).sum()
    return float(won / (float(negatives.sum()) * float(positives.sum())))


def rows_of(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The rows of a table of a summary: name, PSNR by ground, gain over the copy on changed ground, AUC.

    >>> found = {"psnr": {"mine": {"changed": 18.5}}, "gain_over_copy": {"mine": {"changed": 2.0}}, "auc": {}}
    >>> found |= {"intervals": {}, "gain_intervals": {"mine": {"changed": [1.5, 2.5]}}, "tiles": {"changed": 9}}
    >>> found["row_tiles"] = {"mine": {"changed": 9}}
    >>> rows_of(found)[0][1][-3:]
    ['+2.00 (+1.50 to +2.50)', '–', '–']
    """

    def text(value: float | None, digits: int = 2) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    rows = []
    for name, psnr in found["psnr"].items():
        gain = found["gain_over_copy"].get(name, {}).get("changed")
        gained = found["gain_intervals"].get(name, {}).get("changed")
        areas = found["auc"].get(name, {})
        spans = found["intervals"].get(name, {})
        cells = [with_ends(text(psnr.get(kind)), spans.get(kind), 2) for kind in GROUNDS]
        held, usual = found["row_tiles"][name], found["tiles"]
        cells = [
            cell if held.get(kind, 0) in (0, usual.get(kind)) else f"{cell}, {counted(held[kind], 'tile')}"
            for kind, cell in zip(GROUNDS, cells, strict=True)
        ]
        cells += [
            "–"
            if gain is None
            else f"{gain:+.2f}" + ("" if gained is None else f" ({gained[0]:+.2f} to {gained[1]:+.2f})"),
            text(areas.get("labelled"), 3),
            text(areas.get("measured"), 3),
        ]
        rows.append((name, cells))
    return rows


HEADINGS = (
    *(f"PSNR dB, {kind}" for kind in GROUNDS),
    "gain over copy, changed",
    "AUC of change, labelled",
    "AUC of change, measured",
)
