"""One row of a report: a translator or a baseline in one direction, and what is gathered about it tile by tile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.baselines import Baseline
from saropt.evaluation.deviation import DeviationQuality
from saropt.evaluation.distributions import Extractor, Lpips
from saropt.evaluation.gallery import Gallery, Shot, as_rgb, canonical_band, heat
from saropt.evaluation.segmentation import Judge
from saropt.evaluation.tile_image import TileImage
from saropt.evaluation.tiles import Pair, PairRoot, Picture, unit_range
from saropt.evaluation.watching import Tile, Watcher
from saropt.scenes import Window


class CardSide(Protocol):
    """One side of a card: bands in network order, units, data type."""

    @property
    def bands(self) -> Sequence[str]: ...
    @property
    def units(self) -> str: ...
    @property
    def dtype(self) -> str: ...


class Card(Protocol):
    """What evaluation needs of a translator's card (`saropt.artifacts.card.Card`)."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def training(self) -> Any: ...
    def source(self, direction: Any) -> CardSide: ...
    def target(self, direction: Any) -> CardSide: ...


class Model(Protocol):
    """What evaluation needs of `saropt.Translator`, one direction of a translator."""

    @property
    def card(self) -> Card: ...
    @property
    def direction(self) -> str: ...

    def translate_array(
        self, values: NDArray[Any], *, units: str, valid: NDArray[np.bool_] | None = None
    ) -> NDArray[Any]:
        """(C, H, W) in `units` to (B, H, W) in the units of the card's output side."""


class SamplingModel(Model, Protocol):
    """A `saropt.Translator` that draws samples."""

    def sample_array(
        self, values: NDArray[Any], *, samples: int, seed: int, units: str, valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Mean and standard deviation of samples, as of `translate_array`."""


def draws_samples(model: Model) -> bool:
    """Whether the outputs of a model depend on a seed."""
    return getattr(model, "sampler", None) is not None


@dataclass
class Row:
    """A model or baseline in one direction; the band lists are positions in the data root's bands."""

    name: str
    direction: str
    source_bands: list[int]
    target_bands: list[int]
    quality: ImageQuality
    judge: Judge | None = None
    deviation: DeviationQuality | None = None
    watchers: Sequence[Watcher] = ()
    gallery: Gallery = field(default_factory=Gallery)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    pixels: int = 0


def sides(owner: Any, direction: str) -> tuple[Any, Any]:
    """(input, output) side of a data root or card."""
    return (owner.sar, owner.optical) if direction == "sar2opt" else (owner.optical, owner.sar)


def baseline_row(
    name: str, root: PairRoot, direction: str, target_bands: list[int], extractors: Sequence[Extractor] = ()
) -> Row:
    """An empty row for a baseline, which looks at all input bands."""
    source, target = sides(root, direction)
    quality = ImageQuality([target.bands[i] for i in target_bands], extractors)
    return Row(name, direction, list(range(len(source.bands))), target_bands, quality)


def model_row(
    card: Card, root: PairRoot, direction: str, extractors: Sequence[Extractor] = (), lpips: Lpips | None = None
) -> Row:
    """An empty row for a translator, with warnings about bands and units that are not those of the data.

    Raises:
        InputError: the data lack bands that the translator needs.
    """
    (source, target), wanted, given = sides(root, direction), card.source(direction), card.target(direction)
    warnings: list[str] = []
    inputs = _pick_bands(card.name, source.bands, wanted.bands, warnings)
    outputs = _pick_bands(card.name, target.bands, given.bands, warnings)
    if given.units != target.units:
        warnings.append(
            f"its output is in {given.units!r}, the truth in {target.units!r}: each is scaled by its own range, "
            "so the errors hold the difference of the scales as well"
        )
    quality = ImageQuality([target.bands[i] for i in outputs], extractors, lpips)
    return Row(card.name, direction, inputs, outputs, quality, warnings=warnings)


def _pick_bands(model: str, data: Sequence[str], wanted: Sequence[str], warnings: list[str]) -> list[int]:
    """By name, else in order where the numbers of bands agree."""
    have = [canonical_band(band) for band in data]
    want = [canonical_band(band) for band in wanted]
    if set(want) <= set(have):
        return [have.index(band) for band in want]
    if len(have) == len(want):
        warnings.append(f"it is made for the bands {', '.join(wanted)}, the data have {', '.join(data)}")
        return list(range(len(have)))
    raise InputError(model, f"is made for the bands {', '.join(wanted)}; the data have {', '.join(data)}")


def area_of(window: Window) -> tuple[slice, slice]:
    """Rows and columns of a window."""
    return slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)


def to_unit(values: NDArray[Any], like: Picture, source: str) -> NDArray[np.float32]:
    """`unit_range` whose error names `source`."""
    try:
        return unit_range(values, like.units, like.dtype)
    except ValueError as error:
        raise InputError(source, str(error)) from error


@dataclass(frozen=True)
class Output:
    """What a translator makes of a raster, in its own units, and the deviation of its samples where it is measured."""

    made: Picture
    deviation: NDArray[np.float32] | None


