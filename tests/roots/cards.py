"""Cards of images for samplers in tests."""

from __future__ import annotations

from saropt.artifacts import ImageCard
from saropt.radiometry import Recipe


def card(role: str, bands: tuple[str, ...], units: str, recipe: Recipe, optional: bool = False) -> ImageCard:
    return ImageCard(role=role, bands=bands, units=units, dtype="float32", recipe=recipe.to_dict(), optional=optional)


def both(sar: ImageCard, optical: ImageCard) -> dict[str, ImageCard]:
    return {"sar": sar, "optical": optical}
