"""What the place, the name and the tags of a file tell of what it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import yaml

from saropt.domain import PAULI_COMPONENTS, POLARISATIONS, Direction, Role, canonical_band
from saropt.files import load_json, load_yaml
from saropt.files.polarisation_files import joined
from saropt.roots.names import find_raster
from saropt.sensors.product_names import auxiliary_rasters
from saropt.viewer.rasters import SUFFIXES, RasterInfo

Kind = Literal["sar", "optical", "translation", "product", "error"]
_SIDES, TRUTHS = ("sar", "optical"), ("reference", "truth")
COMPANION = re.compile(r"^(?P<scene>.+)_(?P<what>optical|reference)$", re.IGNORECASE)


def rasters_in(folder: Path, names: Iterable[str]) -> list[Path]:
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


def stated_role(path: Path) -> tuple[Kind | None, str | None]:
    """Kind and units that the place of a file tells."""
    side = path.parent.name
    if side in _SIDES:
        return side, _stated_units(path.parent.parent, side)  # type: ignore[return-value]
    if COMPANION.match(path.stem) or (path.stem.lower() in TRUTHS and find_raster(path.parent, "sar") is not None):
        return "optical", None
    return None, None


def product_of(tags: Mapping[str, str]) -> str | None:
    """Which product the tags name beside the image of a run. Files from before products had names say "standard
    deviation" in SAROPT_CONTENT."""
    name = tags.get("SAROPT_PRODUCT")
    if name is None and tags.get("SAROPT_CONTENT", "").startswith("standard deviation"):
        return "deviation"
    return name if name != "image" else None


def output_role(direction: str | None) -> Role | None:
    try:
        return None if direction is None else Direction.parse(direction).output
    except ValueError:
        return None


def guessed_kind(info: RasterInfo) -> Kind:
    if any(canonical_band(name) in (*POLARISATIONS, *PAULI_COMPONENTS) for name in info.bands):
        return "sar"
    return "sar" if len(info.bands) <= 2 else "optical"


def _stated_units(root: Path, side: str) -> str | None:
    try:
        units = load_yaml((root / "dataset.yaml").read_text(encoding="utf-8"))[side]["units"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
    return units if isinstance(units, str) else None


def report_name(folder: Path) -> str:
    try:
        report = load_json((folder / "report.json").read_text(encoding="utf-8"))
        return printable(f"{folder.name}: {report['data']['name']}, {report['split']}, N = {report['n']}")
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        return printable(folder.name)
