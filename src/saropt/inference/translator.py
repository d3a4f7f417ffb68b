"""`Translator`: a translator file, loaded and ready for arrays and whole scenes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card, ImageCard
from saropt.domain import Direction
from saropt.errors import InputError
from saropt.inference.bundled import held_directions, translator_file
from saropt.inference.engine import Progress, Put, Source, TileReader, plain, run_tiles
from saropt.inference.freezing import freezing_windows
from saropt.inference.inputs import ArraySource, check_array, fit_input, open_input, scene_tags
from saropt.inference.outputs import Destination, deviation_path, finish_all, store
from saropt.inference.runtimes import Backend, open_backend
from saropt.inference.sampling import Sampling, mean_and_deviation, single_sample
from saropt.inference.whole import translate_whole
from saropt.radiometry import Normaliser
from saropt.scenes import Scene, SceneWriter

NOTICE = "A model's guess, not a measurement"


class Translator:
    """A loaded translator file, one direction of it.

    Use `Translator.load`. Attributes: `card`, `direction`, `path`, `exact` (whether any tiling gives the result of one
    pass over the whole scene; False for networks that see the whole window, whose windows are blended), `seam` (after
    a blended translation of one sample: mean absolute difference of neighbouring windows where they overlap, in [-1, 1]
    units), `sampler` (how it draws samples; None where it has one output only).
    """

    def __init__(self, path: Path, card: Card, direction: Direction, backend: Backend, realism: float | None) -> None:
        self.path = path
        self.card = card
        self.direction: Direction = direction
        self.realism = card.realism if realism is None else realism
        self._backend = backend
        self._network = card.directions[direction]
        self.exact = self._network.receptive_field is not None
        self.sampler = self._network.sampler
        self.seam: float | None = None

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        direction: Direction | None = None,
        backend: str = "auto",
        precision: str = "fp32",
        device: str = "auto",
        realism: float | None = None,
        threads: int | None = None,
        steps: int | None = None,
        compile: bool = False,
    ) -> Translator:
        """Load a bundled translator by name, a file by path, or the translator of a run folder.

        Args:
            direction: needed for files that translate both ways.
            backend: "onnx" or "openvino" (.onnx files), "torch" (.safetensors), or "auto": onnx or torch by the file.
            precision: "fp32", or "bf16" with openvino and torch.
            device: "cpu", "cuda" or "auto".
            realism: blend of the file's two ends, 0 (closest to the truth on average) to 1 (sharpest, partly
                invented); the card's value when None.
            threads: CPU threads of the network; all when None.
            steps: of a sampler; the card's when None.
            compile: have torch.compile make code for the network (backend torch): a minute or less before the first
                window, then up to four times as fast. Results differ by rounding.

        Raises:
            InputError: no such translator, a file that cannot be used, or an option it does not support.
            MissingExtraError: torch or OpenVINO is needed and not installed.
        """
        direction = None if direction is None else Direction.parse(direction)
        path = translator_file(model, direction=direction, backend=backend, steps=steps, compile=compile)
        if realism is not None and not 0.0 <= realism <= 1.0:
            raise InputError(f"--realism {realism}", "must lie between 0 and 1")
        card, direction, loaded = open_backend(
            path, direction, backend, precision, device, realism, threads, steps, compile
        )
        if realism is not None and card.realism is None:
            raise InputError(path, "holds one set of weights: it has no realism to choose")
        return cls(path, card, direction, loaded, realism)

    @classmethod
    def load_all(cls, model: str | Path, **options: Any) -> list[Translator]:
        """Every direction that a translator holds, each as a `Translator`; `options` are those of `load`.

        Raises:
            InputError, MissingExtraError: as for `load`.
        """
        return [cls.load(model, direction=direction, **options) for direction in held_directions(model)]

    @property
    def source(self) -> ImageCard:
        """The input side."""
        return self.card.source(self.direction)

    @property
    def target(self) -> ImageCard:
        """The output side."""
        return self.card.target(self.direction)

    def translate(
        self,
        scene: str | Path,
        out: str | Path,
        *,
        bands: Sequence[str | int] | None = None,
        units: str | None = None,
        tile: int | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
        samples: int | None = None,
        seed: int | None = None,
        staging: str | Path | None = None,
    ) -> Path | str:
        """Translate a raster file into a cloud-optimised GeoTIFF on the same grid.

        Args:
            scene: the input raster, any size; a path or an address (`saropt.scenes.open_scene`).
            out: the output, .tif; a path, or an address (s3://, gs://, az://) that gets it in one piece.
            bands: input bands by name or 1-based number; by the card's names, or all, when None.
            units: units of the input; those of the card when None.
            tile: side of the windows in pixels; the card's when None.
            resume: go on with an interrupted translation of the same scene with the same settings.
            overwrite: replace an existing output.
            progress: called with (done, total, what) after every tile.
            samples: of translators that draw samples, how many; of more than one the output holds the mean, and
                a second raster beside it (`deviation_path`) their standard deviation per pixel. One when None.
            seed: of the noise of the samples; the same seed gives the same picture, however the scene is cut. 0 when
                None.
            staging: folder where an output for an address is made; one in the temporary folder when None.

        Returns:
            The output's path, or its address.

        Raises:
            InputError: the scene or the output cannot be used, or the translator draws no samples and they are asked
                for; nothing is left under the output's name. What could not be uploaded is kept in `staging`.
        """
        if tile is not None and tile < 1:
            raise InputError(f"--tile {tile}", "must be positive")
        sampling = self._sampling(samples, seed)
        places = [Destination(out, staging, overwrite)]
        if sampling is not None and sampling.samples > 1:
            # of an upload that stopped between the two, the deviation is there already
            places.append(Destination(deviation_path(out), staging, overwrite or resume))
        report = progress or (lambda done, total, what: None)
        with open_input(scene, bands, self.source, "translator") as source, ExitStack() as writers:
            units = units or self.source.units
            sample = source.sample()
            reader = self._reader(source, sample, units, source.dtype, source.source)
            target, tags = self.target, self._tags(source, sampling)
            nodata = 0 if np.dtype(target.dtype).kind == "u" else math.nan
            common: dict[str, Any] = {
                "width": source.width,
                "height": source.height,
                "band_names": target.bands,
                "georeference": source.georeference,
                "overwrite": places[0].overwrite,
                "resume": resume,
                "resume_key": self._resume_key(source, sample, units, tile, sampling),
            }
            rgb = self.direction == "sar2opt" and len(target.bands) == 3
            writer = writers.enter_context(
                SceneWriter(
                    places[0].path,
                    dtype=target.dtype,
                    nodata=nodata,
                    tags=tags,
                    photometric="rgb" if rgb else None,
                    **common,
                )
            )
            outputs = [(writer, target.dtype, nodata)]
            if sampling is not None and sampling.samples > 1:
                tags = {**tags, "SAROPT_CONTENT": f"standard deviation of {sampling.samples} samples"}
                deviation = SceneWriter(places[1].path, dtype="float32", nodata=math.nan, tags=tags, **common)
                outputs.append((writers.enter_context(deviation), "float32", math.nan))
            to_output = self._to_output(sampling)

            def put(row: int, col: int, network: NDArray, valid: NDArray, key: int) -> None:
                if valid.any():
                    parts = np.split(to_output(network), len(outputs))
                else:
                    parts = [np.zeros((len(target.bands), *valid.shape), np.float32)] * len(outputs)
                for (into, dtype, missing), values in zip(outputs, parts, strict=True):
                    pixels = store(values, dtype)
                    if not valid.all():
                        pixels[:, ~valid] = missing
                    into.write(row, col, pixels, key)

            completed = set.intersection(*(into.completed for into, *_ in outputs))
            self._run(reader, sampling, tile, put, report, completed)
            return finish_all([into for into, *_ in outputs], places)

    def translate_array(
        self,
        values: NDArray,
        *,
        units: str | None = None,
        dtype: str | None = None,
        valid: NDArray[np.bool_] | None = None,
        seed: int | None = None,
    ) -> NDArray:
        """Translate an array in one piece; samplers draw one sample.

        Args:
            values: (C, H, W) in `units`, bands in the card's order.
            units: units of the values; those of the card when None.
            dtype: the stored type that the values come from; the array's own when None.
            valid: (H, W); everything is valid when None.
            seed: of a sampler's noise; 0 when None.

        Returns:
            (C', H, W) in the output side's units and type; 0 (integers) or NaN where invalid.

        Raises:
            InputError: wrong band count, no valid pixel, or values that contradict their units.
        """
        if self.sampler is not None or seed is not None:
            return self._draw(values, self._sampling(None, seed), units, dtype, valid)[0]
        values, keep = check_array(values, len(self.source.bands), valid)
        units = units or self.source.units
        normaliser, fill = self._normaliser(values[:, keep], units, dtype or values.dtype.name, "array")
        network = normaliser.forward(np.where(keep, values, 0))
        network[:, ~keep] = fill[:, None]
        output = self._whole(np.ascontiguousarray(network))
        return self._stored(self._inverse().inverse(output), keep)

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
            raise InputError(f"--samples {samples}", "a deviation needs at least 2")
        mean, deviation = self._draw(values, self._sampling(samples, seed), units, dtype, valid)
        return mean, deviation

    def _draw(
        self,
        values: NDArray,
        sampling: Sampling | None,
        units: str | None,
        dtype: str | None,
        valid: NDArray[np.bool_] | None,
    ) -> list[NDArray]:
        values, keep = check_array(values, len(self.source.bands), valid)
        source = ArraySource(np.where(keep, values, 0), keep)
        sample_of = values[:, keep]
        reader = self._reader(source, sample_of, units or self.source.units, dtype or values.dtype.name, "array")
        parts = 1 if sampling is None or sampling.samples == 1 else 2
        result = np.zeros((parts * len(self.target.bands), *keep.shape), np.float32)
        to_output = self._to_output(sampling)

        def put(row: int, col: int, network: NDArray, inside: NDArray, key: int) -> None:
            if inside.any():
                result[:, row : row + inside.shape[0], col : col + inside.shape[1]] = to_output(network)

        self._run(reader, sampling, None, put, lambda done, total, what: None, set())
        mean, *deviation = np.split(result, parts)
        return [self._stored(mean, keep), *(np.where(keep, part, np.float32(np.nan)) for part in deviation)]

    def _stored(self, values: NDArray[np.float32], keep: NDArray[np.bool_]) -> NDArray:
        pixels = store(values, self.target.dtype)
        pixels[:, ~keep] = 0 if pixels.dtype.kind == "u" else math.nan
        return pixels

    def _sampling(self, samples: int | None, seed: int | None) -> Sampling | None:
        """What to draw, None where the translator draws nothing.

        Raises:
            InputError: something is asked for that it does not do.
        """
        if self.sampler is None:
            for option, value in (("--samples", samples), ("--seed", seed)):
                if value is not None:
                    raise InputError(f"{option} {value}", f"{self.card.name} has one output only: it draws no samples")
            return None
        if samples is not None and samples < 1:
            raise InputError(f"--samples {samples}", "must be positive")
        return Sampling(samples or 1, seed or 0)

    def __call__(self, values: Any, *, units: str | None = None) -> Any:
        """Translate an array or tensor (C, H, W) or (N, C, H, W); the result is of the same kind and rank."""
        is_tensor = not isinstance(values, np.ndarray) and hasattr(values, "detach")
        array = values.detach().cpu().numpy() if is_tensor else np.asarray(values)
        if array.ndim == 4:
            result = np.stack([self.translate_array(one, units=units) for one in array])
        else:
            result = self.translate_array(array, units=units)
        if is_tensor:
            import torch

            return torch.from_numpy(result).to(values.device)
        return result

    def _normaliser(
        self, sample: NDArray, units: str, dtype: str, name: str | Path
    ) -> tuple[Normaliser, NDArray[np.float32]]:
        return fit_input(self.source, self.direction == "sar2opt", sample, units, dtype, name)

    def _reader(self, source: Source, sample: NDArray, units: str, dtype: str, name: str | Path) -> TileReader:
        reader = TileReader(source, *self._normaliser(sample, units, dtype, name))
        if self._backend.needs_samples:
            self._backend.freeze(freezing_windows(source, reader, self._network.stride, name))
        return reader

    def _run(
        self,
        reader: TileReader,
        sampling: Sampling | None,
        tile: int | None,
        put: Put,
        progress: Progress,
        completed: set[int],
    ) -> None:
        if sampling is None or self.sampler is None:
            run = plain(self._backend)
        elif sampling.samples == 1:
            run = single_sample(self._backend, self.sampler, sampling.seed)
        else:
            run = mean_and_deviation(self._backend, self.sampler, sampling, self._inverse().inverse)
        if tile is None and self.exact:
            tile = round(self._network.tile * self._backend.tile_scale)
        seam = run_tiles(self._network, reader, run, tile, put, progress, completed)
        self.seam = None if sampling is not None and sampling.samples > 1 else seam

    def _to_output(self, sampling: Sampling | None) -> Callable[[NDArray], NDArray]:
        """Output units of what `_run` puts: several samples are averaged in these already."""
        if sampling is not None and sampling.samples > 1:
            return lambda values: values
        return self._inverse().inverse

    def _whole(self, network: NDArray[np.float32]) -> NDArray[np.float32]:
        """One pass over an image, mirrored as the tile engine mirrors a scene; global networks are windowed."""
        return translate_whole(network, self._network, self._backend)

    def _inverse(self) -> Normaliser:
        target = self.target
        return Normaliser(target.make_recipe(), target.units, target.statistics)

    def _tags(self, scene: Scene, sampling: Sampling | None) -> dict[str, str]:
        tags = scene_tags(scene) | {
            "SAROPT_NOTICE": NOTICE,
            "SAROPT_VERSION": version("saropt"),
            "SAROPT_TRANSLATOR": self.card.name,
            "SAROPT_TRANSLATOR_SHA256": self._file_hash,
            "SAROPT_DIRECTION": self.direction,
            "SAROPT_SOURCE": scene.path.name,
        }
        if self.realism is not None:
            tags["SAROPT_REALISM"] = f"{self.realism:g}"
        if sampling is not None and self.sampler is not None:
            drawn = {"SAMPLES": sampling.samples, "SEED": sampling.seed, "STEPS": self.sampler.steps}
            tags |= {f"SAROPT_{key}": str(value) for key, value in drawn.items()}
        if self.card.training.attribution:
            tags["SAROPT_ATTRIBUTION"] = self.card.training.attribution
        return tags

    @cached_property
    def _file_hash(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def _resume_key(
        self, scene: Scene, sample: NDArray, units: str, tile: int | None, sampling: Sampling | None
    ) -> str:
        parts: list[object] = [*scene.band_names, units, tile]
        if scene.is_remote:  # no file system says whether it has changed
            parts += [scene.source, scene.width, scene.height, hashlib.sha256(sample.tobytes()).hexdigest()]
        else:
            state = scene.path.stat()
            parts += [scene.path.resolve(), state.st_size, state.st_mtime_ns]
        parts += [self._file_hash, self.direction, self.realism, self._backend.name, sampling, self.sampler]
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
