"""Matching two scenes of any size: tie points, the transform that they agree on, and their residuals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from saropt.errors import InputError, OptionError, counted
from saropt.matching.chance import Compared, chance_of_accident
from saropt.matching.correspondence import mutual_matches
from saropt.matching.features import Features, Matcher, Points, detect, join
from saropt.matching.frame import Frame, open_frame
from saropt.matching.geometry import SAMPLE, TOLERANCE, Fit, Kind, fit_transform, log_false_alarms, transformed
from saropt.matching.grey_scene import GreyScene
from saropt.progress import Progress, silent
from saropt.scenes import Grid, Window
from saropt.sensors.unchanged import Unchanged

TILE = 1024
KEYPOINTS_PER_TILE = 2000
KEYPOINTS_IN_ALL = 20000
SEARCH = 32
MAX_LOG_FALSE_ALARMS = -2.0


@dataclass(frozen=True)
class SceneMatch:
    """The result of matching two scenes.

    Points are the inliers, (n, 2) columns and rows; (0, 0) is the upper left corner of the first pixel.

    Attributes:
        a, b: the files.
        method: name of the matcher.
        keypoints: numbers of keypoints found in A and in B.
        putative: number of matches before the transform was estimated.
        kind, matrix: the transform (3, 3) from A to B, in pixels of `grid` where there is one, else of the files.
        grid: the common ground (`Frame.grid`); None where the scenes were compared by pixels alone.
        middle: (2,) mean of A's tie points, in the pixels of `matrix`.
        residuals: (n,) distances of the tie points from the transform, in the pixels of `matrix`.
        log_false_alarms: see `saropt.matching.geometry.log_false_alarms`.
        a_points, b_points: pixels of the files.
        crs, ground: B's coordinate system and the points (n, 2) in it; None where B has no place on the ground.

    >>> from saropt.matching import Sift
    >>> from saropt.scenes import write_array
    >>> image = np.random.default_rng(0).integers(0, 255, (1, 256, 256)).astype(np.uint8)
    >>> match = match_scenes(*(write_array(f"{name}.tif", image, band_names=["VV"]) for name in "ab"), Sift())
    >>> match.method, match.rmse < 0.1
    ('sift', True)
    """

    a: Path
    b: Path
    method: str
    keypoints: tuple[int, int]
    putative: int
    kind: Kind
    matrix: NDArray[np.float64]
    grid: Grid | None
    middle: NDArray[np.float64]
    residuals: NDArray[np.float64]
    log_false_alarms: float
    a_points: Points
    b_points: Points
    crs: CRS | None
    ground: Points | None

    @property
    def rmse(self) -> float:
        """Root mean square residual in pixels."""
        return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def shift(self) -> tuple[float, float] | None:
        """Columns and rows of the common grid by which A must move to lie on B, at the mean tie point."""
        if self.grid is None:
            return None
        middle = self.middle[None]
        columns, rows = (transformed(self.matrix, middle) - middle)[0]
        return float(columns), float(rows)


def match_scenes(
    a: str | Path,
    b: str | Path,
    matcher: Matcher,
    kind: Kind = "affine",
    search: int | None = None,
    progress: Progress = silent,
) -> SceneMatch:
    """Match scene A with scene B in bounded memory.

    Where both scenes are georeferenced, A is warped to B's grid, and a keypoint is compared only with those within
    `search` pixels, tile by tile. Otherwise every keypoint of A is compared with all of B, at most 20,000 of each.

    Args:
        matcher: as `saropt.matching.find_matcher` gives it.
        kind: the kind of transform.
        search: how far A may lie from where its georeference says, in pixels of the common grid; 32 when None.
        progress: called with (done, total, what) after every tile.

    Raises:
        InputError: a scene cannot be used or has no keypoints, or no transform has more inliers than chance would give.
        OptionError: a `search` that is not positive, or for scenes that are not both georeferenced.

    >>> from saropt.matching import Sift
    >>> from saropt.scenes import write_array
    >>> image = np.random.default_rng(0).integers(0, 255, (1, 256, 256)).astype(np.uint8)
    >>> a = write_array("a.tif", image[:, :224], band_names=["VV"])
    >>> b = write_array("b.tif", image[:, 8:232], band_names=["VV"])
    >>> match_scenes(a, b, Sift(), kind="translation").matrix[:2, 2].round().tolist()
    [0.0, -8.0]
    """
    if search is not None and search < 1:
        raise OptionError("search", search, "must be positive")
    with open_frame(a, b) as frame:
        if search is not None and frame.grid is None:
            raise OptionError("search", search, "is for scenes that are both georeferenced")
        inputs = Unchanged(a, b)
        search = SEARCH if search is None else search
        steps = _Steps(progress)
        if frame.grid is not None:
            counts, parts = _local(frame, matcher, search, steps)
            area, reach = math.pi * search**2, float(search)
        else:
            counts, parts = _everywhere(frame, matcher, steps)
            area, reach = float(frame.b.width * frame.b.height), None
        for scene, count in zip((a, b), counts, strict=True):
            if not count:
                raise InputError(scene, "has no keypoints: is it flat, or smaller than what a descriptor looks at?")
        from_a, from_b = (np.concatenate([getattr(part, side) for part in parts]) for side in "ab")
        fit = fit_transform(from_a, from_b, kind)
        chance = 1.0 if fit is None else chance_of_accident(parts, fit, area, reach)
        found = 0 if fit is None else int(fit.inliers.sum())
        alarms = log_false_alarms(len(from_a), found, SAMPLE[kind], chance)
        if fit is None or alarms > MAX_LOG_FALSE_ALARMS:
            near = "" if frame.grid is None else f" within {counted(search, 'pixel')}"
            agree = f"{found} of {len(from_a)} matches{near} agree on one {kind}"
            remedy = None if frame.grid is None or not _may_lie_further(fit, from_a, search) else "search"
            raise InputError(a, f"cannot be matched with {b}: {agree}, no more than chance would give", remedy)
        kept, residuals = fit.inliers, fit.residuals[fit.inliers]
        from_a, from_b = from_a[kept], from_b[kept]
        inputs.check()
        return SceneMatch(
            a=Path(a),
            b=Path(b),
            method=matcher.name,
            keypoints=counts,
            putative=len(kept),
            kind=kind,
            matrix=fit.matrix,
            grid=frame.grid,
            middle=from_a.mean(0),
            residuals=residuals,
            log_false_alarms=alarms,
            a_points=frame.a_pixels(from_a),
            b_points=frame.b_pixels(from_b),
            crs=frame.b_place.crs,
            ground=frame.b_ground(from_b),
        )


def _may_lie_further(fit: Fit | None, from_a: Points, search: int) -> bool:
    """Whether a wider search could find what chance explains so far: the search is narrower than usual, most matches
    agree, or the shift that they agree on lies at the border of what was looked at."""
    if search < SEARCH or fit is None:
        return search < SEARCH
    if 2 * fit.inliers.sum() >= len(from_a):
        return True
    middle = from_a[fit.inliers].mean(0, keepdims=True) if fit.inliers.any() else from_a[:1]
    return bool(np.linalg.norm(transformed(fit.matrix, middle) - middle) >= search - TOLERANCE)


class _Steps:
    """Counts tiles for a progress function."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0

    def step(self, total: int) -> None:
        self._done += 1
        self._progress(self._done, total, "tiles")


