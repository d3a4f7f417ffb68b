"""Which pixels of a raster are measurements: not impossible values, nor fill that the raster does not declare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.domain import describe_units
from saropt.domain.stated_units import stated_units, told_of_units
from saropt.errors import InputError
from saropt.radiometry import ValueRule, check_units, most_common_outside, repeated_value, to_db
from saropt.scenes.pixel_samples import Padded, fills_blocks
from saropt.scenes.reading import Scene


class Named(Padded, Protocol):
    """A raster with a name for messages."""

    @property
    def source(self) -> str: ...


@dataclass(frozen=True)
class Measured:
    """What of a raster is measured.

    Attributes:
        rule: the values that are.
        sample: (C, n), the pixels of a sample that are.
        units: of the raster.
        notes: one line each, of what was taken for granted: how many pixels are not though the raster calls them valid.
    """

    rule: ValueRule
    sample: NDArray
    units: str
    notes: tuple[str, ...]


def find_measured(raster: Named, sample: NDArray, rule: ValueRule, units: str, *, all_bands: bool = False) -> Measured:
    """Look for fill beside what a rule tells of.

    Args:
        sample: (C, n), valid pixels of the raster.
        rule: the rule of its units.
        units: what the note calls them.
        all_bands: whether fill counts only where all bands have it.

    Raises:
        InputError: no pixel is a measurement.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> power = np.random.default_rng(0).gamma(4.0, 0.02, (1, 64, 64)).astype(np.float32)
    >>> power[:, :, :16] = 0
    >>> with Scene.open(write_array("border.tif", power)) as scene:
    ...     find_measured(scene, scene.sample(), ValueRule.of("sigma0", scene.dtype), "sigma0").notes
    ('border.tif: 25.00% of the pixels that it calls valid are fill or impossible values in sigma0: made nodata',)
    """
    total = sample.shape[1]
    keep = rule.measured(sample)
    impossible, sample = sample[:, ~keep], sample[:, keep]
    repeated = repeated_value(sample, rule)
    if repeated is not None and not fills_blocks(raster, repeated):
        repeated = None
    if repeated is not None:
        rule = rule.with_fill(repeated, all_bands=all_bands)
        sample = sample[:, rule.measured(sample)]
    elif not np.iscomplexobj(impossible) and (usual := most_common_outside(impossible, *rule.limits)) is not None:
        rule = rule.with_fill(usual, all_bands=all_bands)
    if sample.shape[1] == 0:
        raise InputError(raster.source, "holds no valid pixel: all values are fill")
    notes = []
    if sample.shape[1] < total:
        share = (total - sample.shape[1]) / total
        what = "fill or impossible values" if repeated is None else f"fill ({repeated:g}) or impossible values"
        notes.append(
            f"{raster.source}: {share:.2%} of the pixels that it calls valid are {what} in {units}: made nodata"
        )
    return Measured(rule, sample, units, tuple(notes))


def stored_fill(scene: Scene, rule: ValueRule) -> float | None:
    """The stored number of the fill that was found in a scene which does not declare it; None where there is none.

    Args:
        rule: what `find_measured` found.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> with Scene.open(write_array("a.tif", np.ones((1, 8, 8), np.float32))) as scene:
    ...     stored_fill(scene, ValueRule.of("sigma0_db", "float32").with_fill(0.0))
    0.0
    """
    found = next(iter(rule.fill), None)
    if found is None or scene.scaling is None:
        return found
    return 0.0 if found == 0.0 and not any(offset for _, offset in scene.scaling) else None


def sar_units_of(scene: Scene, asked: str | None, usual: str, remedy: str = "units") -> str:
    """The units of a SAR raster: those that a user asks for, else those that its tags or the names of its bands state,
    else the usual ones.

    Args:
        remedy: an argument of `saropt.errors.REMEDIES` by which a user asks for units.

    Raises:
        InputError: it states a quantity that is no unit here, and none are asked for.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> path = write_array("sar.tif", np.full((1, 8, 8), -9, np.float32), band_names=["Gamma0_VV_db"])
    >>> with Scene.open(path) as scene:
    ...     sar_units_of(scene, None, "sigma0_db"), sar_units_of(scene, "sigma0_db", "sigma0_db")
    ('gamma0_db', 'sigma0_db')
    """
    stated = stated_units(scene.tags, scene.band_names, scene.dtype)
    if asked is not None or stated is None or not stated.contradicts(usual):
        return asked or usual
    try:
        return stated.usable()
    except ValueError as error:
        raise InputError(scene.source, str(error), remedy=remedy) from error


def measured_backscatter(scene: Scene, asked: str | None, usual: str = "sigma0_db") -> Measured:
    """What of a SAR raster is measured, and its units (`sar_units_of`).

    Raises:
        InputError: the values contradict the units, these have no decibel scale, or no pixel is a measurement.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> with Scene.open(write_array("sar.tif", np.full((1, 8, 8), 0.2, np.float32))) as scene:
    ...     measured_backscatter(scene, "sigma0").sample.shape
    (1, 64)
    """
    units, stated = sar_units_of(scene, asked, usual), stated_units(scene.tags, scene.band_names, scene.dtype)
    sample = scene.sample()
    try:
        to_db(np.ones(1), units)  # refuses units without a decibel scale
        check_units(sample, units, scene.dtype, stated=asked is not None or stated is not None)
        unit = describe_units(units, scene.dtype)
    except ValueError as error:
        named = f" (so its {stated.where} say)" if asked is None and stated and stated.where != "tags" else ""
        raise InputError(scene.source, f"{error}{named}", remedy="units") from error
    found = find_measured(scene, sample, ValueRule(unit, scene.dtype), units)
    told = told_of_units(stated, scene.source, asked, usual)
    return replace(found, notes=(*told, *found.notes))
