"""The standard metrics of image quality, registered; `saropt.evaluation.metrics` computes them."""

from __future__ import annotations

import math

from saropt.evaluation.metric import Metric, Subject, Tile, register_metric
from saropt.evaluation.metrics import (
    MS_SSIM_SIDE,
    SHIFT_RADIUS,
    Errors,
    bias_per_band,
    colour_free,
    ergas,
    mae,
    psnr,
    rmse_per_band,
    sam,
    shift_tolerant,
    source_distance,
    structure,
)
from saropt.evaluation.running import RunningStatistics
from saropt.evaluation.tile_image import TileImage


def _shifted(output: TileImage, truth: TileImage) -> Errors:
    """`shift_tolerant`; NaN for tiles without a valid pixel in the interior."""
    inner = truth.mask[SHIFT_RADIUS:-SHIFT_RADIUS, SHIFT_RADIUS:-SHIFT_RADIUS]
    return shift_tolerant(output, truth) if inner.any() else Errors(math.nan, math.nan)


class CollapseRatio:
    """The ratio of two means over the split, so that a single perfect tile does not decide it."""

    def __init__(self, subject: Subject) -> None:
        self._to_truth, self._to_source = RunningStatistics(), RunningStatistics()

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        self._to_truth.add(tile.once(mae))
        self._to_source.add(source_distance(tile.output, tile.source))

    def figures(self) -> dict[str, float]:
        """See `Accumulator`."""
        to_truth, to_source = self._to_truth.mean, self._to_source.mean
        return {"collapse_ratio": to_source / to_truth if to_truth else (math.inf if to_source else math.nan)}


for _metric in (
    Metric(
        "psnr",
        "PSNR dB",
        "10 log10(1 / MSE over all bands) per tile, dB, then mean over tiles",
        digits=2,
        better=1,
        limits=(0.0, math.inf),
        tile=lambda tile: tile.once(psnr),
    ),
    Metric(
        "ssim",
        "SSIM",
        "Gaussian window 11, sigma 1.5, K .01/.03, L 1, valid positions only, per band, then mean",
        better=1,
        limits=(-1.0, 1.0),
        tile=lambda tile: tile.once(structure).ssim,
    ),
    Metric(
        "ms_ssim",
        "MS-SSIM",
        "five scales, weights .0448 .2856 .3001 .2363 .1333, windows as for ssim",
        better=1,
        limits=(-1.0, 1.0),
        needs=(f"tiles of {MS_SSIM_SIDE} pixels and more",),
        shown=False,
        tile=lambda tile: tile.once(structure).ms_ssim,
    ),
    Metric(
        "mae",
        "MAE",
        "mean absolute error in [0, 1] per tile, then mean over tiles",
        better=-1,
        limits=(0.0, 1.0),
        tile=lambda tile: tile.once(mae),
    ),
    Metric(
        "sam",
        "SAM °",
        "spectral angle in degrees, mean over pixels per tile, then over tiles",
        digits=2,
        better=-1,
        limits=(0.0, 180.0),
        needs=("two bands or more",),
        shown=False,
        tile=lambda tile: tile.once(sam),
    ),
    Metric(
        "ergas",
        "ERGAS",
        "100 sqrt(mean over bands of (RMSE / mean of the truth)^2) per tile, then mean over tiles",
        digits=2,
        better=-1,
        limits=(0.0, math.inf),
        shown=False,
        tile=lambda tile: tile.once(ergas),
    ),
    Metric(
        "rmse_per_band",
        "RMSE",
        "root mean square error in [0, 1] of each band per tile, then mean over tiles",
        better=-1,
        tile=lambda tile: tile.once(rmse_per_band),
        per_band=True,
    ),
    Metric(
        "bias_per_band",
        "bias",
        "mean of output - truth in [0, 1] of each band per tile, then mean over tiles",
        tile=lambda tile: tile.once(bias_per_band),
        per_band=True,
    ),
    Metric(
        "psnr_shift",
        "PSNR, ±2 px forgiven",
        f"largest psnr over integer shifts up to {SHIFT_RADIUS} px per tile, interior only",
        digits=2,
        better=1,
        limits=(0.0, math.inf),
        tile=lambda tile: tile.once(_shifted).psnr,
    ),
    Metric(
        "mae_shift",
        "MAE, ±2 px forgiven",
        f"smallest mae over integer shifts up to {SHIFT_RADIUS} px per tile, interior only",
        better=-1,
        limits=(0.0, 1.0),
        shown=False,
        tile=lambda tile: tile.once(_shifted).mae,
    ),
    Metric(
        "psnr_colour_free",
        "PSNR, colour forgiven",
        "psnr after a gain in [0.8, 1.25] and an offset per band and tile, least squares",
        digits=2,
        better=1,
        limits=(0.0, math.inf),
        tile=lambda tile: tile.once(colour_free).psnr,
    ),
    Metric(
        "mae_colour_free",
        "MAE, colour forgiven",
        "mae after a gain in [0.8, 1.25] and an offset per band and tile, least squares",
        better=-1,
        limits=(0.0, 1.0),
        shown=False,
        tile=lambda tile: tile.once(colour_free).mae,
    ),
    Metric(
        "collapse_ratio",
        "collapse ratio",
        "mean|output - input grey| / mean|output - truth|, ratio of the means over the split; below 1 the output is "
        "the input again",
        digits=2,
        split=CollapseRatio,
        warning=lambda ratio: (
            f"collapse_ratio {ratio:.2f} is below 1: the output is nearer to the input than to the truth"
            if ratio < 1
            else ""
        ),
    ),
):
    register_metric(_metric)