def _tiles(height: int, width: int) -> list[Window]:
    return [
        Window(row, column, min(TILE, height - row), min(TILE, width - column))
        for row in range(0, height, TILE)
        for column in range(0, width, TILE)
    ]


def _grown(core: Window, by: int, height: int, width: int) -> Window:
    top, left = max(0, core.row - by), max(0, core.col - by)
    bottom, right = min(height, core.row + core.height + by), min(width, core.col + core.width + by)
    return Window(top, left, bottom - top, right - left)


def _within(features: Features, core: Window) -> NDArray[np.bool_]:
    column, row = features.points.T
    inside = (row >= core.row) & (row < core.row + core.height)
    return inside & (column >= core.col) & (column < core.col + core.width)


def _detect(scene: GreyScene, matcher: Matcher, window: Window, limit: int) -> Features:
    image, valid = scene.read(window)
    return detect(matcher, image, valid, limit).moved(window.col, window.row)


def _local(frame: Frame, matcher: Matcher, search: int, steps: _Steps) -> tuple[tuple[int, int], list[Compared]]:
    """Numbers of keypoints, and matches found tile by tile: each tile counts the keypoints of A that lie in it."""
    a, b = GreyScene(frame.a), GreyScene(frame.b)
    height, width = frame.b.height, frame.b.width
    tiles, counts = _tiles(height, width), np.zeros(2, int)
    parts = []
    for core in tiles:
        window = _grown(core, matcher.margin + search, height, width)
        limit = round(KEYPOINTS_PER_TILE * window.height * window.width / TILE**2) + 1
        first, second = (_detect(scene, matcher, window, limit) for scene in (a, b))
        own = _within(first, core)
        counts += int(own.sum()), int(_within(second, core).sum())
        pairs = mutual_matches(first, second, matcher.ratio, float(search))
        pairs = pairs[own[pairs[:, 0]]]
        parts.append(Compared(first.points[pairs[:, 0]], second.points[pairs[:, 1]], second.points))
        steps.step(len(tiles))
    return (int(counts[0]), int(counts[1])), parts


def _everywhere(frame: Frame, matcher: Matcher, steps: _Steps) -> tuple[tuple[int, int], list[Compared]]:
    """Numbers of keypoints, and matches of all keypoints of A with all of B."""
    tiles = [_tiles(scene.height, scene.width) for scene in (frame.a, frame.b)]
    total = sum(map(len, tiles))

    def keypoints(scene: GreyScene, cores: list[Window]) -> Iterator[Features]:
        height, width = scene.scene.height, scene.scene.width
        limit = max(1, min(KEYPOINTS_PER_TILE, KEYPOINTS_IN_ALL // len(cores)))
        for core in cores:
            found = _detect(scene, matcher, _grown(core, matcher.margin, height, width), 2 * limit)
            steps.step(total)
            yield found.chosen(np.flatnonzero(_within(found, core))[:limit])

    first, second = (
        join(list(keypoints(GreyScene(scene), cores))) for scene, cores in zip((frame.a, frame.b), tiles, strict=True)
    )
    pairs = mutual_matches(first, second, matcher.ratio)
    part = Compared(first.points[pairs[:, 0]], second.points[pairs[:, 1]], second.points)
    return (len(first), len(second)), [part]
