"""Which pixels of an optical image look like cloud or snow, by a test of single pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WHITE, _HAZE = 0.7, 0.1


def looks_like_cloud(blue: NDArray, green: NDArray, red: NDArray, above: float = 0.0) -> NDArray[np.bool_]:
    """Pixels that are as white, and as bright in blue, as opaque clouds and snow are.

    The whiteness test and the haze test of Fmask (Zhu and Woodcock, Remote Sensing of Environment 118, 2012, equations
    2 and 3). Sand and soil are too red for them, plants and water too dark. The haze test asks for more than 0.1 here,
    where Fmask has 0.08 and also finds haze through which the ground shows.

    Args:
        blue, green, red: reflectance, 0 to 1, of one shape.
        above: reflectance that all three exceed, too.

    >>> looks_like_cloud(np.array([0.45, 0.2]), np.array([0.45, 0.3]), np.array([0.46, 0.42])).tolist()
    [True, False]
    """
    mean = (blue + green + red) / 3.0
    whiteness = sum(np.abs(band - mean) for band in (blue, green, red)) / np.maximum(mean, 1e-6)
    darkest = np.minimum(np.minimum(blue, green), red)
    return (whiteness < _WHITE) & (blue - 0.5 * red > _HAZE) & (darkest > above)
