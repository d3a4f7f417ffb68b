"""The tiles of a data root's split: the rasters of one name, opened together, and cut into squares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import Role, describe_role, describe_units, listed
from saropt.errors import InputError, counted
from saropt.radiometry import ValueRule, check_units, describe_range, to_unit_range
from saropt.roots import DataRoot
from saropt.roots.one_grid import check_one_grid
from saropt.roots.opening import open_described
from saropt.roots.values import measured_rule, sized_otherwise, stated_otherwise
from saropt.scenes import Scene, Window

TILE = 256
MIN_VALID = 0.5
_NAMED = 5
DECLARE_RANGE = "state range: [low, high] for these images in dataset.yaml"
_NUMPY_TYPES = {"complex_int16": "complex64"}


@dataclass(frozen=True)
class Pixels:
    """Pixels of one role: values (C, h, w) in their units, validity (h, w), units, band names, stored data type, and
    the range that the data root declares."""

    values: NDArray[Any]
    valid: NDArray[np.bool_]
    units: str
    bands: tuple[str, ...]
    dtype: np.dtype[Any]
    range: tuple[float, float] | None = None

    def in_unit_range(self, source: str) -> NDArray[np.float32]:
        """The values in [0, 1], by their declared range or the fixed one of their units (`to_unit_range`).

        Args:
            source: what an error names.

        Raises:
            InputError: the units have no fixed range, and none is declared.
        """
        try:
            return to_unit_range(self.values, self.units, self.dtype, self.range)
        except ValueError as error:
            raise InputError(source, f"{error}; {DECLARE_RANGE}") from error


@dataclass(frozen=True)
class Place:
    """The pixels of one window of the rasters of one name.

    Attributes:
        images: role -> pixels; an optional input may be missing.
        valid: (h, w), True where the pixels of all roles are valid that are not optional.
    """

    name: str
    window: Window
    images: Mapping[Role, Pixels]
    valid: NDArray[np.bool_]


class Rasters:
    """The rasters of one name in a data root, one for each role, opened and on one grid. Use `open_rasters`.

    Attributes:
        scenes: role -> raster; an optional input may be missing.
        scene: the unit that moves as a whole when intervals are drawn (`DataRoot.scene_of`).
        scene_inputs: name -> value of the scene inputs that models are told.
        notes: a line for each raster that states other units or has other pixels than the root, and for each of which
            some pixels are no measurements though it calls them valid.

    Raises:
        InputError: a raster contradicts the units that the root declares.
    """

    def __init__(
        self, root: DataRoot, name: str, scenes: Mapping[Role, Scene], scene_inputs: Mapping[str, float]
    ) -> None:
        self.name, self.scene_inputs = name, scene_inputs
        self.scene = root.scene_of(name)
        self.scenes = dict(scenes)
        self._root = root
        first = next(iter(self.scenes.values()))
        self.height, self.width = first.height, first.width
        self._rules: dict[Role, ValueRule] = {}
        self.notes: list[str] = []
        for role, scene in self.scenes.items():
            self._rules[role], note = _rule(scene, role, self.units(role))
            told = (stated_otherwise(scene, role, self.units(role)), sized_otherwise(scene, root.gsd_m), note)
            self.notes += [f"{role}/{name}: {line}" for line in told if line is not None]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def units(self, role: Role) -> str:
        """The units of a role."""
        return self._root.images[role].units

    def source(self, role: Role, bands: Sequence[int], stack: ExitStack) -> Scene:
        """The raster of a role with some bands, by position; the stack closes what is opened for it."""
        scene = self.scenes[role]
        if list(bands) == list(range(scene.count)):
            return scene
        numbers, image = [band + 1 for band in bands], self._root.images[role]
        return stack.enter_context(open_described(scene.path, image, numbers))

    def read(self, window: Window) -> Place:
        """The pixels of a window."""
        images, needed = {}, []
        for role, scene in self.scenes.items():
            described = self._root.images[role]
            dtype = np.dtype(_NUMPY_TYPES.get(scene.dtype, scene.dtype))
            values, valid = scene.read(window)
            valid = valid & self._rules[role].measured(values)
            images[role] = Pixels(values, valid, described.units, described.bands, dtype, described.range)
            if not described.optional:
                needed.append(images[role].valid)
        return Place(self.name, window, images, np.logical_and.reduce(needed))


class LeftOut:
    """The rasters of a split of which no tile is measured, and why; and what is told of the others.

    >>> left_out = LeftOut()
    >>> left_out.look("a", {"sar": 0.0, "optical": 1.0}, measured=False)
    >>> left_out.look("b", {"sar": 1.0, "optical": 1.0}, measured=True)
    >>> left_out.line("test", 2)
    "1 of 2 rasters of split 'test' is left out: a (SAR has no valid pixel)"
    """

    def __init__(self) -> None:
        self._most: dict[str, dict[Role, float]] = {}
        self._measured: set[str] = set()
        self._notes: list[str] = []
        self._unseen: Counter[Role] = Counter()
        self._pixels = 0

    def look(self, name: str, valid: Mapping[Role, float], measured: bool) -> None:
        """A tile of a raster, with the share of valid pixels of each role that is needed."""
        if measured:
            self._measured.add(name)
        most = self._most.setdefault(name, dict.fromkeys(valid, 0.0))
        self._most[name] = {role: max(share, most[role]) for role, share in valid.items()}

    def note(self, rasters: Rasters) -> None:
        """Keep what is told of the rasters of a name."""
        self._notes += rasters.notes

    def lines(self, split: str, rasters: int) -> list[str]:
        """`line`, and one line of what is told of the rasters, of the first five of many."""
        lost, more = self.line(split, rasters), len(self._notes) - _NAMED
        told = "; ".join([*self._notes[:_NAMED], *([f"{counted(more, 'raster')} more as well"] if more > 0 else [])])
        return [one for one in (lost, *self._lacking(), told) if one]

    def _lacking(self) -> Iterator[str]:
        for role, count in (+self._unseen).items():
            yield (
                f"{describe_role(role).title} is not valid in {count / self._pixels:.1%} of the pixels that could be "
                f"measured without it, and they are left out of all figures: state `optional: true` for {role} in "
                "dataset.yaml to have them measured"
            )

    def look_at(self, place: Place, needed: Iterable[Role], further: Collection[Role] = ()) -> bool:
        """`look` at the pixels of a place; whether it is measured, which takes `MIN_VALID` of them.

        Args:
            further: those of the needed roles without which there would be something to measure.
        """
        measured = bool(place.valid.mean() >= MIN_VALID)
        valid = {role: place.images[role].valid for role in needed if role in place.images}
        without = np.logical_and.reduce([one for role, one in valid.items() if role not in further])
        self._pixels += int(without.sum())
        self._unseen.update({role: int((without & ~valid[role]).sum()) for role in further})
        shares = {role: float(one.mean()) for role, one in valid.items()}
        self.look(place.name, shares, measured)
        return measured

    @property
    def reasons(self) -> dict[str, str]:
        """Raster -> why it is left out."""
        return {name: _reason(most) for name, most in self._most.items() if name not in self._measured}

    def line(self, split: str, rasters: int) -> str | None:
        """One line that names them, the first five of many; None where there are none.

        Args:
            rasters: of the split.
        """
        named = [f"{name} ({reason})" for name, reason in self.reasons.items()]
        if not named:
            return None
        verb = "is" if len(named) == 1 else "are"
        return f"{len(named)} of {counted(rasters, 'raster')} of split {split!r} {verb} left out: {listed(named)}"


def _reason(most: Mapping[Role, float]) -> str:
    empty = [describe_role(role).title for role, share in most.items() if not share]
    if empty:
        return f"{' and '.join(empty)} {'has' if len(empty) == 1 else 'have'} no valid pixel"
    return f"no tile is at least {MIN_VALID:.0%} valid"


@contextmanager
def open_rasters(
    root: DataRoot, name: str, roles: Sequence[Role], scene_inputs: Mapping[str, float] | None = None
) -> Iterator[Rasters]:
    """Open the rasters of one name, one for each role; an optional role may have none.

    Args:
        scene_inputs: what models are told of the scene; nothing when None.

    Raises:
        InputError: a raster is missing or cannot be read, its bands are not those of the root, or the rasters are not
            on one grid.
    """
    with ExitStack() as stack:
        scenes: dict[Role, Scene] = {}
        for role in roles:
            described = root.images[role]
            if described.optional and root.path_of(role, name) is None:
                continue
            path = root.raster(role, name)
            scene = stack.enter_context(open_described(path, described))
            if scenes:
                first_role, first = next(iter(scenes.items()))
                titles = f"{describe_role(first_role).title} and {describe_role(role).title}"
                check_one_grid(path, titles, first, scene)
            scenes[role] = scene
        yield Rasters(root, name, scenes, scene_inputs or {})


def _rule(scene: Scene, role: Role, units: str) -> tuple[ValueRule, str | None]:
    """`measured_rule` of a raster, whose values must not contradict the units that the root declares."""
    sample = scene.sample()
    unit = ValueRule.of(units, scene.dtype).unit
    if unit is not None and sample.size and describe_role(role).quantity in ("backscatter", "reflectance"):
        try:
            check_units(sample, unit, scene.dtype)
        except ValueError as error:
            raise InputError(scene.path, str(error)) from error
    return measured_rule(scene, role, units, sample)


def tile_windows(height: int, width: int, size: int = TILE) -> list[Window]:
    """Windows of size x size side by side from the upper left corner.

    What remains at the right and lower edge is left out. A frame that is smaller than `size` has one window.

    >>> tile_windows(600, 300)
    [Window(row=0, col=0, height=256, width=256), Window(row=256, col=0, height=256, width=256)]
    """
    h, w = min(size, height), min(size, width)
    return [Window(r, c, h, w) for r in range(0, height - h + 1, h) for c in range(0, width - w + 1, w)]


def stream_tiles(
    root: DataRoot, names: Iterable[str], size: int = TILE, roles: Sequence[Role] = ("sar", "optical")
) -> Iterator[Place]:
    """The tiles of rasters, window by window from disk.

    Raises:
        InputError: as `open_rasters`.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> [place.window for place in stream_tiles(root, root.names("train"), size=32)][-1]
    Window(row=32, col=32, height=32, width=32)
    """
    for name in names:
        with open_rasters(root, name, roles) as rasters:
            for window in tile_windows(*rasters.shape, size):
                yield rasters.read(window)


def scale_in_words(units: str, dtype: str, value_range: tuple[float, float] | None = None) -> str:
    """What decides which numbers in [0, 1] the values of an image become.

    Args:
        value_range: of dataset.yaml; the usual one when None.

    >>> scale_in_words("amplitude", "uint8"), scale_in_words("sigma0_db", "float32")
    ('0..255 of 8 bits', '-30..5 dB of sigma0_db')
    """
    try:
        unit = describe_units(units, dtype)
    except ValueError:
        name = units
    else:
        name = f"reflectance x {unit.factor:g}" if unit.scale == "reflectance" else unit.name
        name = "8 bits" if unit.scale == "stretch" or (dtype == "uint8" and value_range is None) else name
    return f"{describe_range(units, dtype, value_range)} of {name}"
