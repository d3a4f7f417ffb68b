"""Rasters that come with a scene: earlier images, masks, and today's clear pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import Role, describe_role
from saropt.errors import InputError, counted
from saropt.inference.opening import open_input, terrain_of
from saropt.inference.products import Block, Product
from saropt.inference.requests import TranslateOptions, dates_in
from saropt.inference.sources import Source
from saropt.inference.temporal_mean import TemporalMean
from saropt.inference.tiling import spread_windows
from saropt.radiometry import trimmed_gain_and_offset
from saropt.scenes import Grid, Scene, Window, bounds_in, open_scene, read_mirrored, sample_pixels
from saropt.scenes.grid import turned
from saropt.scenes.mirroring import Readable
from saropt.sensors.product_names import grd_product, product_of, sentinel2_product

_ALL_CLEAR = 0.999
_NEARLY_ALL = 0.95
_NO_SHARE = 255
_LEAST_PAIRS, _LARGEST_GAIN = 1000, 3.0


class Companion:
    """A raster on the scene's grid, without the pixels that a mask hides, with its colours matched; read like a scene.

    Args:
        raster: the raster.
        masks: each of one band on the same grid, not 0 where the raster must not be used. Its own gaps hide nothing.
    """

    def __init__(self, raster: Scene, masks: Sequence[Readable] = ()) -> None:
        self.raster, self._masks = raster, masks
        self.width, self.height = raster.width, raster.height
        self.dtype, self.source, self.band_names = raster.dtype, raster.source, raster.band_names
        self.block_shape, self.tags = raster.block_shape, raster.tags
        self._colours: tuple[NDArray, NDArray] | None = None

    def read(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window inside the raster; of all of it when None."""
        values, valid = self.raster.read(window)
        valid = _unhidden(valid, self._masks, window)
        if self._colours is not None:
            values = values * self._colours[0] + self._colours[1]
        values[:, ~valid] = 0
        return values, valid

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the raster."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """Valid pixels (C, n) from all over the raster.

        Raises:
            InputError: the masks hide all of its valid pixels.
        """
        picked = sample_pixels(self, max_pixels)
        if self._masks and not picked.shape[1] and self.raster.sample(1 << 16).shape[1]:
            masks = ", ".join(getattr(mask, "source", self.source) for mask in self._masks)
            raise InputError(self.source, f"{masks} hides all of it: in a mask 0 is clear, anything else is hidden")
        return picked

    def match_colours(self, today: ClearPixels) -> bool:
        """Bring the values to the colours of today's clear pixels, by one gain and offset for each band.

        Returns:
            Whether enough pixels are clear in both.
        """
        pairs = []
        for window in spread_windows(self.height, self.width):
            values, valid = self.read(window)
            now, clear = today.read(window)
            both = valid & clear
            pairs.append((values[:, both], now[:, both]))
        earlier, later = (np.concatenate(part, axis=1) for part in zip(*pairs, strict=True))
        if earlier.shape[1] < _LEAST_PAIRS:
            return False
        gain, offset = trimmed_gain_and_offset(earlier, later)
        gain = np.clip(gain, 1.0 / _LARGEST_GAIN, _LARGEST_GAIN)
        self._colours = gain[:, None, None].astype(np.float32), offset[:, None, None].astype(np.float32)
        return True


class ClearPixels:
    """Today's own pixels, which are kept as they are.

    Args:
        scene: optical image of today on the output's grid, in the output's bands.
        masks: rasters on the same grid that are not 0 where the image must not be used.
    """

    def __init__(self, scene: Scene, masks: Sequence[Readable]) -> None:
        self._scene, self._masks = scene, masks
        self._kept = self._seen = 0

    def read(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) as stored, and where they are clear (h, w)."""
        stored, clear = self._scene.read_stored(window)
        return stored, _unhidden(clear, self._masks, window)

    def keep(self, block: Block) -> None:
        """Put the clear pixels into the image of a finished part, and note them in its maps of origin and
        reliability."""
        stored, clear = self.read(block.window)
        block.products["image"][:, clear] = stored[:, clear]
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
    def warnings(self) -> list[str]:
        """A line where nearly all pixels were kept, as of an image whose clouds nobody has masked."""
        if self._kept <= _ALL_CLEAR * self._seen:
            return []
        return [f"{self._scene.source} has no masked pixel: its clouds, if any, were kept as they are"]


