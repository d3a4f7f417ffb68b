"""Reduced copies of large rasters that come without them, so that a map of them is quick to draw."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from saropt.errors import SaroptError
from saropt.files import atomic_file
from saropt.viewer.rasters import RasterInfo, environment, open_raster

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

LARGE_PIXELS = 4096 * 4096
_COARSEST = 512
_LOG = logging.getLogger(__name__)


class Pyramids:
    """Overviews of rasters, kept in a folder and made one after another in the background.

    Each is a virtual raster of ours that refers to the original and has its overviews beside it.

    Args:
        folder: where they are kept.
        ready: called when one more is there.
    """

    def __init__(self, folder: Path, ready: Callable[[], None]) -> None:
        self.folder, self._ready = folder, ready
        self._queue: queue.SimpleQueue[tuple[Path, Callable[[], None]] | None] = queue.SimpleQueue()
        self._asked: set[Path] = set()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._maker = threading.Thread(target=self._make_all, name="pyramids", daemon=True)

    def start(self) -> None:
        self._maker.start()

    def stop(self) -> None:
        """Make no more; one that is being made is left unfinished."""
        self._queue.put(None)

    def file(self, key: str, info: RasterInfo) -> Path | None:
        """The finished virtual raster of a layer, or None."""
        path = self.folder / f"{key}-{info.version}.vrt"
        return path if path.is_file() else None

    def want(self, key: str, path: Path, info: RasterInfo) -> None:
        """Have one made if the raster needs it."""
        made = self.folder / f"{key}-{info.version}.vrt"
        if not info.overviews and info.width * info.height > LARGE_PIXELS:
            self.have(made, partial(_make, path, made, info), at_once=False)

    def have(self, made: Path, make: Callable[[], None], at_once: bool) -> Path | None:
        """A file of the folder, or None while it is not there; what could not be made is not tried again.

        Args:
            made: its place.
            make: makes it.
            at_once: make it now, else in the background.
        """
        with self._lock:
            if made not in self._asked:
                self._asked.add(made)
                if not made.exists():
                    (_tried if at_once else self._later)(made, make)
        return made if made.is_file() else None

    def keep(self, wanted: set[str]) -> None:
        """Remove all others; `wanted` are the ids of layers, each with a dash and its version."""
        for path in self.folder.iterdir():
            if path.name.partition(".")[0] not in wanted or ".part" in path.name:
                path.unlink()

    def _later(self, made: Path, make: Callable[[], None]) -> None:
        self._queue.put((made, make))

    def _make_all(self) -> None:
        while (order := self._queue.get()) is not None:
            if _tried(*order):
                self._ready()


def _tried(made: Path, make: Callable[[], None]) -> bool:
    try:
        make()
    except (RasterioError, CPLE_BaseError, SaroptError):
        _LOG.exception("overviews: %s", made.name)
    return made.is_file()


def _make(path: Path, made: Path, info: RasterInfo) -> None:
    factors = [2**n for n in range(1, 12) if max(info.width, info.height) >> (n - 1) > _COARSEST]
    compressed = rasterio.Env(COMPRESS_OVERVIEW="DEFLATE", BIGTIFF_OVERVIEW="IF_SAFER")
    with atomic_file(made, suffix=".vrt") as part, environment(), compressed:
        with open_raster(path) as source:
            rasterio.shutil.copy(source, part, driver="VRT")
        with rasterio.open(part, "r+", driver="VRT") as virtual:
            virtual.build_overviews(factors, Resampling.nearest if info.coded else Resampling.average)
        part.with_name(f"{part.name}.ovr").rename(made.with_name(f"{made.name}.ovr"))


def open_for_display(path: Path, display: Path | None) -> DatasetReader:
    """The raster with its overviews where there are any of ours, else the raster."""
    if display is None:
        return open_raster(path)
    return rasterio.open(display, driver="VRT" if display.suffix == ".vrt" else "GTiff")
