"""The viewer: a folder of scenes on a map in the browser, with translation jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saropt.viewer.server import serve, serve_blind

__all__ = ["serve", "serve_blind"]


def __getattr__(name: str) -> Any:
    """The servers, imported when they are asked for: the worker of a job needs no web server."""
    if name in __all__:
        from saropt.viewer import server

        return getattr(server, name)
    raise AttributeError(f"module 'saropt.viewer' has no attribute {name!r}")
