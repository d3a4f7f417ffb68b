"""Presets: settings of a method as its paper has them, one YAML file each, named in place of a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from saropt.errors import InputError


def list_presets() -> dict[str, Path]:
    """Name -> file of the presets in the package.

    >>> list_presets()["sgcl"].name
    'sgcl.yaml'
    """
    folder = Path(str(files("saropt.training.presets")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_preset(name: str | Path) -> Path:
    """A file as it is, or else the preset of this name.

    Raises:
        InputError: a name without a suffix or a folder that is neither.

    >>> find_preset("cut").name
    'cut.yaml'
    """
    path, presets = Path(name), list_presets()
    if path.is_file() or path.suffix or path.name != str(name):
        return path
    if path.name not in presets:
        raise InputError(name, f"is neither a file nor a preset; presets: {', '.join(presets)}")
    return presets[path.name]
