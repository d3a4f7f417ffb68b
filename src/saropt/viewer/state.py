"""Everything one running viewer holds: catalogue, uploads, jobs, translators."""

from __future__ import annotations

import glob
import hashlib
import os
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning
from rio_tiler.errors import NoOverviewWarning

from saropt.artifacts import Card
from saropt.errors import InputError, SaroptError
from saropt.files import Lock
from saropt.inference import card_of, list_translators
from saropt.viewer.catalogue import Catalogue, Result
from saropt.viewer.jobs import Jobs
from saropt.viewer.pyramids import Pyramids
from saropt.viewer.rasters import Limits
from saropt.viewer.statistics import Statistics
from saropt.viewer.uploads import PART, Uploads

STATE_FOLDER = ".saropt-viewer"


@dataclass(frozen=True)
class KnownTranslator:
    """A translator file that can be chosen by its name."""

    name: str
    path: Path
    card: Card
    bundled: bool


class Viewer:
    """A folder being served.

    Args:
        folder: of the scenes.
        state: where uploads, jobs and translations are kept; `.saropt-viewer` in the folder when None.
        limits: of uploads and rasters.
        threads: CPU threads of a translation, all when None.

    Raises:
        InputError: a folder cannot be used, or another viewer keeps its state there.

    >>> Path("scenes").mkdir()
    >>> viewer = Viewer(Path("scenes"))
    >>> viewer.start()
    >>> "s1-losangeles" in viewer.translators()
    True
    >>> viewer.close()
    """

    def __init__(
        self, folder: Path, state: Path | None = None, limits: Limits | None = None, threads: int | None = None
    ) -> None:
        if not folder.is_dir():
            raise InputError(folder, "is a file; the viewer takes a folder" if folder.exists() else "no such folder")
        for expected in (NotGeoreferencedWarning, NodataShadowWarning, NoOverviewWarning):
            warnings.filterwarnings("ignore", category=expected)
        self.folder = folder.resolve()
        self.state = (state or self.folder / STATE_FOLDER).resolve()
        self.limits = limits or Limits()
        self._lock = self._take(self.state)
        self.statistics = Statistics()
        self.pyramids = Pyramids(self.state / "pyramids", self.scan)
        self.catalogue = Catalogue(self.folder, self.limits, self.pyramids.file)
        self.uploads = Uploads(self.state / "uploads", self.limits)
        self._cards: dict[tuple[Path, int], Card] = {}
        self._cards_lock = threading.Lock()
        self.jobs = Jobs(
            self.state / "jobs",
            source=lambda key: layer.path if (layer := self.catalogue.layers.get(key)) else None,
            translator=lambda name: known.path if (known := self.translators().get(name)) else None,
            finished=self.scan,
            threads=threads,
        )
        self.scan()
        self.pyramids.keep({f"{layer.id}-{layer.info.version}" for layer in self.catalogue.layers.values()})

    def start(self) -> None:
        """Begin with the jobs that wait."""
        self.jobs.start()
        self.pyramids.start()

    def close(self) -> None:
        """End the running job, which goes on at the next start, and let go of the state folder."""
        self.jobs.stop()
        self.pyramids.stop()
        self._lock.release()

    def scan(self) -> None:
        """Look through the folder, the uploads and the finished jobs again."""
        results = []
        for job in self.jobs.outputs():
            image, made_of = self.jobs.output(job), (str(job.request["scene"]), job.request.get("contents", {}))
            beside = sorted(image.parent.glob(f"{glob.escape(image.stem)}_*{image.suffix}"))
            files = {job.id: image} | {product_id(job.id, path): path for path in beside}
            results += [Result(key, job.id, made_of[0], path, made_of[1]) for key, path in files.items()]
        self.catalogue.scan(self.uploads.files(), results)

    def translators(self) -> dict[str, KnownTranslator]:
        """Bundled translators and the usable translator files directly in the folder, by name."""
        bundled = list_translators()
        known = {}
        for name, path in list_translators(self.folder).items():
            try:
                card = self._card(path)
            except SaroptError:
                continue
            known[name] = KnownTranslator(name, path, card, name in bundled)
        return known

    def used_bytes(self) -> int:
        """Bytes under the state folder without uploads that have not ended; a file that goes while it is looked at has
        none."""
        used = 0
        for place, folders, names in os.walk(self.state):
            folders[:] = [folder for folder in folders if not folder.endswith(PART)]
            for name in names:
                with suppress(FileNotFoundError):
                    used += os.stat(os.path.join(place, name)).st_size
        return used

    def taken_bytes(self) -> int:
        """Bytes that count for the quota: those that are used or arrive, and the images of translations that wait or
        run. What a running one has written counts twice, and its other products only once they are there."""
        return (
            self.used_bytes() + self.uploads.arriving + sum(job.request.get("bytes", 0) for job in self.jobs.waiting())
        )

    def _card(self, path: Path) -> Card:
        key = (path, path.stat().st_mtime_ns)
        with self._cards_lock:
            if key not in self._cards:
                self._cards[key] = card_of(path)
            return self._cards[key]

    @staticmethod
    def _take(state: Path) -> Lock:
        lock = Lock(state / "lock", state, "another saropt serve keeps its uploads and translations there")
        try:
            state.mkdir(parents=True, exist_ok=True)
            return lock.acquire()
        except OSError as error:
            raise InputError(state, f"cannot be written ({error.strerror})", remedy="state") from error


def product_id(job: str, path: Path) -> str:
    """The id of a product that a job wrote beside its image."""
    return hashlib.sha256(f"{job}/{path.name}".encode()).hexdigest()[:16]
