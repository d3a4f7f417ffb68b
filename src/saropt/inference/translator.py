"""`Translator`: a translator file, loaded and ready for arrays and whole scenes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card, ImageCard
from saropt.domain import Direction, Role, is_sar
from saropt.errors import InputError, OptionError
from saropt.inference.any_arrays import translate_any
from saropt.inference.bundled import held_directions, translator_file, warnings_of
from saropt.inference.earlier import Earlier, find_earlier
from saropt.inference.engine import Run, plain
from saropt.inference.hub import Pretrained
from saropt.inference.outputs import product_path
from saropt.inference.products import Product, deviation_product, image_product
from saropt.inference.reader import TileReader
from saropt.inference.reliability import check_reliability, reliability_product, uncalibrated, with_errors
from saropt.inference.requests import LoadOptions, SceneResult, TranslateOptions, Units
from saropt.inference.runtimes import Backend, open_backend
from saropt.inference.sampling import Sampling, check_speckle, mean_and_deviation, single_sample, speckled
from saropt.inference.scene_model import SceneModel, Write
from saropt.inference.sources import ArraySource, Source
from saropt.inference.stac_item import check_item, write_item
from saropt.inference.told import tell, told_once
from saropt.progress import Progress, silent

NOTICE = "A model's guess, not a measurement"


class Translator(SceneModel, Pretrained):
    """A loaded translator file, one direction of it. Use `Translator.load`. Several threads may use one at once.

    Attributes:
        card: the file's card.
        direction: the direction of translation.
        path: the file.
        exact: whether any tiling gives the result of one pass over the whole scene.
        sampler: how it draws samples; None where it has one output only.
        realism: blend of the file's two ends; None where it holds one.
        speckle: looks of the speckle that is laid on a SAR image; None for none.
        reliability: how the half-widths were calibrated that its runs write; None where they write none.

    >>> translator = Translator.load("s1-losangeles")
    >>> translator.direction.in_words, translator.exact
    ('SAR to optical', True)
    >>> translator
    <Translator s1-losangeles: VH in amplitude -> B4, B3, B2 in uint8, 10 m, realism 0.75, onnx fp32>
    >>> amplitude = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    >>> translator(amplitude).shape
    (3, 64, 64)
    """

    def __init__(
        self,
        path: Path,
        card: Card,
        direction: Direction,
        backend: Backend,
        options: LoadOptions,
    ) -> None:
        described = card.directions[direction]
        self.realism = card.realism if options.realism is None else options.realism
        self.reliability = check_reliability(path, described, self.realism) if options.reliability else None
        tiled = with_errors(described) if options.reliability else described
        super().__init__(path, "translator", described.inputs, tiled, backend)
        self.card = card
        self.gsd_m = card.gsd_m
        self.seen = card.seen_by(direction)
        self.seen_scene_inputs = card.training.scene_inputs
        self.direction = direction
        self.outputs = described.outputs
        self.scene_inputs = described.scene_inputs
        self.sampler = described.sampler
        self.speckle = options.speckle
        if self.speckle is not None:
            check_speckle(self.speckle, card.name, described, self.reliability is not None)
        self._loaded: tuple[LoadOptions, int | None] | None = None

    def __repr__(self) -> str:
        taken = "; ".join(f"{', '.join(image.bands)} in {image.units}" for image in self.inputs)
        given = f"{', '.join(self.target.bands)} in {self.target.units}"
        blend = "" if self.realism is None else f", realism {self.realism:g}"
        name, pixel = self.card.name, f"{self.card.gsd_m:g} m"
        return f"<Translator {name}: {taken} -> {given}, {pixel}{blend}, {self._backend.name}>"

    def __reduce__(self) -> tuple[Callable[..., Translator], tuple[object, ...]]:
        """A pickled or copied translator is loaded anew from its file, which must be there."""
        if self._loaded is None:
            raise TypeError("only translators of Translator.load can be pickled")
        return _load_again, (type(self), str(self.path), *self._loaded)

    @classmethod
    def load(
        cls, model: str | Path, options: LoadOptions | None = None, *, threads: int | None = None, **changes: Any
    ) -> Self:
        """Load a bundled translator by name, a file by path, or the translator of a run folder.

        Args:
            options: how; the defaults of `LoadOptions` when None.
            threads: CPU threads of the network; all when None.
            changes: fields of `LoadOptions` by keyword, in place of `options`: `backend="openvino"`.

        Raises:
            InputError: no such translator, a file that cannot be used, or an option it does not support.
            MissingExtraError: torch or OpenVINO is needed and not installed.
        """
        options = options or LoadOptions(**changes)
        path = translator_file(model, options)
        card, direction, backend = open_backend(path, options, threads)
        if options.realism is not None and card.realism is None:
            raise InputError(path, "holds one set of weights: it has no realism to choose")
        made = cls(path, card, direction, backend, options)
        made._loaded = options, threads
        return made

    @classmethod
    def load_all(cls, model: str | Path, **options: Any) -> list[Self]:
        """Every direction that a translator holds, each as a `Translator`.

        Args:
            options: fields of `LoadOptions`; `speckle` is for the directions that make SAR images.

        Raises:
            InputError: as for `load`; also where speckle is asked for and no direction makes SAR images.
        """
        directions = held_directions(model)
        others = {**options, "speckle": None} if any(is_sar(one.output) for one in directions) else options
        return [cls.load(model, direction=one, **(options if is_sar(one.output) else others)) for one in directions]

    @property
    def source(self) -> ImageCard:
        """The first input, on whose grid the output lies."""
        return self.inputs[0]

    @property
    def target(self) -> ImageCard:
        """The output image."""
        return self.outputs[0]

    def translate(
        self, scene: str | Path, out: str | Path, *, progress: Progress | None = None, **options: Any
    ) -> Path | str:
        """Translate a raster file into a cloud-optimised GeoTIFF on the same grid. The warnings of the run are
        `saropt.errors.SceneWarning`.

        Args:
            scene: the input raster, any size; a path or an address (`saropt.scenes.open_scene`).
            out: the output, .tif; a path, or an address (s3://, gs://, az://) that gets it in one piece.
            progress: called with (done, total, what) after every tile.
            options: fields of `TranslateOptions` by keyword: `units="sigma0_db"`.

        Returns:
            The output's path, or its address; `run` tells more.

        Raises:
            InputError: as for `run`.
        """
        result = self.run(scene, out, TranslateOptions(**options), progress or silent)
        tell(result.warnings)
        return result.path

    def run(
        self,
        scene: str | Path,
        out: str | Path,
        options: TranslateOptions | None = None,
        progress: Progress = silent,
    ) -> SceneResult:
        """Translate a raster file; write the image and, beside it, the other products.

        Args:
            scene, out: as of `translate`.
            options: how; the defaults of `TranslateOptions` when None.
            progress: called after every tile.

        Raises:
            InputError: the scene or the output cannot be used, or the translator draws no samples and they are asked
                for; nothing is left under the outputs' names. What could not be uploaded stays in the staging folder.
        """
        options = options or TranslateOptions()
        sampling = self._sampling(options.samples, options.seed)
        if options.stac:
            with self.open_first(scene, options) as source:
                check_item(source, out, options.overwrite, options.resume)
        key, products, run = self._key(sampling), self.products(sampling), partial(self._run, sampling)
        result = self.write_products(scene, out, products, run, options, self._tags(sampling), progress, key)
        if options.stac:
            write_item(result.products, options.sources_of(scene))
        used = options.all_inputs.keys() - result.ignored
        notes = self._notes(used, bool(options.given_scene_inputs) or options.read_scene_inputs)
        result = replace(result, warnings=(*notes, *result.warnings))
        return replace(result, seam=None) if sampling is not None and sampling.samples > 1 else result

    def _notes(self, further: Collection[Role], told: bool) -> list[str]:
        """What a run tells of the translator itself, given these inputs beside the first, and scene inputs or none."""
        notes = warnings_of(self.path, self.card.directions[self.direction])
        if self.reliability is not None:
            notes += uncalibrated(self.reliability, {self.source.role, *further})
            notes += ["the half-widths were calibrated for scenes of which nothing is known"] if told else []
        return notes

    def look(self, scene: str | Path, out: str | Path, options: TranslateOptions) -> Earlier:
        """What is there of all that `run` makes of this scene with these options.

        Raises:
            InputError: the scene or a product cannot be read.
        """
        sampling = self._sampling(options.samples, options.seed)
        products = {one.name: product_path(out, one.suffix) for one in self.products(sampling)}
        with self.open_first(scene, options) as source:
            told = self._scene_inputs(source, options)
            return find_earlier(products, self._resume_key(source, options, self._key(sampling), told))

    def _key(self, sampling: Sampling | None) -> list[object]:
        further = [one for one in (self.reliability, self.speckle) if one is not None]
        return [self.direction, self.realism, sampling, self.sampler, *further]

    def stream(
        self,
        sources: Source | Mapping[Role, Source] | TileReader,
        write: Write,
        *,
        units: Units = None,
        places: Mapping[Role, Sequence[int]] | None = None,
        samples: int | None = None,
        seed: int | None = None,
        tile: int | None = None,
        scene_inputs: Mapping[str, float] | None = None,
        progress: Progress = silent,
    ) -> float | None:
        """Translate opened sources tile by tile, with the pixels that `translate` writes.

        Args:
            sources: the scene, or role -> source of all inputs; rasters, arrays or anything that is read like them. Or
                what `read` makes of them, to which nothing is added.
            write: called in a writer thread with every finished `Block`, in order.
            units, places, scene_inputs: as of `read`.
            samples, seed, tile: as of `TranslateOptions`.

        Returns:
            The seam, see `SceneResult`.

        Raises:
            InputError: an input cannot be used, there are no samples, or units come with what `read` made.
        """
        sampling = self._sampling(samples, seed)
        if isinstance(sources, TileReader) and (units or places or scene_inputs):
            raise InputError(sources.source.source, "units, places and scene_inputs belong to `read`, which made these")
        reader = sources if isinstance(sources, TileReader) else self.read(sources, units, places, scene_inputs)
        run = partial(self._run, sampling)
        return self.stream_products(reader, self.products(sampling), run, write, tile, progress)

    def translate_array(
        self,
        values: NDArray,
        *,
        units: str | None = None,
        dtype: str | None = None,
        valid: NDArray[np.bool_] | None = None,
        bands: Sequence[str] | None = None,
        seed: int | None = None,
        scene_inputs: Mapping[str, float] | None = None,
    ) -> NDArray:
        """Translate an array as a scene of the same values is translated; samplers draw one sample.

        Args:
            values: (C, H, W) in `units`, bands in the card's order unless `bands` names them.
            units: units of the values; those of the card when None.
            dtype: the stored type that the values come from; the array's own when None.
            valid: (H, W); everything is valid when None.
            bands: names of the array's bands, each one of the card's; some may be missing where it takes some.
            seed: of a sampler's noise; 0 when None.
            scene_inputs: name -> value of those that are known: `{"month": 7}`.

        Returns:
            (C', H, W) in the output's units and type; 0 (integers) or NaN where invalid. What `run` would tell of the
            values is a `saropt.errors.SceneWarning`.

        Raises:
            InputError: wrong band count or names, no valid pixel, or values that contradict their units.
        """
        sampling = self._sampling(None, seed)
        source = ArraySource(values, valid, dtype, bands=bands)
        return self._arrays(source, units, sampling, scene_inputs)["image"]

    def sample_array(
        self,
        values: NDArray,
        *,
        samples: int,
        seed: int = 0,
        units: str | None = None,
        dtype: str | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray, NDArray[np.float32]]:
        """Mean, as `translate_array` gives one sample, and standard deviation (C', H, W) of at least two samples.

        Raises:
            InputError: as for `translate_array`, or the translator draws no samples.
        """
        if samples < 2:
            raise OptionError("samples", samples, "a deviation needs at least 2")
        made = self._arrays(ArraySource(values, valid, dtype), units, self._sampling(samples, seed))
        return made["image"], made["deviation"]

    def _arrays(
        self,
        source: ArraySource,
        units: str | None,
        sampling: Sampling | None,
        scene_inputs: Mapping[str, float] | None = None,
    ) -> dict[str, NDArray]:
        with told_once():
            tell(self._notes((), bool(scene_inputs)))
            run = partial(self._run, sampling)
            return self.array_products(source, self.products(sampling), run, units, scene_inputs)

    def __call__(self, values: Any, *, units: str | None = None) -> Any:
        """Translate an array or tensor (C, H, W) or (N, C, H, W); the result is of the same kind and rank.

        An `xarray.DataArray` keeps its coordinates and CRS (`saropt.inference.any_arrays`).
        """
        return translate_any(self, values, units)

    def products(self, sampling: Sampling | None = None) -> list[Product]:
        """What a run writes: the image first, then the card's other outputs, the reliability where it was asked for
        and the standard deviation of several samples."""
        several = sampling is not None and sampling.samples > 1
        made: list[Product] = []
        start = 0
        for name, group in groupby(self.outputs, key=lambda image: image.product):
            made.append(image_product(name, list(group), start, in_units=several))
            start += len(made[-1].bands)
        if self.reliability is not None:
            made.append(reliability_product(self.outputs, self.reliability))
        if sampling is not None and several:
            made.append(deviation_product(self.target.bands, sampling.samples))
        return made

    def _sampling(self, samples: int | None, seed: int | None) -> Sampling | None:
        """What to draw, None where the translator draws nothing.

        Raises:
            OptionError: something is asked for that it does not do.
        """
        if self.speckle is not None and samples in (None, 1):
            return Sampling(seed=seed or 0)
        if self.sampler is None:
            for name, value in (("samples", samples), ("seed", seed)):
                if value is not None:
                    raise OptionError(name, value, f"{self.card.name} has one output only: it draws no samples")
            return None
        return Sampling(samples or 1, seed or 0)

    def _run(self, sampling: Sampling | None, backend: Backend) -> Run:
        if sampling is not None and self.speckle is not None:
            return speckled(plain(backend), self.target, self.speckle, sampling.seed)
        if sampling is None or self.sampler is None:
            return plain(backend)
        if sampling.samples == 1:
            return single_sample(backend, self.sampler, sampling.seed)
        return mean_and_deviation(backend, self.sampler, sampling, self.target.normaliser().inverse)

    @property
    def tags(self) -> dict[str, str]:
        """What every output says of the translator."""
        return self._tags(None)

    def _tags(self, sampling: Sampling | None) -> dict[str, str]:
        tags = {
            "SAROPT_NOTICE": NOTICE,
            "SAROPT_TRANSLATOR": self.card.name,
            "SAROPT_TRANSLATOR_SHA256": self._file_hash,
            "SAROPT_DIRECTION": str(self.direction),
        }
        if self.realism is not None:
            tags["SAROPT_REALISM"] = f"{self.realism:g}"
        if sampling is not None and self.speckle is not None:
            tags |= {"SAROPT_SPECKLE_LOOKS": f"{self.speckle:g}", "SAROPT_SEED": str(sampling.seed)}
        if sampling is not None and self.sampler is not None:
            drawn = {"SAMPLES": sampling.samples, "SEED": sampling.seed, "STEPS": self.sampler.steps}
            tags |= {f"SAROPT_{key}": str(value) for key, value in drawn.items()}
        if self.card.training.attribution:
            tags["SAROPT_ATTRIBUTION"] = self.card.training.attribution
        return tags


def _load_again(kind: type[Translator], path: str, options: LoadOptions, threads: int | None) -> Translator:
    return kind.load(path, options, threads=threads)
