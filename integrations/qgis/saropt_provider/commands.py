"""The command lines of the algorithms, and how they are run; without QGIS."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, Queue
from threading import Thread

VERBS = {
    "translate": ("translate", "INPUT", "OUTPUT"),
    "translate_with_reference": ("translate", "INPUT", "OUTPUT"),
    "register": ("match", "INPUT", "REFERENCE"),
}
"""Algorithm -> verb and the parameters that are its arguments; every other parameter that has a value is an option."""
OPTIONS = {
    "MODEL": "--model",
    "BANDS": "--bands",
    "UNITS": "--units",
    "REFERENCE": "--reference",
    "REFERENCE_SAR": "--reference-sar",
    "REFERENCE_MASK": "--reference-mask",
    "TRANSFORM": "--transform",
    "SEARCH": "--search",
    "OUTPUT": "--register",
}


class SaroptError(Exception):
    """What the command said."""


def find_program(environment: Mapping[str, str] = os.environ) -> str:
    """The program `saropt`: the variable SAROPT, or what is on the path."""
    program = environment.get("SAROPT") or shutil.which("saropt", path=environment.get("PATH"))
    if not program:
        raise SaroptError("saropt is not on the path: install it, or set the variable SAROPT to the program")
    return program


def command_line(algorithm: str, values: Mapping[str, object]) -> list[str]:
    """The words after the program's name."""
    verb, *arguments = VERBS[algorithm]
    words = [verb, *(str(values[name]) for name in arguments)]
    for name, option in OPTIONS.items():
        if name not in arguments and values.get(name) not in (None, ""):
            words += [option, str(values[name])]
    return [*words, "--overwrite"]


def run(words: list[str], say: Callable[[str], object], canceled: Callable[[], bool] = lambda: False) -> None:
    """Run the program, and say its lines as they come; `canceled` is asked twice a second and ends it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    with subprocess.Popen(
        [find_program(), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment | {"COLUMNS": "120"},
    ) as process:
        lines: Queue[str | None] = Queue()
        Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        last, stopped = "", False
        while (line := _next(lines)) is not None:
            if line:
                last = line.strip() or last
                say(line.rstrip())
            if not stopped and canceled():
                process.terminate()
                stopped = True
        if process.wait() != 0:
            raise SaroptError("canceled" if stopped else last or f"saropt ended with {process.returncode}")


def _read(stream: Iterable[str], lines: Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _next(lines: Queue[str | None]) -> str | None:
    """The next line; "" where none comes in half a second, None after the last."""
    try:
        return lines.get(timeout=0.5)
    except Empty:
        return ""
