"""saropt: translation between SAR and optical remote-sensing images."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saropt.translation import Translator

__version__ = version("saropt")
__all__ = ["Translator", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Translator":
        from saropt.translation import Translator

        return Translator
    raise AttributeError(f"module 'saropt' has no attribute {name!r}")
