"""Cards of small translators, for the tests of several rooms."""

from __future__ import annotations

from typing import Any

from saropt.artifacts import Card, DirectionCard, ImageCard
from saropt.domain import Direction


def direction_cards(images: dict[str, ImageCard], **networks: dict[str, Any]) -> dict[Direction, DirectionCard]:
    """Direction cards between images by role: `networks` maps the name of a direction to the fields of its network."""
    cards = {}
    for name, fields in networks.items():
        direction = Direction.parse(name)
        inputs = tuple(images[role] for role in direction.inputs)
        cards[direction] = DirectionCard(inputs=inputs, outputs=(images[direction.output],), **fields)
    return cards


def make_translator_card(images: dict[str, ImageCard], networks: dict[str, dict[str, Any]], **fields: Any) -> Card:
    """A card of these images, networks by direction name, and other fields."""
    return Card(directions=direction_cards(images, **networks), **fields)
