"""Masks of the rasters that come with a scene: given as files, and the clouds of Sentinel-2 products."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError, counted
from saropt.inference.requests import TranslateOptions
from saropt.inference.tiling import spread_windows
from saropt.scenes import Window, open_scene
from saropt.scenes.mirroring import Readable
from saropt.sensors.product_names import sentinel2_product

if TYPE_CHECKING:
    from saropt.inference.companions import Ground

_MUCH = 0.5
"""Share of a mask above which it is told how much it hides."""


def open_masks(stack: ExitStack, path: str | Path, mask: str | Path | None, ground: Ground) -> list[Readable]:
    """The masks of a raster on the scene's grid: the one that is given, and the clouds of a Sentinel-2 product."""
    masks: list[Readable] = []
    if mask is not None:
        masks += _open_mask(stack, mask, ground)
    if sentinel2_product(path) is not None:
        from saropt.sensors.sentinel2 import open_cloud_mask

        clouds = open_cloud_mask(path, grid=ground.grid_for(path))
        if clouds is not None:
            stack.enter_context(clouds)
            masks.append(clouds)
    return masks


def unhidden(valid: NDArray[np.bool_], masks: Sequence[Readable], window: Window | None) -> NDArray[np.bool_]:
    """Validity (h, w) of a window without the pixels that a mask hides: those that are valid in it and not 0."""
    for mask in masks:
        valid = valid & (mask.read(window)[0][0] == 0)
    return valid


def cloud_notes(options: TranslateOptions) -> list[str]:
    """One line for each Sentinel-2 product among the rasters that come with a scene: what becomes of its clouds."""
    given = (path for name, path in options.files if not name.endswith("_mask"))
    return [_cloud_note(product) for path in given if (product := sentinel2_product(path)) is not None]


def _cloud_note(product: Path) -> str:
    from saropt.sensors.sentinel2 import open_cloud_mask

    mask = open_cloud_mask(product)
    if mask is None:
        return f"{product.name} says nothing of its clouds: they count as ground unless a mask is given"
    with mask:
        share, known = float(np.mean(mask.sample())), mask.tags["CLOUDS"]
    return f"{product.name}: {known} are masked, {share:.1%} of the product"


def _open_mask(stack: ExitStack, path: str | Path, ground: Ground) -> list[Readable]:
    """A raster of one band that is 0 or not, on the scene's grid: its largest values in each pixel, and the least ones
    where they may be below 0. So a pixel is hidden where any of the mask's pixels in it is.

    Raises:
        InputError: it cannot be read, or has another size.
    """
    scene, grid = ground.scene, ground.grid_for(path)
    with open_scene(path) as own:
        is_signed = np.dtype(own.dtype).kind != "u"
        palette: Literal["colours", "index"] = "index" if own.scaling is None else "colours"
    mask = stack.enter_context(open_scene(path, palette=palette, grid=grid, resampling="any"))
    if mask.count != 1:
        raise InputError(path, f"has {counted(mask.count, 'band')}; a mask has one")
    if (mask.height, mask.width) != (scene.height, scene.width):
        found = f"is a mask of {mask.height}x{mask.width} pixels"
        raise InputError(path, f"{found}; {scene.height}x{scene.width} pixels are needed")
    unknown, hidden, values = _shares(path)
    if unknown == 1.0:
        raise InputError(path, "holds no valid pixel (all nodata or NaN): 0 is clear, anything else is masked")
    if unknown > 0.0:
        ground.told.append(f"{mask.source}: {unknown:.1%} of the mask is nodata or NaN: these pixels count as clear")
    if len(values) > 1:
        shown = ", ".join(f"{value:g}" for value in values[:3])
        what = f"all values but 0 hide, and it holds several of them ({shown}), as maps of classes do"
        ground.told.append(f"{mask.source}: {hidden:.0%} of the mask hides: {what}")
    elif hidden > _MUCH:
        ground.told.append(f"{mask.source}: {hidden:.0%} of the mask hides: 0 is clear, anything else is masked")
    if grid is None or not is_signed:
        return [mask]
    return [mask, stack.enter_context(open_scene(path, palette=palette, grid=grid, resampling="min"))]


def _shares(path: str | Path) -> tuple[float, float, NDArray]:
    """Shares of a mask's pixels, on its own grid, that are nodata and not 0, and that hide; the values that hide."""
    unknown, hidden, values = [], [], np.zeros(0)
    with open_scene(path, palette="index") as mask:
        for window in spread_windows(mask.height, mask.width):
            (stored,), valid = mask.read_stored(window)
            hides = valid & (stored != 0)
            unknown.append(float(np.mean(~valid & (stored != 0))))
            hidden.append(float(np.mean(hides)))
            if len(values) < 2:
                values = np.union1d(values, stored[hides])
    return float(np.mean(unknown)), float(np.mean(hidden)), values
