"""Image quality, trivial baselines and reports (no torch)."""

# isort: off
from saropt.evaluation import standard  # noqa: F401  metrics stand in tables in this order
from saropt.evaluation import spectra  # noqa: F401
from saropt.evaluation import distributions  # noqa: F401
from saropt.evaluation import deviation  # noqa: F401
from saropt.evaluation import reliability  # noqa: F401
from saropt.evaluation import cost  # noqa: F401

# isort: on
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.baselines import BASELINES, Baseline, HistogramMatch, ImageMeanOracle, Linear, TrainMean, fit_all
from saropt.evaluation.curves import LOG_FILE
from saropt.evaluation.evaluate import evaluate
from saropt.evaluation.metric import METRICS, Accumulator, Metric, Subject, Tile, register_metric
from saropt.evaluation.metrics import collapse_ratio, colour_free, mae, psnr, rmse_per_band, shift_tolerant, ssim
from saropt.evaluation.report import conventions
from saropt.evaluation.running import RunningStatistics
from saropt.evaluation.spec import EvaluationResult, EvaluationSpec
from saropt.evaluation.tiles import stream_tiles, tile_windows

__all__ = [
    "BASELINES",
    "LOG_FILE",
    "METRICS",
    "Accumulator",
    "Baseline",
    "EvaluationResult",
    "EvaluationSpec",
    "HistogramMatch",
    "ImageMeanOracle",
    "ImageQuality",
    "Linear",
    "Metric",
    "RunningStatistics",
    "Subject",
    "Tile",
    "TrainMean",
    "collapse_ratio",
    "colour_free",
    "conventions",
    "evaluate",
    "fit_all",
    "mae",
    "psnr",
    "register_metric",
    "rmse_per_band",
    "shift_tolerant",
    "ssim",
    "stream_tiles",
    "tile_windows",
]
