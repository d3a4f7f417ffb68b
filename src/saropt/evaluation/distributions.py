"""Distances between two sets of images: Fréchet and kernel distance on the features of a stated extractor; LPIPS.

A distance is called FID or KID only on the published Inception weights, which the caller has as a file; on any other
extractor it is a Fréchet or kernel distance with the extractor's name beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.evaluation.extractors import Extractor, Features, Inception, Lpips
from saropt.evaluation.metric import Metric, Subject, Tile, register_metric
from saropt.evaluation.running import RunningStatistics
from saropt.evaluation.tile_image import TileImage

KID_KEPT = 1000
DRAWS, DRAWN = 3, 2048
SMALLEST_SIDE, SMALLEST_LPIPS_SIDE = 16, 31


class FeatureStatistics:
    """Mean and covariance of a stream of features, and a sample of them, in memory that does not grow with N.

    Args:
        seed: draws the sample; streams of one seed and length keep the same places.

    >>> statistics = FeatureStatistics()
    >>> for features in np.eye(3):
    ...     statistics.add(features)
    >>> statistics.n, statistics.mean.round(2).tolist()
    (3, [0.33, 0.33, 0.33])
    """

    def __init__(self, seed: int = 0) -> None:
        self.n = 0
        self._mean: Features = np.zeros(0)
        self._scatter: Features = np.zeros((0, 0))
        self._kept: list[Features] = []
        self._random = np.random.default_rng(seed)

    def add(self, features: Features) -> None:
        """Take the features (D,) of one image."""
        if self.n == 0:
            self._mean = np.zeros(len(features))
            self._scatter = np.zeros((len(features), len(features)))
        self.n += 1
        delta = features - self._mean
        self._mean = self._mean + delta / self.n
        self._scatter += np.outer(delta, features - self._mean)
        if len(self._kept) < KID_KEPT:
            self._kept.append(features)
        elif (place := int(self._random.integers(self.n))) < KID_KEPT:
            self._kept[place] = features

    @classmethod
    def of(cls, features: Features) -> FeatureStatistics:
        """Those of features (n, D); they keep no sample."""
        found = cls()
        found.n, found._mean = len(features), features.mean(axis=0)
        centred = features - found._mean
        found._scatter = centred.T @ centred
        return found

    @property
    def mean(self) -> Features:
        return self._mean

    @property
    def covariance(self) -> Features:
        """Unbiased; of at least two images."""
        return self._scatter / (self.n - 1)

    @property
    def sample(self) -> Features:
        """Features (n, D) of at most 1,000 images, drawn evenly from the stream; another order of it gives others."""
        return np.stack(self._kept)


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance of two Gaussians (Dowson and
    Landau, 1982). The trace of the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric. NaN for fewer than
    two images.

    >>> a, b = FeatureStatistics(), FeatureStatistics()
    >>> for x in (0.0, 2.0):
    ...     a.add(np.array([x]))
    ...     b.add(np.array([x + 3.0]))
    >>> round(frechet_distance(a, b), 6)
    9.0
    """
    if min(first.n, second.n) < 2:
        return float("nan")
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ second.covariance @ root)
    difference = first.mean - second.mean
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return float(difference @ difference + traces - 2.0 * np.sqrt(np.maximum(inner, 0.0)).sum())


def kernel_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased (KID: Binkowski et al., ICLR 2018),
    on the kept features, equally many of both. The sets may be paired, as translations and truths are: an image is
    compared with all of the other set but the one that was added with it. NaN for fewer than two images.

    >>> a, b = FeatureStatistics(), FeatureStatistics()
    >>> for x in (0.0, 1.0):
    ...     a.add(np.array([x]))
    ...     b.add(np.array([x + 1.0]))
    >>> round(kernel_distance(a, b), 6)
    19.0
    """
    size = min(len(first.sample), len(second.sample)) if min(first.n, second.n) else 0
    if size < 2:
        return float("nan")
    x, y = first.sample[:size], second.sample[:size]
    kernels = (_cubic_kernel(*pair) for pair in ((x, x), (y, y), (x, y)))
    of_x, of_y, across = ((kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in kernels)
    return float(of_x + of_y - 2.0 * across)


def _cubic_kernel(x: Features, y: Features) -> Features:
    return np.asarray((x @ y.T / x.shape[1] + 1.0) ** 3)


class Draws:
    """The Fréchet distance on random draws of so many tiles each, as CRAN's Table 1 has it: three draws of 2,048."""

    def __init__(self, draws: int = DRAWS, size: int = DRAWN) -> None:
        self.size, self._n = size, 0
        self._drawn: list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = [[] for _ in range(draws)]
        self._randoms = [np.random.default_rng(seed) for seed in range(draws)]

    def add(self, fake: Features, real: Features) -> None:
        """Take the features (D,) of a translated tile and of its truth."""
        pair = fake.astype(np.float32), real.astype(np.float32)
        self._n += 1
        for drawn, random in zip(self._drawn, self._randoms, strict=True):
            if len(drawn) < self.size:
                drawn.append(pair)
            elif (place := int(random.integers(self._n))) < self.size:
                drawn[place] = pair

    def mean(self) -> float | None:
        """The mean of the distances; None where there are fewer tiles than a draw has."""
        if self._n < self.size:
            return None
        sides = [[np.stack(side).astype(np.float64) for side in zip(*drawn, strict=True)] for drawn in self._drawn]
        return float(np.mean([frechet_distance(*map(FeatureStatistics.of, pair)) for pair in sides]))


