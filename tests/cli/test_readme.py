"""The README's two commands are the ones that .ci/run runs, and what it promises exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
INVOCATIONS = sorted(set(re.findall(r"(?:^|`|/)saropt ((?:data )?[a-z]+)\b", README, re.MULTILINE)))


def test_two_single_line_commands_that_set_up_everything() -> None:
    demo, tests = (command.strip() for command in COMMANDS)
    for command in (demo, tests):
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
    assert demo.endswith("saropt demo --out demo")
    assert tests.endswith(".venv/bin/pytest")


@pytest.mark.parametrize("number", [0, 1])
def test_ci_runs_them_as_written(number: int) -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert COMMANDS[number].strip() in [line.strip() for line in lines]


def test_named_files_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_named_options_exist() -> None:
    from typer.main import get_command

    from saropt.cli.app import app

    def options(command: object) -> set[str]:
        own = {name for parameter in command.params for name in parameter.opts}  # type: ignore[attr-defined]
        return own.union(*(options(child) for child in getattr(command, "commands", {}).values()))

    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named
    assert named <= options(get_command(app))


@pytest.mark.parametrize("verb", INVOCATIONS)
def test_named_verbs_exist(verb: str) -> None:
    code = "from saropt.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *verb.split(), "--help"], capture_output=True, check=False)
    assert done.returncode == 0
