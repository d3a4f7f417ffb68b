"""The help of every verb: it fits a terminal of 80 columns, and its examples are valid commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from saropt.cli import main
from saropt.cli.app import app
from saropt.cli.examples import EXAMPLES
from saropt.cli.grouping import GROUPS


def commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb and group of verbs: (path, command)."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}".strip())


COMMANDS = dict(commands(get_command(app)))
LINES = [line for lines in EXAMPLES.values() for line in lines]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def help_of(path: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*path.split(), "--help"]) == 0
    return capsys.readouterr().out


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_fits_and_ends_with_the_examples(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(path, capsys)
    assert max(map(len, text.splitlines())) <= 80
    shown = [line.strip() for line in text.rsplit("Examples:", 1)[1].splitlines()]
    assert [line for line in shown if line] == list(EXAMPLES[path])


@pytest.mark.parametrize("path", COMMANDS)
def test_arguments_and_options_have_help(path: str) -> None:
    assert COMMANDS[path].help
    for parameter in COMMANDS[path].params:
        text = getattr(parameter, "help", None)
        assert text, parameter.name
        assert len(text) <= 120, parameter.name
        assert text.endswith("."), parameter.name


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if hasattr(command, "commands")])
def test_summaries_are_not_cut(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = help_of(path, capsys).split("--help")[1].split("\n", 1)[1].split("Examples:")[0].splitlines()
    summaries = dict(line.split(maxsplit=1) for line in listed if line.strip() and line.startswith("  "))
    assert summaries == {name: child.help.splitlines()[0] for name, child in COMMANDS[path].commands.items()}


def test_every_command_stands_in_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS[""].commands)
    text = help_of("", capsys)
    places = [text.index(f"\n{title}:") for title in GROUPS] + [text.index("Examples:")]
    for names, start, end in zip(GROUPS.values(), places, places[1:], strict=False):
        assert all(f"\n  {name} " in text[start:end] for name in names)


@pytest.mark.parametrize("line", LINES)
def test_examples_parse(line: str) -> None:
    """The whole command line is parsed with its types and limits; only the work is left out."""
    root = get_command(app)
    parsed: list[dict[str, Any]] = []
    for _, command in commands(root):
        if not hasattr(command, "commands"):
            command.callback = lambda **values: parsed.append(values)
    program, *arguments = shlex.split(line)
    assert program == "saropt"
    if arguments[-1] != "--help":
        root.main(arguments, prog_name="saropt", standalone_mode=False)
        assert len(parsed) == 1
    else:
        assert " ".join(arguments[:-1]) in COMMANDS
