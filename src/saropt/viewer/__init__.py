"""The viewer: a folder of scenes on a map in the browser, with translation jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saropt.viewer.server import serve

__all__ = ["serve"]


def __getattr__(name: str) -> Any:
    """`serve`, imported when it is asked for: the worker of a job needs no web server."""
    if name == "serve":
        from saropt.viewer.server import serve

        return serve
    raise AttributeError(f"module 'saropt.viewer' has no attribute {name!r}")