def measure_raster(
    models: Sequence[tuple[Model, Row]],
    baselines: Sequence[tuple[Baseline, Row]],
    pair: Pair,
    windows: Sequence[Window],
) -> None:
    """Translate a raster and add its tiles to the rows of one direction, whose target bands are the same.

    What metrics need of a true tile is computed once for all rows. The outputs of all models are held together.

    Raises:
        InputError: an output has another shape than the truth, or is not finite at valid pixels.
    """
    outputs = [_translate(model, row, pair, windows) for model, row in models]
    first = (*models, *baselines)[0][1]
    source, truth = pair.sides(first.direction)
    for window in windows:
        area = area_of(window)
        valid = pair.valid[area]
        given = to_unit(source.values[:, *area], source, pair.name)
        wanted = TileImage(to_unit(truth.values[:, *area][first.target_bands], truth, pair.name), valid)
        for (_, row), output in zip(models, outputs, strict=True):
            measure_model_tile(row, output, pair, window, given[row.source_bands], wanted)
        for baseline, row in baselines:
            measure_baseline_tile(baseline, row, given, wanted)


def _translate(model: Model, row: Row, pair: Pair, windows: Sequence[Window]) -> Output:
    source, truth = pair.sides(row.direction)
    whole = row.source_bands == list(range(len(source.bands)))
    values = source.values if whole else source.values[row.source_bands]
    both = pair.valid
    started = time.perf_counter()
    deviation = None
    if row.deviation is None:
        output = np.asarray(model.translate_array(values, units=source.units, valid=source.valid))
    else:
        wanted_samples = {"samples": row.deviation.samples, "seed": row.deviation.seed}
        sampler = cast("SamplingModel", model)
        output, deviation = sampler.sample_array(values, units=source.units, valid=source.valid, **wanted_samples)
    row.seconds += time.perf_counter() - started
    row.pixels += both.size
    expected = (len(row.target_bands), *both.shape)
    if output.shape != expected:
        raise InputError(row.name, f"gives {output.shape} for {pair.name}, not {expected} (bands, rows, columns)")
    if output.dtype.kind == "f" and not np.isfinite(output[:, both]).all():
        raise InputError(row.name, f"gives values that are not finite at valid pixels of {pair.name}")
    side = model.card.target(row.direction)
    made = Picture(output, both, side.units, tuple(side.bands), np.dtype(side.dtype))
    if row.judge is not None:
        named = replace(made, bands=tuple(truth.bands[i] for i in row.target_bands))
        row.judge.see_translated(row.name, named, pair, windows)
    return Output(made, deviation)


def measure_model_tile(
    row: Row, output: Output, pair: Pair, window: Window, given: NDArray[np.float32], wanted: TileImage
) -> None:
    """Add one tile of a translated raster to the row; `given` (C, h, w) is the input in [0, 1]."""
    source, truth = pair.sides(row.direction)
    area, made, valid = area_of(window), output.made, wanted.mask
    values = made.values[:, *area]
    out, true = to_unit(values, made, row.name), wanted.values
    tile = row.quality.add(out, given, wanted)
    if row.deviation is not None and output.deviation is not None:
        spread = _unit_deviation(values, output.deviation[:, *area], made, row.name)
        row.deviation.add(spread, np.abs(out - true), valid)
    if row.watchers:
        made_here = replace(made, values=values, valid=valid)
        true_here = replace(truth, values=truth.values[:, *area][row.target_bands], valid=valid)
        for watcher in row.watchers:
            watcher.see(row.name, Tile(pair, window, given, out, true, made_here, true_here, valid))
    if row.gallery.slot(tile["psnr"]):
        bands = [truth.bands[i] for i in row.target_bands]
        row.gallery.add(
            Shot(
                f"{pair.name}, row {window.row}, column {window.col}",
                tile["psnr"],
                as_rgb(given, [source.bands[i] for i in row.source_bands], _display_gain(source)),
                as_rgb(np.where(valid, out, 0.0), bands, _display_gain(made)),
                as_rgb(true, bands, _display_gain(truth)),
                heat(np.where(valid, np.abs(out - true).mean(0), 0.0)),
            )
        )


def _unit_deviation(
    output: NDArray[Any], deviation: NDArray[np.float32], like: Picture, source: str
) -> NDArray[np.float32]:
    """A deviation in [0, 1]: how far one deviation moves the output, up or down, whichever is more."""
    middle, low, high = (to_unit(output + sign * deviation, like, source) for sign in (0.0, -1.0, 1.0))
    return np.fmax(high - middle, middle - low)


def _display_gain(picture: Picture) -> float:
    """Reflectances rarely pass .3: they are shown, not measured, brighter."""
    return 10.0 / 3.0 if picture.dtype != np.uint8 and "10000" in picture.units else 1.0


def measure_baseline_tile(baseline: Baseline, row: Row, given: NDArray[np.float32], wanted: TileImage) -> None:
    """Predict one tile and add it to the row."""
    row.quality.add(baseline.predict(given, wanted.values, wanted.mask), given, wanted)
