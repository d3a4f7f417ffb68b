"""Matchers by name or file.

A new matcher is one module that registers a function without arguments, such as a class; other packages add theirs
through the entry point group `saropt.matchers`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from saropt.errors import InputError
from saropt.matching.features import Matcher
from saropt.registry import Registry

MATCHERS: Registry[Callable[[], Matcher]] = Registry("matcher", "saropt.matchers")


def find_matcher(name: str | Path) -> Matcher:
    """A registered matcher by name, or the matcher of a file or run folder.

    Raises:
        InputError: neither of these.
        MissingExtraError: a file, which needs torch, and torch is not installed.

    >>> find_matcher("sift").margin
    32
    """
    if str(name) in MATCHERS:
        return MATCHERS[str(name)]()
    path = Path(name)
    if not path.exists():
        raise InputError(name, f"is neither a matcher file nor a registered matcher ({', '.join(MATCHERS)})")
    from saropt.matching.learned import LearnedMatcher

    return LearnedMatcher.load(path)
