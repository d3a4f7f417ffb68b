"""Scene inputs: numbers that describe a whole scene, not a pixel, and the bands by which a network is told them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_INCIDENCE_MIDDLE, _INCIDENCE_STEP = 38.0, 10.0


@dataclass(frozen=True)
class SceneInput:
    """A number that describes a whole scene.

    Attributes:
        unit: of its values; "" for the month.
        low, high: least and greatest value.
        bands: how many bands a network gets of it, the last of which is 1 where the value is known.
        near: values that differ by no more count as alike (`saropt.inference.familiarity`).
        whole: whether only whole numbers are values.
    """

    unit: str
    low: float
    high: float
    bands: int
    near: float
    whole: bool = False


SCENE_INPUTS = {
    "month": SceneInput("", 1.0, 12.0, bands=3, near=1.0, whole=True),
    "latitude": SceneInput("degrees", -90.0, 90.0, bands=2, near=5.0),
    "incidence": SceneInput("degrees", 0.0, 90.0, bands=2, near=5.0),
}
"""Name -> what it is. The month is that of the acquisition, the latitude that of the scene's centre (north positive),
the incidence angle that at the centre, from the vertical."""


def check_scene_input(name: str, value: float) -> float:
    """The value.

    Raises:
        ValueError: unknown name, or a value out of range; one line that does not repeat the value.

    >>> check_scene_input("month", 13)
    Traceback (most recent call last):
    ...
    ValueError: must be a whole number between 1 and 12
    """
    if name not in SCENE_INPUTS:
        raise ValueError(f"is no scene input; known: {', '.join(SCENE_INPUTS)}")
    known = SCENE_INPUTS[name]
    if not known.low <= value <= known.high or (known.whole and value != int(value)):
        what, unit = ("a whole number ", "") if known.whole else ("", f" {known.unit}")
        raise ValueError(f"must be {what}between {known.low:g} and {known.high:g}{unit}")
    return float(value)


def known_scene_inputs(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names.

    Raises:
        ValueError: one is no scene input, or stands twice.

    >>> known_scene_inputs(("moon",))
    Traceback (most recent call last):
    ...
    ValueError: must be among month, latitude, incidence, each once
    """
    if not set(names) <= set(SCENE_INPUTS) or len(set(names)) < len(names):
        raise ValueError(f"must be among {', '.join(SCENE_INPUTS)}, each once")
    return names


def scene_bands(names: Sequence[str]) -> int:
    """Bands that a network takes of these scene inputs.

    >>> scene_bands(["month", "latitude"])
    5
    """
    return sum(SCENE_INPUTS[name].bands for name in names)


def season(month: float, latitude: float | None) -> float:
    """The month of the northern hemisphere with the season that a month has at a latitude.

    >>> season(1, -33.0), season(7, -33.0), season(7, 33.0), season(7, None)
    (7, 1, 7, 7)
    """
    return (month + 5) % 12 + 1 if latitude is not None and latitude < 0.0 else month


def encode_scene_inputs(names: Sequence[str], given: Mapping[str, float]) -> list[float]:
    """The bands that a network takes; those of a missing scene input are 0.

    A month m is sin and cos of 2 pi (m - 1/2) / 12, of the month with the same season on the northern hemisphere where
    the latitude is below 0; a latitude is its absolute value over 90; an incidence angle is (angle - 38) / 10. A 1
    stands behind each.

    Args:
        names: the scene inputs of the network, in its order.
        given: name -> value of those that are known.

    Raises:
        ValueError: a value out of range.

    >>> encode_scene_inputs(["latitude", "incidence"], {"latitude": -45.0})
    [0.5, 1.0, 0.0, 0.0]
    """
    bands: list[float] = []
    for name in names:
        if name not in given:
            bands += [0.0] * SCENE_INPUTS[name].bands
            continue
        value = check_scene_input(name, given[name])
        if name == "month":
            angle = 2.0 * math.pi * (season(value, given.get("latitude")) - 0.5) / 12.0
            bands += [math.sin(angle), math.cos(angle), 1.0]
        elif name == "latitude":
            bands += [abs(value) / 90.0, 1.0]
        else:
            bands += [(value - _INCIDENCE_MIDDLE) / _INCIDENCE_STEP, 1.0]
    return bands
