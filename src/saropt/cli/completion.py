"""What the shell offers after TAB."""

from __future__ import annotations


def model_names(incomplete: str) -> list[str]:
    """Bundled translators whose names begin as typed."""
    from saropt.inference.bundled import list_translators

    return [name for name in list_translators() if name.startswith(incomplete)]
