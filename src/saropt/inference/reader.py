"""Windows of all inputs of a network, normalised and stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import Role
from saropt.errors import InputError
from saropt.files.polarisation_files import other_polarisation
from saropt.inference.clouds import Clouds
from saropt.inference.opening import bands_given
from saropt.inference.sources import Source, fit_input
from saropt.inference.tiling import spread_windows
from saropt.processors import map_ahead
from saropt.radiometry import Normaliser, ValueRule
from saropt.scenes import Window

if TYPE_CHECKING:
    from saropt.inference.runtimes import Backend


@dataclass(frozen=True)
class Input:
    """One input of a network, bound to a source; `source` is None where an optional input is missing.

    Attributes:
        fill: (C,), median network value of each of the source's bands, which its invalid pixels take.
        places: positions of the source's bands in the input's, where some are missing.
        clouds: those of an earlier optical image that is mostly cloud and has no mask: they are not read.
        estimates_bands: whether a missing band is estimated from the other one, where the card says how.
        rule: which values are measurements.
        notes: one line each, of what was taken for granted.
    """

    image: ImageCard
    source: Source | None
    normaliser: Normaliser | None
    fill: NDArray[np.float32]
    places: Sequence[int] = ()
    estimates_bands: bool = True
    rule: ValueRule | None = None
    clouds: Clouds | None = None
    notes: tuple[str, ...] = ()

    def missing_bands(self) -> list[str]:
        """One line where a missing band is estimated from the other one, with the file of it that lies beside the
        scene."""
        if self.source is None or not (self.places and self.estimates_bands) or self.image.band_difference is None:
            return []
        (there,), bands = self.places, self.image.bands
        beside = other_polarisation(self.source.source, bands[1 - there])
        way = "" if beside is None else f" ({beside[0]} lies beside it: {beside[1]} names both)"
        name, lacking = self.source.source, bands[1 - there]
        return [f"{name}: {lacking} is missing or not chosen: it is estimated from {bands[there]}{way}"]

    def read(
        self, window: Window, out: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Network bands (`ImageCard.channels`, h, w), in `out` where it is given, and validity (h, w)."""
        if self.source is None or self.normaliser is None:
            valid = np.zeros((window.height, window.width), bool)
            return self.image.network_bands(None, valid, out=out), valid
        if self.clouds is not None and self.rule is not None:
            values, valid = self.clouds.read(self.source, window, self.rule)
        else:
            values, valid = self.source.read_padded(window)
            if self.rule is not None:
                valid = valid & self.rule.measured(values)
        network = self.normaliser.forward(values)
        if not (self.image.optional or valid.all()):
            network[:, ~valid] = self.fill[:, None]
        medians = self.fill
        if self.places:
            network = self.image.with_missing_bands(network, self.places, estimate=self.estimates_bands)
            medians = np.full(len(network), np.nan, np.float32)
            medians[list(self.places)] = self.fill
        return self.image.network_bands(network, valid, medians, out), valid


