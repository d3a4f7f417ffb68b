"""Layers of a generator whose features a contrastive loss compares."""

from __future__ import annotations


def ascending_taps(value: tuple[int, ...]) -> tuple[int, ...]:
    """The layer indices, checked: generators give the features of their layers in ascending order.

    Raises:
        ValueError: they do not ascend.

    >>> ascending_taps((0, 4, 8))
    (0, 4, 8)
    """
    if list(value) != sorted(set(value)):
        raise ValueError("must be ascending layer indices")
    return value
