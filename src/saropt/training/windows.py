"""From a data root and a configuration to windows by role, and to the cards of their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from saropt.artifacts import ImageCard
from saropt.domain import Role, is_sar
from saropt.errors import InputError
from saropt.methods import Batch
from saropt.radiometry import DbClip, EightBit, Q99Amplitude, Recipe, Reflectance, recipe_from_dict
from saropt.roots import Augmentation, DataRoot, Modality, Side, WindowSampler, draw_batch
from saropt.scenes import Scene
from saropt.training.config import DataConfig

_SAMPLED_RASTERS = 16
_PAIR: tuple[Role, Role] = ("sar", "optical")


@dataclass(frozen=True)
class Image:
    """The images of one role: how they are drawn, and their card."""

    side: Side
    card: ImageCard


def has_role(root: DataRoot, role: Role) -> bool:
    """Whether a data root has images of a role."""
    return role in _PAIR and bool(_modality(root, role).bands)


def open_images(root: DataRoot, data: DataConfig, roles: Sequence[Role]) -> dict[Role, Image]:
    """The images of some roles, by role.

    Raises:
        InputError: the root lacks a role, a band does not exist, or a recipe does not fit.
    """
    return {
        role: open_image(root, role, data.bands.get(role), data.recipes.get(role), data.split(role)) for role in roles
    }


def open_image(
    root: DataRoot, role: Role, bands: tuple[str, ...] | None, recipe: dict | None, split: str = "train"
) -> Image:
    """The images of one role in a split; all bands and the default recipe when None.

    Raises:
        InputError: the root lacks the role, a band does not exist, or the recipe does not fit.
    """
    place = (root.optical_root or root).path if role == "optical" else root.path
    if not has_role(root, role):
        hint = ": that side must come from a second root" if role in _PAIR else ""
        raise InputError(place / "dataset.yaml", f"lacks {role}{hint}")
    modality = _modality(root, role)
    paths = list(root.rasters(role, split).values())  # type: ignore[arg-type]
    paths = paths[:: max(1, len(paths) // _SAMPLED_RASTERS)][:_SAMPLED_RASTERS]
    chosen_bands = bands or modality.bands
    unknown = [band for band in chosen_bands if band not in modality.bands]
    if unknown:
        raise InputError(place, f"has no band {', '.join(unknown)}; it has {', '.join(modality.bands)}")
    indices = tuple(modality.bands.index(band) + 1 for band in chosen_bands)
    samples = []
    for path in paths:
        with Scene.open(path, bands=indices) as scene:
            dtype = scene.dtype
            samples.append(scene.sample(1 << 16))
    sample = np.concatenate(samples, axis=1)
    try:
        chosen = recipe_from_dict(recipe) if recipe else _default_recipe(modality.units, dtype, role)
        statistics = chosen.fit(sample, modality.units, dtype).statistics
    except ValueError as error:
        raise InputError(place, str(error)) from error
    card = ImageCard(
        role=role, bands=chosen_bands, units=modality.units, dtype=dtype, recipe=chosen.to_dict(), statistics=statistics
    )
    return Image(Side(indices, modality.units, chosen), card)


def open_sampler(
    root: DataRoot,
    splits: Mapping[Role, str],
    crop: int,
    images: Mapping[Role, Image],
    augmentation: Augmentation | None = None,
    unpaired: bool = False,
    data: DataConfig | None = None,
    labels: bool = False,
) -> WindowSampler:
    """A sampler of windows of both sides; `data` says how the rasters share them.

    Raises:
        InputError: rasters that cannot be drawn from; see `WindowSampler`.
    """
    data = data or DataConfig()
    sar, optical = (images[role].side for role in _PAIR)
    split = (splits["sar"], splits["optical"])
    return WindowSampler(
        root, split, crop, sar, optical, augmentation, unpaired, data.balance_tag, data.balance, labels
    )


def draw_windows(sampler: WindowSampler, size: int, seed: Sequence[int], first: int = 0) -> Batch:
    """A batch on the CPU; a pure function of `seed` and of `first`, the number of the first window."""
    arrays = draw_batch(sampler, size, seed, first)
    roles = (*_PAIR, "label")[: len(arrays)]
    return Batch({role: torch.from_numpy(array) for role, array in zip(roles, arrays, strict=True)})


def _modality(root: DataRoot, role: Role) -> Modality:
    return root.sar if role == "sar" else root.optical


def _default_recipe(units: str, dtype: str, role: Role) -> Recipe:
    if not is_sar(role):
        return EightBit() if dtype == "uint8" else Reflectance()
    if units == "uint8":
        return EightBit()
    return Q99Amplitude() if units == "amplitude" else DbClip()
