"""The fixed catalogue: which rasters there are, which of them lie on one another. Clients name them by id alone."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from saropt.domain import Role
from saropt.errors import InputError
from saropt.files import digest_file
from saropt.files.polarisation_files import files_of, joined_path, polarisation_files
from saropt.roots.names import find_raster
from saropt.viewer.file_roles import (
    COMPANION,
    TRUTHS,
    Kind,
    guessed_kind,
    output_role,
    printable,
    product_of,
    rasters_in,
    report_name,
    stated_role,
)
from saropt.viewer.rasters import Limits, RasterInfo, inspect, version_of

Origin = Literal["folder", "upload", "job"]
MOST_RASTERS, DEEPEST = 2000, 6


@dataclass(frozen=True)
class Layer:
    """One raster of a scene.

    Attributes:
        kind: what it shows; all but "error" are files.
        pair: of an error layer, the translation and its reference.
        display: a copy with overviews, for pictures; of an error layer, the raster of its differences.
        parent: id of the translation that a product or an error layer belongs to.
        units: of the pixels, where the folder or the translator's card says them.
        translator: name of the translator that made it.
        direction: of the translator that made it.
        product: what a run made beside its image ("deviation", "class"); None of all others.
    """

    id: str
    kind: Kind
    name: str
    path: Path
    info: RasterInfo
    origin: Origin = "folder"
    units: str | None = None
    translator: str | None = None
    direction: str | None = None
    product: str | None = None
    pair: tuple[Layer, Layer] | None = None
    display: Path | None = None
    parent: str | None = None

    @property
    def guess(self) -> bool:
        """Whether what it shows is a model's guess."""
        return self.kind in ("translation", "product", "error")

    @property
    def sampled(self) -> bool:
        """Whether its reduced pictures are single pixels of a pair: no raster of their differences is there yet."""
        return self.pair is not None and self.display is None

    @property
    def role(self) -> Role | None:
        """The role of what it shows: a translation's output role; None of products and errors."""
        if self.kind == "translation":
            return output_role(self.direction)
        return self.kind if self.kind in ("sar", "optical") else None


@dataclass(frozen=True)
class SceneEntry:
    """Layers on one grid; the first one is the scene itself."""

    id: str
    name: str
    origin: Origin
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Result:
    """A raster that a finished job wrote.

    Attributes:
        key: the id of its layer.
        job: the id of the job, which is that of the layer of its translation.
        scene: the id of the scene that was translated.
        contents: what the files of layers held that it was made of and that it was to lie on, by the layers' ids.
    """

    key: str
    job: str
    scene: str
    path: Path
    contents: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """An evaluation report found in the folder."""

    id: str
    name: str
    path: Path


@dataclass(frozen=True)
class Refused:
    """A file that is not shown, and why."""

    name: str
    reason: str


