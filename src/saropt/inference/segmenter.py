"""`Segmenter`: a segmenter file, loaded and ready for arrays and whole scenes (needs torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import SegmenterCard, load_segmenter, load_segmenter_module, segmenter_file
from saropt.errors import InputError
from saropt.inference.engine import plain
from saropt.inference.products import Product
from saropt.inference.requests import LoadOptions, SceneResult, TranslateOptions
from saropt.inference.runtimes import Backend, TorchBackend, check_torch_precision, torch_device
from saropt.inference.scene_model import SceneModel, Write
from saropt.inference.sources import ArraySource, Source
from saropt.progress import Progress, silent


class Segmenter(SceneModel):
    """A loaded segmenter file. Use `Segmenter.load`.

    Attributes:
        card: the file's card.
        classes: label values and names.
        exact: whether any tiling gives the result of one pass over the whole scene; False for networks that see the
            whole window, whose class probabilities are blended where windows overlap.

    >>> Segmenter.load("land.safetensors")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: land.safetensors: no such file
    """

    def __init__(self, path: Path, card: SegmenterCard, backend: Backend) -> None:
        super().__init__(path, "segmenter", (card.input,), card, backend)
        from saropt.roots import Classes

        self.card, self.gsd_m = card, card.gsd_m
        self.classes = Classes(card.classes, card.ignore_index)

    @classmethod
    def load(
        cls, model: str | Path, *, device: str = "auto", precision: str = "fp32", threads: int | None = None
    ) -> Self:
        """Load a segmenter file, or the segmenter of a run folder.

        Args:
            device: "cpu", "cuda" or "auto".
            precision: "fp32" or "bf16".
            threads: CPU threads of the network; all when None.

        Raises:
            InputError: no such file, or one that cannot be used, such as a translator.
            MissingExtraError: torch is not installed.
        """
        options = LoadOptions(device=device, precision=precision)
        path = segmenter_file(model)
        card, weights = load_segmenter(path)
        device = torch_device(path, "segmenter", options.device, threads)
        check_torch_precision(precision, device)
        from torch import nn

        module = load_segmenter_module(path, card, weights)
        backend = TorchBackend(nn.Sequential(module, nn.Softmax(dim=1)), device, precision)  # type: ignore[arg-type]
        try:
            return cls(path, card, backend)
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
    ) -> SceneResult:
        """Segment a raster file into an 8-bit cloud-optimised GeoTIFF of label values on the same grid.

        Invalid pixels get the classes' `nodata` value.

        Args:
            scene: the input raster, any size; a path or an address.
            out: the output, .tif.
            bands: input bands by name or 1-based number; those that the card names when None.
            units: units of the input; those of the card when None.
            tile: side of the windows in pixels; the card's when None.
            overwrite: replace an existing output.
            progress: called with (done, total, what) after every tile.

        Raises:
            InputError: the scene or the output cannot be used; nothing is left under the output's name.
        """
        options = TranslateOptions(bands=bands, units=units, tile=tile, overwrite=overwrite)
        return self.write_products(scene, out, self.products(), plain, options, self._tags(), progress or silent)

    def stream(
        self, source: Source, write: Write, *, units: str | None = None, progress: Progress = silent
    ) -> float | None:
        """Segment an opened source tile by tile, with the pixels that `predict` writes; see `Translator.stream`."""
        reader = self.read(source, units)
        return self.stream_products(reader, self.products(), plain, write, progress=progress)

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
        return self._arrays(values, units, dtype, valid, self.products())["class"][0]

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
        names = tuple(self.classes.titles)
        product = Product("probabilities", names, "float32", 0.0, lambda network: network.astype(np.float32))
        return self._arrays(values, units, dtype, valid, [product])["probabilities"]

    def products(self) -> list[Product]:
        """What a run writes: the label values."""

        def decode(network: NDArray[np.float32]) -> NDArray:
            return self.classes.values[network.argmax(axis=0)][None]

        nodata = self.classes.nodata
        return [Product("class", ("class",), "uint8", nodata, decode, overview_resampling="mode")]

    def _arrays(
        self,
        values: NDArray,
        units: str | None,
        dtype: str | None,
        valid: NDArray[np.bool_] | None,
        products: Sequence[Product],
    ) -> dict[str, NDArray]:
        source = ArraySource(values, valid, dtype)
        return self.array_products(source, products, plain, units)

    def _tags(self) -> Mapping[str, str]:
        names = ", ".join(f"{value}={name}" for value, name in sorted(self.card.classes.items()))
        tags = {
            "SAROPT_SEGMENTER": self.card.name,
            "SAROPT_SEGMENTER_SHA256": self._file_hash,
            "SAROPT_CLASSES": names,
        }
        attribution = self.card.training.attribution
        return tags | ({"SAROPT_ATTRIBUTION": attribution} if attribution else {})