class Ground:
    """The grid of a scene, and the rasters that come with the scene, each of which is looked at once.

    Args:
        scene: the scene.

    >>> from saropt.scenes import write_array
    >>> with open_scene(write_array("a.tif", np.ones((1, 8, 8), np.uint8))) as scene:
    ...     Ground(scene).grid_for("b.tif")
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._placed: dict[str, tuple[Grid | None, float]] = {}
        """Raster -> the grid that it is warped to, and the share of the scene that it covers."""

    def grid_for(self, path: str | Path) -> Grid | None:
        """The scene's grid; None where the scene has none or a raster lies on it already.

        Raises:
            InputError: the raster lies elsewhere.
        """
        scene, place = self.scene, self.scene.georeference
        if place.crs is None or place.transform is None:
            return None
        grid = Grid(place.crs, place.transform, scene.height, scene.width)
        if product_of(path) is not None:
            return grid
        if str(path) not in self._placed:
            with open_scene(path) as raster:
                self._placed[str(path)] = (None, 1.0) if _on_grid(raster, grid) else (grid, _covered(raster, grid))
        needed, share = self._placed[str(path)]
        if share == 0.0:
            raise InputError(path, f"shares no ground with {scene.source}")
        return needed

    @property
    def notes(self) -> list[str]:
        """One line for each raster that covers a part of the scene only."""
        return [
            f"{path} covers {share:.1%} of the scene: the rest is made without it"
            for path, (_, share) in self._placed.items()
            if share < _NEARLY_ALL
        ]


def _on_grid(raster: Scene, grid: Grid) -> bool:
    """Whether a raster has the pixels of a grid."""
    place = raster.georeference
    found = Grid(place.crs, place.transform, raster.height, raster.width) if place.crs and place.transform else None
    return found == grid


def _covered(raster: Scene, grid: Grid) -> float:
    """Share of a grid that lies in the frame of a raster, by their bounding boxes; 1 where that is unknown."""
    if raster.georeference.gcps:
        return 1.0
    box = grid.bounds
    found = bounds_in(raster.georeference, raster.height, raster.width, grid.crs, raster.source)
    left, bottom, right, top = turned(found, box) if grid.crs.is_geographic else found
    across = min(right, box[2]) - max(left, box[0])
    down = min(top, box[3]) - max(bottom, box[1])
    return max(across, 0.0) * max(down, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def open_companions(
    stack: ExitStack, options: TranslateOptions, inputs: Sequence[ImageCard], ground: Ground, kind: str
) -> dict[Role, Source]:
    """The inputs of a run, by role, all on the scene's grid; they are closed with the stack.

    Args:
        inputs: what the network takes; the first is the scene's.
        ground: the scene's.
        kind: "translator" or "segmenter", for errors.

    Raises:
        InputError: one cannot be read, is of a role that the network does not take, or has other bands.
    """
    sources: dict[Role, Source] = {inputs[0].role: ground.scene}
    for role, given in options.all_inputs.items():
        first, *others = dates_in(given)
        image = next((one for one in inputs if one.role == role), None)
        if image is None:
            taken = ", ".join(one.role for one in inputs)
            other = "; `saropt models` shows which take more" if len(inputs) == 1 else ""
            raise InputError(first, f"is given as {role}, but the {kind} takes {taken}{other}")
        rasters = [_open_raster(stack, path, image, options, ground, kind) for path in (first, *others)]
        if others:
            units = options.units.get(role) if isinstance(options.units, Mapping) else None
            sources[role] = TemporalMean(rasters, image, units)
            continue
        mask = options.reference_mask if role == "optical_reference" else None
        sources[role] = Companion(rasters[0], _open_masks(stack, first, mask, ground))
    return sources


def _open_raster(
    stack: ExitStack, path: str | Path, image: ImageCard, options: TranslateOptions, ground: Ground, kind: str
) -> Scene:
    """A raster that comes with a scene, on the scene's grid."""
    terrain = terrain_of(options) if grd_product(path) is not None else None
    return stack.enter_context(open_input(path, None, image, kind, ground.grid_for(path), terrain=terrain))


def match_reference(sources: Mapping[Role, Source], today: ClearPixels) -> dict[str, str]:
    """Bring the earlier optical image to the colours of today's clear pixels, so that no seam shows between them.

    Returns:
        The tag SAROPT_HARMONISED where that was possible.
    """
    reference = sources.get("optical_reference")
    if isinstance(reference, Companion) and reference.match_colours(today):
        return {"SAROPT_HARMONISED": "the earlier optical image, to the clear pixels of today"}
    return {}


