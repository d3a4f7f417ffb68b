"""Small translator files and scenes for the tests of this room."""

from __future__ import annotations

from translator_fixtures import make_scene, make_translator

__all__ = ["make_scene", "make_translator"]
