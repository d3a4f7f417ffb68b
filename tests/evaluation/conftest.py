from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from translator_fixtures import make_scene, make_translator

__all__ = ["make_scene", "make_translator"]