@dataclass
class Catalogue:
    """Scenes of a folder, uploads and finished translations.

    Args:
        folder: looked through at start and at every `scan`; hidden folders and links are left out.
        limits: rasters beyond them are refused.
        display: finds the copy with overviews of a layer's id.

    Attributes:
        scenes, layers: by id.
        reports: by id.
        refused: files that are not shown.
    """

    folder: Path
    limits: Limits
    display: Callable[[str, RasterInfo], Path | None] = lambda key, info: None
    scenes: dict[str, SceneEntry] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    _known: dict[tuple[Path, str], RasterInfo] = field(default_factory=dict)
    _contents: dict[tuple[Path, str], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def scan(self, uploads: Mapping[str, Path], results: Iterable[Result]) -> None:
        """Make the catalogue anew.

        Args:
            uploads: id -> file.
            results: of finished jobs, the oldest first. One that was made of a file that has been replaced since does
                not stand in the scene of that file: it is a scene of its own.
        """
        with self._lock:
            refused: list[Refused] = []
            rasters, reports = self._walk(refused)
            scenes = {scene.id: scene for scene in self._group(rasters, refused)}
            for key, path in uploads.items():
                if (layer := self._layer(path, key, path.name, refused, origin="upload")) is not None:
                    scenes[key] = SceneEntry(key, path.name, "upload", (layer,))
            for one in results:
                name = one.path.name
                layer = self._layer(one.path, one.key, name, refused, kind="translation", origin="job")
                if layer is None:
                    continue
                scene = scenes.get(one.scene)
                if scene is None or not self._lies_on(scene, layer, one.contents, scenes):
                    scene = scenes.get(one.job, SceneEntry(one.key, name, "job", ()))
                scenes[scene.id] = replace(scene, layers=(*scene.layers, layer))
            self.scenes = {key: arranged(scene) for key, scene in scenes.items()}
            self.layers = {layer.id: layer for scene in self.scenes.values() for layer in scene.layers}
            self.reports = {report.id: report for report in reports}
            self.refused = refused

    def scene_of(self, layer: Layer) -> SceneEntry:
        return next(scene for scene in self.scenes.values() if layer in scene.layers)

    def is_changed(self, layer: Layer) -> bool:
        """Whether a file of a layer is another one than was looked at; one that is gone counts as before.

        Raises:
            InputError: it is, and cannot be shown any more.
        """
        for one in layer.pair or (layer,):
            with suppress(OSError):
                if version_of(one.path) != one.info.version:
                    self.inspected(one.path)
                    return True
        return False

    def inspected(self, path: Path) -> RasterInfo:
        """Facts of a file, remembered until it changes.

        Raises:
            InputError: it cannot be shown.
        """
        key = (path, version_of(path))
        if key not in self._known:
            self._known[key] = inspect(path, self.limits)
        return self._known[key]

    def content(self, path: Path) -> str:
        """A hash of what a file holds, or of the files of one product, remembered until it changes.

        Raises:
            InputError: it cannot be read.
        """
        try:
            key = (path, version_of(path))
        except OSError as error:
            raise InputError(path.name, "cannot be read") from error
        if key not in self._contents:
            self._contents[key] = " ".join(map(digest_file, files_of(path)))
        return self._contents[key]

    def _lies_on(
        self, scene: SceneEntry, layer: Layer, contents: Mapping[str, str], scenes: Mapping[str, SceneEntry]
    ) -> bool:
        """Whether a result has the scene's grid, and the layers of `contents` that are still there hold the same."""
        held = [one for scene in scenes.values() for one in scene.layers if one.id in contents]
        try:
            same = all(self.content(one.path) == contents[one.id] for one in held)
        except InputError:
            return False
        return same and layer.info.same_grid(scene.layers[0].info)

    def _walk(self, refused: list[Refused]) -> tuple[list[Path], list[Report]]:
        rasters: list[Path] = []
        reports: list[Report] = []
        for name, folders, files in os.walk(self.folder):
            here = Path(name)
            deep = len(here.relative_to(self.folder).parts) >= DEEPEST
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "label") if not deep else []
            rasters += rasters_in(here, files)
            pair = here / "report.html", here / "report.json"
            if {one.name for one in pair} <= set(files) and all(one.is_file() and not one.is_symlink() for one in pair):
                reports.append(Report(self._id(here / "report.html"), report_name(here), here / "report.html"))
        if len(rasters) > MOST_RASTERS:
            left = len(rasters) - MOST_RASTERS
            refused.append(Refused(self.folder.name, f"{left} more rasters are not shown: serve a smaller folder"))
        return rasters[:MOST_RASTERS], reports

    def _group(self, rasters: list[Path], refused: list[Refused]) -> Iterator[SceneEntry]:
        """Scenes: each raster with what lies on it, such as another role of a data root or a translation."""
        layers: dict[Path, Layer] = {}
        for path in rasters:
            name = printable(path.relative_to(self.folder).as_posix())
            kind, units = stated_role(path)
            if (layer := self._layer(path, self._id(path), name, refused, kind=kind, units=units)) is not None:
                layers[path] = layer
        hosts = {path: host for path in layers if (host := _host(path, layers)) is not None}
        companions: dict[Path, list[Layer]] = {}
        for path in layers:
            top = path
            for _ in range(3):  # product -> translation -> scene
                top = hosts.get(top, top)
            if top != path and layers[path].info.same_grid(layers[top].info):
                companions.setdefault(top, []).append(layers[path])
        taken = {layer.path for held in companions.values() for layer in held}
        for path, layer in layers.items():
            if path not in taken:
                order = {"optical": 0, "sar": 0, "translation": 1, "product": 2, "error": 3}
                held = sorted(companions.get(path, []), key=lambda one: order[one.kind])
                yield SceneEntry(layer.id, layer.name, "folder", (layer, *held))

    def _layer(
        self,
        path: Path,
        key: str,
        name: str,
        refused: list[Refused],
        *,
        kind: Kind | None = None,
        units: str | None = None,
        origin: Origin = "folder",
    ) -> Layer | None:
        try:
            info = self.inspected(path)
        except (InputError, OSError) as error:
            refused.append(
                Refused(printable(name), error.reason if isinstance(error, InputError) else "cannot be read")
            )
            return None
        tags = info.tags
        translator, direction = tags.get("SAROPT_TRANSLATOR"), tags.get("SAROPT_DIRECTION")
        product = product_of(tags)
        if product is not None:
            kind = "product"
        elif kind in (None, "sar", "optical") and translator is not None:
            kind = "translation"
        if kind == "translation" and output_role(direction) == "optical" and info.dtype == "uint8":
            units = "uint8"
        display, kind = self.display(key, info), kind or guessed_kind(info)
        return Layer(key, kind, name, path, info, origin, units, translator, direction, product, display=display)

    def _id(self, path: Path) -> str:
        relative = path.relative_to(self.folder).as_posix()
        return hashlib.sha256(relative.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def arranged(scene: SceneEntry) -> SceneEntry:
    """The scene with an error layer for each 8-bit translation that has a reference of the same bands. Products and
    error layers stand behind the translation that they belong to."""
    truths = [layer for layer in scene.layers if layer.kind in ("sar", "optical")]
    guesses = {layer.id: layer for layer in scene.layers if layer.kind == "translation"}
    runs = {run: key for key, layer in guesses.items() if (run := layer.info.tags.get("SAROPT_RUN")) is not None}
    products = [
        replace(layer, parent=runs.get(layer.info.tags.get("SAROPT_RUN", "")))
        for layer in scene.layers
        if layer.kind == "product"
    ]
    errors = [error for guess in guesses.values() for truth in truths if (error := _error(guess, truth)) is not None]
    figures = [*products, *errors]
    layers: list[Layer] = []
    for layer in scene.layers:
        if layer.kind != "product":
            layers += [layer, *(one for one in figures if one.parent == layer.id)]
    return replace(scene, layers=(*layers, *(one for one in figures if one.parent is None)))


def _error(guess: Layer, truth: Layer) -> Layer | None:
    alike = truth.role == guess.role and guess.info.same_grid(truth.info)
    types = {guess.info.dtype, truth.info.dtype}
    if not alike or types != {"uint8"} or len(guess.info.bands) != len(truth.info.bands):
        return None
    name = f"|{guess.path.name} - {truth.path.name}|"
    version = f"{guess.info.version}-{truth.info.version}"
    info = replace(guess.info, bands=("error",), indexes=(1,), version=version)
    key, pair = f"{guess.id}-error", (guess, truth)
    return replace(
        guess, id=key, kind="error", name=name, info=info, units=None, pair=pair, parent=guess.id, display=None
    )


def _host(path: Path, layers: Mapping[Path, Layer]) -> Path | None:
    """The raster that this one belongs to: of an optical raster the SAR raster of its name, of a translation its
    source, of a product the image of its run, or else its source."""
    layer, stem = layers[path], path.stem
    if layer.kind in ("translation", "product"):
        image = _image_of_run(path, layers) if layer.kind == "product" else None
        source = path.with_name(Path(layer.info.tags.get("SAROPT_SOURCE", "")).name or path.name)
        if files := polarisation_files(source):
            source = joined_path(files) or files[0]
        found = image or (source if source != path else None)
    elif path.parent.name == "optical":
        found = find_raster(path.parent.parent / "sar", stem)
    elif (match := COMPANION.match(stem)) is not None:
        found = find_raster(path.parent, match["scene"])
    elif stem.lower() in TRUTHS:
        found = find_raster(path.parent, "sar")
    else:
        found = None
    return found if found in layers and found != path else None


def _image_of_run(path: Path, layers: Mapping[Path, Layer]) -> Path | None:
    """The translation in the same folder that one run made together with this product."""
    run = layers[path].info.tags.get("SAROPT_RUN")
    mates = (other for other, layer in layers.items() if other.parent == path.parent and layer.kind == "translation")
    return next((mate for mate in mates if run is not None and layers[mate].info.tags.get("SAROPT_RUN") == run), None)
