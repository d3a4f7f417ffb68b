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
