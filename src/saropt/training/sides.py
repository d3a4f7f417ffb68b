"""From a data root and a configuration to the two sides that the sampler and the card need."""

from __future__ import annotations

import numpy as np

from saropt.artifacts import ImageCard
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Q99Amplitude, Recipe, Reflectance, recipe_from_dict
from saropt.roots import DataRoot, Side, SideName
from saropt.scenes import Scene
from saropt.training.config import DataConfig

_SAMPLED_RASTERS = 16


def make_sides(root: DataRoot, data: DataConfig) -> tuple[Side, Side, ImageCard, ImageCard]:
    """SAR and optical side for sampling, and their cards.

    Raises:
        InputError: a band does not exist, or a recipe does not fit.
    """
    sar, sar_card = make_side(root, "sar", data.sar_bands, data.sar_recipe, data.sar_split)
    optical, optical_card = make_side(root, "optical", data.optical_bands, data.optical_recipe, data.optical_split)
    return sar, optical, sar_card, optical_card


def make_side(
    root: DataRoot, name: SideName, bands: tuple[str, ...] | None, recipe: dict | None, split: str = "train"
) -> tuple[Side, ImageCard]:
    """One side of a split for sampling, and its card; all bands and the default recipe when None.

    Raises:
        InputError: the root lacks the side, a band does not exist, or the recipe does not fit.
    """
    is_sar = name == "sar"
    modality, place = (root.sar, root.path) if is_sar else (root.optical, (root.optical_root or root).path)
    if not modality.bands:
        raise InputError(place / "dataset.yaml", f"lacks {name}: that side must come from a second root")
    paths = list(root.rasters(name, split).values())
    paths = paths[:: max(1, len(paths) // _SAMPLED_RASTERS)][:_SAMPLED_RASTERS]
    wanted = bands or modality.bands
    unknown = [band for band in wanted if band not in modality.bands]
    if unknown:
        raise InputError(place, f"has no band {', '.join(unknown)}; it has {', '.join(modality.bands)}")
    indices = tuple(modality.bands.index(band) + 1 for band in wanted)
    samples = []
    for path in paths:
        with Scene.open(path, bands=indices) as scene:
            dtype = scene.dtype
            samples.append(scene.sample(1 << 16))
    sample = np.concatenate(samples, axis=1)
    try:
        chosen = recipe_from_dict(recipe) if recipe else _default_recipe(modality.units, dtype, is_sar)
        statistics = chosen.fit(sample, modality.units, dtype).statistics
    except ValueError as error:
        raise InputError(place, str(error)) from error
    card = ImageCard(
        role=name, bands=wanted, units=modality.units, dtype=dtype, recipe=chosen.to_dict(), statistics=statistics
    )
    return Side(indices, modality.units, chosen), card


def _default_recipe(units: str, dtype: str, is_sar: bool) -> Recipe:
    if not is_sar:
        return EightBit() if dtype == "uint8" else Reflectance()
    if units == "uint8":
        return EightBit()
    return Q99Amplitude() if units == "amplitude" else DbClip()
