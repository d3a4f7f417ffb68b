"""Distances between two sets of images: Fréchet and kernel distance on the features of a stated extractor; LPIPS.

A distance is called FID or KID only on the published Inception weights, which the caller has as a file; on any other
extractor it is a Fréchet or kernel distance with the extractor's name beside it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.evaluation.metric import Metric, Subject, Tile, register_metric
from saropt.evaluation.running import RunningStatistics
from saropt.evaluation.tile_image import TileImage

Features = NDArray[np.float64]
KID_SUBSET, KID_KEPT = 1000, 1000
SMALLEST_SIDE = 16
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
LPIPS_FILE = "alexnet-owt-7be5be79.pth"


class Extractor(Protocol):
    """Images -> features. `title` names the distances made on it."""

    name: str

    def __call__(self, image: NDArray[Any]) -> Features:
        """(D,) features of one image (C, H, W) in [0, 1]."""
        ...


class HaarStatistics:
    """Colour and texture without learned weights: per band mean, standard deviation and, at four levels of a Haar
    pyramid, the mean magnitude of horizontal, vertical and diagonal detail (as log10); correlations between bands.

    It sees colour, sharpness and grain, not meaning.
    """

    name = "haar-statistics-1"
    levels = 4

    def __call__(self, image: NDArray[Any]) -> Features:
        level = np.ascontiguousarray(image, np.float32 if image.dtype == np.float32 else np.float64)
        covariance = _covariance(level)
        spread = np.sqrt(np.diag(covariance))
        features = [np.array([cv2.mean(band)[0] for band in level]), spread]
        for _ in range(self.levels):
            if min(level.shape[1:]) < 2:
                raise ValueError(f"images of {image.shape[1:]} pixels are too small for {self.levels} Haar levels")
            level, *details = haar(level)
            for detail in details:
                sums = np.array([cv2.norm(band, cv2.NORM_L1) for band in detail])
                features.append(np.log10(sums / (4 * detail[0].size) + 1e-4))
        if len(image) > 1:
            correlation = covariance / np.maximum(np.outer(spread, spread), 1e-12)
            features.append(correlation[np.triu_indices(len(image), 1)])
        return np.concatenate(features)


def _covariance(image: NDArray[Any]) -> Features:
    """(C, C) covariance of the bands over all pixels, from sums of squares in double: 2 xy = x^2 + y^2 - (x - y)^2."""
    centred = [band - band.dtype.type(cv2.mean(band)[0]) for band in image]
    squares = np.array([[cv2.norm(x, y, cv2.NORM_L2SQR) if x is not y else 0.0 for y in centred] for x in centred])
    energy = np.array([cv2.norm(band, cv2.NORM_L2SQR) for band in centred])
    return np.asarray((energy[:, None] + energy - squares) / (2 * image[0].size))


def haar(image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """One step of the Haar transform of (C, H, W): mean of the 2x2 pixels, and left - right, upper - lower and the
    difference of the diagonals, of which the sums are given. An odd last row or column is left out."""
    bands, height, width = len(image), image.shape[1] // 2, image.shape[2] // 2
    pairs = np.ascontiguousarray(image[:, : 2 * height, : 2 * width]).reshape(-1, width, 2)
    left, right = cv2.split(pairs)
    sums, differences = (part.reshape(bands, 2 * height, width) for part in (left + right, left - right))
    upper, lower = np.s_[:, 0::2], np.s_[:, 1::2]
    return (
        (sums[upper] + sums[lower]) / 4,
        differences[upper] + differences[lower],
        sums[upper] - sums[lower],
        differences[upper] - differences[lower],
    )


class Inception:
    """The 2048 pool features of the published FID Inception (Heusel et al., NeurIPS 2017), through torch-fidelity.

    Args:
        weights: file of the published weights, whose SHA-256 begins as its name ends.

    Raises:
        InputError: another file.
        ImportError: torch-fidelity is not installed.
    """

    name = "inception-2015-12-05"

    def __init__(self, weights: Path) -> None:
        check_hash(weights)
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self._network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))

    def __call__(self, image: NDArray[Any]) -> Features:
        import torch

        rgb = np.repeat(image, 3, axis=0) if len(image) == 1 else np.asarray(image)
        if len(rgb) != 3:
            raise ValueError(f"Inception takes one or three bands, not {len(rgb)}")
        pixels = torch.from_numpy(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))[None]
        with torch.inference_mode():
            return np.asarray(self._network(pixels)[0][0].double().numpy())


class Lpips:
    """LPIPS (Zhang et al., CVPR 2018, version 0.1) on AlexNet, through torchmetrics.

    Args:
        weights: file of torchvision's AlexNet weights; the linear layers come with torchmetrics.

    Raises:
        InputError: another file.
    """

    def __init__(self, weights: Path) -> None:
        check_hash(weights)
        import torch
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        before = torch.hub.get_dir()
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "checkpoints" / LPIPS_FILE
            kept.parent.mkdir()
            kept.symlink_to(weights.absolute())
            torch.hub.set_dir(folder)
            try:
                self._metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
            finally:
                torch.hub.set_dir(before)

    def __call__(self, output: NDArray[Any], truth: NDArray[Any]) -> float:
        """Distance of two images (C, H, W) in [0, 1]; NaN unless C is 1 or 3."""
        import torch

        if len(output) not in (1, 3):
            return float("nan")
        pair = [np.repeat(x, 3, 0) if len(x) == 1 else x for x in (output, truth)]
        first, second = (torch.from_numpy(np.clip(x, 0, 1).astype(np.float32))[None] for x in pair)
        with torch.inference_mode():
            return float(self._metric(first, second))


@dataclass(frozen=True)
class Weights:
    """What the metrics on features use: extractors, and LPIPS where its weights are at hand."""

    extractors: tuple[Extractor, ...]
    lpips: Lpips | None = None

    def check(self, bands: int, direction: str) -> None:
        """Make sure that the published weights take images of a direction's output.

        Raises:
            InputError: they take one or three bands, and the images have others.
        """
        published = [extractor for extractor in self.extractors if isinstance(extractor, Inception)]
        if bands not in (1, 3) and published:
            name = published[0].name
            reason = f"{name} takes one or three bands; the images of {direction} have {bands}"
            raise InputError("weights", reason)


def known_weights(folder: str | Path | None) -> Weights:
    """`HaarStatistics`, and what the published weight files in a folder make possible.

    Args:
        folder: where the files lie; None for no files.

    Raises:
        InputError: the folder holds none of the known files, or one under a name that is not its own.

    >>> [extractor.name for extractor in known_weights(None).extractors]
    ['haar-statistics-1']
    """
    if folder is None:
        return Weights((HaarStatistics(),))
    inception, lpips = Path(folder) / INCEPTION_FILE, Path(folder) / LPIPS_FILE
    if not inception.is_file() and not lpips.is_file():
        raise InputError(folder, f"holds neither {INCEPTION_FILE} nor {LPIPS_FILE}")
    extractors: list[Extractor] = [HaarStatistics()]
    if inception.is_file():
        extractors.append(Inception(inception))
    return Weights(tuple(extractors), Lpips(lpips) if lpips.is_file() else None)


def check_hash(path: Path) -> None:
    """Make sure that a file's SHA-256 begins with the digits at the end of its name, the custom of published weights.

    Raises:
        InputError: it does not, or there is no such file.
    """
    if not path.is_file():
        raise InputError(path, "no such file")
    expected = path.stem.rpartition("-")[2]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise InputError(path, f"is not the published file: its SHA-256 begins with {found[:8]}, not {expected}")


class FeatureStatistics:
    """Mean and covariance of a stream of features, and a sample of them, in memory that does not grow with N."""

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

    @property
    def mean(self) -> Features:
        return self._mean

    @property
    def covariance(self) -> Features:
        """Unbiased; of at least two images."""
        return self._scatter / (self.n - 1)

    @property
    def sample(self) -> Features:
        """Features (n, D) of at most 1000 images, drawn evenly from the stream."""
        return np.stack(self._kept)


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance of two Gaussians (Dowson and
    Landau, 1982). The trace of the root is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric. NaN for fewer than
    two images."""
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
    on the kept features, equally many of both. NaN for fewer than two images."""
    size = min(len(first.sample), len(second.sample), KID_SUBSET) if min(first.n, second.n) else 0
    if size < 2:
        return float("nan")
    x, y = first.sample[:size], second.sample[:size]
    kernel = _cubic_kernel
    within = sum((k.sum() - np.trace(k)) / (size * (size - 1)) for k in (kernel(x, x), kernel(y, y)))
    return float(within - 2.0 * kernel(x, y).mean())


def _cubic_kernel(x: Features, y: Features) -> Features:
    return np.asarray((x @ y.T / x.shape[1] + 1.0) ** 3)


class Distribution:
    """Distance of a translator's tiles from the true tiles, with the floor that two halves of the true tiles have and
    the curve over the number of tiles."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.real, self.fake = FeatureStatistics(), FeatureStatistics()
        self._halves = (FeatureStatistics(), FeatureStatistics())
        self._curve: dict[int, float] = {}

    def add(self, fake: TileImage, real: TileImage) -> None:
        """Take a tile and its truth."""
        features = real.features(self.extractor)
        self._halves[self.real.n % 2].add(features)
        self.real.add(features)
        self.fake.add(fake.features(self.extractor))
        n = self.real.n
        if (n >= 16 and n & (n - 1) == 0) or n == 500 or n % 1000 == 0:
            self._curve[n] = frechet_distance(self.fake, self.real)

    def distances(self) -> dict[str, float]:
        """Fréchet and kernel distance by name."""
        values = frechet_distance(self.fake, self.real), kernel_distance(self.fake, self.real)
        return dict(zip(self._names, values, strict=True))

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
    """Distances on every extractor that a subject has; tiles that are not wholly valid, or too small, are left out."""

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
    """LPIPS of wholly valid tiles, mean over tiles."""

    def __init__(self, lpips: Lpips) -> None:
        self._lpips, self._running = lpips, RunningStatistics()

    @classmethod
    def of(cls, subject: Subject) -> MeanLpips | None:
        """None without the weights, and for baselines."""
        if subject.model is None or subject.weights is None or subject.weights.lpips is None:
            return None
        return cls(subject.weights.lpips)

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        if tile.truth.complete:
            self._running.add(self._lpips(tile.output.values, tile.truth.values))

    def figures(self) -> dict[str, float]:
        """See `Accumulator`."""
        return {"lpips": self._running.mean}


_FRECHET = (
    "squared 2-Wasserstein distance of two Gaussians fitted to the features of wholly valid tiles, translated and "
    "true; `distributions` names the extractor, *_floor is the distance of two halves of the true tiles"
)
_KERNEL = "squared maximum mean discrepancy of the same features with the kernel (x.y / D + 1)^3, unbiased"
_ON_INCEPTION = "on the features of the published Inception weights"
for _key, _title, _convention, _options in (
    ("frechet_distance", "Fréchet (Haar)", _FRECHET, {"digits": 2}),
    ("frechet_distance_by_n", "Fréchet (Haar) of N tiles", "frechet_distance of the first N tiles", {"shown": False}),
    ("kernel_distance", "kernel (Haar)", _KERNEL, {"shown": False}),
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
        "version 0.1 on AlexNet, of wholly valid tiles, mean over tiles",
        better=-1,
        needs=("weights file", "one or three bands"),
        split=MeanLpips.of,
    )
)
