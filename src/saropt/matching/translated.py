"""Matching through a translation: A is translated first, and the translation is matched with B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from saropt.errors import InputError
from saropt.inference import Translator
from saropt.inference.requests import TranslateOptions
from saropt.matching.features import Matcher
from saropt.matching.scene_matching import SceneMatch, match_scenes
from saropt.progress import Progress, silent


def match_translated(
    a: str | Path,
    b: str | Path,
    matcher: Matcher,
    translator: Translator,
    *,
    bands: Sequence[str | int] | None = None,
    units: str | None = None,
    progress: Progress = silent,
    **options: Any,
) -> SceneMatch:
    """`match_scenes` of A's translation with B; the result names A itself, which has the pixels of its translation.

    Args:
        bands, units: bands and units of A, as for `Translator.translate`.
        options: options of `match_scenes`.

    Raises:
        InputError: as `Translator.translate` and `match_scenes`.

    >>> import numpy as np
    >>> from saropt.matching import Sift
    >>> from saropt.scenes import write_array
    >>> image = np.random.default_rng(0).integers(1, 255, (1, 256, 256)).astype(np.uint8)
    >>> sar = write_array("sar.tif", image, band_names=["VH"])
    >>> translator = Translator.load("s1-losangeles")
    >>> optical = translator.run(sar, "optical.tif").path
    >>> match_translated(sar, optical, Sift(), translator).a.name
    'sar.tif'
    """
    with TemporaryDirectory(prefix="saropt-match-") as folder:
        translation = Path(folder) / f"{Path(a).stem}.tif"
        translator.run(a, translation, TranslateOptions(bands=bands, units=units), progress)
        try:
            found = match_scenes(translation, b, matcher, progress=progress, **options)
        except InputError as error:
            if error.source != str(translation):
                raise
            raise InputError(a, f"after translation, {error.reason}", error.remedy) from error
    return replace(found, a=Path(a), method=f"{found.method} after {translator.card.name}")
