"""Every example in a docstring runs, and every public function and class has one."""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

import saropt

SOURCE = Path(saropt.__file__).parent
MODULES = sorted(
    "saropt." + path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    """Each docstring in an empty folder of its own."""
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for number, example in enumerate(doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        runner.run(example)
    assert runner.summarize(verbose=False).attempted > 0
    assert runner.summarize(verbose=False).failed == 0


NO_EXAMPLE = {
    "saropt.scenes.objects.object_exists",
    "saropt.scenes.objects.upload",
}
"""They need an object store or a web server."""


def public_surface() -> dict[str, type | Callable[..., object]]:
    """Functions and classes without a leading underscore that a room exports in its `__init__`, or that another room
    imports. What only the files of one room share is the room's own, and its tests are its examples. Left out are
    protocols, which cannot be made; a class that has their methods shows them."""
    found = {}
    for importer in sorted(SOURCE.rglob("*.py")):
        own = importer.relative_to(SOURCE).parts[0]
        tree = ast.parse(importer.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("saropt"):
                continue
            module = importlib.import_module(node.module)
            for alias in node.names:
                thing = getattr(module, alias.name, None)
                home = getattr(thing, "__module__", "") or ""
                if not home.startswith("saropt.") or not callable(thing) or not hasattr(thing, "__qualname__"):
                    continue
                exported = importer.name == "__init__.py" or home.split(".")[1] != own
                if exported and not alias.name.startswith("_") and not getattr(thing, "_is_protocol", False):
                    found[f"{home}.{thing.__qualname__}"] = thing
    return found


def has_example(thing: type | Callable[..., object]) -> bool:
    """Whether the docstring, or that of a method of the class, holds an example."""
    members = vars(thing).values() if isinstance(thing, type) else ()
    return any(">>> " in (getattr(part, "__doc__", None) or "") for part in (thing, *members))


def test_public_functions_and_classes_have_an_example():
    surface = public_surface()
    assert len(surface) > 250
    assert surface.keys() >= NO_EXAMPLE
    assert sorted(name for name, thing in surface.items() if not has_example(thing) and name not in NO_EXAMPLE) == []
