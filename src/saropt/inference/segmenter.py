"""`Segmenter`: a segmenter file, loaded and ready for arrays and whole scenes (needs torch)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import SegmenterCard, load_segmenter, load_segmenter_module
from saropt.domain import is_sar
from saropt.errors import InputError
from saropt.inference.engine import Progress, Put, Source, TileReader, plain, run_tiles
from saropt.inference.inputs import ArraySource, check_array, fit_input, open_input, scene_tags
from saropt.inference.runtimes import Backend, TorchBackend, check_torch_precision, torch_device
from saropt.roots import Classes
from saropt.scenes import SceneWriter

SEGMENTER_FILE = "segmenter.safetensors"


class Segmenter:
    """A loaded segmenter file. Use `Segmenter.load`.

    Attributes:
        card: the file's card.
        classes: label values and names.
        exact: whether any tiling gives the result of one pass over the whole scene; False for networks that see the
            whole window, whose class probabilities are blended where windows overlap.
        seam: after a blended scene, mean absolute difference of the probabilities of neighbouring windows where they
            overlap.
    """

    def __init__(self, path: Path, card: SegmenterCard, backend: Backend) -> None:
        self.path = path
        self.card = card
        self.classes = Classes(card.classes, card.ignore_index)
        self.exact = card.receptive_field is not None
        self.seam: float | None = None
        self._backend = backend

    @classmethod
    def load(
        cls, model: str | Path, *, device: str = "auto", precision: str = "fp32", threads: int | None = None
    ) -> Segmenter:
        """Load a segmenter file, or the segmenter of a run folder.

        Args:
            device: "cpu", "cuda" or "auto".
            precision: "fp32" or "bf16".
            threads: CPU threads of the network; all when None.

        Raises:
            InputError: no such file, or one that cannot be used, such as a translator.
            MissingExtraError: torch is not installed.
        """
        path = Path(model)
        if path.is_dir():
            path = path / SEGMENTER_FILE
            if not path.is_file():
                raise InputError(model, f"is a folder without {SEGMENTER_FILE}")
        if precision not in ("fp32", "bf16"):
            raise InputError(f"--precision {precision}", "must be fp32 or bf16")
        card, weights = load_segmenter(path)
        device = torch_device(path, "segmenter", device, threads)
        check_torch_precision(precision, device)
        from torch import nn

        module = load_segmenter_module(path, card, weights)
        try:
            return cls(path, card, TorchBackend(nn.Sequential(module, nn.Softmax(dim=1)), device, precision))  # type: ignore[arg-type]
        except ValueError as error:
            raise InputError(path, f"card: {error}") from error

    def predict(
        self,
        scene: str | Path,
        out: str | Path,
        *,
        bands: Sequence[str | int] | None = None,
        units: str | None = None,
        tile: int | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Segment a raster file into an 8-bit cloud-optimised GeoTIFF of label values on the same grid.

        Invalid pixels get the classes' `nodata` value.

        Args:
            scene: the input raster, any size; a path or an address.
            out: the output, .tif.
            bands: input bands by name or 1-based number; by the card's names, or all, when None.
            units: units of the input; those of the card when None.
            tile: side of the windows in pixels; the card's when None.
            overwrite: replace an existing output.
            progress: called with (done, total, what) after every tile.

        Raises:
            InputError: the scene or the output cannot be used; nothing is left under the output's name.
        """
        if tile is not None and tile < 1:
            raise InputError(f"--tile {tile}", "must be positive")
        nodata = self.classes.nodata
        with open_input(scene, bands, self.card.input, "segmenter") as source:
            sample = source.sample()
            reader = self._reader(source, sample, units, source.dtype, source.source)
            names = ", ".join(f"{value}={name}" for value, name in sorted(self.card.classes.items()))
            tags = scene_tags(source) | {
                "SAROPT_VERSION": version("saropt"),
                "SAROPT_SEGMENTER": self.card.name,
                "SAROPT_SEGMENTER_SHA256": self._file_hash,
                "SAROPT_SOURCE": source.path.name,
                "SAROPT_CLASSES": names,
            }
            if self.card.training.attribution:
                tags["SAROPT_ATTRIBUTION"] = self.card.training.attribution
            with SceneWriter(
                out,
                width=source.width,
                height=source.height,
                band_names=["class"],
                dtype="uint8",
                nodata=nodata,
                georeference=source.georeference,
                tags=tags,
                overwrite=overwrite,
                overview_resampling="mode",
            ) as writer:

                def put(row: int, col: int, network: NDArray, valid: NDArray, key: int) -> None:
                    writer.write(row, col, self._labels(network, valid)[None])

                self._run(reader, tile, put, progress)
                return writer.finish()

    def classify(
        self,
        values: NDArray,
        *,
        units: str | None = None,
        dtype: str | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8]:
        """Label values (H, W) of an array, the classes' `nodata` where invalid.

        Args:
            values: (C, H, W) in `units`, bands in the card's order.
            units: units of the values; those of the card when None.
            dtype: the stored type that the values come from; the array's own when None.
            valid: (H, W); everything is valid when None.

        Raises:
            InputError: wrong band count, no valid pixel, or values that contradict their units.
        """
        result: NDArray[np.uint8] = np.empty(np.shape(values)[1:], np.uint8)

        def put(row: int, col: int, network: NDArray, keep: NDArray, key: int) -> None:
            result[row : row + keep.shape[0], col : col + keep.shape[1]] = self._labels(network, keep)

        self._run(self._array_reader(values, units, dtype, valid), None, put, None)
        return result

    def probabilities(
        self,
        values: NDArray,
        *,
        units: str | None = None,
        dtype: str | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities (K, H, W), in ascending order of the label values; 0 where invalid.

        Arguments and errors as for `classify`.
        """
        reader = self._array_reader(values, units, dtype, valid)
        result = np.zeros((len(self.card.classes), *np.shape(values)[1:]), np.float32)

        def put(row: int, col: int, network: NDArray, keep: NDArray, key: int) -> None:
            result[:, row : row + keep.shape[0], col : col + keep.shape[1]] = np.where(keep, network, 0)

        self._run(reader, None, put, None)
        return result

    def _labels(self, network: NDArray, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        return np.where(valid, self.classes.values[network.argmax(axis=0)], self.classes.nodata).astype(np.uint8)

    def _run(self, reader: TileReader, tile: int | None, put: Put, progress: Progress | None) -> None:
        report = progress or (lambda done, total, what: None)
        self.seam = run_tiles(self.card, reader, plain(self._backend), tile, put, report, set())

    def _reader(self, source: Source, sample: NDArray, units: str | None, dtype: str, name: str | Path) -> TileReader:
        side = self.card.input
        return TileReader(source, *fit_input(side, is_sar(side.role), sample, units or side.units, dtype, name))

    def _array_reader(
        self, values: NDArray, units: str | None, dtype: str | None, valid: NDArray[np.bool_] | None
    ) -> TileReader:
        values, keep = check_array(values, len(self.card.input.bands), valid)
        source = ArraySource(np.where(keep, values, 0), keep)
        return self._reader(source, values[:, keep], units, dtype or values.dtype.name, "array")

    @cached_property
    def _file_hash(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()
