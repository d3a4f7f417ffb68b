"""Small translator files and scenes for the tests of this room."""

from __future__ import annotations

import sys
from pathlib import Path

from companion_files import colours, fresh, scene
from translator_fixtures import make_scene, make_translator

__all__ = ["colours", "fresh", "make_scene", "make_translator", "scene"]

sys.path.insert(0, str(Path(__file__).parents[1] / "networks"))
