"""Presets: settings of a method as its paper has them, one YAML file each, named in place of a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def list_presets() -> dict[str, Path]:
    """Name -> file of the presets in the package.

    >>> list_presets()["sgcl"].name
    'sgcl.yaml'
    """
    folder = Path(str(files("saropt.training.presets")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_preset(name: str | Path) -> Path:
    """A file as it is, or else the preset of this name.

    >>> find_preset("cut").name
    'cut.yaml'
    """
    path = Path(name)
    return path if path.is_file() else list_presets().get(str(name), path)