def open_clear_pixels(stack: ExitStack, options: TranslateOptions, image: ImageCard, ground: Ground) -> ClearPixels:
    """Today's clear pixels on the scene's grid.

    Args:
        image: the output.
        ground: the scene's.

    Raises:
        InputError: they cannot be read, or differ from the output in bands or type.
    """
    path, scene = options.keep_clear, ground.scene
    assert path is not None
    grid = ground.grid_for(path)
    clear = stack.enter_context(open_input(path, None, image, "output", grid, resampling="nearest"))
    if (clear.height, clear.width) != (scene.height, scene.width):
        raise InputError(path, f"is {clear.height}x{clear.width} pixels, {scene.source} {scene.height}x{scene.width}")
    if np.dtype(clear.dtype) != np.dtype(image.dtype):
        raise InputError(path, f"holds {clear.dtype}, the output is {image.dtype} in {image.units}")
    return ClearPixels(clear, _open_masks(stack, path, options.keep_clear_mask, ground))


def with_today(products: Sequence[Product]) -> list[Product]:
    """Products of a run that keeps clear pixels: the map of origin gets a band that is 100 where they are."""

    def widened(product: Product) -> Product:
        def decode(network: NDArray[np.float32]) -> NDArray:
            shares = product.decode(network)
            return np.concatenate([shares, np.zeros_like(shares[:1])])

        return replace(product, bands=(*product.bands, "from today"), decode=decode)

    return [widened(product) if product.name == "origin" else product for product in products]


def missing_inputs(inputs: Sequence[ImageCard], given: Mapping[Role, object]) -> list[str]:
    """One line for each optional input that is not given: what the run loses."""
    return [_LOSSES.get(one.role, _loss(one.role)) for one in inputs if one.optional and one.role not in given]


_LOSSES = {
    "optical_reference": "no earlier optical image was given: the whole image comes from radar, which knows no colours",
    "sar_reference": "no earlier SAR image was given: change is judged by the new one alone",
}


def _loss(role: Role) -> str:
    return f"no {describe_role(role).title} was given: the translator goes on without it"


def _open_masks(stack: ExitStack, path: str | Path, mask: str | Path | None, ground: Ground) -> list[Readable]:
    """The masks of a raster on the scene's grid: the one that is given, and the clouds of a Sentinel-2 product."""
    masks: list[Readable] = []
    if mask is not None:
        masks.append(stack.enter_context(_open_mask(mask, ground)))
    if sentinel2_product(path) is not None:
        from saropt.sensors.sentinel2 import open_cloud_mask

        clouds = open_cloud_mask(path, grid=ground.grid_for(path))
        if clouds is not None:
            stack.enter_context(clouds)
            masks.append(clouds)
    return masks


def _unhidden(valid: NDArray[np.bool_], masks: Sequence[Readable], window: Window | None) -> NDArray[np.bool_]:
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


def _open_mask(path: str | Path, ground: Ground) -> Scene:
    """A raster of one band that is 0 or not, on the scene's grid.

    Raises:
        InputError: it cannot be read, or has another size.
    """
    scene = ground.scene
    mask = open_scene(path, grid=ground.grid_for(path), resampling="nearest")
    if (mask.height, mask.width) != (scene.height, scene.width) or mask.count != 1:
        found = f"is a mask of {mask.height}x{mask.width} pixels and {counted(mask.count, 'band')}"
        mask.close()
        raise InputError(path, f"{found}; one band of {scene.height}x{scene.width} pixels is needed")
    if not mask.sample(1 << 16).size:
        mask.close()
        raise InputError(path, "holds no valid pixel (all nodata or NaN): 0 is clear, anything else is masked")
    return mask


def origin_in_words(product: Product, tags: Mapping[str, str]) -> dict[str, str]:
    """The tag SAROPT_CONTENT of a map of origin; nothing for other products.

    Args:
        tags: those of the run, with what `dates_of` says.
    """
    if product.name != "origin":
        return {}
    earlier = tags.get("SAROPT_OPTICAL_REFERENCE_DATE", "")[:10] or tags.get("SAROPT_OPTICAL_REFERENCE")
    kept = f"0 is unchanged, from {earlier}; 100 is from radar" if earlier else "all is from radar"
    return {"SAROPT_CONTENT": f"origin of each pixel in per cent: {kept}"}


def dates_of(sources: Mapping[Role, Source]) -> dict[str, str]:
    """Tags with the file and the date of each input but the scene, where it is known; of all dates of a mean."""
    tags = {}
    for role, source in list(sources.items())[1:]:
        one = source.raster if isinstance(source, Companion) else source
        rasters = one.dates if isinstance(one, TemporalMean) else (one,)
        name = role.upper()
        tags[f"SAROPT_{name}"] = ", ".join(Path(raster.source).name for raster in rasters)
        acquired = [getattr(raster, "acquired", None) for raster in rasters]
        if any(acquired):
            tags[f"SAROPT_{name}_DATE"] = ", ".join(
                "unknown" if date is None else date.isoformat() for date in acquired
            )
    return tags
