"""What a raster states of the units of its pixels: in its tags, else in its name or the names of its bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saropt.domain.rtc_names import UNITS_TAG
from saropt.domain.units import SAR_UNITS, describe_units, named_quantity

_TAGS = {"CALIBRATED_TO": "tags", "UNITS": "tags", UNITS_TAG: "file names"}
_POWER = {"intensity": ("sigma0", "gamma0"), "intensity_db": ("sigma0_db", "gamma0_db")}
"""Quantities whose name does not say whether they are calibrated, and the units that they can be then."""


@dataclass(frozen=True)
class StatedUnits:
    """What a raster says that its pixels are.

    Attributes:
        quantity: a SAR unit, or what is none, such as "beta0".
        where: "tags", "band names" or "file names" (`saropt.domain.rtc_names`).
    """

    quantity: str
    where: str

    @property
    def units(self) -> str | None:
        """The SAR units; None where the quantity is none of them.

        >>> StatedUnits("beta0", "band names").units is None
        True
        """
        return self.quantity if self.quantity in SAR_UNITS else None

    def usable(self) -> str:
        """The SAR units.

        Raises:
            ValueError: the quantity is none of them; one line.

        >>> StatedUnits("sigma0", "band names").usable()
        'sigma0'
        """
        if self.units is None:
            raise ValueError(f"its {self.where} say {self.quantity}, which is no unit here")
        return self.units

    def contradicts(self, units: str) -> bool:
        """Whether pixels in these units are not what is stated.

        >>> StatedUnits("gamma0_db", "tags").contradicts("sigma0_db")
        True
        >>> StatedUnits("intensity", "band names").contradicts("sigma0")
        False
        """
        return units not in _POWER.get(self.quantity, (self.quantity,))


def stated_units(
    tags: Mapping[str, str], names: Sequence[str] = (), dtype: str | None = None, own: Sequence[str] = ()
) -> StatedUnits | None:
    """What the tags of a raster, else the name of an RTC product, else the names of its bands say of its units; None
    where they say nothing.

    Neither decibels nor power fit into 8 bits: of an 8-bit picture such tags, and all names, tell what it was made of.

    Args:
        tags: of the raster.
        names: of its chosen bands.
        dtype: stored type of its pixels, by name.
        own: names that a card gives its bands, with units of its own: such names say nothing more.

    >>> stated_units({"CALIBRATED_TO": "sigma0_db"}, ["VV"]).units
    'sigma0_db'
    >>> stated_units({}, ["Gamma0_VV"]), stated_units({}, ["Sigma0_VV_db"], "uint8")
    (StatedUnits(quantity='gamma0', where='band names'), None)
    """
    is_picture = dtype == "uint8"
    for key, where in _TAGS.items():
        name = tags.get(key, "").strip().lower()
        if name in SAR_UNITS and not (is_picture and describe_units(name).scale in ("decibels", "power")):
            return StatedUnits(name, where)
    said = None if is_picture else named_quantity([name for name in names if name not in own])
    return None if said is None else StatedUnits(said, "band names")


def told_of_units(stated: StatedUnits | None, source: str, asked: str | None, usual: str) -> list[str]:
    """One line where the units that a raster states are not those that were asked for, or not the usual ones.

    Args:
        source: what the line calls the raster.
        asked: the units that a user gave; None where the raster's own are taken.
        usual: those that need no words.

    >>> told_of_units(StatedUnits("gamma0_db", "tags"), "scene.tif", None, "sigma0_db")
    ['scene.tif: units are gamma0_db, as its tags and values say']
    >>> told_of_units(StatedUnits("gamma0_db", "tags"), "scene.tif", "sigma0_db", "sigma0_db")
    ['scene.tif: its tags say gamma0_db: taken as sigma0_db, as asked for']
    """
    if stated is None:
        return []
    if asked is not None:
        asked_for = f"{source}: its {stated.where} say {stated.quantity}: taken as {asked}, as asked for"
        return [asked_for] if stated.contradicts(asked) else []
    if stated.units in (None, usual):
        return []
    return [f"{source}: units are {stated.units}, as its {stated.where} and values say"]
