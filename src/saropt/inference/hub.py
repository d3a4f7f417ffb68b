"""Translators in folders that the Hugging Face Hub can hold: a card, a page that shows it, and the file."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import yaml

from saropt.artifacts import Card
from saropt.errors import InputError, MissingExtraError
from saropt.files import atomic_file, write_text

_FILES: Final = ("translator*.onnx", "translator*.safetensors")


class Pretrained:
    """Loading from, and saving for, the Hub; named as its own mixin names them.

    Attributes:
        path: the translator file.
        card: its card.
    """

    path: Path
    card: Card

    @classmethod
    def from_pretrained(
        cls, repo: str | Path, *, revision: str | None = None, local_only: bool = False, **options: Any
    ) -> Self:
        """Load a translator from a repository of the Hugging Face Hub, or from a folder of `save_pretrained`.

        Args:
            repo: OWNER/NAME, or a folder.
            revision: branch, tag or commit; the main branch when None.
            local_only: take what was fetched before, and ask no server.
            options: as of `load`.

        Raises:
            InputError: no such repository or folder, or a file that cannot be used.
            MissingExtraError: huggingface_hub is needed and not installed (extra `hub`).
        """
        folder = pretrained_folder(repo, revision, local_only=local_only)
        return cls.load(folder, **options)  # type: ignore[attr-defined, no-any-return]

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the translator's file, its card and a page into a folder, which the Hub takes as it is.

        Args:
            overwrite: replace a translator that the folder holds.

        Raises:
            InputError: the folder holds a translator, or cannot be written.

        >>> from saropt.inference import Translator
        >>> folder = Translator.load("s1-losangeles").save_pretrained("mine")
        >>> sorted(path.name for path in folder.iterdir())
        ['README.md', 'config.json', 'translator.onnx']
        >>> Translator.from_pretrained("mine").card.name
        's1-losangeles'
        """
        return save_folder(self.path, self.card, folder, overwrite)


def pretrained_folder(repo: str | Path, revision: str | None = None, *, local_only: bool = False) -> Path:
    """The local folder of a repository of the Hub, fetched when needed, or a folder of this machine as it is.

    Only translator files are fetched; loading them runs no code.

    Args:
        repo: a folder, or OWNER/NAME on the Hub.
        revision: branch, tag or commit; the main branch when None.
        local_only: take what was fetched before, and ask no server.

    Raises:
        InputError: no such repository, or it cannot be reached.
        MissingExtraError: huggingface_hub is needed and not installed.

    >>> Path("my-translator").mkdir()
    >>> pretrained_folder("my-translator").name
    'my-translator'
    """
    if Path(repo).is_dir():
        return Path(repo)
    if str(repo).count("/") != 1:
        raise InputError(repo, "is neither a folder nor OWNER/NAME of a repository")
    if find_spec("huggingface_hub") is None:
        raise MissingExtraError("from_pretrained", "hub")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            str(repo), revision=revision, allow_patterns=list(_FILES), local_files_only=local_only
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(repo, f"cannot be fetched: {str(error).strip().splitlines()[0]}") from error
    return Path(found)


def save_folder(path: Path, card: Card, folder: str | Path, overwrite: bool = False) -> Path:
    """Write a translator file, its card (config.json) and a page (README.md) into a folder.

    Raises:
        InputError: the folder holds a translator already, or cannot be written.
    """
    folder = Path(folder)
    target = folder / f"translator{path.suffix}"
    if not overwrite and any(found for pattern in _FILES for found in folder.glob(pattern)):
        raise InputError(folder, "holds a translator already", remedy="overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(folder, f"cannot be made: {error.strerror}") from error
    for old in (found for pattern in _FILES for found in folder.glob(pattern)):
        if old != target:
            old.unlink()
    with atomic_file(target) as part:
        shutil.copyfile(path, part)
    write_text(folder / "config.json", card.model_dump_json(indent=2) + "\n")
    write_text(folder / "README.md", model_page(card))
    return folder


def model_page(card: Card) -> str:
    """The page of a translator as the Hub shows it: YAML facts, then text.

    >>> from saropt.inference import card_of, find_translator
    >>> model_page(card_of(find_translator("s1-losangeles"))).splitlines()[:3]
    ['---', 'library_name: saropt', 'pipeline_tag: image-to-image']
    """
    facts = {
        "library_name": "saropt",
        "pipeline_tag": "image-to-image",
        "license": card.licence.lower(),
        "tags": ["remote-sensing", "sar", "image-translation", card.method],
    }
    lines = ["---", yaml.safe_dump(facts, sort_keys=False).strip(), "---", "", f"# {card.name}", ""]
    for direction in card.directions:
        source, target = card.source(direction), card.target(direction)
        given, made = f"{', '.join(source.bands)} ({source.units})", f"{', '.join(target.bands)} ({target.units})"
        lines.append(f"- `{direction}`: {given} to {made}, pixels of {card.gsd_m:g} m")
    training = card.training
    lines += [f"- Trained on {training.sources} ({training.licence})", f"- Method: {card.method}"]
    lines += [f"- {training.attribution}"] if training.attribution else []
    lines += [f"- Measured, {split}: " + _figures(figures) for split, figures in card.quality.items()]
    lines += ["", "A translation is a model's guess, not a measurement.", ""]
    lines += [card.notes, ""] if card.notes else []
    lines += ["```python", "import saropt", "", 'translator = saropt.Translator.from_pretrained("OWNER/NAME")']
    lines += ['translator.translate("scene.tif", "out.tif")', "```", ""]
    return "\n".join(lines)


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
