"""Image quality, trivial baselines and reports (no torch)."""

from saropt.evaluation.accumulate import ImageQuality, RunningStatistics
from saropt.evaluation.baselines import BASELINES, Baseline, HistogramMatch, ImageMeanOracle, Linear, TrainMean, fit_all
from saropt.evaluation.curves import METRICS
from saropt.evaluation.evaluate import CONVENTIONS, evaluate
from saropt.evaluation.measure import Card, Model
from saropt.evaluation.metrics import collapse_ratio, colour_free, mae, psnr, rmse_per_band, shift_tolerant, ssim
from saropt.evaluation.tiles import PairRoot, stream_tiles, tile_windows, unit_range

__all__ = [
    "BASELINES",
    "CONVENTIONS",
    "METRICS",
    "Baseline",
    "Card",
    "HistogramMatch",
    "ImageMeanOracle",
    "ImageQuality",
    "Linear",
    "Model",
    "PairRoot",
    "RunningStatistics",
    "TrainMean",
    "collapse_ratio",
    "colour_free",
    "evaluate",
    "fit_all",
    "mae",
    "psnr",
    "rmse_per_band",
    "shift_tolerant",
    "ssim",
    "stream_tiles",
    "tile_windows",
    "unit_range",
]
