"""The base of translators and segmenters: one engine for scenes, arrays and evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard, SeenCard
from saropt.domain import Role, encode_scene_inputs
from saropt.errors import InputError, OptionError
from saropt.files import check_not_input
from saropt.inference.clear_pixels import match_reference, open_clear_pixels, with_today
from saropt.inference.companions import Ground, dates_of, missing_inputs, open_companions, origin_in_words
from saropt.inference.earlier import WORK_TAG, find_outdated, take_over
from saropt.inference.engine import Run, TiledNetwork, run_tiles
from saropt.inference.familiarity import (
    lacks_as_in_training,
    other_pixel_size,
    other_scene_inputs,
    too_narrow,
    unlike_training,
    unread_month,
)
from saropt.inference.guard import OutputGuard
from saropt.inference.input_states import States, check_unchanged, states_of
from saropt.inference.masks import cloud_notes
from saropt.inference.opening import by_names, open_input, terrain_of, told_of_file
from saropt.inference.outputs import Destination, finish_all, product_path
from saropt.inference.products import Block, Product
from saropt.inference.reader import TileReader
from saropt.inference.requests import SceneResult, TranslateOptions, Units, check_scene_inputs
from saropt.inference.runtimes import Backend
from saropt.inference.sources import ArraySource, Source
from saropt.inference.told import tell
from saropt.progress import Progress, silent
from saropt.scenes import Georeference, Scene, SceneWriter, Window, read_scene_inputs
from saropt.scenes.georeference import check_ground
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.writing import check_space
from saropt.sensors.product_names import grd_product

Write = Callable[[Block], None]
MakeRun = Callable[[Backend], Run]
"""Gives the runs of a backend, such as `saropt.inference.engine.plain`."""


class SceneModel:
    """A loaded network that makes products of scenes, window by window.

    Args:
        path: the file.
        kind: "translator" or "segmenter", for errors and tags.
        inputs: the network's inputs, in the order of its bands.
        network: how it is tiled.
        backend: what runs it.

    Attributes:
        exact: whether any tiling gives the result of one pass over the whole scene; False for networks that see their
            whole window, whose windows are blended.
    """

    outputs: tuple[ImageCard, ...] = ()
    """What the network gives, in the order of its bands; empty where that is no image."""
    seen: SeenCard | None = None
    """What the scenes of the training looked like, where that is known."""
    seen_scene_inputs: Mapping[str, Sequence[float]] = MappingProxyType({})
    """Their months, latitudes and incidence angles, where they are known."""
    gsd_m: float | None = None
    """Size of their pixels in metres."""
    scene_inputs: tuple[str, ...] = ()
    """Numbers that describe the whole scene which the network takes (`saropt.domain.SCENE_INPUTS`)."""

    def __init__(
        self, path: Path, kind: str, inputs: Sequence[ImageCard], network: TiledNetwork, backend: Backend
    ) -> None:
        self.path, self.kind, self.inputs = path, kind, tuple(inputs)
        self.exact = network.receptive_field is not None
        self._network, self._backend = network, backend

    def read(
        self,
        sources: Source | Mapping[Role, Source],
        units: Units = None,
        places: Mapping[Role, Sequence[int]] | None = None,
        scene_inputs: Mapping[str, float] | None = None,
    ) -> TileReader:
        """The inputs of a scene, normalised, with the statistics that the network takes from it.

        Args:
            sources: the scene, or role -> source of all inputs; arrays whose bands have names are read by them.
            units: units of the scene, or role -> units; those of the card where they are not given.
            places: role -> positions of a source's bands in those of the card, where some are missing.
            scene_inputs: name -> value of those that are known.

        Raises:
            InputError: an input cannot be used, or a scene input is out of range or none of the network's.
        """
        known = self._checked(scene_inputs or {})
        first = self.inputs[0].role
        given = dict(sources) if isinstance(sources, Mapping) else {first: sources}
        for image in self.inputs:
            if (array := given.get(image.role)) is not None and image.role not in (places or {}):
                given[image.role] = by_names(image, array)
        stated = {first: units} if isinstance(units, str) else dict(units or {})
        constants = encode_scene_inputs(self.scene_inputs, known)
        reader = TileReader(self.inputs, given, stated, places, constants)
        if self.seen is not None and lacks_as_in_training(reader, self.seen):
            reader.estimate_no_bands()
        if self._backend.needs_samples:
            reader.frozen = self._backend.freeze(reader.spread_windows(self._network.stride))
        return reader

    def stream_products(
        self,
        reader: TileReader,
        products: Sequence[Product],
        run: MakeRun,
        write: Write,
        tile: int | None = None,
        progress: Progress = silent,
        completed: set[int] | None = None,
    ) -> float | None:
        """Run the network over a scene, in windows that do not depend on where the products go.

        Args:
            write: called in a writer thread with every finished part, in order.
            tile: side of the windows in pixels; the card's when None.
            completed: keys of the parts that need not be made.

        Returns:
            The seam, see `SceneResult`.
        """
        guard = OutputGuard(reader.source.source, self.kind)

        def put(row: int, col: int, network: NDArray, valid: NDArray, key: int | None) -> None:
            guard.look(network, valid)
            pixels = {product.name: product.pixels(network, valid) for product in products}
            write(Block(Window(row, col, *valid.shape), pixels, valid, key))

        made = run(reader.frozen or self._backend)
        seam = run_tiles(self._network, reader, made, tile, put, progress, completed or set())
        guard.finish()
        return seam

    def open_first(self, scene: str | Path, options: TranslateOptions) -> Scene:
        """The scene with the bands of the first input.

        Raises:
            InputError: it cannot be read, lies nowhere on Earth, or its bands are not those of the card.
            OptionError: the options give or ask for scene inputs that the network does not take.
        """
        self._checked(options.given_scene_inputs)
        if options.read_scene_inputs and not self.scene_inputs:
            raise OptionError(
                "read_scene_inputs", True, f"{self.path.name} takes no month, latitude or incidence angle"
            )
        units = options.units if isinstance(options.units, str) else None
        first, chosen, terrain = self.inputs[0], options.bands, terrain_of(options)
        if terrain is not None and grd_product(scene) is None:
            raise OptionError("dem", terrain.path, "flattens Sentinel-1 products; other scenes keep their own grid")
        opened = open_input(
            scene,
            chosen,
            first,
            self.kind,
            units=units,
            nodata=options.nodata,
            pixel_m=options.pixel,
            terrain=terrain,
        )
        try:
            check_ground(opened.georeference, opened.height, opened.width, opened.source, self.gsd_m)
        except InputError:
            opened.close()
            raise
        return opened

    def write_products(
        self,
        scene: str | Path,
        out: str | Path,
        products: Sequence[Product],
        run: MakeRun,
        options: TranslateOptions,
        tags: Mapping[str, str],
        progress: Progress = silent,
        key: Sequence[object] | None = None,
    ) -> SceneResult:
        """Write the products of a scene as cloud-optimised GeoTIFFs on its grid: all of them, or none.

        Args:
            key: settings that determine the pixels, beside the scene's and the file's; without them the run cannot be
                resumed.

        Raises:
            InputError: the scene or an output cannot be used; nothing is left under the outputs' names.
        """
        places = _destinations(out, products, options)
        for place in places:
            check_not_input(place.place, (scene, *(path for _, path in options.files), self.path))
        with ExitStack() as stack:
            source = stack.enter_context(self.open_first(scene, options))
            states = states_of(source, options, local=key is None)
            ground = Ground(source)
            sources = open_companions(stack, options, self.inputs, ground, self.kind)
            clear, matched = None, {}
            if options.keep_clear is not None:
                clear = open_clear_pixels(stack, options, self.outputs[0], ground)
                products = with_today(products)
                matched = clear.tags | match_reference(sources, self.inputs, options.units, clear)
            for place in places:
                check_space(place.path, source.width * source.height * sum(one.pixel_bytes for one in products))
            scene_inputs = self._scene_inputs(source, options)
            reader = self.read(sources, options.units, scene_inputs=scene_inputs)
            common = {**self._common_tags(source, options, key, scene_inputs), **tags, **matched}
            common |= dates_of(sources, reader.ignored)
            resume_key = None if key is None else self._resume_key(source, options, key, scene_inputs, states)
            if resume_key is not None:
                common[WORK_TAG] = resume_key
            if options.resume and not options.overwrite:
                take_over({one.name: place for one, place in zip(products, places, strict=True)}, resume_key)
            if unlike := self._unlike(reader, source, options):
                common["SAROPT_WARNING"] = "; ".join(unlike)
            writers = {
                product.name: stack.enter_context(_writer(product, place, source, common, options.resume, resume_key))
                for product, place in zip(products, places, strict=True)
            }

            def write(block: Block) -> None:
                if clear is not None:
                    clear.keep(block)
                for name, pixels in block.products.items():
                    writers[name].write(block.window.row, block.window.col, pixels, block.key)

            completed = set.intersection(*(writer.completed for writer in writers.values()))
            seam = self.stream_products(reader, products, run, write, options.tile, progress, completed)
            check_unchanged(states, source, options)
            made = [place.place for place in places]
            outdated = find_outdated(out, made, options.sources_of(scene)) if options.overwrite else []
            finish_all(list(writers.values()), places)
            for path in outdated:
                path.unlink(missing_ok=True)
            told = [*unlike, *reader.notes, *cloud_notes(options), *ground.notes, *missing_inputs(self.inputs, sources)]
            told += [f"{path}: was of the earlier image and is removed" for path in outdated]
        written = {product.name: place.place for product, place in zip(products, places, strict=True)}
        return SceneResult(written, seam, (*told, *([] if clear is None else clear.warnings)), tuple(reader.ignored))

    def array_products(
        self,
        source: ArraySource,
        products: Sequence[Product],
        run: MakeRun,
        units: Units = None,
        scene_inputs: Mapping[str, float] | None = None,
    ) -> dict[str, NDArray]:
        """Products of an array as arrays (B, H, W) by name; the pixels that a scene of these values gets. What `run`
        would tell of the values and of missing inputs is a `SceneWarning`.

        Raises:
            InputError: wrong band count, names that are not the card's, no valid pixel, or values that contradict
                their units.
        """
        first = self.inputs[0]
        bands = len(first.bands)
        if len(source.values) != bands and not (first.partial and source.band_names):
            raise InputError(source.source, f"must be ({bands}, height, width), is {source.values.shape}")
        made = {p.name: np.full((len(p.bands), source.height, source.width), p.nodata, p.dtype) for p in products}

        def write(block: Block) -> None:
            w = block.window
            for name, pixels in block.products.items():
                made[name][:, w.row : w.row + w.height, w.col : w.col + w.width] = pixels

        reader = self.read(source, units, scene_inputs=scene_inputs)
        self.stream_products(reader, products, run, write)
        missing = missing_inputs(self.inputs, {first.role: source})
        tell([*self._unlike_network(reader, scene_inputs or {}), *reader.notes, *missing])
        return made

    def _checked(self, given: Mapping[str, float]) -> Mapping[str, float]:
        for name, value in given.items():
            if name not in self.scene_inputs:
                taken = (
                    f"takes {' and '.join(self.scene_inputs)} only" if self.scene_inputs else "takes no scene inputs"
                )
                raise OptionError(name, f"{value:g}", f"{self.path.name} {taken}")
        check_scene_inputs(given)
        return given

    def _scene_inputs(self, scene: Scene, options: TranslateOptions) -> dict[str, float]:
        """Those that the options give and, where they ask for it, those that the scene tells of."""
        read = read_scene_inputs(scene) if options.read_scene_inputs else {}
        known = {**read, **options.given_scene_inputs}
        return {name: value for name, value in known.items() if name in self.scene_inputs}

    def _unlike(self, reader: TileReader, scene: Scene, options: TranslateOptions) -> list[str]:
        """Why a picture of a scene may be poor, a line each: it is narrow, unlike the training data, or something of
        its file is taken for granted."""
        known = {**read_scene_inputs(scene), **options.given_scene_inputs} if self.seen_scene_inputs else {}
        first = self.inputs[0]
        told = told_of_file(first, scene, chosen=bool(options.bands))
        undated = unread_month(scene) if options.read_scene_inputs and options.month is None else None
        unlike = self._unlike_network(reader, known, scene.georeference)
        return [*told, *unlike, *([] if undated is None else [undated])]

    def _unlike_network(
        self, reader: TileReader, known: Mapping[str, float], place: Georeference | None = None
    ) -> list[str]:
        """The lines of `_unlike` that rest on the pixels, on where they lie and on what is known of the scene."""
        size = reader.height, reader.width
        narrow = too_narrow(*size, self._network.receptive_field or self._network.tile)
        found = None if self.seen is None else unlike_training(reader, self.seen)
        pixel = None if self.gsd_m is None or place is None else other_pixel_size(place, *size, self.gsd_m)
        lines = (narrow, found, pixel, other_scene_inputs(known, self.seen_scene_inputs))
        return [line for line in lines if line is not None]

    def _common_tags(
        self, scene: Scene, options: TranslateOptions, key: Sequence[object] | None, scene_inputs: Mapping[str, float]
    ) -> dict[str, str]:
        """The tags of all products of a run that is told these scene inputs."""
        run = [scene.path.name, self._file_hash, options.units, options.bands, *(key or ()), *scene_inputs.items()]
        tags = tags_for_output(scene) | {
            "SAROPT_VERSION": version("saropt"),
            "SAROPT_SOURCE": scene.path.name,
            "SAROPT_RUN": _digest(run),
        }
        if scene_inputs:
            tags["SAROPT_SCENE_INPUTS"] = ", ".join(f"{name}={value:g}" for name, value in scene_inputs.items())
        return tags

    def _resume_key(
        self,
        scene: Scene,
        options: TranslateOptions,
        key: Sequence[object],
        scene_inputs: Mapping[str, float],
        states: States | None = None,
    ) -> str:
        """A hash of all that determines the pixels; `states` are those of the rasters, where they are known already."""
        parts: list[object] = [*scene.band_names, options.units or self.inputs[0].units, options.tile, options.nodata]
        parts += [
            part for (name, _), state in (states or states_of(scene, options)).items() for part in (name, state) if part
        ]
        parts += [self._file_hash, self._backend.name, *key]
        parts += scene_inputs.items()
        return _digest(parts)

    @cached_property
    def _file_hash(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def _destinations(out: str | Path, products: Sequence[Product], options: TranslateOptions) -> list[Destination]:
    """Where each product goes; what a resumed run finds there is looked at later (`take_over`)."""
    replaces = options.overwrite or options.resume
    places = [out, *(product_path(out, one.suffix) for one in products[1:])]
    return [Destination(place, options.staging, replaces) for place in places]


def _writer(
    product: Product,
    place: Destination,
    source: Scene,
    tags: Mapping[str, str],
    resume: bool,
    resume_key: str | None,
) -> SceneWriter:
    """The writer of a product of a scene; `tags` are those of all products."""
    return SceneWriter(
        place.path,
        width=source.width,
        height=source.height,
        band_names=product.bands,
        dtype=product.dtype,
        nodata=product.nodata,
        georeference=source.georeference,
        tags={**tags, "SAROPT_PRODUCT": product.name, **product.tags, **origin_in_words(product, tags)},
        overwrite=place.overwrite,
        resume=resume,
        resume_key=resume_key,
        photometric=product.photometric,
        overview_resampling=product.overview_resampling,
    )


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
