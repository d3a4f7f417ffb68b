"""Which bundled translator runs where none is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saropt.domain import SAR_UNITS, describe_units, match_some_bands
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError
from saropt.scenes import open_scene
from saropt.sensors.product_names import grd_product


def default_model(
    scenes: Sequence[str | Path],
    *,
    to: str | None = None,
    units: str | None = None,
    bands: Sequence[str | int] | None = None,
    reference: bool = False,
) -> str:
    """The bundled translator for scenes: the first that can be read decides.

    | scene | translator |
    |---|---|
    | optical, with `to="sar"` | `losangeles-s1` |
    | SAR, with an earlier image | `s1-reference` |
    | Sentinel-1 product, or calibrated (sigma0, gamma0) with a band called VV | `s1-world` |
    | any other, such as VH alone or plain amplitude | `s1-losangeles` |

    Args:
        scenes: paths or addresses.
        to: "optical" or "sar"; optical when None.
        units: units of the scenes; those that their tags or the names of their bands state when None.
        bands: the chosen bands, by name or 1-based number.
        reference: whether an earlier image is given.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> scene = write_array("scene.tif", np.full((2, 8, 8), -12, np.float32), band_names=["VV", "VH"])
    >>> default_model([scene], units="sigma0_db"), default_model([scene], units="amplitude")
    ('s1-world', 's1-losangeles')
    """
    if to == "sar":
        return "losangeles-s1"
    if reference:
        return "s1-reference"
    for scene in scenes:
        if grd_product(scene) is not None:
            return "s1-world"
        try:
            with open_scene(scene, bands) as opened:
                stated, names = stated_units(opened.tags, opened.band_names, opened.dtype), opened.band_names
        except InputError:
            continue
        taken = units or (None if stated is None else stated.units)
        calibrated = taken in SAR_UNITS and describe_units(taken).calibration is not None
        return "s1-world" if calibrated and match_some_bands(("VV",), names) else "s1-losangeles"
    return "s1-losangeles"
