"""Several dates of a SAR image, read as one: their temporal mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import describe_units
from saropt.errors import InputError
from saropt.inference.opening import bands_given
from saropt.inference.sources import Fitted, fit_input
from saropt.inference.tiling import spread_windows
from saropt.radiometry import from_power, to_power
from saropt.scenes import Scene, Window, read_mirrored, sample_pixels


class TemporalMean:
    """The mean of several dates of a SAR image on one grid, per pixel and band; read like a scene.

    The mean is that of power, a temporal multilook: of n dates of L looks with independent speckle it has n L looks
    where nothing changes. This is the plainest of the multitemporal filters (Quegan and Yu, Filtering of multichannel
    SAR images, IEEE TGRS 39(11), 2001, weight the images so that each keeps its own radiometry; here one image is
    wanted). Of `uint8` pictures, whose scale nobody states, it is the mean of the values.

    A date counts at a pixel where it is valid and all bands that it has are measured; a date that lacks a band hides
    none of the others'. The mean is valid where at least one date gives each of the bands that any date has, for there
    is one validity for all bands.

    Args:
        dates: at least one, all of the size of the scene, with bands of the card's input.
        image: the card's input.
        units: units of all dates; where not given those of the card, or of a date whose values are not in those, the
            ones in its tags.

    Attributes:
        dates: as given.
        units: units of the mean: `units`, or those of the card.
        band_names: bands of the card that any date has, in the card's order.
        notes: one line each, of what was taken for granted or lost.

    Raises:
        InputError: a date has another size, no valid pixel, or values that contradict its units or have no mean with
            those of the others.

    >>> from saropt.radiometry import DbClip
    >>> from saropt.scenes import open_scene, write_array
    >>> card = ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> paths = [write_array(f"{v}.tif", np.full((1, 2, 2), v, np.float32), band_names=["VV"]) for v in (-10, -20)]
    >>> with open_scene(paths[0]) as one, open_scene(paths[1]) as other:
    ...     values, valid = TemporalMean([one, other], card).read()
    >>> f"{values[0, 0, 0]:.3f} dB", bool(valid.all())
    ('-12.596 dB', True)
    """

    def __init__(self, dates: Sequence[Scene], image: ImageCard, units: str | None = None) -> None:
        self.dates, self.units = tuple(dates), units or image.units
        first = self.dates[0]
        self.width, self.height, self.block_shape = first.width, first.height, first.block_shape
        self.source = ", ".join(date.source for date in self.dates)
        self._fits = [fit_input(image, date, units) for date in self.dates]
        for date, fitted in zip(self.dates, self._fits, strict=True):
            self._check(date, fitted)
        is_kept = self._fits[0].normaliser.units == self.units
        self.dtype = first.dtype if is_kept else "float32"
        places = [bands_given(image, date.band_names) or list(range(date.count)) for date in self.dates]
        bands = sorted(set().union(*places))
        self.band_names = [image.bands[place] for place in bands]
        self._places = [[bands.index(place) for place in own] for own in places]
        self.notes = [note for fitted in self._fits for note in fitted.notes] + self._lost()

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (C, h, w) in `units` and validity (h, w) of a window inside the raster; of all of it when None."""
        mean, known = self._mean(window)
        valid = np.logical_and.reduce(known)
        mean[:, ~valid] = 0
        return mean, valid

    def read_padded(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the raster."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """Valid pixels (C, n) from all over the raster."""
        return sample_pixels(self, max_pixels)

    def _mean(self, window: Window | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The mean (C, h, w), and where each band of it is known (C, h, w)."""
        w = window or Window(0, 0, self.height, self.width)
        total = np.zeros((len(self.band_names), w.height, w.width))
        count = np.zeros(total.shape, np.int32)
        for date, fitted, places in zip(self.dates, self._fits, self._places, strict=True):
            values, valid = date.read(w)
            valid = valid & fitted.rule.measured(values)
            power = values if self._is_plain else to_power(values, fitted.normaliser.units)
            total[places] += np.where(valid, power, 0.0)
            count[places] += valid
        mean = total / np.maximum(count, 1)
        return mean.astype(np.float32) if self._is_plain else from_power(mean, self.units), count > 0

    @property
    def _is_plain(self) -> bool:
        return describe_units(self.units).scale == "stretch"

    def _check(self, date: Scene, fitted: Fitted) -> None:
        """Refuse a date that has no mean with the others."""
        first, own, other = self.dates[0], self._fits[0].normaliser.units, fitted.normaliser.units
        if (date.height, date.width) != (self.height, self.width):
            raise InputError(
                date.source, f"is {date.height}x{date.width} pixels, {first.source} {self.height}x{self.width}"
            )
        scales = {describe_units(name).scale for name in (self.units, other)}
        if describe_units(self.units).scale == "complex" or (len(scales) > 1 and "stretch" in scales):
            raise InputError(date.source, f"holds {other}, which has no mean over dates in {self.units}")
        calibrations = {describe_units(own).calibration, describe_units(other).calibration} - {None}
        if len(calibrations) > 1:
            raise InputError(date.source, f"holds {other}, {first.source} {own}: they differ by the incidence angle")
        if scales == {"amplitude"} and (date.dtype == "uint8") != (first.dtype == "uint8"):
            raise InputError(date.source, f"holds {date.dtype}, {first.source} {first.dtype}: they differ in scale")

    def _lost(self) -> list[str]:
        """A line where dates cover pixels without giving all bands, which are few or many."""
        if len({tuple(own) for own in self._places}) == 1:
            return []
        some = every = 0
        for window in spread_windows(self.height, self.width):
            _, known = self._mean(window)
            some += int(known.any(axis=0).sum())
            every += int(known.all(axis=0).sum())
        if some == every:
            return []
        bands = " and ".join(self.band_names)
        share = f"{1 - every / some:.1%} of the ground that the earlier SAR images cover"
        return [f"{share} lacks {bands} of any date together: it counts as not covered"]
