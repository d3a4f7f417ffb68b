"""Rasters that come with a scene: earlier images and masks, on its grid."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from saropt.addresses import without_secrets
from saropt.artifacts import ImageCard
from saropt.domain import Role, describe_role
from saropt.errors import InputError
from saropt.inference.companion import Companion
from saropt.inference.masks import open_masks
from saropt.inference.opening import open_input, terrain_of, told_of_file
from saropt.inference.products import Product
from saropt.inference.requests import TranslateOptions, dates_in, further_roles
from saropt.inference.sources import Source, fit_input
from saropt.inference.temporal_mean import TemporalMean
from saropt.inference.tiling import lattice_windows
from saropt.scenes import Grid, Scene, bounds_in, open_scene
from saropt.scenes.gdal_settings import read_side_by_side
from saropt.scenes.georeference import Georeference, is_coarser
from saropt.scenes.grid import turned
from saropt.scenes.measurements import stored_fill
from saropt.scenes.metadata import acquisition_text
from saropt.sensors.product_names import grd_product, product_of, sentinel2_product

if TYPE_CHECKING:
    from affine import Affine


_NEARLY_ALL = 0.95
_PRODUCT_PIXEL_M = 10.0
_LEAST_APART = 0.51
"""Pixels; some programs take the corner of a pixel for its centre, half a pixel away."""


class Ground:
    """The grid of a scene, and the rasters that come with the scene, each of which is looked at once.

    Args:
        scene: the scene.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> paths = [write_array(name, np.ones((1, 8, 8), np.uint8)) for name in ("a.tif", "b.tif")]
    >>> with open_scene(paths[0]) as scene:
    ...     ground = Ground(scene)
    ...     ground.grid_for("b.tif"), ground.notes
    (None, ['b.tif: taken to lie pixel on pixel on a.tif, as they lack a common place'])
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.told: list[str] = []
        """One line each, of what was taken for granted."""
        self._placed: dict[str, tuple[Grid | None, float]] = {}
        """Raster -> the grid that it is warped to, and the share of the scene that it covers."""
        self._valid: dict[str, float] = {}
        """Raster -> the share of the scene's valid pixels that it has."""
        self.required: set[str] = set()
        """Rasters without which nothing is made."""
        self._unplaced: list[str] = []
        """Rasters that are taken to have the scene's pixels, as they or the scene have no place."""

    def grid_for(self, path: str | Path) -> Grid | None:
        """The scene's grid; None where the scene has none or a raster lies on it already.

        Raises:
            InputError: the raster lies elsewhere, or the scene has a place by control points or RPCs alone.
        """
        scene, place = self.scene, self.scene.georeference
        if place.crs is None or place.transform is None:
            if str(path) not in self._placed:
                self._check_without_grid(path)
                self._placed[str(path)] = None, 1.0
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

    def look_at(self, rasters: Mapping[str, Scene]) -> None:
        """Note which share of the scene rasters on its pixels have, by the valid pixels of both."""
        frame, total = (self.scene.height, self.scene.width), 0
        found = {path: 0 for path, raster in rasters.items() if (raster.height, raster.width) == frame}
        for window in lattice_windows(*frame) if found else ():
            _, own = self.scene.read(window)
            total += int(own.sum())
            for path in found:
                found[path] += int((own & rasters[path].read(window)[1]).sum())
        self._valid |= {path: count / total for path, count in found.items() if total}

    def is_coarser_than(self, path: str | Path) -> bool:
        """Whether the scene's pixels are larger than those of a raster."""
        if product_of(path) is not None:
            return is_coarser(self.scene, _PRODUCT_PIXEL_M)
        with open_scene(path) as raster:
            return is_coarser(self.scene, raster)

    def _check_without_grid(self, path: str | Path) -> None:
        """Check that a raster can be laid pixel on pixel on a scene without a grid: it has the same place, or one of
        them has none."""
        own, scene = self.scene.georeference, self.scene.source
        found, name, is_product = Georeference(), str(path), product_of(path) is not None
        if not is_product:
            with open_scene(path) as raster:
                found, name = raster.georeference, raster.source
        if own.gcps or own.rpcs:
            if (own.gcps and _places(found) == _places(own)) or (own.rpcs and _rpcs(found) == _rpcs(own)):
                return
            if is_product or found.crs is not None or found.gcps or found.rpcs:
                known = "control points" if own.gcps else "RPCs"
                reason = f"cannot be laid on {scene}, which has {known} and no grid"
                raise InputError(path, f"{reason}: project the scene first (a Sentinel-1 product with --pixel 10)")
        elif own.transform is not None and found.transform is not None:
            if _corners_apart(own.transform, found.transform, self.scene) <= _LEAST_APART:
                return
            reason = f"lies elsewhere than {scene} by its transform"
            raise InputError(path, f"{reason}, and the scene has no CRS to move it by: give both their CRS")
        self._unplaced.append(name)

    @property
    def notes(self) -> list[str]:
        """What was taken for granted, a line for the rasters that were not laid on the scene by their place, and one
        for each that covers a part of the scene only."""
        names, scene = ", ".join(self._unplaced), self.scene.source
        taken = [f"{names}: taken to lie pixel on pixel on {scene}, as they lack a common place"] if names else []
        partial = []
        for path in dict.fromkeys((*self._placed, *self._valid)):
            share = min(self._placed.get(path, (None, 1.0))[1], self._valid.get(path, 1.0))
            name = without_secrets(path)
            if share < _NEARLY_ALL and path in self.required:
                partial.append(f"{name} covers {share:.1%} of the scene: the rest is nodata")
            elif share < _NEARLY_ALL:
                partial.append(f"{name} covers {share:.1%} of the scene: the rest is made without it")
        return [*self.told, *taken, *partial]


