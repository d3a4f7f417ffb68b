"""Today's own clear pixels, which a translation keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import Role
from saropt.errors import InputError
from saropt.inference.companion import Companion
from saropt.inference.companions import Ground
from saropt.inference.masks import open_masks
from saropt.inference.opening import open_input, told_of_file
from saropt.inference.products import Block, Product, nodata_of
from saropt.inference.requests import TranslateOptions, Units
from saropt.inference.sources import Source, fit_input
from saropt.scenes import Window
from saropt.scenes.metadata import acquisition_text

_ALL_CLEAR = 0.999
_NO_SHARE = 255


class ClearPixels:
    """Today's own pixels, which are kept as they are. Fill and values that are impossible in the output's units are not
    clear, nor is the output's value for nodata.

    Args:
        raster: optical image of today on the output's grid, in the output's bands.
        image: the output.

    Raises:
        InputError: no valid pixel, or values that contradict the output's units.
    """

    def __init__(self, raster: Companion, image: ImageCard) -> None:
        fitted = fit_input(image, raster)
        self._raster, self._rule = raster, fitted.rule
        self._type, self._nodata = np.dtype(image.dtype), nodata_of(image.dtype, image.units)
        self._notes = fitted.notes
        self._kept = self._seen = 0

    def read(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) in the output's type, and where they are clear (h, w)."""
        values, clear = self._raster.read(window)
        clear = clear & self._rule.measured(values) & (values != self._nodata).all(axis=0)
        if self._type.kind != "f":
            values, limits = np.rint(values), np.iinfo(self._type)
            clear &= ((values >= limits.min) & (values <= limits.max)).all(axis=0)
        return np.where(clear, values, 0).astype(self._type), clear

    def keep(self, block: Block) -> None:
        """Put the clear pixels into the image of a finished part, and note them in its maps of origin and
        reliability."""
        values, clear = self.read(block.window)
        block.products["image"][:, clear] = values[:, clear]
        if "origin" in block.products:
            origin = block.products["origin"]
            origin[:, clear & (origin[0] == _NO_SHARE)] = 0
            origin[0, clear], origin[-1, clear] = 0, 100
        if "reliability" in block.products:
            reliability = block.products["reliability"]
            reliability[:-1, clear], reliability[-1, clear] = 0.0, 1.0
        self._kept += int(clear.sum())
        self._seen += clear.size

    @property
    def tags(self) -> dict[str, str]:
        """The tags SAROPT_KEEP_CLEAR and, where it is known, SAROPT_KEEP_CLEAR_DATE: the raster's name and date."""
        raster = self._raster
        date = acquisition_text(raster.tags, raster.band_names)
        tags = {"SAROPT_KEEP_CLEAR": Path(raster.source).name}
        return tags if date is None else tags | {"SAROPT_KEEP_CLEAR_DATE": date}

    @property
    def warnings(self) -> list[str]:
        """One line each, of what was taken for granted: that it has no clouds, where nearly all pixels were kept."""
        if self._kept <= _ALL_CLEAR * self._seen:
            return list(self._notes)
        return [*self._notes, f"{self._raster.source} has no masked pixel: its clouds, if any, were kept as they are"]


def match_reference(
    sources: Mapping[Role, Source], images: Sequence[ImageCard], units: Units, today: ClearPixels
) -> dict[str, str]:
    """Bring the earlier optical image to the colours of today's clear pixels, so that no seam shows between them.

    Args:
        images: the network's inputs.
        units: of the inputs.

    Returns:
        The tag SAROPT_HARMONISED where that was possible; it is not where the earlier image shows cloud alone.
    """
    role: Role = "optical_reference"
    reference = sources.get(role)
    if not isinstance(reference, Companion):
        return {}
    image = next(one for one in images if one.role == role)
    stated = units.get(role) if isinstance(units, Mapping) else None
    fitted = fit_input(image, reference, stated)
    if fitted.clouds is not None:
        if fitted.clouds.overcast:
            return {}
        reference.hide_clouds(fitted.clouds, fitted.rule)
    if reference.match_colours(today, fitted.rule):
        return {"SAROPT_HARMONISED": "the earlier optical image, to the clear pixels of today"}
    return {}


def open_clear_pixels(stack: ExitStack, options: TranslateOptions, image: ImageCard, ground: Ground) -> ClearPixels:
    """Today's clear pixels on the scene's grid.

    Args:
        image: the output.
        ground: the scene's.

    Raises:
        InputError: they cannot be read, or differ from the output in bands, type or units.
    """
    path, scene = options.keep_clear, ground.scene
    assert path is not None
    image, grid = image.model_copy(update={"optional": True}), ground.grid_for(path)
    clear = stack.enter_context(open_input(path, None, image, "output", grid, resampling="nearest"))
    if (clear.height, clear.width) != (scene.height, scene.width):
        raise InputError(path, f"is {clear.height}x{clear.width} pixels, {scene.source} {scene.height}x{scene.width}")
    if clear.scaling is None and np.dtype(clear.dtype) != np.dtype(image.dtype):
        raise InputError(path, f"holds {clear.dtype}, the output is {image.dtype} in {image.units}")
    ground.look_at({str(path): clear})
    ground.told += told_of_file(image, clear)
    if clear.acquired is not None and scene.acquired is not None:
        day, other = scene.acquired.date(), clear.acquired.date()
        if day != other:
            ground.told.append(f"{clear.source} is of {other}, the scene of {day}: its pixels are kept all the same")
    return ClearPixels(Companion(clear, open_masks(stack, path, options.keep_clear_mask, ground)), image)


def with_today(products: Sequence[Product]) -> list[Product]:
    """Products of a run that keeps clear pixels: the map of origin gets a band that is 100 where they are."""

    def widened(product: Product) -> Product:
        def decode(network: NDArray[np.float32]) -> NDArray:
            shares = product.decode(network)
            return np.concatenate([shares, np.zeros_like(shares[:1])])

        return replace(product, bands=(*product.bands, "from today"), decode=decode)

    return [widened(product) if product.name == "origin" else product for product in products]
