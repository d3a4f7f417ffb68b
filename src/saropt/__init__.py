"""saropt: translation between SAR and optical remote-sensing images."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saropt.inference import Segmenter, Translator, list_models, translate

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before ONNX Runtime is imported, here and in every child process

__version__ = version("saropt")
__all__ = ["Segmenter", "Translator", "__version__", "list_models", "translate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("saropt.inference"), name)
    raise AttributeError(f"module 'saropt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
