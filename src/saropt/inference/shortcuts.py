"""Translation in one call, and the names of the translators."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL
from saropt.errors import OptionError
from saropt.inference.bundled import list_translators
from saropt.inference.default_model import default_model
from saropt.inference.requests import EARLIER_IMAGES, LoadOptions
from saropt.inference.translator import Translator
from saropt.progress import Progress

DIRECTIONS: Final = {"optical": SAR_TO_OPTICAL, "sar": OPTICAL_TO_SAR}


def translate(
    scene: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    to: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Path | str:
    """Translate a raster file into a cloud-optimised GeoTIFF on the same grid.

    For several scenes load the translator once: `Translator.load(model).translate(scene, out)`. The warnings of the run
    are `saropt.errors.SceneWarning`.

    Args:
        scene: the input raster, any size; a path or an address.
        out: the output, .tif.
        model: a bundled translator by name, a translator file, or a run folder; `default_model` of the scene when None.
        to: "optical" or "sar"; needed for translators of both directions.
        progress: called with (done, total, what) after every tile.
        options: fields of `saropt.inference.LoadOptions` and `saropt.inference.TranslateOptions` by keyword:
            `bands=["VH"]`, `units="sigma0_db"`, `realism=0.5`.

    Returns:
        The output's path, or its address.

    Raises:
        InputError: the scene, the translator or the output cannot be used.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> amplitude = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    >>> path = write_array("scene.tif", amplitude, band_names=["VH"])
    >>> translate("scene.tif", "optical.tif", units="amplitude").name
    'optical.tif'
    """
    if to is not None and to not in DIRECTIONS:
        raise OptionError("to", to, f"must be {' or '.join(DIRECTIONS)}")
    names = {one.name for one in fields(LoadOptions)}
    load = {name: options.pop(name) for name in names & set(options)}
    if to is not None:
        load["direction"] = DIRECTIONS[to]
    if model is None:
        units, earlier = options.get("units"), any(options.get(name) is not None for name in EARLIER_IMAGES)
        stated = units if isinstance(units, str) else None
        model = default_model([scene], to=to, units=stated, bands=options.get("bands"), reference=earlier)
    translator = Translator.load(model, LoadOptions(**load))
    return translator.translate(scene, out, progress=progress, **options)


def list_models(folder: str | Path | None = None) -> list[str]:
    """Names of the bundled translators and, where a folder is given, paths of the translator files in it.

    `Translator.load` and `translate` take these; `Translator.load(name).card` says more of one.

    >>> "s1-losangeles" in list_models()
    True
    """
    bundled = list_translators()
    return [*bundled, *(str(path) for name, path in list_translators(folder).items() if name not in bundled)]
