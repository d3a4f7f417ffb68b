"""Translators by name: those in the package and those in a folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from saropt.errors import InputError

SUFFIXES = (".onnx", ".safetensors")
_RUN_FILES = ("translator.onnx", "translator.safetensors")


def bundled_folder() -> Path:
    return Path(str(files("saropt.artifacts"))) / "bundled"


def list_translators(folder: str | Path | None = None) -> dict[str, Path]:
    """Name -> file of the bundled translators and, where a folder is given, of the translator files in it."""
    found = {path.stem: path for path in sorted(bundled_folder().glob("*.onnx"))}
    if folder is not None:
        for path in sorted(Path(folder).iterdir()):
            if path.suffix in SUFFIXES:
                found[path.name] = path
    return found


def find_translator(model: str | Path) -> Path:
    """The file of a bundled name, a path, or a run folder.

    Raises:
        InputError: nothing of that name.
    """
    bundled = list_translators()
    if str(model) in bundled:
        return bundled[str(model)]
    path = Path(model)
    if path.is_dir():
        for name in _RUN_FILES:
            if (path / name).is_file():
                return path / name
        raise InputError(path, f"is a folder without {' or '.join(_RUN_FILES)}")
    if not path.exists():
        raise InputError(model, f"is neither a file nor a bundled translator ({', '.join(bundled) or 'none bundled'})")
    return path
