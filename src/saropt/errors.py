"""Errors that a user can act on. The command line prints them as one line and exits with code 2.

The library speaks of arguments ("overwrite=True replaces it"), the command line of options ("--overwrite replaces it"):
`command_line_text` gives the second form of every error.
"""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from saropt.addresses import has_address, without_query, without_secrets

REMEDIES: Final = {
    "overwrite": ("overwrite=True", "replaces it"),
    "resume": ("resume=True", "goes on with it"),
    "bands": ("bands=[...]", "chooses bands"),
    "units": ("units=...", "states its units"),
    "set units=UNITS": ("options=['units=...']", "states its units"),
    "input": ("inputs={...}", "gives it"),
    "search": ("search=...", "looks further away"),
    "partial": ("partial=True", "takes what is there"),
    "staging": ("staging=...", "names another folder"),
    "to=optical|sar": ("direction=...", "chooses one"),
    "state": ("state=...", "names a folder for uploads and translations"),
}
"""Argument that helps -> how Python spells it, and what it does."""
_OPTIONS: Final = {"options": "set", "settings": "set", "target": "to"}
"""Arguments whose option has another name."""


def counted(number: int, what: str) -> str:
    """A number with the word for what is counted.

    >>> counted(1, "band"), counted(3, "band")
    ('1 band', '3 bands')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _shown(what: object) -> str:
    """A file, an address or a value, as messages name it."""
    text = str(what)
    if not isinstance(what, str | Path):
        return without_secrets(text)
    return without_query(text) if has_address(text) else text


class SaroptError(Exception):
    """Something the caller handed over cannot be used; the message is one clear line. What may be secret in addresses
    is left out of it.

    >>> SaroptError("no such cluster").command_line_text()
    'no such cluster'
    >>> SaroptError("no answer of https://me:word@example.com/a?key=secret").command_line_text()
    'no answer of https://example.com/a'
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(without_secrets(text))

    def command_line_text(self) -> str:
        """The message as the command line prints it."""
        return str(self)


class InputError(SaroptError):
    """A named file, folder or value that cannot be used, and why.

    Args:
        source: the file, folder or setting at fault.
        reason: what is wrong and, where it helps, what to do.
        remedy: an argument of `REMEDIES` that would help.

    >>> error = InputError("out.tif", "exists already", remedy="overwrite")
    >>> print(error)
    out.tif: exists already (overwrite=True replaces it)
    >>> print(error.command_line_text())
    out.tif: exists already (--overwrite replaces it)
    """

    def __init__(self, source: str | Path, reason: str, remedy: str | None = None) -> None:
        named = _shown(source)
        self.source = " ".join(named.split()) if "\n" in named else named
        self.reason = without_secrets(" ".join(reason.split()) if "\n" in reason else reason)
        self.remedy = remedy
        text = f"{self.source}: {self.reason}"
        if remedy is not None:
            spelled, effect = REMEDIES[remedy]
            text += f" ({spelled} {effect})"
        super().__init__(text)

    def command_line_text(self) -> str:
        if self.remedy is None:
            return str(self)
        return f"{self.source}: {self.reason} (--{self.remedy} {REMEDIES[self.remedy][1]})"

    def __reduce__(self) -> tuple[type, tuple[str, str, str | None]]:
        return type(self), (self.source, self.reason, self.remedy)


class OptionError(InputError):
    """An argument whose value cannot be used.

    Args:
        name: the argument, as Python spells it.
        value: what was given; None where the reason says it.
        reason: what is wrong, and what would do.

    >>> error = OptionError("precision", "fp8", "must be fp32 or bf16")
    >>> print(error)
    precision='fp8': must be fp32 or bf16
    >>> print(error.command_line_text())
    --precision fp8: must be fp32 or bf16
    """

    def __init__(self, name: str, value: object, reason: str) -> None:
        self.name, self.value = name, value
        shown = repr(_shown(value)) if isinstance(value, str) else without_secrets(repr(value))
        super().__init__(name if value is None else f"{name}={shown}", reason)

    def command_line_text(self) -> str:
        option = _OPTIONS.get(self.name, self.name.replace("_", "-"))
        value = "" if self.value is None or self.value is True else f" {_shown(self.value)}"
        return f"--{option}{value}: {self.reason}"

    def __reduce__(self) -> tuple[type, tuple[str, object, str]]:  # type: ignore[override]
        return type(self), (self.name, self.value, self.reason)


class BusyError(InputError):
    """An output that another process is writing.

    >>> raise BusyError("out.tif", "is being written by another process")
    Traceback (most recent call last):
    ...
    saropt.errors.BusyError: out.tif: is being written by another process
    """


class SceneWarning(UserWarning):
    """Why the translation of an array may be poor, or what was taken for granted; one clear line.

    >>> import warnings
    >>> warnings.filterwarnings("ignore", category=SceneWarning)
    """


class MissingExtraError(SaroptError):
    """An optional part of saropt is not installed; the message says how to install it, from where saropt came from.

    >>> str(MissingExtraError("the viewer", "serve")).startswith("the viewer needs an optional part: pip install ")
    True
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part: pip install {install_words(extra)}")


def install_words(extra: str, direct_url: str | None = None) -> str:
    """What stands behind `pip install` for an optional part: the clone that saropt was installed from, else its name.

    Args:
        direct_url: the installer's record of where saropt came from (PEP 610, direct_url.json); the one of this
            installation when None.

    >>> install_words("serve", '{"url": "file:///home/me/saropt", "dir_info": {"editable": true}}')
    "-e '/home/me/saropt[serve]'"
    >>> install_words("serve", "{}")
    "'saropt[serve]'"
    """
    if direct_url is None:
        direct_url = distribution("saropt").read_text("direct_url.json") or "{}"
    origin = json.loads(direct_url)
    url = origin.get("url", "")
    if not url.startswith("file://") or "dir_info" not in origin:
        return f"'saropt[{extra}]'"
    flag = "-e " if origin["dir_info"].get("editable") else ""
    return f"{flag}'{unquote(url.removeprefix('file://'))}[{extra}]'"
