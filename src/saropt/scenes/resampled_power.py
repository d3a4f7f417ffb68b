"""How SAR pixels are resampled: decibels and amplitude by their power, for their mean is too low; all without fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from saropt.domain import describe_units
from saropt.radiometry import ValueRule

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

UNITS_OF: Final = {"decibels": "sigma0_db", "amplitude": "amplitude"}
"""Scales of SAR pixels that are resampled by their power, and units of each."""


def resampled_scale(dataset: DatasetReader, power: str | None) -> str | None:
    """The scale of SAR pixels that are resampled by their power: decibels or amplitude, and real numbers; else None.

    Args:
        power: SAR units of the pixels.

    >>> import numpy as np
    >>> import rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("a.tif", np.ones((1, 8, 8), np.float32))) as dataset:
    ...     resampled_scale(dataset, "gamma0_db"), resampled_scale(dataset, "gamma0")
    ('decibels', None)
    """
    scale = None if power is None else describe_units(power).scale
    is_real = not any(kind.startswith("complex") for kind in dataset.dtypes)
    return scale if is_real and scale in UNITS_OF else None


class Fill(NamedTuple):
    """A stored number that is no measurement, which a file does not declare.

    Attributes:
        in_all: whether it counts only where all bands hold it, as 0 in reflectance does.
    """

    value: float
    in_all: bool


def fill_of(dataset: DatasetReader, power: str | None, nodata: float | None) -> Fill | None:
    """The number that has no part on another grid: the one that is given, else 0 in power and amplitude.

    Args:
        power: SAR units of the pixels.
        nodata: the number that is given.

    >>> import numpy as np
    >>> import rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("a.tif", np.ones((1, 8, 8), np.float32))) as dataset:
    ...     fill_of(dataset, "gamma0", None), fill_of(dataset, "gamma0_db", None), fill_of(dataset, None, 7)
    (Fill(value=0.0, in_all=False), None, Fill(value=7, in_all=True))
    """
    is_real = not any(kind.startswith("complex") for kind in dataset.dtypes)
    if nodata is not None:
        return Fill(nodata, in_all=power is None)
    if power is None or any(dataset.offsets) or not is_real:
        return None
    rule = ValueRule.of(power, dataset.dtypes[0])
    return Fill(0.0, in_all=False) if rule.zero_is_fill and describe_units(power).scale != "complex" else None


def stored_types(dataset: DatasetReader) -> Sequence[str]:
    """The types of the bands of a file; float32 where a scale or an offset is applied.

    >>> import numpy as np
    >>> import rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("a.tif", np.ones((1, 8, 8), np.uint16))) as dataset:
    ...     stored_types(dataset)
    ('uint16',)
    """
    is_plain = set(dataset.scales) == {1.0} and set(dataset.offsets) == {0.0}
    return dataset.dtypes if is_plain else ["float32"] * dataset.count
