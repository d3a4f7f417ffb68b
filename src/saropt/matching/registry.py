"""Matchers by name or file."""

from __future__ import annotations

from pathlib import Path

from saropt.errors import InputError
from saropt.matching.features import Matcher
from saropt.matching.rift import RiftLike
from saropt.matching.sift import Sift


def find_matcher(name: str | Path) -> Matcher:
    """ "sift", "rift", or the matcher of a file or run folder.

    Raises:
        InputError: neither of these.
        MissingExtraError: a file, which needs torch, and torch is not installed.
    """
    if str(name) == "sift":
        return Sift()
    if str(name) == "rift":
        return RiftLike()
    path = Path(name)
    if not path.exists():
        raise InputError(name, "is neither sift, rift, nor a matcher file")
    from saropt.matching.learned import LearnedMatcher

    return LearnedMatcher.load(path)
