"""Scenes as a network wants them: its bands, checked units, a fitted recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.errors import InputError
from saropt.radiometry import SAR_UNITS, Normaliser, check_units
from saropt.scenes import Scene, Window, open_scene, reflect_indices

_POLARISATIONS = {"VV", "VH", "HH", "HV"}


class ArraySource:
    """An array that is read like a scene."""

    def __init__(self, values: NDArray, valid: NDArray[np.bool_]) -> None:
        self.values, self.valid = values, valid
        self.height, self.width = valid.shape

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        rows = reflect_indices(window.row, window.height, self.height)[:, None]
        cols = reflect_indices(window.col, window.width, self.width)[None]
        return self.values[:, rows, cols], self.valid[rows, cols]


def open_input(path: str | Path, bands: Sequence[str | int] | None, side: ImageCard, model: str) -> Scene:
    """A scene with the bands of a card's input side.

    Args:
        path: or address.
        bands: by name or 1-based number; by the card's names, or all, when None.
        model: "translator" or "segmenter", for errors.

    Raises:
        InputError: it cannot be read, or its bands are not those of the card.
    """
    if bands is None:
        with open_scene(path) as scene:
            names, count, shown = scene.band_names, scene.count, scene.source
        wanted = side.bands
        found = [_matching(name, names) for name in wanted]
        if all(index is not None for index in found):
            bands = [index + 1 for index in found if index is not None]
        elif count == len(wanted):
            _refuse_other_polarisation(shown, names, wanted, model)
        else:
            raise InputError(
                shown,
                f"has {count} bands ({', '.join(names)}), the {model} takes {', '.join(wanted)}: use --bands",
            )
    scene = open_scene(path, bands)
    if scene.count != len(side.bands):
        scene.close()
        raise InputError(scene.source, f"{scene.count} bands were chosen, the {model} takes {len(side.bands)}")
    return scene


def check_array(values: NDArray, bands: int, valid: NDArray[np.bool_] | None) -> tuple[NDArray, NDArray[np.bool_]]:
    """An array (bands, H, W), and which of its pixels (H, W) count: those of `valid` whose values are finite.

    Raises:
        InputError: another shape.
    """
    values = np.asarray(values)
    if values.ndim != 3 or len(values) != bands:
        raise InputError("array", f"must be ({bands}, H, W), is {values.shape}")
    keep = np.ones(values.shape[1:], bool) if valid is None else np.asarray(valid, bool)
    if values.dtype.kind in "fc":
        keep = keep & np.isfinite(values).all(axis=0)
    return values, keep


def fit_input(
    side: ImageCard, is_sar: bool, sample: NDArray, units: str, dtype: str, name: str | Path
) -> tuple[Normaliser, NDArray[np.float32]]:
    """The card's recipe fitted to a sample (C, n) of a scene, and the median network value of each band.

    Raises:
        InputError: no valid pixel, or values that contradict their units.
    """
    if sample.shape[1] == 0:
        raise InputError(name, "holds no valid pixel (all nodata or NaN)")
    try:
        if is_sar:
            check_units(sample, units, dtype)
        elif units in SAR_UNITS and units != "uint8":
            raise ValueError(f"units {units} are of SAR; optical images in {side.units} are taken")
        normaliser = side.make_recipe().fit(sample, units, dtype)
    except ValueError as error:
        raise InputError(name, f"{error} (state the scene's units with --units)") from error
    network = normaliser.forward(sample[:, : 1 << 18, None])
    return normaliser, np.median(network, axis=(1, 2)).astype(np.float32)


def scene_tags(scene: Scene) -> dict[str, str]:
    """The scene's own tags, for what is made of it."""
    tags = {key: value for key, value in scene.tags.items() if key != "AREA_OR_POINT"}
    if scene.acquired is not None:
        tags["ACQUISITION_DATE"] = scene.acquired.isoformat()
    return tags


def _matching(wanted: str, names: Sequence[str]) -> int | None:
    """Index of the one band whose name is `wanted` or holds it as a word."""
    exact = [i for i, name in enumerate(names) if name.lower() == wanted.lower()]
    worded = [i for i, name in enumerate(names) if wanted.lower() in name.lower().replace("_", " ").split()]
    for candidates in (exact, worded):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _refuse_other_polarisation(path: str | Path, names: Sequence[str], wanted: Sequence[str], model: str) -> None:
    for name, expected in zip(names, wanted, strict=True):
        found = {word.upper() for word in name.replace("_", " ").split()} & _POLARISATIONS
        if found and expected.upper() in _POLARISATIONS and expected.upper() not in found:
            raise InputError(
                path,
                f"holds {'/'.join(sorted(found))}, the {model} takes {expected}: --bands 1 takes it all the same",
            )
