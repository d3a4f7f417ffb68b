"""Numbers in the annotation of a product."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError


def number_in(element: ElementTree.Element, name: str, source: Path, of: str = "") -> float:
    """The finite number in a child of an element.

    Args:
        of: part of the product that the element is of, for the error.

    Raises:
        InputError: there is none; names `source`.

    >>> number_in(ElementTree.fromstring("<a><b>2.5</b></a>"), "b", Path("annotation.xml"))
    2.5
    """
    text = element.findtext(name)
    try:
        number = float(text) if text is not None else float("missing")
        if not np.isfinite(number):
            raise ValueError
    except ValueError:
        raise InputError(source, f"{of} has no number {name.removeprefix('.//')}".strip()) from None
    return number


def numbers_in(element: ElementTree.Element, name: str, source: Path, low: float = -np.inf) -> NDArray[np.float64]:
    """The finite numbers of at least `low` in a child of an element.

    Raises:
        InputError: one is none; names `source`.

    >>> numbers_in(ElementTree.fromstring("<a><b>1 2</b></a>"), "b", Path("annotation.xml"))
    array([1., 2.])
    """
    try:
        numbers = np.array((element.findtext(name) or "").split(), np.float64)
    except ValueError:
        numbers = np.array([np.nan])
    if not (np.isfinite(numbers).all() and (numbers >= low).all()):
        least = "" if low == -np.inf else f" of at least {low:g}"
        raise InputError(source, f"annotation holds {name} that are no finite numbers{least}")
    return numbers


def line_of_table(
    element: ElementTree.Element, places: str, values: str, source: Path, low: float = -np.inf
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The places (n,) that a child of an element lists in ascending order, and the numbers (n,) at them in another. A
    place may be repeated with its number.

    Raises:
        InputError: there are none, not as many of both, places that descend, several numbers of one place, or numbers
            that are not finite or below `low`; names `source`.

    >>> line = ElementTree.fromstring("<a><pixel>0 30</pixel><gamma>2 2.5</gamma></a>")
    >>> line_of_table(line, "pixel", "gamma", Path("annotation.xml"))
    (array([ 0., 30.]), array([2. , 2.5]))
    """
    where, numbers = numbers_in(element, places, source), numbers_in(element, values, source, low)
    if not len(where) or len(where) != len(numbers):
        raise InputError(source, f"annotation holds {len(numbers)} numbers {values} for {len(where)} numbers {places}")
    steps = np.diff(where)
    if (steps < 0).any() or np.diff(numbers)[steps == 0].any():
        raise InputError(source, f"annotation holds numbers {places} of {values} that do not ascend")
    return where, numbers
