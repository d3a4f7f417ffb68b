"""From a data root and a configuration to the two sides that the sampler and the card need."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saropt.artifacts import SideCard
from saropt.data import DataRoot, Modality, Side
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Q99Amplitude, Recipe, Reflectance, recipe_from_dict
from saropt.scenes import Scene
from saropt.training.config import DataConfig

_SAMPLED_RASTERS = 16


def make_sides(root: DataRoot, config: DataConfig) -> tuple[Side, Side, SideCard, SideCard]:
    """SAR and optical side for sampling, and their cards.

    Raises:
        InputError: a band does not exist, or a recipe does not fit.
    """
    names = root.names("train")
    names = names[:: max(1, len(names) // _SAMPLED_RASTERS)][:_SAMPLED_RASTERS]
    sar_paths, optical_paths = [root.sar_path(n) for n in names], [root.optical_path(n) for n in names]
    sar, sar_card = _side(root, root.sar, sar_paths, config.sar_bands, config.sar_recipe, is_sar=True)
    optical, optical_card = _side(
        root, root.optical, optical_paths, config.optical_bands, config.optical_recipe, is_sar=False
    )
    return sar, optical, sar_card, optical_card


def _side(
    root: DataRoot,
    modality: Modality,
    paths: list[Path],
    bands: tuple[str, ...] | None,
    recipe: dict | None,
    is_sar: bool,
) -> tuple[Side, SideCard]:
    wanted = bands or modality.bands
    unknown = [band for band in wanted if band not in modality.bands]
    if unknown:
        raise InputError(root.path, f"has no band {', '.join(unknown)}; it has {', '.join(modality.bands)}")
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
        raise InputError(root.path, str(error)) from error
    card = SideCard(bands=wanted, units=modality.units, dtype=dtype, recipe=chosen.to_dict(), statistics=statistics)
    return Side(indices, modality.units, chosen), card


def _default_recipe(units: str, dtype: str, is_sar: bool) -> Recipe:
    if not is_sar:
        return EightBit() if dtype == "uint8" else Reflectance()
    if units == "uint8":
        return EightBit()
    return Q99Amplitude() if units == "amplitude" else DbClip()
