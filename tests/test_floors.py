"""The floor rule: a room imports only from lower floors, and the light rooms never import torch."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import saropt

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = Path(saropt.__file__).parent
TORCH_ROOMS = {"networks", "losses", "methods", "training", "benchmark"}
LIGHT_ROOMS = (
    "radiometry",
    "simulate",
    "scenes",
    "artifacts",
    "inference",
    "batch",
    "roots",
    "curation",
    "sensors",
    "domain",
    "files",
    "matching",
    "evaluation",
    "viewer",
    "cli",
)
HEAVY = {"torch", "torchvision", "lightning", "lightning_fabric"}
LIGHT_FILES = sorted(path for room in LIGHT_ROOMS for path in (SOURCE / room).rglob("*.py"))


def top_level_imports(tree: ast.AST) -> set[str]:
    """Modules imported when the file is imported: not inside functions, not for type checkers only."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            found |= set().union(*(top_level_imports(ast.Module([part], [])) for part in node.orelse), set())
        else:
            found |= top_level_imports(node)
    return found


def test_the_walk_sees_what_is_imported():
    source = """
import a
if TYPE_CHECKING:
    import hidden
else:
    import b
try:
    from c.d import e
except ImportError:
    import f
class C:
    import g
def function():
    import lazy
"""
    assert top_level_imports(ast.parse(source)) == {"a", "b", "c.d", "c.d.e", "f", "g"}


@pytest.mark.parametrize("path", LIGHT_FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_light_rooms_import_no_torch(path):
    imports = top_level_imports(ast.parse(path.read_text(encoding="utf-8")))
    assert {name for name in imports if name.split(".")[0] in HEAVY} == set()
    rooms = {name.split(".")[1] for name in imports if name.startswith("saropt.")}
    assert rooms & TORCH_ROOMS == set()


@pytest.mark.parametrize(
    "room",
    [
        "cli",
        "inference",
        "batch",
        "artifacts",
        "matching",
        "evaluation",
        "scenes",
        "curation",
        "simulate",
        "viewer.server",
    ],
)
def test_importing_a_light_room_loads_no_torch(room):
    """In a fresh interpreter, everything that the import pulls in included."""
    code = f"import sys, saropt.{room}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_a_translator_is_imported_without_slow_libraries():
    """They take longer than everything else that the import needs together."""
    slow = {"torch", "scipy", "cv2", "onnx", "onnxruntime", "openvino"}
    code = f"import sys; from saropt import Translator; print(*sorted({slow!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_rooms_that_need_torch_are_the_only_ones():
    users = set()
    for path in SOURCE.rglob("*.py"):
        imports = top_level_imports(ast.parse(path.read_text(encoding="utf-8")))
        if any(name.split(".")[0] in HEAVY for name in imports):
            users.add(path.relative_to(SOURCE).parts[0])
    assert users == TORCH_ROOMS


MODULES = ("addresses", "errors", "progress", "registry")
"""Those that stand below all rooms."""


def test_every_room_has_its_floor():
    """A new folder must be entered in the contract of pyproject.toml."""
    import tomllib

    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    named = {room.strip() for layer in contract["layers"] for room in layer.split("|")}
    rooms = {f"saropt.{path.parent.name}" for path in SOURCE.glob("*/__init__.py")}
    assert rooms <= named
    assert {room for room in named if room.removeprefix("saropt.") not in MODULES} == rooms


def test_floors():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    if not command[0].exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_architecture_page_names_the_rooms_and_modules_that_there_are() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {
        room for row in re.findall(r"^\| \d+ \|(.+?)\|", text, re.MULTILINE) for room in re.findall(r"`(\w+)`", row)
    }
    assert rooms == {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    named = {path for path in re.findall(r"`([\w./]+\.py)`", text) if not path.startswith("tests/")}
    assert named
    assert not [path for path in sorted(named) if not (SOURCE / path).is_file()]
