"""Whole rasters through translators and segmenters, read back tile by tile."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.evaluation.metric import Subject
from saropt.evaluation.tiles import Rasters
from saropt.inference import Segmenter, Translator
from saropt.scenes import Window


@dataclass(frozen=True)
class Layer:
    """A raster (C, H, W) that is read by windows."""

    values: NDArray

    def read(self, window: Window) -> NDArray:
        """(C, h, w)."""
        rows, columns = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
        return self.values[:, rows, columns]


@dataclass(frozen=True)
class ModelOutput:
    """What a translator makes of a raster, in its own units, and the deviation of its samples where it is measured."""

    image: Layer
    deviation: Layer | None = None


def translate_rasters(model: Translator, subject: Subject, rasters: Rasters, bands: list[int]) -> ModelOutput:
    """The output of a model for the rasters of one name; the subject counts its time.

    Args:
        bands: positions of the model's input bands in the raster.

    Raises:
        InputError: the model refuses the input, or gives other bands than its card says.
    """
    (role,) = model.direction.inputs
    pixels = rasters.read(roles=[role]).images[role]
    values = pixels.values if bands == list(range(len(pixels.bands))) else pixels.values[bands]
    started = time.perf_counter()
    deviation = None
    if subject.samples is None:
        output = np.asarray(model.translate_array(values, units=pixels.units, valid=pixels.valid))
    else:
        output, deviation = model.sample_array(
            values, samples=subject.samples, seed=subject.seed, units=pixels.units, valid=pixels.valid
        )
    subject.seconds += time.perf_counter() - started
    subject.pixels += rasters.height * rasters.width
    expected = (len(model.target.bands), *rasters.shape)
    if output.shape != expected:
        found = f"{output.shape} for {rasters.name}, not {expected}"
        raise InputError(model.card.name, f"gives {found} (bands, rows, columns)")
    return ModelOutput(Layer(output), None if deviation is None else Layer(deviation))


def segment_layer(segmenter: Segmenter, values: NDArray, units: str, dtype: str, valid: NDArray[np.bool_]) -> Layer:
    """The label values of an image (C, H, W)."""
    return Layer(segmenter.classify(values, units=units, dtype=dtype, valid=valid)[None])
