"""Every command that a page or the README shows is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from saropt.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown(text: str) -> Iterator[str]:
    """The command lines of the fenced blocks of a page; lines that describe a form, with [OPTION] or a|b, are left
    out."""
    for block in re.findall(r"^```(?:text|sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.split(r"\s#\s|\s\|\s|&", line)[0].strip()
            if re.match(r"saropt \S", command) and not re.search(r"[\[\]|…]| \.\.\.", command):
                yield command


COMMANDS = sorted({(path.relative_to(ROOT).as_posix(), c) for path in PAGES for c in shown(path.read_text("utf-8"))})


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 50
    assert list(shown("```text\nsaropt demo \\\n  --out d  # here\nsaropt data [X]\n```")) == ["saropt demo    --out d"]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_shown_command_is_taken(page: str, command: str) -> None:
    """It is parsed whole, with its types and limits; only the work is left out."""
    root = get_command(app)
    parsed: list[dict[str, Any]] = []

    def silence(group: Any) -> None:
        for child in getattr(group, "commands", {}).values():
            child.callback = (lambda **values: parsed.append(values)) if not hasattr(child, "commands") else None
            silence(child)

    silence(root)
    root.main(shlex.split(command)[1:], prog_name="saropt", standalone_mode=False)
    assert len(parsed) == 1, page
