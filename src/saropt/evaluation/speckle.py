"""Whether translated SAR speckles as true SAR does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import describe_units
from saropt.evaluation.metric import Metric, register_metric
from saropt.evaluation.running import RunningStatistics
from saropt.evaluation.section import TileView
from saropt.evaluation.tiles import Pixels
from saropt.radiometry import equivalent_looks, to_power

WINDOW = 16
HOMOGENEOUS = 0.25
STEP = 4


class SpeckleStatistics:
    """Equivalent looks, correlation of neighbours and coefficient of variation, of every model and of the truth."""

    key = "speckle"
    convention = (
        f"of intensity, first band; windows of {WINDOW}x{WINDOW} px, of each tile the {HOMOGENEOUS:.0%} in which the "
        f"truth varies least by means of {STEP} pixels of every {STEP}th row; means over tiles"
    )
    _KEYS = ("enl", "autocorrelation", "variation")

    def __init__(self) -> None:
        self._real = {key: RunningStatistics() for key in self._KEYS}
        self._models: dict[str, dict[str, RunningStatistics]] = {}

    def see(self, model: str, view: TileView) -> None:
        """See `Section`; tiles that are not wholly valid or have no window are passed over, and 8-bit stretches."""
        if "stretch" in (describe_units(view.output.units).scale, describe_units(view.truth.units).scale):
            return
        if not view.truth.valid.all() or min(view.truth.valid.shape) < WINDOW:
            return
        truth, output = _windows(_intensity(view.truth)), _windows(_intensity(view.output))
        looks = np.array([_homogeneity(window) for window in truth])
        kept = np.argsort(-looks, kind="stable")[: max(1, round(HOMOGENEOUS * len(looks)))]
        first = not self._models or model == next(iter(self._models))
        rows = self._models.setdefault(model, {key: RunningStatistics() for key in self._KEYS})
        for running, windows, pixels in (
            (rows, output, view.output),
            *([(self._real, truth, view.truth)] if first else []),
        ):
            running["enl"].add(float(np.median([_looks(windows[i]) for i in kept])))
            running["autocorrelation"].add(float(np.mean([neighbour_correlation(windows[i]) for i in kept])))
            intensity = _intensity(pixels)
            running["variation"].add(float(intensity.std() / intensity.mean()))

    def summary(self) -> dict[str, Any]:
        """`real` and, by model, the three statistics, and `enl_ratio`."""
        if not self._models:
            return {}
        real = {key: running.mean for key, running in self._real.items()}
        models = {name: {key: r.mean for key, r in rows.items()} for name, rows in self._models.items()}
        for scores in models.values():
            scores["enl_ratio"] = scores["enl"] / real["enl"]
        return {"real": real, "models": models, "tiles": self._real["enl"].n}


def neighbour_correlation(window: NDArray[np.float64]) -> float:
    """Autocorrelation at lag 1 of a window (h, w), mean of both axes; 1 for a constant one.

    >>> neighbour_correlation(np.ones((7, 7)))
    1.0
    """
    centred = window - window.mean()
    variance = float((centred**2).mean())
    if variance <= 0.0:
        return 1.0
    across, down = (centred[:, 1:] * centred[:, :-1]).mean(), (centred[1:] * centred[:-1]).mean()
    return float((across + down) / (2.0 * variance))


def _intensity(pixels: Pixels) -> NDArray[np.float64]:
    return to_power(pixels.values[0], pixels.units).astype(np.float64)


def _homogeneity(window: NDArray[np.float64]) -> float:
    """How little a window varies, by pixels without a part in `_looks`: what chooses must not be what is measured."""
    return equivalent_looks(window[::STEP].reshape(WINDOW // STEP, -1, STEP).mean(axis=2))


def _looks(window: NDArray[np.float64]) -> float:
    """Equivalent looks of the rows midway between those of `_homogeneity`."""
    return equivalent_looks(window[STEP // 2 :: STEP])


def _windows(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 16, 16) windows side by side."""
    rows, columns = (size // WINDOW for size in image.shape)
    cut = image[: rows * WINDOW, : columns * WINDOW].reshape(rows, WINDOW, columns, WINDOW)
    return cut.swapaxes(1, 2).reshape(-1, WINDOW, WINDOW)


for _key, _title, _convention in (
    ("enl", "equivalent looks", f"mean^2 / variance of every {STEP}th row, none that chose; median over the windows"),
    ("enl_ratio", "ratio to the truth's", "the model's enl over the truth's; above 1 it is smoother than SAR is"),
    ("autocorrelation", "correlation of neighbours", "of pixels one apart, mean of both axes and of the windows"),
    ("variation", "coefficient of variation", "standard deviation / mean of the whole tile"),
):
    register_metric(
        Metric(_key, _title, _convention, digits=2, needs=("translation to SAR in known units",), section="speckle")
    )
