"""Where a point on the ground lies in a GRD image: the range-Doppler equations with the orbit of the annotation.

After "Guide to Sentinel-1 Geocoding" (UZH-S1-GC-AD, issue 1.10, 2019), sections 3 and 4: a point X is imaged at the
time t at which the satellite S(t) is nearest, (X - S(t)) . V(t) = 0; its slant range |X - S(t)| gives the ground range
by the polynomials of the annotation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.sensors.annotation import number_in, numbers_in

_DEGREE: Final = 5
_STEPS: Final = 8
_EARTH_A, _EARTH_E2 = 6378137.0, 6.69437999014e-3
"""WGS 84: half the long axis in metres, and the square of the eccentricity."""

Array = NDArray[np.float64]


class ImageGeometry:
    """The geometry of a GRD product.

    Args:
        annotation: of one polarisation.
        source: the product, for errors.

    Raises:
        InputError: the annotation lacks the orbit, the timing or the polynomials of the ground range.
    """

    def __init__(self, annotation: ElementTree.Element, source: Path) -> None:
        def seconds(element: ElementTree.Element, name: str) -> float:
            try:
                return (datetime.fromisoformat(element.findtext(name, "")).replace(tzinfo=UTC) - epoch).total_seconds()
            except ValueError:
                raise InputError(source, f"annotation has no time {name.removeprefix('.//')}") from None

        def number(name: str) -> float:
            return number_in(annotation, f".//{name}", source, "annotation")

        epoch = datetime(2000, 1, 1, tzinfo=UTC)
        start = seconds(annotation, ".//imageInformation/productFirstLineUtcTime")
        self._line_s = number("imageInformation/azimuthTimeInterval")
        self._column_m = number("imageInformation/rangePixelSpacing")
        vectors = annotation.findall(".//orbitList/orbit")
        conversions = annotation.findall(".//coordinateConversionList/coordinateConversion")
        if len(vectors) <= _DEGREE or not conversions or min(self._line_s, self._column_m) <= 0:
            raise InputError(source, "annotation lacks the orbit or the conversion to ground range")
        times = np.array([seconds(one, "time") for one in vectors]) - start
        places = np.array([[number_in(one, f"position/{axis}", source) for axis in "xyz"] for one in vectors])
        self._scale = float(np.abs(times).max())
        self._orbit = polynomial.polyfit(times / self._scale, places, _DEGREE)
        self._times = np.array([seconds(one, "azimuthTime") for one in conversions]) - start
        self._origins = np.array([number_in(one, "sr0", source) for one in conversions])
        self._ranges = [numbers_in(one, "srgrCoefficients", source) for one in conversions]

    def satellite(self, time: Array) -> tuple[Array, Array, Array]:
        """Position, velocity and acceleration (3, ...) at seconds after the first line, in metres."""
        first, second = polynomial.polyder(self._orbit), polynomial.polyder(self._orbit, 2)
        at = time / self._scale
        return (
            np.asarray(polynomial.polyval(at, self._orbit), np.float64),
            np.asarray(polynomial.polyval(at, first), np.float64) / self._scale,
            np.asarray(polynomial.polyval(at, second), np.float64) / self._scale**2,
        )

    def closest(self, points: Array, guess: Array | float = 0.0, steps: int = _STEPS) -> Array:
        """Seconds after the first line at which points (3, ...) are nearest to the satellite, by Newton's method."""
        time = np.broadcast_to(np.asarray(guess, np.float64), points.shape[1:])
        for _ in range(steps):
            place, velocity, acceleration = self.satellite(time)
            away = points - place
            slope = (away * acceleration).sum(0) - np.square(velocity).sum(0)
            time = time - (away * velocity).sum(0) / slope
        return time

    def line_distance(self, points: Array, time: Array) -> Array:
        """Metres on the ground between two lines, at points (3, ...) that are imaged at these times: the speed of the
        satellite, at the distance of the point from the axis of its orbit."""
        place, velocity, _ = self.satellite(time)
        radius = np.sqrt(np.square(place).sum(0))
        return self._line_s * np.sqrt(np.square(velocity).sum(0)) * (points * place).sum(0) / radius**2

    def pixels(self, time: Array, slant: Array) -> tuple[Array, Array]:
        """Line and column, 0 at the centre of the first pixel, of a time in seconds and a slant range in metres."""
        clipped = np.clip(time, self._times[0], self._times[-1])
        after = np.clip(np.searchsorted(self._times, clipped, side="right"), 1, max(len(self._times) - 1, 1))
        ground = np.zeros(slant.shape)
        for number in np.unique(after):
            here = after == number
            one, other = number - 1, min(number, len(self._times) - 1)
            span = self._times[other] - self._times[one]
            share = (clipped[here] - self._times[one]) / span if span > 0 else 0.0
            low, high = (
                polynomial.polyval(slant[here] - self._origins[which], self._ranges[which]) for which in (one, other)
            )
            ground[here] = low * (1 - share) + high * share
        return time / self._line_s, ground / self._column_m


def earth_fixed(longitude: Array, latitude: Array, height: Array) -> tuple[Array, Array]:
    """Earth-fixed metres (3, ...) of degrees and metres above the ellipsoid WGS 84, and the unit vectors that point up.

    >>> earth_fixed(np.array(90.0), np.array(0.0), np.array(10.0))[0].round().tolist()
    [0.0, 6378147.0, 0.0]
    """
    lam, phi = np.deg2rad(longitude), np.deg2rad(latitude)
    up = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    across = _EARTH_A / np.sqrt(1.0 - _EARTH_E2 * np.sin(phi) ** 2)
    flattened = np.stack([across, across, across * (1.0 - _EARTH_E2)])
    return (flattened + height) * up, up