class Distribution:
    """The distance between translated and true tiles, with its floor (the distance between two halves of the true
    tiles) and its curve over the number of tiles."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.real, self.fake = FeatureStatistics(), FeatureStatistics()
        self._halves = (FeatureStatistics(), FeatureStatistics())
        self._curve: dict[int, float] = {}
        self._draws = Draws()

    def add(self, fake: TileImage, real: TileImage) -> None:
        """Take a tile and its truth."""
        features = real.features(self.extractor)
        self._halves[self.real.n % 2].add(features)
        self.real.add(features)
        translated = fake.features(self.extractor)
        self.fake.add(translated)
        self._draws.add(translated, features)
        n = self.real.n
        if (n >= 16 and n & (n - 1) == 0) or n == 500 or n % 1000 == 0:
            self._curve[n] = frechet_distance(self.fake, self.real)

    def distances(self) -> dict[str, float]:
        """Fréchet and kernel distance by name, and the Fréchet distance on draws where there are tiles enough."""
        values = frechet_distance(self.fake, self.real), kernel_distance(self.fake, self.real)
        drawn = self._draws.mean()
        return dict(zip(self._names, values, strict=True)) | (
            {} if drawn is None else {f"{self._names[0]}_of_{DRAWN}": drawn}
        )

    def summary(self) -> dict[str, Any]:
        """Distances, the floor, N, and the Fréchet distance after 16, 32, 64, ... and (as in CRAN's Table 2) 500,
        1000, 2000, ... tiles."""
        frechet = self._names[0]
        return {
            "extractor": self.extractor.name,
            "n": self.real.n,
            **self.distances(),
            f"{frechet}_floor": frechet_distance(*self._halves),
            f"{frechet}_by_n": {str(n): value for n, value in self._curve.items()},
        }

    @property
    def _names(self) -> tuple[str, str]:
        return ("fid", "kid") if isinstance(self.extractor, Inception) else ("frechet_distance", "kernel_distance")


class Distances:
    """Distances on every extractor that a subject has. Tiles that are too small or not fully valid are left out."""

    def __init__(self, extractors: Sequence[Extractor]) -> None:
        self.distributions = [Distribution(extractor) for extractor in extractors]

    @classmethod
    def of(cls, subject: Subject) -> Distances | None:
        """None for a subject without extractors."""
        return None if subject.weights is None else cls(subject.weights.extractors)

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        if tile.truth.complete and min(tile.truth.mask.shape) >= SMALLEST_SIDE:
            for distribution in self.distributions:
                distribution.add(tile.output, tile.truth)

    def figures(self) -> dict[str, Any]:
        """The distances, and the details of each extractor under `distributions`."""
        found: dict[str, Any] = {"distributions": [distribution.summary() for distribution in self.distributions]}
        for distribution in self.distributions:
            found |= distribution.distances()
        return found


class MeanLpips:
    """LPIPS of wholly valid tiles, mean over tiles. Those that are too small for its network are left out and counted
    (`lpips_small_tiles`)."""

    def __init__(self, lpips: Lpips) -> None:
        self._lpips, self._running, self._small = lpips, RunningStatistics(), 0

    @classmethod
    def of(cls, subject: Subject) -> MeanLpips | None:
        """None without the weights, and for baselines."""
        if subject.model is None or subject.weights is None or subject.weights.lpips is None:
            return None
        return cls(subject.weights.lpips)

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        if min(tile.truth.mask.shape) < SMALLEST_LPIPS_SIDE:
            self._small += 1
        elif tile.truth.complete:
            self._running.add(self._lpips(tile.output.values, tile.truth.values))

    def figures(self) -> dict[str, float]:
        """See `Accumulator`."""
        return {"lpips": self._running.mean} | ({"lpips_small_tiles": self._small} if self._small else {})


_FRECHET = (
    "squared 2-Wasserstein distance of two Gaussians fitted to the features of wholly valid tiles, translated and "
    "true; `distributions` names the extractor, *_floor is the distance of two halves of the true tiles"
)
_KERNEL = (
    "squared maximum mean discrepancy of the same features with the kernel (x.y / D + 1)^3, unbiased: no tile is "
    f"compared with its own truth; of at most {KID_KEPT:,} tiles, which are drawn evenly with a fixed seed"
)
_DRAWN = f"mean of the Fréchet distances of {DRAWS} random draws of {DRAWN} tiles; none of fewer tiles"
_ON_INCEPTION = "on the features of the published Inception weights"
for _key, _title, _convention, _options in (
    ("frechet_distance", "Fréchet (Haar)", _FRECHET, {"digits": 2}),
    ("frechet_distance_by_n", "Fréchet (Haar) of N tiles", "frechet_distance of the first N tiles", {"shown": False}),
    ("kernel_distance", "kernel (Haar)", _KERNEL, {"shown": False}),
    (f"fid_of_{DRAWN}", f"FID of {DRAWN}", f"{_DRAWN} {_ON_INCEPTION}", {"digits": 2, "shown": False}),
    (f"frechet_distance_of_{DRAWN}", f"Fréchet (Haar) of {DRAWN}", _DRAWN, {"digits": 2, "shown": False}),
    ("fid", "FID", f"frechet_distance {_ON_INCEPTION}", {"digits": 2}),
    ("fid_by_n", "FID of N tiles", "fid of the first N tiles", {"digits": 2, "shown": False}),
    ("kid", "KID", f"kernel_distance {_ON_INCEPTION}", {}),
):
    _needs = ("weights file", "one or three bands") if _ON_INCEPTION in _convention or _key == "fid_by_n" else ()
    register_metric(Metric(_key, _title, _convention, better=-1, needs=_needs, split=Distances.of, **_options))
register_metric(
    Metric(
        "lpips",
        "LPIPS",
        f"version 0.1 on AlexNet, mean over wholly valid tiles of {SMALLEST_LPIPS_SIDE} pixels a side and more",
        better=-1,
        needs=("weights file", "one or three bands"),
        split=MeanLpips.of,
    )
)
