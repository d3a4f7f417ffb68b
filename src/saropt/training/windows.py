"""Makes windows by role, and the cards of their images, from a data root and a configuration."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from saropt.artifacts import ImageCard
from saropt.domain import Role
from saropt.methods import Batch
from saropt.roots import DataRoot, WindowSampler, describe_images, draw_batch
from saropt.training.config import DataConfig


def describe_roles(root: DataRoot, data: DataConfig, roles: Sequence[Role]) -> dict[Role, ImageCard]:
    """The cards of the images of some roles.

    Raises:
        InputError: the root lacks a role, a band does not exist, or a recipe does not fit.
    """
    return {
        role: describe_images(root, role, data.bands.get(role), data.recipes.get(role), data.split(role))
        for role in roles
    }


def draw_windows(sampler: WindowSampler, size: int, seed: Sequence[int], first: int = 0) -> Batch:
    """A batch on the CPU; a pure function of `seed` and of `first`, the number of the first window."""
    drawn = draw_batch(sampler, size, seed, first)
    return Batch({role: torch.from_numpy(array) for role, array in drawn.items()})
