"""Reduced copies of large rasters that come without them, so that a map of them is quick to draw."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
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
        self._queue: queue.SimpleQueue[tuple[Path, Path, RasterInfo] | None] = queue.SimpleQueue()
        self._asked: set[Path] = set()
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
        if not info.overviews and info.width * info.height > LARGE_PIXELS and made not in self._asked:
            self._asked.add(made)
            if not made.exists():
                self._queue.put((path, made, info))

    def keep(self, wanted: set[str]) -> None:
        """Remove those of layers that are gone; `wanted` are ids."""
        for path in self.folder.iterdir():
            if path.name.partition("-")[0] not in wanted or ".part" in path.name:
                path.unlink()

    def _make_all(self) -> None:
        while (order := self._queue.get()) is not None:
            try:
                _make(*order)
            except (RasterioError, CPLE_BaseError, SaroptError):
                _LOG.exception("overviews of %s", order[0])
            else:
                self._ready()


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
    return open_raster(path) if display is None else rasterio.open(display, driver="VRT")
