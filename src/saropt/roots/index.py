"""The index of a data root: facts and statistics of its rasters, remembered between starts."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saropt.domain import Role
from saropt.errors import InputError
from saropt.files import atomic_file
from saropt.processors import map_ahead, usable_cpus
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot, ImageSpec
from saropt.scenes import Georeference, Scene

if TYPE_CHECKING:
    from rasterio.crs import CRS

_VERSION = 3
_SAVE_SECONDS = 60.0
_SETTLED_NS = 2_000_000_000
_log = logging.getLogger("saropt")
Values = tuple[float, ...]


@dataclass(frozen=True)
class Indexed:
    """What the index knows of a raster.

    Attributes:
        height, width: in pixels.
        bands: how many the file has.
        dtype: type of the pixels.
        tags: the file's own metadata.
        values: what the `Measurement` gave; empty when none was asked for, None for a raster without valid pixels.
        names: what the file itself calls its bands, "" for one without a name.
        crs: coordinate system as WKT; "" where the file has none.
        transform: the six numbers of the geotransform; None where the file has none.
    """

    height: int
    width: int
    bands: int
    dtype: str
    tags: Mapping[str, str]
    values: Values | None = ()
    names: tuple[str, ...] = ()
    crs: str = ""
    transform: tuple[float, ...] | None = None

    @classmethod
    def of(cls, scene: Scene) -> Indexed:
        """The facts of an open raster.

        >>> import numpy as np
        >>> from saropt.scenes import write_array
        >>> path = write_array("sar.tif", np.ones((2, 8, 8), np.float32), band_names=["VV", "VH"])
        >>> with Scene.open(path) as scene:
        ...     Indexed.of(scene).names
        ('VV', 'VH')
        """
        place = scene.georeference
        return cls(
            scene.height,
            scene.width,
            scene.file_bands,
            scene.dtype,
            scene.tags,
            names=tuple(scene.stated_names),
            crs="" if place.crs is None else place.crs.to_wkt(),
            transform=None if place.transform is None else tuple(place.transform)[:6],
        )

    @property
    def georeference(self) -> Georeference:
        """CRS and transform."""
        from affine import Affine

        transform = None if self.transform is None else Affine(*self.transform)
        return Georeference(_parsed_crs(self.crs) if self.crs else None, transform)

    @property
    def kind(self) -> dict[str, Any]:
        """What many rasters have in common, for an index that holds it once."""
        return {"tags": dict(self.tags), "names": self.names, "crs": self.crs}


@dataclass(frozen=True)
class Measurement:
    """What is measured of the pixels of a raster.

    Attributes:
        key: text that names everything the values depend on, but for the raster.
        described: what dataset.yaml says of it.
        bands: which of these to open, from 1.
        units: units to read them in.
        run: the values of an opened raster; None when it has no valid pixels.
    """

    key: str
    described: ImageSpec
    bands: tuple[int, ...]
    units: str
    run: Callable[[Scene], Values | None]


def index_rasters(
    root: DataRoot,
    role: Role,
    paths: Sequence[Path],
    measurement: Measurement | None = None,
    check: Callable[[Path, Indexed], None] | None = None,
) -> list[Indexed]:
    """Facts and measured values of rasters of one role.

    They are read from the rasters once and kept in a hidden file in the root, or in the user's cache folder where the
    root cannot be written. A raster is read anew when its size or its time of modification has changed. Several
    processes may index a root at once; an interrupted call keeps what it has read.

    Args:
        root: the data root, or the one that borrows the role.
        role: role of all `paths`.
        paths: rasters in the root.
        measurement: what to measure of the pixels; without one no pixel is read.
        check: called for each raster with its facts, before any pixel of it is read; may raise `InputError`.

    Raises:
        InputError: a raster cannot be read, or `check` or the measurement refuses it.
    """
    index = _Index(root.home_of(role), role)
    known = index.known
    measured = {} if measurement is None else index.measured.setdefault(measurement.key, {})
    stamps = [_stamp(path) for path in paths]
    stale: list[tuple[Path, tuple[int, int]]] = []
    for path, stamp in zip(paths, stamps, strict=True):
        entry = known.get(path.name)
        if entry is None or entry[0] != stamp:
            index.forget(path.name)
            stale.append((path, stamp))
        else:
            if check is not None:
                check(path, entry[1])
            if measurement is not None and path.name not in measured:
                stale.append((path, stamp))
    if stale:
        palette: Literal["colours", "index"] = "index" if role == "label" else "colours"

        def read(item: tuple[Path, tuple[int, int]]) -> tuple[Indexed, Values | None]:
            return _read(item[0], palette, measurement, check)

        saved, workers = time.monotonic(), min(8, usable_cpus())
        done = map_ahead(read, stale, workers, ahead=16 * workers, name="index")
        try:
            for (path, stamp), (facts, values) in zip(stale, done, strict=True):
                known[path.name] = (stamp, facts)
                measured[path.name] = values
                if time.monotonic() - saved > _SAVE_SECONDS:
                    index.save()
                    saved = time.monotonic()
        finally:
            index.save()
    if measurement is None:
        return [known[path.name][1] for path in paths]
    return [replace(known[path.name][1], values=measured[path.name]) for path in paths]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    return state.st_size, state.st_mtime_ns


def _read(
    path: Path,
    palette: Literal["colours", "index"],
    measurement: Measurement | None,
    check: Callable[[Path, Indexed], None] | None,
) -> tuple[Indexed, Values | None]:
    if measurement is None:
        opened = Scene.open(path, palette=palette)
    else:
        opened = open_described(path, measurement.described, measurement.bands, units=measurement.units)
    with opened as scene:
        facts = Indexed.of(scene)
        if check is not None:
            check(path, facts)
        try:
            return facts, measurement.run(scene) if measurement else ()
        except ValueError as error:
            raise InputError(path, str(error)) from error


@lru_cache(64)
def _parsed_crs(text: str) -> CRS:
    from rasterio.crs import CRS

    return CRS.from_wkt(text)


class _Index:
    """The index file of one role: in the root, or in the cache folder where that cannot be written.

    Attributes:
        known: file name -> (size and time of modification, facts).
        measured: key of a measurement -> file name -> values.
    """

    def __init__(self, folder: Path, role: Role) -> None:
        self._places = index_places(folder, role)
        self.known: dict[str, tuple[tuple[int, int], Indexed]] = {}
        self.measured: dict[str, dict[str, Values | None]] = {}
        for place in self._places:
            self._add(place)

    def forget(self, name: str) -> None:
        self.known.pop(name, None)
        for values in self.measured.values():
            values.pop(name, None)

    def _add(self, place: Path) -> None:
        """Take what a file holds and this index does not; what is no index of this version counts for nothing."""
        try:
            content = json.loads(place.read_bytes())
            if content["version"] != _VERSION:
                return
            kinds = [
                {"tags": dict(own["tags"]), "names": tuple(own["names"]), "crs": str(own["crs"])}
                for own in content["kinds"]
            ]
            known = {
                str(name): (
                    (size, changed),
                    Indexed(height, width, bands, dtype, **kinds[own], transform=place and tuple(place)),
                )
                for name, (size, changed, height, width, bands, dtype, place, own) in content["rasters"].items()
            }
            measured = {
                str(key): {name: None if values is None else tuple(values) for name, values in own.items()}
                for key, own in content["measured"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            return
        for key, values in measured.items():
            mine = self.measured.setdefault(key, {})
            for name, value in values.items():
                if name in known and (name not in self.known or self.known[name][0] == known[name][0]):
                    mine.setdefault(name, value)
        for name, entry in known.items():
            self.known.setdefault(name, entry)

    def save(self) -> None:
        """Write the index, together with what other processes have written meanwhile.

        A raster that changed a moment ago may change again without another time of modification: it is left out.
        """
        for place in self._places:
            self._add(place)
        now = time.time_ns()
        settled = {name for name, ((_, changed), _) in self.known.items() if now - changed > _SETTLED_NS}
        numbers: dict[str, int] = {}
        rasters = {}
        for name in settled:
            stamp, facts = self.known[name]
            own = numbers.setdefault(json.dumps(facts.kind, sort_keys=True), len(numbers))
            rasters[name] = [*stamp, facts.height, facts.width, facts.bands, facts.dtype, facts.transform, own]
        content = {
            "version": _VERSION,
            "kinds": [json.loads(kind) for kind in numbers],
            "rasters": rasters,
            "measured": {
                key: {name: value for name, value in values.items() if name in settled}
                for key, values in self.measured.items()
            },
        }
        text = json.dumps(content, separators=(",", ":"))
        for place in self._places:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(place, unique=True) as part:
                    part.write_text(text, encoding="utf-8")
                return
            except (OSError, InputError):
                continue
        _log.warning("the index of %s cannot be kept: its rasters are read again at the next start", self._places[0])


def index_places(folder: Path, role: Role) -> list[Path]:
    """Where the index of a role of the root `folder` may lie, the first choice first."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:24]
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [folder / f".index-{role}.json", Path(base) / "saropt" / "indexes" / f"{name}-{role}.json"]
