"""Matching through a translation: SAR is made optical first, and then matched with an optical scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from saropt.errors import InputError
from saropt.inference import Translator
from saropt.matching.features import Matcher
from saropt.matching.scene_matching import Progress, SceneMatch, match_scenes


def match_translated(
    a: str | Path,
    b: str | Path,
    matcher: Matcher,
    translator: Translator,
    *,
    bands: Sequence[str | int] | None = None,
    units: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> SceneMatch:
    """`match_scenes` of A's translation with B; the result speaks of A itself, whose pixels the translation shares.

    Args:
        bands, units: of A, as for `Translator.translate`.
        options: of `match_scenes`.

    Raises:
        InputError: as `Translator.translate` and `match_scenes`.
    """
    with TemporaryDirectory(prefix="saropt-match-") as folder:
        between = Path(folder) / f"{Path(a).stem}.tif"
        translator.translate(a, between, bands=bands, units=units, progress=progress)
        try:
            found = match_scenes(between, b, matcher, progress=progress, **options)
        except InputError as error:
            if error.source != str(between):
                raise
            raise InputError(a, f"after translation, {error.reason}") from error
    return replace(found, a=Path(a), method=f"{found.method} after {translator.card.name}")
