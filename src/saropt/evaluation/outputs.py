"""Rasters streamed through translators and segmenters into scratch rasters, which are read back tile by tile."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saropt.domain import Role
from saropt.errors import InputError, counted
from saropt.evaluation.metric import Subject
from saropt.evaluation.tiles import Rasters
from saropt.inference import Block, ScratchRaster, Segmenter, Source, Translator
from saropt.scenes import Window


@dataclass(frozen=True)
class ModelOutput:
    """What a model makes of a raster, in its own units; the deviation of its samples where it is measured, the map
    of origin of models that give one, the half-widths of the map of reliability, and the inputs that it ignored."""

    image: ScratchRaster
    deviation: ScratchRaster | None = None
    origin: ScratchRaster | None = None
    reliability: ScratchRaster | None = None
    ignored: Sequence[Role] = ()


@dataclass(frozen=True)
class ChosenBands:
    """Some bands of a source, which is read like any other.

    >>> from saropt.inference import ArraySource
    >>> source = ChosenBands(ArraySource(np.arange(3.0)[:, None, None]), [2, 0])
    >>> source.sample().ravel().tolist()
    [2.0, 0.0]
    """

    whole: Source
    bands: Sequence[int]

    @property
    def width(self) -> int:
        return self.whole.width

    @property
    def height(self) -> int:
        return self.whole.height

    @property
    def dtype(self) -> str:
        return self.whole.dtype

    @property
    def source(self) -> str:
        return self.whole.source

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """See `saropt.inference.Source`."""
        values, valid = self.whole.read_padded(window)
        return values[list(self.bands)], valid

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """See `saropt.inference.Source`."""
        return self.whole.sample(max_pixels)[list(self.bands)]


def translate_rasters(
    model: Translator,
    subject: Subject,
    rasters: Rasters,
    bands: Mapping[Role, Sequence[int]],
    stack: ExitStack,
    places: Mapping[Role, Sequence[int]] | None = None,
) -> ModelOutput:
    """The output of a model for the rasters of one name: the pixels that `Translator.translate` writes.

    Args:
        subject: counts the time.
        bands: positions of the model's input bands, by role; an optional input may have no raster.
        stack: holds the temporary files.
        places: role -> positions of `bands` in the model's own, where the data lack some.

    Raises:
        InputError: the model refuses an input, or gives other bands than its card says.
    """
    sources = {role: rasters.source(role, chosen, stack) for role, chosen in bands.items() if role in rasters.scenes}
    count, name = len(model.target.bands), f"{model.card.name} of {rasters.name}"
    image = stack.enter_context(ScratchRaster(count, *rasters.shape, model.target.dtype, name=name))
    deviation = None
    if subject.samples is not None:
        deviation = stack.enter_context(ScratchRaster(count, *rasters.shape, "float32", name=name))
    shares = [len(one.bands) for one in model.outputs if one.product == "origin"]
    origin = stack.enter_context(ScratchRaster(sum(shares), *rasters.shape, "uint8", name=name)) if shares else None
    reliability = None
    if model.reliability is not None:
        reliability = stack.enter_context(ScratchRaster(count + 1, *rasters.shape, "float32", name=name))
    made = {"image": image, "deviation": deviation, "origin": origin, "reliability": reliability}

    def write(block: Block) -> None:
        for product, scratch in made.items():
            if scratch is not None:
                pixels, window = block.products[product], block.window
                if len(pixels) != scratch.bands:
                    found = counted(len(pixels), "band")
                    raise InputError(model.card.name, f"gives {found} for {rasters.name}, not {count}")
                scratch.write(window.row, window.col, pixels, block.valid)

    seed = subject.seed if subject.draws else None
    started = time.perf_counter()
    given = {role: chosen for role, chosen in (places or {}).items() if role in sources}
    units = rasters.units(model.source.role)
    told = {name: value for name, value in rasters.scene_inputs.items() if name in model.scene_inputs}
    reader = model.read(sources, units, given, told)
    model.stream(reader, write, samples=subject.samples, seed=seed)
    subject.seconds += time.perf_counter() - started
    subject.pixels += rasters.height * rasters.width
    return ModelOutput(image, deviation, origin, reliability, reader.ignored)


def segment_raster(segmenter: Segmenter, source: Source, units: str, stack: ExitStack) -> ScratchRaster:
    """The label values of a raster: the pixels that `Segmenter.predict` writes.

    Raises:
        InputError: the segmenter refuses the raster.
    """
    labels = stack.enter_context(ScratchRaster(1, source.height, source.width, "uint8"))

    def write(block: Block) -> None:
        labels.write(block.window.row, block.window.col, block.products["class"], block.valid)

    segmenter.stream(source, write, units=units)
    return labels
