"""Features of images, and the published weights that some of them need."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError

Features = NDArray[np.float64]
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
LPIPS_FILE = "alexnet-owt-7be5be79.pth"


class Extractor(Protocol):
    """Computes features of images. `name` is reported with the distances that are computed on them."""

    name: str

    def __call__(self, image: NDArray[Any]) -> Features:
        """(D,) features of one image (C, H, W) in [0, 1]."""
        ...


class HaarStatistics:
    """Features of colour and texture without learned weights: for each band the mean, the standard deviation and, at
    four levels of a Haar pyramid, the mean magnitude of horizontal, vertical and diagonal detail (as log10); and the
    correlations between bands.

    They describe colour, sharpness and grain, not content.

    >>> HaarStatistics()(np.random.default_rng(0).random((3, 64, 64))).shape
    (45,)
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
    difference of the diagonals, of which the sums are given. An odd last row or column is left out.

    >>> mean, horizontal, vertical, diagonal = haar(np.array([[[1.0, 0.0], [1.0, 0.0]]]))
    >>> float(mean[0, 0, 0]), float(horizontal[0, 0, 0]), float(vertical[0, 0, 0])
    (0.5, 2.0, 0.0)
    """
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
    """The extractors for metrics on features, and LPIPS where its weights are available."""

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
    """`HaarStatistics`, and the extractors whose published weight files are in a folder.

    Args:
        folder: where the files lie; None for no files.

    Raises:
        InputError: the folder holds none of the known files, or one under a name that is not its own.

    >>> [extractor.name for extractor in known_weights(None).extractors]
    ['haar-statistics-1']
    """
    if folder is None:
        return Weights((HaarStatistics(),))
    found = weight_files(folder)
    if not found:
        raise InputError(folder, f"holds neither {INCEPTION_FILE} nor {LPIPS_FILE}")
    extractors: list[Extractor] = [HaarStatistics()]
    if INCEPTION_FILE in found:
        extractors.append(Inception(Path(folder) / INCEPTION_FILE))
    return Weights(tuple(extractors), Lpips(Path(folder) / LPIPS_FILE) if LPIPS_FILE in found else None)


def weight_files(folder: str | Path | None) -> list[str]:
    """The names of the published weight files that a folder holds; none of no folder.

    >>> Path(LPIPS_FILE).touch()
    >>> weight_files(".")
    ['alexnet-owt-7be5be79.pth']
    """
    if folder is None:
        return []
    return [name for name in (INCEPTION_FILE, LPIPS_FILE) if (Path(folder) / name).is_file()]


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
