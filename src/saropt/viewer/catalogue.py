"""The fixed catalogue: which rasters there are, which of them lie on one another. Clients name them by id alone."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import yaml

from saropt.domain import PAULI_COMPONENTS, POLARISATIONS, Direction, Role, canonical_band
from saropt.errors import InputError
from saropt.files import load_json, load_yaml
from saropt.files.polarisation_files import joined, joined_path, polarisation_files
from saropt.roots.names import find_raster
from saropt.sensors.product_names import auxiliary_rasters
from saropt.viewer.rasters import SUFFIXES, Limits, RasterInfo, inspect, version_of

Kind = Literal["sar", "optical", "translation", "product", "error"]
Origin = Literal["folder", "upload", "job"]
MOST_RASTERS, DEEPEST = 2000, 6
_SIDES, _TRUTHS = ("sar", "optical"), ("reference", "truth")
_COMPANION = re.compile(r"^(?P<scene>.+)_(?P<what>optical|reference)$", re.IGNORECASE)


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
            return _output_role(self.direction)
        return self.kind if self.kind in ("sar", "optical") else None


@dataclass(frozen=True)
class SceneEntry:
    """Layers on one grid; the first one is the scene itself."""

    id: str
    name: str
    origin: Origin
    layers: tuple[Layer, ...]


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
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def scan(self, uploads: Mapping[str, Path], results: Iterable[tuple[str, str, Path]]) -> None:
        """Make the catalogue anew.

        Args:
            uploads: id -> file.
            results: (job, the scene's id, file) of finished jobs.
        """
        with self._lock:
            refused: list[Refused] = []
            rasters, reports = self._walk(refused)
            scenes = {scene.id: scene for scene in self._group(rasters, refused)}
            for key, path in uploads.items():
                if (layer := self._layer(path, key, path.name, refused, origin="upload")) is not None:
                    scenes[key] = SceneEntry(key, path.name, "upload", (layer,))
            for job, scene_id, path in results:
                if (layer := self._layer(path, job, path.name, refused, kind="translation", origin="job")) is None:
                    continue
                scene = scenes.get(scene_id)
                if scene is None:
                    scenes[job] = SceneEntry(job, path.name, "job", (layer,))
                else:
                    scenes[scene_id] = replace(scene, layers=(*scene.layers, layer))
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

    def _walk(self, refused: list[Refused]) -> tuple[list[Path], list[Report]]:
        rasters: list[Path] = []
        reports: list[Report] = []
        for name, folders, files in os.walk(self.folder):
            here = Path(name)
            deep = len(here.relative_to(self.folder).parts) >= DEEPEST
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "label") if not deep else []
            rasters += _rasters_in(here, files)
            pair = here / "report.html", here / "report.json"
            if {one.name for one in pair} <= set(files) and all(one.is_file() and not one.is_symlink() for one in pair):
                reports.append(Report(self._id(here / "report.html"), _report_name(here), here / "report.html"))
        if len(rasters) > MOST_RASTERS:
            left = len(rasters) - MOST_RASTERS
            refused.append(Refused(self.folder.name, f"{left} more rasters are not shown: serve a smaller folder"))
        return rasters[:MOST_RASTERS], reports

    def _group(self, rasters: list[Path], refused: list[Refused]) -> Iterator[SceneEntry]:
        """Scenes: each raster with what lies on it, such as another role of a data root or a translation."""
        layers: dict[Path, Layer] = {}
        for path in rasters:
            name = printable(path.relative_to(self.folder).as_posix())
            kind, units = _role(path)
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
        product = _product_of(tags)
        if product is not None:
            kind = "product"
        elif kind in (None, "sar", "optical") and translator is not None:
            kind = "translation"
        if kind == "translation" and _output_role(direction) == "optical" and info.dtype == "uint8":
            units = "uint8"
        display, kind = self.display(key, info), kind or _guess_kind(info)
        return Layer(key, kind, name, path, info, origin, units, translator, direction, product, display=display)

    def _id(self, path: Path) -> str:
        relative = path.relative_to(self.folder).as_posix()
        return hashlib.sha256(relative.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _rasters_in(folder: Path, names: Iterable[str]) -> list[Path]:
    """Those of the files of a folder that are rasters, without links and what comes with the backscatter of a product.
    Polarisations of one product are one raster, but in a data root, whose names say which rasters belong together."""
    found = [folder / name for name in sorted(names) if not name.startswith(".")]
    found = [path for path in found if path.suffix.lower() in SUFFIXES and not path.is_symlink()]
    if folder.name in _SIDES:
        return found
    left_out = set(auxiliary_rasters(found))
    return [Path(path) for path in joined(str(path) for path in found if str(path) not in left_out)]


def printable(name: str) -> str:
    r"""A file's name as text that can be sent: bytes that are no UTF-8 become question marks.

    >>> printable("caf\udce9.tif")
    'caf?.tif'
    """
    return name.encode("utf-8", "replace").decode("utf-8")


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


def _role(path: Path) -> tuple[Kind | None, str | None]:
    """Kind and units that the place of a file tells."""
    side = path.parent.name
    if side in _SIDES:
        return side, _stated_units(path.parent.parent, side)  # type: ignore[return-value]
    if _COMPANION.match(path.stem) or (path.stem.lower() in _TRUTHS and find_raster(path.parent, "sar") is not None):
        return "optical", None
    return None, None


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
    elif (match := _COMPANION.match(stem)) is not None:
        found = find_raster(path.parent, match["scene"])
    elif stem.lower() in _TRUTHS:
        found = find_raster(path.parent, "sar")
    else:
        found = None
    return found if found in layers and found != path else None


def _image_of_run(path: Path, layers: Mapping[Path, Layer]) -> Path | None:
    """The translation in the same folder that one run made together with this product."""
    run = layers[path].info.tags.get("SAROPT_RUN")
    mates = (other for other, layer in layers.items() if other.parent == path.parent and layer.kind == "translation")
    return next((mate for mate in mates if run is not None and layers[mate].info.tags.get("SAROPT_RUN") == run), None)


def _product_of(tags: Mapping[str, str]) -> str | None:
    """Which product the tags name beside the image of a run. Files from before products had names say "standard
    deviation" in SAROPT_CONTENT."""
    name = tags.get("SAROPT_PRODUCT")
    if name is None and tags.get("SAROPT_CONTENT", "").startswith("standard deviation"):
        return "deviation"
    return name if name != "image" else None


def _output_role(direction: str | None) -> Role | None:
    try:
        return None if direction is None else Direction.parse(direction).output
    except ValueError:
        return None


def _guess_kind(info: RasterInfo) -> Kind:
    if any(canonical_band(name) in (*POLARISATIONS, *PAULI_COMPONENTS) for name in info.bands):
        return "sar"
    return "sar" if len(info.bands) <= 2 else "optical"


def _stated_units(root: Path, side: str) -> str | None:
    try:
        units = load_yaml((root / "dataset.yaml").read_text(encoding="utf-8"))[side]["units"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
    return units if isinstance(units, str) else None


def _report_name(folder: Path) -> str:
    try:
        report = load_json((folder / "report.json").read_text(encoding="utf-8"))
        return printable(f"{folder.name}: {report['data']['name']}, {report['split']}, N = {report['n']}")
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        return printable(folder.name)
