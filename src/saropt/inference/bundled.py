"""Translators by name: those in the package and those in a folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from saropt.artifacts import Card, DirectionCard, load_weights, read_card
from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction
from saropt.errors import InputError
from saropt.inference.requests import LoadOptions
from saropt.inference.runtimes import RUNTIMES

SUFFIXES = (".onnx", ".safetensors")


def bundled_folder() -> Path:
    return Path(str(files("saropt.artifacts"))) / "bundled"


RETIRED = {"sen12-vv": "is below one colour everywhere outside its two regions: s1-world takes its place"}
"""Translators that are no longer listed, and why. Commands that name them go on, with a warning."""


def retired_folder() -> Path:
    return bundled_folder().with_name("retired")


def warnings_of(path: Path, direction: DirectionCard) -> list[str]:
    """One line about a retired translator, and one about a network whose instance statistics are frozen.

    >>> path = find_translator("sen12-vv")
    >>> warnings_of(path, card_of(path).directions["sar2opt"])[0].split(":")[0]
    'sen12-vv is below one colour everywhere outside its two regions'
    >>> warnings_of(Path("other.onnx"), card_of(path).directions["sar2opt"])
    []
    """
    lines = [f"{path.stem} {RETIRED[path.stem]}"] if path.parent == retired_folder() else []
    if direction.statistics == "training":
        lines.append("it normalises by statistics of training data; the torch weights do by those of the scene")
    return lines


def list_translators(folder: str | Path | None = None) -> dict[str, Path]:
    """The bundled translators and, where a folder is given, the translator files in it: name -> file.

    >>> "s1-losangeles" in list_translators()
    True
    """
    found = {path.stem: path for path in sorted(bundled_folder().glob("*.onnx"))}
    if folder is not None:
        for path in sorted(Path(folder).iterdir()):
            if path.suffix in SUFFIXES:
                found[path.name] = path
    return found


def find_translator(model: str | Path, direction: Direction | None = None, suffix: str | None = None) -> Path:
    """The file of a bundled name, a path, or a run folder.

    Args:
        direction: prefer a run folder's file of this direction alone.
        suffix: take only files of this form from a run folder, ".onnx" or ".safetensors".

    Raises:
        InputError: nothing of that name.

    >>> find_translator("s1-losangeles").name
    's1-losangeles.onnx'
    """
    bundled = list_translators()
    if str(model) in bundled:
        return bundled[str(model)]
    if str(model) in RETIRED:
        return retired_folder() / f"{model}.onnx"
    path = Path(model)
    if path.is_dir():
        alone = [f"translator-{direction}.onnx"] if direction is not None else []
        names = [name for name in (*alone, "translator.onnx", "translator.safetensors") if name.endswith(suffix or "")]
        for name in names:
            if (path / name).is_file():
                return path / name
        raise InputError(path, f"is a folder without {' or '.join(names)}")
    if not path.exists():
        raise InputError(model, f"is neither a file nor a bundled translator ({', '.join(bundled) or 'none bundled'})")
    return path


def card_of(path: Path) -> Card:
    """The card of a translator file of either form.

    Raises:
        InputError: the file is damaged or not a translator file.

    >>> card_of(find_translator("s1-losangeles")).method
    'compact'
    """
    return load_weights(path)[0] if path.suffix == ".safetensors" else read_card(path)


def translator_file(model: str | Path, options: LoadOptions) -> Path:
    """The file that `Translator.load` opens with these options. Raises the errors of `find_translator`.

    >>> translator_file("s1-losangeles", LoadOptions()).name
    's1-losangeles.onnx'
    """
    suffix = RUNTIMES[options.backend].suffix if options.backend in RUNTIMES else None
    if (options.steps is not None or options.compile) and options.backend == "auto":
        suffix = ".safetensors"  # of a run folder: a graph holds one number of steps, and is not torch's
    return find_translator(model, options.direction, suffix)


def held_directions(model: str | Path) -> list[Direction]:
    """The directions that a bundled translator, a file or the files of a run folder translate in.

    Raises:
        InputError: nothing of that name, or a file that cannot be used.
    """
    folder = Path(model)
    paths = [path for path in sorted(folder.glob("translator*")) if path.suffix in SUFFIXES] if folder.is_dir() else []
    found = {direction for path in paths or [find_translator(model)] for direction in card_of(path).directions}
    usual = [direction for direction in (SAR_TO_OPTICAL, OPTICAL_TO_SAR) if direction in found]
    return usual + sorted(found - set(usual))