def _places(georeference: Georeference) -> list[tuple[float, ...]]:
    """Pixel and ground coordinates of the control points."""
    return [(one.row, one.col, one.x, one.y) for one in georeference.gcps]


def _rpcs(georeference: Georeference) -> dict[str, list[float | str]]:
    """Rational polynomial coefficients as numbers, without what is said of their errors."""
    return {
        key: [_number(text) for text in value.split()]
        for key, value in georeference.rpcs.items()
        if not key.startswith("ERR_")
    }


def _number(text: str) -> float | str:
    try:
        return float(f"{float(text):.12g}")
    except ValueError:
        return text


def _corners_apart(own: Affine, other: Affine, scene: Scene) -> float:
    """How far a scene's corners lie apart at most by two transforms, in its pixels."""
    corners = [(column, row) for column in (0, scene.width) for row in (0, scene.height)]
    return max(math.dist(corner, ~own @ (other @ corner)) for corner in corners)


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
        InputError: one cannot be read, is of a role that the network does not take or that the scene has, or has
            other bands.
    """
    sources: dict[Role, Source] = {inputs[0].role: ground.scene}
    opened: dict[str, Scene] = {}
    for role, given in options.all_inputs.items():
        first, *others = dates_in(given)
        image = next((one for one in inputs if one.role == role), None)
        if image is None:
            taken = ", ".join(one.role for one in inputs)
            other = "; `saropt models` shows which take more" if len(inputs) == 1 else ""
            raise InputError(first, f"is given as {role}, but the {kind} takes {taken}{other}")
        if image is inputs[0]:
            raise InputError(first, f"is given as {role}, which is what the scene {ground.scene.source} is")
        mask = options.reference_mask if role == "optical_reference" else None
        is_masked = mask is not None or sentinel2_product(first) is not None
        rasters = [_open_raster(stack, path, image, options, ground, kind, is_masked) for path in (first, *others)]
        opened |= zip(map(str, (first, *others)), rasters, strict=True)
        ground.required.update(() if image.optional else map(str, (first, *others)))
        ground.told += [line for one in rasters for line in told_of_file(image, one)]
        if others:
            units = options.units.get(role) if isinstance(options.units, Mapping) else None
            sources[role] = TemporalMean(rasters, image, units)
            continue
        sources[role] = Companion(rasters[0], open_masks(stack, first, mask, ground))
    for image in inputs:
        if not image.optional and image.role not in sources:
            reason = f"is not enough: the {kind} needs the input {image.role} too"
            raise InputError(ground.scene.source, reason, remedy="input" if image.role in further_roles() else None)
    ground.told += _later_inputs(ground.scene, sources)
    stack.enter_context(read_side_by_side(len(sources)))
    ground.look_at(opened)
    return sources


def _later_inputs(scene: Scene, sources: Mapping[Role, Source]) -> list[str]:
    """One line for each reference that was taken after the scene: it is no earlier image."""
    if scene.acquired is None:
        return []
    day = scene.acquired.date()
    return [
        f"{raster.source} is of {acquired.date()}, the scene of {day}: it is later"
        for role, source in sources.items()
        if role.endswith("_reference")
        for raster in _rasters_of(source)
        if (acquired := getattr(raster, "acquired", None)) is not None and acquired.date() > day
    ]


def _rasters_of(source: Source) -> Sequence[Source]:
    """The rasters that an input is read from: all dates of a mean."""
    one = source.raster if isinstance(source, Companion) else source
    return one.dates if isinstance(one, TemporalMean) else (one,)


def _open_raster(
    stack: ExitStack,
    path: str | Path,
    image: ImageCard,
    options: TranslateOptions,
    ground: Ground,
    kind: str,
    is_masked: bool,
) -> Scene:
    """A raster that comes with a scene, on the scene's grid. Of one with a mask, finer pixels are averaged in each
    pixel: linear interpolation would also take what is hidden in the next ones."""
    terrain = terrain_of(options) if grd_product(path) is not None else None
    grid = ground.grid_for(path)
    how = "average" if is_masked and grid is not None and ground.is_coarser_than(path) else "bilinear"
    fill = None
    if grid is not None and product_of(path) is None:
        units = options.units.get(image.role) if isinstance(options.units, Mapping) else None
        fill = _undeclared_fill(path, image, units, ground, kind)
    raster = open_input(path, None, image, kind, grid, resampling=how, nodata=fill, terrain=terrain)
    return stack.enter_context(raster)


def _undeclared_fill(path: str | Path, image: ImageCard, units: str | None, ground: Ground, kind: str) -> float | None:
    """A stored number that fills parts of a raster, which does not declare it; on another grid it would be mixed into
    the pixels beside it."""
    with open_input(path, None, image, kind) as raster:
        if raster.is_remote and raster.nodata is not None:
            return None
        found = stored_fill(raster, fit_input(image, raster, units).rule)
        if found is not None:
            ground.told.append(f"{raster.source}: parts of it are fill ({found:g}): made nodata")
    return found


def missing_inputs(inputs: Sequence[ImageCard], given: Mapping[Role, object]) -> list[str]:
    """One line for each optional input that is not given: what the run loses."""
    return [_LOSSES.get(one.role, _loss(one.role)) for one in inputs if one.optional and one.role not in given]


_LOSSES = {
    "optical_reference": "no earlier optical image was given: the translation comes from radar, which knows no colours",
    "sar_reference": "no earlier SAR image was given: change is judged by the new one alone",
}


def _loss(role: Role) -> str:
    return f"no {describe_role(role).title} was given: the translator goes on without it"


def origin_in_words(product: Product, tags: Mapping[str, str]) -> dict[str, str]:
    """The tag SAROPT_CONTENT of a map of origin; nothing for other products.

    Args:
        tags: those of the run, with what `dates_of` and `ClearPixels.tags` say.
    """
    if product.name != "origin":
        return {}
    earlier = tags.get("SAROPT_OPTICAL_REFERENCE_DATE", "")[:10] or tags.get("SAROPT_OPTICAL_REFERENCE")
    clear = tags.get("SAROPT_KEEP_CLEAR")
    not_radar = [*([f"unchanged, from {earlier}"] if earlier else []), *([f"kept from {clear}"] if clear else [])]
    words = f"0 is {' or '.join(not_radar)}; 100 is from radar" if not_radar else "all is from radar"
    return {"SAROPT_CONTENT": f"origin of each pixel in per cent: {words}"}


def dates_of(sources: Mapping[Role, Source], ignored: Collection[Role] = ()) -> dict[str, str]:
    """Tags with the file and the date of each input but the scene, where it is known; of all dates of a mean.

    Args:
        ignored: roles of inputs that are not used; a tag names their files.
    """
    tags = {}
    for role, source in list(sources.items())[1:]:
        if role in ignored:
            tags[f"SAROPT_{role.upper()}_IGNORED"] = Path(source.source).name
            continue
        rasters, name = _rasters_of(source), role.upper()
        tags[f"SAROPT_{name}"] = ", ".join(Path(raster.source).name for raster in rasters)
        acquired = [
            acquisition_text(getattr(raster, "tags", {}), getattr(raster, "band_names", ())) for raster in rasters
        ]
        if any(acquired):
            tags[f"SAROPT_{name}_DATE"] = ", ".join(date or "unknown" for date in acquired)
    return tags
