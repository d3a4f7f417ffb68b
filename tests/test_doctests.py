"""Every example in a docstring runs, and every public function and class has one."""

from __future__ import annotations

import doctest
import importlib
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
