"""Functions and files stay small: 8 positional arguments, 80 lines and 400 lines a file at the most."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import saropt

SOURCE = Path(saropt.__file__).parent
MOST_ARGUMENTS, MOST_LINES, MOST_FILE_LINES = 8, 80, 400


def is_verb(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether this is a verb of the command line: Typer makes an option or argument of each of its parameters."""
    annotations = [ast.unparse(a.annotation) for a in function.args.args if a.annotation is not None]
    return bool(annotations) and all("typer.Option(" in text or "typer.Argument(" in text for text in annotations)


def large_functions(tree: ast.AST) -> Iterator[str]:
    """What is too large in a module, one text each."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_verb(node):
            continue
        positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if len(positional) > MOST_ARGUMENTS:
            yield f"{node.name}: {len(positional)} positional arguments"
        if lines > MOST_LINES:
            yield f"{node.name}: {lines} lines"


def test_what_is_large_is_found():
    wide = f"def wide({', '.join(f'a{i}' for i in range(9))}): ..."
    long = "class C:\n    def long(self):\n" + "        pass\n" * 80
    fine = f"def fine({', '.join(f'a{i}' for i in range(8))}, *, b, c): ..."
    verb = f"def verb({', '.join(f'a{i}: Annotated[int, typer.Option()]' for i in range(9))}): ..."
    assert list(large_functions(ast.parse("\n".join((wide, long, fine, verb))))) == [
        "wide: 9 positional arguments",
        "long: 81 lines",
    ]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_functions_and_files_are_small(path):
    text = path.read_text(encoding="utf-8")
    assert list(large_functions(ast.parse(text))) == []
    assert text.count("\n") <= MOST_FILE_LINES
