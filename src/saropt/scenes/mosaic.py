"""Joins fragments of one grid into a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import rasterio

from saropt.errors import InputError
from saropt.scenes.georeference import Georeference, Window
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.reading import Scene
from saropt.scenes.writing import SceneWriter

_TOLERANCE = 0.01  # pixels
_CHUNK_PIXELS = 1 << 21


@dataclass(frozen=True)
class _Fragment:
    path: Path
    window: Window
    georeference: Georeference
    band_names: list[str]
    dtype: str
    nodata: float | None
    tags: dict[str, str]
    is_rgb: bool


def mosaic(
    paths: Sequence[str | Path], out: str | Path, *, nodata: float | None = None, overwrite: bool = False
) -> Path:
    """Join touching fragments that lie on one pixel grid into one COG, without resampling.

    Memory is bounded: fragments are copied in chunks of rows. Tags that all fragments share are kept. Where fragments
    state a scale or an offset, these are applied.

    Args:
        paths: fragments with the same CRS, pixel size, bands and type, on whole-pixel offsets, not overlapping.
        out: output, .tif or .tiff.
        nodata: value for gaps and invalid pixels; the fragments' own when None.
        overwrite: replace an existing output.

    Returns:
        The path of the output.

    Raises:
        InputError: a fragment (named in the message) is off the grid, differs from the first or overlaps another; or
            there are gaps or invalid pixels but no nodata value for them.

    >>> from affine import Affine
    >>> from saropt.scenes import Georeference, Scene, write_array
    >>> for name, x in (("west", 0), ("east", 80)):
    ...     place = Georeference(None, Affine(10, 0, x, 0, -10, 0))
    ...     _ = write_array(f"{name}.tif", np.ones((1, 8, 8), np.uint8), band_names=["VV"], georeference=place)
    >>> with Scene.open(mosaic(["west.tif", "east.tif"], "both.tif")) as scene:
    ...     scene.height, scene.width
    (8, 16)
    """
    if not paths:
        raise InputError(out, "there are no fragments to join")
    first = _fragment(Path(paths[0]), None)
    fragments = [_fragment(Path(path), first) for path in paths]
    for one, other in combinations(fragments, 2):
        if _overlap(one.window, other.window):
            raise InputError(other.path, f"overlaps {one.path.name}")
    top, left = min(part.window.row for part in fragments), min(part.window.col for part in fragments)
    height = max(part.window.row + part.window.height for part in fragments) - top
    width = max(part.window.col + part.window.width for part in fragments) - left
    has_gaps = sum(part.window.height * part.window.width for part in fragments) < height * width
    fill = first.nodata if nodata is None else nodata
    if has_gaps and fill is None:
        raise InputError(out, "the fragments leave gaps; give a nodata value for them")
    assert first.georeference.transform is not None
    origin = first.georeference.transform @ rasterio.Affine.translation(left, top)
    tags = {key: value for key, value in first.tags.items() if all(part.tags.get(key) == value for part in fragments)}
    with SceneWriter(
        out,
        width=width,
        height=height,
        band_names=first.band_names,
        dtype="complex64" if first.dtype == "complex_int16" else first.dtype,
        nodata=fill,
        georeference=Georeference(first.georeference.crs, origin),
        tags=tags,
        overwrite=overwrite,
        photometric="rgb" if first.is_rgb else None,
    ) as writer:
        if has_gaps and fill != 0:
            for row, rows in _chunks(height, width):
                writer.write(row, 0, np.full((len(first.band_names), rows, width), fill, writer.layout.dtype))
        for part in fragments:
            with Scene.open(part.path) as scene:
                for row, rows in _chunks(scene.height, scene.width):
                    window = Window(row, 0, rows, scene.width)
                    stored, valid = scene.read(window) if scene.scaling else scene.read_stored(window)
                    if not valid.all():
                        if fill is None:
                            raise InputError(part.path, "has invalid pixels; give a nodata value for them")
                        stored[:, ~valid] = fill
                    writer.write(part.window.row - top + row, part.window.col - left, stored)
        return writer.finish()


def _fragment(path: Path, first: _Fragment | None) -> _Fragment:
    """The position of a fragment in pixels from the origin of the first one. Raises InputError where it does not fit
    the first one."""
    with Scene.open(path) as scene:
        place = scene.georeference
        if place.transform is None:
            raise InputError(path, "has no geotransform, so it cannot be placed")
        row, col = 0, 0
        if first is not None:
            names = [name.lower() for name in scene.band_names]
            for what, mine, theirs in (
                ("CRS", place.crs, first.georeference.crs),
                ("bands", names, [name.lower() for name in first.band_names]),
                ("type", scene.dtype, first.dtype),
                ("nodata value", str(scene.nodata), str(first.nodata)),
            ):
                if mine != theirs:
                    raise InputError(path, f"its {what} differs from that of {first.path.name}: {mine} and {theirs}")
            assert first.georeference.transform is not None
            step = ~first.georeference.transform @ place.transform
            row, col = round(step.f), round(step.c)
            drift = max(abs(step.a - 1), abs(step.b), abs(step.d), abs(step.e - 1)) * max(scene.width, scene.height)
            if max(abs(step.f - row), abs(step.c - col), drift) > _TOLERANCE:
                raise InputError(path, f"is not on the pixel grid of {first.path.name}; resample it first")
        return _Fragment(
            path,
            Window(row, col, scene.height, scene.width),
            place,
            scene.band_names,
            scene.dtype,
            scene.nodata,
            tags_for_output(scene, same_units=True),
            scene.is_rgb,
        )


def _overlap(one: Window, other: Window) -> bool:
    return (
        one.row < other.row + other.height
        and other.row < one.row + one.height
        and one.col < other.col + other.width
        and other.col < one.col + one.width
    )


def _chunks(height: int, width: int) -> list[tuple[int, int]]:
    rows = max(1, _CHUNK_PIXELS // width)
    return [(row, min(rows, height - row)) for row in range(0, height, rows)]
