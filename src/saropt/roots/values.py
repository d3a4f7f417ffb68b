"""Whether the rasters of a data root hold what its description says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import Role, describe_role, describe_units, is_sar
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError
from saropt.radiometry import EightBit, Recipe, ValueRule, check_units, repeated_value
from saropt.roots.opening import open_described
from saropt.roots.root import ImageSpec
from saropt.scenes import Scene, fills_blocks
from saropt.scenes.georeference import Framed, other_pixel_metres
from saropt.scenes.measurements import find_measured

SAMPLED_PIXELS: Final = 1 << 16
"""Pixels of a raster from which it is told what its values are."""
_CHECKED_RASTERS = 4
NO_PIXEL: Final = "holds no valid pixel"


def contradiction(scene: Scene, units: str) -> str | None:
    """Why the pixels of a raster cannot be in these units, `NO_PIXEL` where none is valid; None where they can, or
    where the units are free words of a publisher.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> with Scene.open(write_array("sar.tif", np.full((1, 8, 8), 0.2, np.float32))) as scene:
    ...     contradiction(scene, "sigma0"), "sigma0_db" in contradiction(scene, "sigma0_db")
    (None, True)
    """
    try:
        unit = describe_units(units, scene.dtype)
    except ValueError:
        return None
    sample = scene.sample(SAMPLED_PIXELS)
    try:
        check_units(sample, unit, scene.dtype, names=scene.band_names)
    except ValueError as error:
        return str(error) if sample.size else NO_PIXEL
    return None


def stated_otherwise(scene: Scene, role: Role, units: str) -> str | None:
    """That a SAR raster states other units, by its tags or the names of its bands, than the description of its root;
    None where it does not.

    Args:
        units: those that the root declares.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> decibels = np.full((1, 8, 8), -9, np.float32)
    >>> with Scene.open(write_array("sar.tif", decibels, tags={"UNITS": "gamma0_db"})) as scene:
    ...     stated_otherwise(scene, "sar", "gamma0_db"), stated_otherwise(scene, "sar", "sigma0_db")
    (None, 'its tags say gamma0_db, dataset.yaml says sigma0_db')
    """
    stated = stated_units(scene.tags, scene.band_names, scene.dtype) if is_sar(role) else None
    if stated is None or not stated.contradicts(units):
        return None
    return f"its {stated.where} say {stated.quantity}, dataset.yaml says {units}"


def sized_otherwise(raster: Framed, gsd_m: float) -> str | None:
    """That the pixels of a raster are 1.5 times larger or smaller than the description of its root says; None where
    they are not, or where the raster has no place on the globe.

    >>> import numpy as np
    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> from saropt.scenes import Georeference, write_array
    >>> place = Georeference(CRS.from_epsg(32611), Affine(1, 0, 5e5, 0, -1, 4e6))
    >>> with Scene.open(write_array("sar.tif", np.ones((1, 8, 8), np.float32), georeference=place)) as scene:
    ...     sized_otherwise(scene, 1.0), sized_otherwise(scene, 10.0)
    (None, 'its pixels are 1 m wide, dataset.yaml says 10 m')
    """
    pixel = other_pixel_metres(raster.georeference, raster.height, raster.width, gsd_m)
    return None if pixel is None else f"its pixels are {pixel:.3g} m wide, dataset.yaml says {gsd_m:g} m"


def measured_rule(scene: Scene, role: Role, units: str, sample: NDArray) -> tuple[ValueRule, str | None]:
    """Which values of a raster of a data root are measurements, as a translation takes them, and a note of what the
    raster calls valid and is none; no note where nothing is, or where no pixel is left.

    Args:
        units: those that the root declares, in which the raster is read.
        sample: (C, n), valid pixels of the raster.

    Raises:
        InputError: a band holds nothing but fill.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> decibels = np.random.default_rng(0).normal(-12, 3, (1, 64, 64)).astype(np.float32)
    >>> decibels[:, :, :16] = -100
    >>> with Scene.open(write_array("border.tif", decibels)) as scene:
    ...     measured_rule(scene, "sar", "sigma0_db", scene.sample())[1]
    '25.00% of the pixels that it calls valid are fill (-100) or impossible values in sigma0_db: they count as nodata'
    """
    rule, quantity = ValueRule.of(units, scene.dtype), describe_role(role).quantity
    if rule.unit is None or quantity in ("classes", "mask") or not rule.measured(sample).any():
        return rule, None
    found = find_measured(scene, sample, rule, units, all_bands=quantity == "reflectance")
    if not found.notes:
        return found.rule, None
    note = found.notes[0].removeprefix(f"{scene.source}: ").removesuffix(": made nodata")
    return found.rule, f"{note}: they count as nodata"


def check_optical(
    card: ImageCard, recipe: Recipe, paths: Sequence[Path], described: ImageSpec, bands: tuple[int, ...]
) -> None:
    """Refuse optical rasters that contradict their units; a few of them are looked at.

    Args:
        described: what dataset.yaml says of them.
        bands: which of these the card takes, from 1.

    Raises:
        InputError: one does.
    """
    plain = card.dtype == "uint8" and isinstance(recipe, EightBit)  # whatever 8 bits hold is possible
    if describe_role(card.role).quantity != "reflectance" or plain:
        return
    for path in paths[:: max(1, len(paths) // _CHECKED_RASTERS)][:_CHECKED_RASTERS]:
        with open_described(path, described, bands, units=card.units) as scene:
            sample = scene.sample(SAMPLED_PIXELS)
            try:
                if sample.size:
                    measured_pixels(card, recipe, scene, sample)
            except ValueError as error:
                raise InputError(path, str(error)) from error


def measured_pixels(card: ImageCard, recipe: Recipe, scene: Scene, sample: NDArray) -> NDArray:
    """The pixels of a sample (C, n) that are measurements in the units of the card.

    Raises:
        ValueError: the sample contradicts the units, or a value that is not declared as nodata fills parts of it.
    """
    rule = ValueRule.of(card.units, scene.dtype)
    for unit in (rule.unit, None if is_sar(card.role) else recipe.unit_of(card.units, scene.dtype)):
        if unit is not None:
            check_units(sample, unit, scene.dtype, calibrated=recipe.absolute, names=scene.band_names)
    sample = sample[:, rule.measured(sample)]
    repeated = repeated_value(sample, rule)
    if repeated is not None and describe_role(card.role).quantity != "reflectance" and fills_blocks(scene, repeated):
        raise ValueError(
            f"{repeated:g} fills parts of it, which is no measurement in {card.units}: declare it as nodata"
        )
    return sample
