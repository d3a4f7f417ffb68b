"""Verbs that need more than the plain install say so before they do anything."""

from __future__ import annotations

from importlib.util import find_spec

from saropt.errors import MissingExtraError


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return find_spec(module) is not None


def require(verb: str, extra: str, *modules: str) -> None:
    """Check that the modules of an extra are installed, without importing them.

    Raises:
        MissingExtraError: one is not.
    """
    if not all(map(is_installed, modules)):
        raise MissingExtraError(f"saropt {verb}", extra)
