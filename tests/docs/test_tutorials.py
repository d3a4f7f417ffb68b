"""The tutorials run as they are written: shell and Python blocks in order, in one folder, on one core."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import saropt
from safe_files import write_safe

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r'^```(sh|python|toml)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"^[A-Z]+=.*\n", re.MULTILINE)


def two_products(folder: Path) -> None:
    """A product, and another one that comes after it."""
    write_safe(folder)
    (folder / "S1B_IW_GRDH_1SDV_20210101T000000.SAFE").mkdir()


BEFORE: dict[str, Callable[[Path], object]] = {"grd-scene.md": two_products}
"""What a reader brings along."""
PIP = """
import re, sys, tomllib
from pathlib import Path

flag, folder = sys.argv[2:]
assert (sys.argv[1], flag) == ("install", "-e")
described = tomllib.loads((Path(folder) / "pyproject.toml").read_text())
info = Path(folder) / f"{described['project']['name']}-1.dist-info"
info.mkdir()
(info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {described['project']['name']}\\nVersion: 1\\n")
groups = described["project"]["entry-points"].items()
lines = [f"[{group}]\\n" + "".join(f"{k} = {v}\\n" for k, v in points.items()) for group, points in groups]
(info / "entry_points.txt").write_text("".join(lines))
"""
"""As much of `pip install -e FOLDER` as needs no network: the folder is on the path, and its entry points are known."""


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Environment of the blocks: `saropt`, `python` and `pip` are those of the tests."""
    tools = tmp_path / "bin"
    tools.mkdir()
    source = Path(saropt.__file__).parents[1]
    for name, words in (("saropt", "-m saropt"), ("python", ""), ("pip", str(tools / "pip.py"))):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    (tools / "pip.py").write_text(PIP)
    path = os.pathsep.join([str(source), str(tmp_path / "work" / "my-method"), *filter(None, sys.path)])
    found = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": found, "PYTHONPATH": path, "COLUMNS": "120", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow  # 5 to 50 s each
@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorial_runs(name: str, shell: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    BEFORE.get(name, lambda folder: None)(work)
    blocks = BLOCK.findall((TUTORIALS / name).read_text(encoding="utf-8"))
    assert len(blocks) >= 4
    said_before = variables = ""
    for language, title, code in blocks:
        if title:
            (work / title).parent.mkdir(exist_ok=True)
            (work / title).write_text(code)
            continue
        if language == "python":  # what the page's earlier Python blocks define is known
            said_before += code
            command = [sys.executable, "-W", "ignore", "-c", said_before]
        else:
            command = ["bash", "-euo", "pipefail", "-c", variables + code]
            variables += "".join(ASSIGNMENT.findall(code))
        done = subprocess.run(command, cwd=work, env=shell, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        assert done.stdout or "print(" not in code, f"prints nothing:\n{code}"
