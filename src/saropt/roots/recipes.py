"""How the images of a data root are given to a network: bands, recipe and statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saropt.artifacts import ImageCard
from saropt.domain import Role, describe_role, match_some_bands
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Q99Amplitude, Recipe, Reflectance, ValueRule, recipe_from_dict
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot
from saropt.roots.values import check_optical

_SAMPLED_RASTERS = 16


def describe_images(
    root: DataRoot,
    role: Role,
    bands: Sequence[str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    split: str = "train",
) -> ImageCard:
    """The card of a role's images in a data root: what a sampler draws and what a trained file records.

    Args:
        bands: names of the bands to use, in order, or other names of the same bands ("red" of B4); all when None.
        recipe: `Recipe.to_dict()` of the normalisation; the usual one for the role, units and data type when None.
        split: where the statistics are taken from: a sample of at most 16 rasters, none where the recipe needs none.

    Raises:
        InputError: the root lacks the role or a band, has no raster in the split, or the recipe does not fit.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> describe_images(root, "sar", bands=["VH"]).recipe
    {'kind': 'q99_amplitude', 'quantile': 0.99, 'scale': 'db', 'floor_db': -36.0}
    """
    spec, place = root.image(role), root.home_of(role)
    paths = list(root.rasters(role, split).values())
    if not paths:
        raise InputError(place / role, f"holds no raster of split {split!r}")
    indices = band_indices(root, role, bands or spec.bands)
    chosen = tuple(spec.bands[index - 1] for index in indices)
    sampled = paths[:: max(1, len(paths) // _SAMPLED_RASTERS)][:_SAMPLED_RASTERS]
    with open_described(sampled[-1], spec, indices) as scene:
        dtype = scene.dtype
    samples = [np.zeros((len(indices), 0), np.float32)]
    try:
        fitted = recipe_from_dict(dict(recipe)) if recipe else default_recipe(role, spec.units, dtype)
        for path in sampled if fitted.needs_statistics else ():
            with open_described(path, spec, indices) as scene:
                samples.append(scene.sample(1 << 16))
        statistics = fitted.fit(np.concatenate(samples, axis=1), spec.units, dtype).statistics
    except ValueError as error:
        raise InputError(place, str(error)) from error
    card = ImageCard(
        role=role,
        bands=chosen,
        units=spec.units,
        dtype=dtype,
        recipe=fitted.to_dict(),
        statistics=statistics,
        optional=spec.optional,
    )
    check_optical(card, fitted, paths, spec, indices)
    return card


def band_indices(root: DataRoot, role: Role, bands: Sequence[str]) -> tuple[int, ...]:
    """Numbers, from 1, of bands by name.

    Raises:
        InputError: the root lacks the role or a band, or a band is named twice.
    """
    known = root.image(role).bands
    bands = [next((known[place] for _, place in match_some_bands([band], known)), band) for band in bands]
    unknown = [band for band in bands if band not in known]
    if unknown:
        raise InputError(root.home_of(role), f"has no band {', '.join(unknown)}; it has {', '.join(known)}")
    if twice := [band for band in known if bands.count(band) > 1]:
        raise InputError(root.home_of(role), f"gives each band once, but {', '.join(twice)} is asked for twice")
    return tuple(known.index(band) + 1 for band in bands)


def default_recipe(role: Role, units: str, dtype: str) -> Recipe:
    """The usual recipe for images of a role.

    Raises:
        ValueError: there is none, as for elevations.

    >>> default_recipe("sar", "sigma0_db", "float32")
    DbClip(low=-30.0, high=5.0)
    """
    quantity = describe_role(role).quantity
    if quantity == "backscatter":
        if units == "uint8":
            return EightBit()
        return Q99Amplitude() if units == "amplitude" else DbClip()
    if quantity == "reflectance":
        if dtype == "uint8":
            return EightBit()
        unit = ValueRule.of(units, dtype).unit
        return Reflectance(unit.factor) if unit is not None and unit.scale == "reflectance" else Reflectance()
    if quantity == "mask":
        return EightBit() if units == "uint8" else Reflectance(scale=1.0, high=1.0)
    raise ValueError(f"{role}: state a recipe, there is no usual one for {quantity}")