class TileReader:
    """Network inputs of any window. Invalid pixels take the median of their band, so that no edge appears there, and 0
    in optional inputs; the result is valid where all inputs that are needed are.

    Args:
        images: the network's inputs, in the order of its bands.
        sources: role -> source; an optional input may be left out. All have the size of the first input.
        units: role -> units of the source, where they are not those of the card.
        places: role -> positions of the source's bands in those of the card, where some are missing.
        constants: network values of the bands behind the inputs', which are constant over the scene.

    Attributes:
        frozen: the network with statistics of this scene, where it takes any.

    Raises:
        InputError: an input is missing, of another size or band count, without a valid pixel, or contradicts its units.
    """

    def __init__(
        self,
        images: Sequence[ImageCard],
        sources: Mapping[Role, Source],
        units: Mapping[Role, str] | None = None,
        places: Mapping[Role, Sequence[int]] | None = None,
        constants: Sequence[float] = (),
    ) -> None:
        unknown = [role for role in sources if role not in {image.role for image in images}]
        if unknown:
            raise InputError(", ".join(unknown), f"is no input; inputs are {', '.join(image.role for image in images)}")
        units, places = units or {}, places or {}
        self._given = list(sources)

        def bind(image: ImageCard) -> Input:
            return _bound(image, sources.get(image.role), units.get(image.role), places.get(image.role))

        # each looks at pixels from all over its raster
        self.inputs = list(map_ahead(bind, images, workers=len(images), ahead=len(images), name="inputs"))
        self.frozen: Backend | None = None
        self._constants = np.array(constants, np.float32)[:, None, None]
        first = self.inputs[0].source
        assert first is not None
        self.source = first
        self.height, self.width = first.height, first.width
        for one in self.inputs[1:]:
            if one.source is not None and (one.source.height, one.source.width) != (self.height, self.width):
                found = f"is {one.source.height}x{one.source.width} pixels"
                raise InputError(one.source.source, f"{found}, {first.source} {self.height}x{self.width}")

    @property
    def ignored(self) -> list[Role]:
        """Roles of given inputs that are not used: earlier optical images that show cloud alone."""
        used = {one.image.role for one in self.inputs if one.source is not None}
        return [role for role in self._given if role not in used]

    @property
    def notes(self) -> list[str]:
        """One line each, of what was taken for granted."""
        return [note for one in self.inputs for note in (*one.notes, *one.missing_bands())]

    def __call__(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Network input (C, h, w) and validity (h, w)."""
        if len(self.inputs) == 1 and not self._constants.size:
            network, valid = self.inputs[0].read(window)
            return np.ascontiguousarray(network), valid
        ends = np.cumsum([one.image.channels for one in self.inputs])
        whole = np.empty((ends[-1] + len(self._constants), window.height, window.width), np.float32)
        whole[ends[-1] :] = self._constants
        needed = np.ones(whole.shape[1:], bool)
        for one, part in zip(self.inputs, np.split(whole, ends[:-1]), strict=True):
            _, valid = one.read(window, part)
            if not one.image.optional:
                needed &= valid
        return whole, needed

    def estimate_no_bands(self) -> None:
        """Leave missing bands at -1, the value of nothing, where they would be estimated from the other one."""
        self.inputs = [replace(one, estimates_bands=False) for one in self.inputs]

    def spread_windows(self, stride: int, *, first_input: bool = False) -> NDArray[np.float32]:
        """Network inputs (N, C, side, side) spread evenly over the scene, for statistics that are frozen before it is
        translated. They depend on the scene alone, never on the tiling.

        Args:
            first_input: whether to read the first input alone.

        Raises:
            InputError: all are mostly nodata.
        """
        places = spread_windows(self.height, self.width, stride)
        windows = []
        for place in places:
            network, valid = self.inputs[0].read(place) if first_input else self(place)
            if valid.mean() > 0.5 or len(places) == 1:
                windows.append(network)
        if not windows:
            raise InputError(self.source.source, "is mostly nodata: no window to take the network's statistics from")
        return np.stack(windows)


def _bound(image: ImageCard, source: Source | None, units: str | None, places: Sequence[int] | None) -> Input:
    if source is None:
        if not image.optional:
            raise InputError(image.role, "is missing: the network needs this input")
        return Input(image, None, None, np.zeros(len(image.bands), np.float32))
    fitted = fit_input(image, source, units)
    clouds, notes = fitted.clouds, (*getattr(source, "notes", ()), *fitted.notes)
    if clouds is not None:
        notes += (clouds.told(source.source),)
        if clouds.overcast:
            return Input(image, None, None, np.zeros(len(image.bands), np.float32), notes=notes)
    names = getattr(source, "band_names", None)
    if places is None and image.partial and names is not None and len(names) < len(image.bands):
        places = bands_given(image, names)
    if places is not None and len(places) == len(image.bands):
        places = None
    median, places = fitted.median, tuple(places or ())
    return Input(image, source, fitted.normaliser, median, places, rule=fitted.rule, clouds=clouds, notes=notes)
