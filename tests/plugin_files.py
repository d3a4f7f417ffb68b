"""Plug-ins for tests: an installed package of one module, and a Python process that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def write_plugin(folder: Path, group: str, source: str) -> Path:
    """A folder for PYTHONPATH with a package whose one module is an entry point of `group`."""
    info = folder / "plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nnew = new_plugin\n")
    (folder / "new_plugin.py").write_text(source)
    return folder


def run_with_plugin(plugin: Path, code: str, *arguments: object) -> str:
    """What a program prints that runs with the plug-in installed; `arguments` are its `sys.argv[1:]`."""
    path = os.pathsep.join([str(plugin), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
