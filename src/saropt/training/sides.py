"""The images of both roles of a configuration."""

from __future__ import annotations

from saropt.artifacts import ImageCard
from saropt.domain import Role
from saropt.roots import DataRoot, describe_images
from saropt.training.config import DataConfig


def describe_both(root: DataRoot, data: DataConfig) -> dict[Role, ImageCard]:
    """The SAR and the optical image, as `describe_images`."""
    sar = describe_images(root, "sar", data.sar_bands, data.sar_recipe, data.sar_split)
    return {
        "sar": sar,
        "optical": describe_images(root, "optical", data.optical_bands, data.optical_recipe, data.optical_split),
    }
