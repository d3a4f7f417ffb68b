"""The demonstration: a bundled translator translates a simulated scene, beside the truth."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.crs import CRS

import saropt
from saropt.domain import SAR_TO_OPTICAL
from saropt.errors import InputError
from saropt.evaluation import demo_two_dates
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.baselines import ImageMeanOracle
from saropt.evaluation.metric import Subject, Tile
from saropt.evaluation.metrics import grey
from saropt.evaluation.tiles import TILE, tile_windows
from saropt.files import atomic_folder
from saropt.inference import NOTICE, Translator
from saropt.inference.requests import TranslateOptions
from saropt.progress import Progress, silent
from saropt.scenes import Georeference, Scene, write_array
from saropt.simulate import OPTICAL_BANDS, amplitude_q99, simulate_scene

MODEL = "s1-losangeles"
SIZE, SEED, GSD_M, LOOKS = 1024, 5, 10.0, 8.0
SIDE = 512
"""Side in pixels of the pictures of two dates."""
PLACE = Georeference(crs=CRS.from_epsg(32611), transform=Affine(GSD_M, 0.0, 380_000.0, 0.0, -GSD_M, 3_780_000.0))
FILES: Mapping[str, str] = {
    "preview.png": "SAR, translation and truth side by side",
    "sar.tif": "the simulated SAR scene (VH amplitude, 8 bits)",
    "optical.tif": "the translation",
    "reference.tif": "the simulated optical scene, which the translator never saw",
    **demo_two_dates.FILES,
    "report.json": "scores and versions",
}
SCORES = ("psnr", "ssim", "mae", "psnr_shift", "psnr_colour_free", "collapse_ratio")
_NOTES = (
    "The scores show that everything works, not how good the translator is on real scenes.",
    "The translator was trained on real pairs; colours of the simulated reference are the simulator's own.",
    "sar_as_grey is the SAR image itself shown as grey; image_mean_oracle is each tile's own true mean colour.",
)
_GAP, _CAPTION, _FONT = 16, 56, 30


def run_demo(
    out: str | Path, *, model: str | Path = MODEL, overwrite: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Simulate a scene of 1024x1024 pixels, and one at two dates, translate both, and write `FILES` into a folder.

    Everything is written to a hidden folder beside `out` and moved to `out` when it is complete.

    Args:
        out: a new or empty folder, or with `overwrite` one whose files of these names are replaced.
        model: a SAR-to-optical translator of one VH amplitude band.
        progress: called with (done, total, what).

    Returns:
        What report.json holds.

    Raises:
        InputError: the folder cannot be used, or the translator cannot.

    >>> report = run_demo("demo")
    >>> sorted(path.suffix for path in Path("demo").iterdir())
    ['', '.json', '.png', '.png', '.tif', '.tif', '.tif']
    """
    out = Path(out).absolute()
    _check(out, overwrite)
    translator = Translator.load(model, direction=SAR_TO_OPTICAL)
    with atomic_folder(out, replace=True, last="report.json") as part:
        return _fill(part, translator, progress)


def _check(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(out, "is a file; the demo writes into a folder")
    if not out.parent.is_dir():
        raise InputError(out, f"the folder {out.parent} does not exist")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(out, "is not empty: does it hold an earlier demo?", remedy="overwrite")


def _fill(folder: Path, translator: Translator, progress: Progress) -> dict[str, Any]:
    progress(0, 5, "simulating")
    scene = simulate_scene(SIZE, SEED, gsd_m=GSD_M, looks=LOOKS)
    sar = amplitude_q99(scene.sigma0)[None]
    truth = np.rint(scene.optical * 255).astype(np.uint8)
    tags = {"SIMULATED": "saropt", "SIMULATION_SEED": str(SEED)}
    write_array(folder / "sar.tif", sar, band_names=("VH",), georeference=PLACE, tags=tags)
    write_array(
        folder / "reference.tif", truth, band_names=OPTICAL_BANDS, georeference=PLACE, tags=tags, photometric="rgb"
    )
    progress(1, 5, "translating")
    path = translator.run(folder / "sar.tif", folder / "optical.tif", TranslateOptions(units="amplitude")).path
    with Scene.open(path) as written:
        optical = written.read_stored()[0]
    progress(2, 5, "translating two dates")
    scores, pictures = demo_two_dates.make_two_dates(folder)
    _draw(pictures, SIDE, f"translated by {demo_two_dates.MODEL}").save(folder / "two_dates.png")
    progress(3, 5, "measuring")
    report = _report(translator, sar, optical, truth) | {"two_dates": scores}
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    progress(4, 5, "drawing")
    name = translator.card.name
    guess = f"translated by {name}"
    _draw({"SAR, simulated (VH)": sar, guess: optical, "simulated truth": truth}, SIZE, guess).save(
        folder / "preview.png"
    )
    progress(5, 5, "done")
    return report


def _report(translator: Translator, sar: NDArray, optical: NDArray, truth: NDArray) -> dict[str, Any]:
    oracle = ImageMeanOracle()
    qualities = {name: ImageQuality(Subject(OPTICAL_BANDS)) for name in ("model", "sar_as_grey", oracle.name)}
    windows = tile_windows(SIZE, SIZE)
    for window in windows:
        area = np.s_[:, window.row : window.row + window.height, window.col : window.col + window.width]
        source, output, target = (image[area] / 255.0 for image in (sar, optical, truth))
        qualities["model"].add(Tile.of(output, source, target))
        qualities["sar_as_grey"].add(Tile.of(grey(source, len(target)), source, target))
        qualities[oracle.name].add(Tile.of(oracle.predict(source, target), source, target))
    found = {name: quality.figures() for name, quality in qualities.items()}
    scores = {name: {key: figures[key] for key in SCORES} for name, figures in found.items()}
    model = scores.pop("model")
    return {
        "saropt": saropt.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "rasterio", "onnxruntime")},
        },
        "data": {
            "name": f"simulated scene, seed {SEED}",
            "gsd_m": GSD_M,
            "images": {
                "sar": {"bands": ["VH"], "units": "amplitude"},
                "optical": {"bands": list(OPTICAL_BANDS), "units": "uint8"},
            },
            "licence": "simulated by saropt; no rights reserved",
        },
        "split": "demo",
        "tile": TILE,
        "n": len(windows),
        "notes": list(_NOTES),
        "models": [{"model": translator.card.name, "directions": {SAR_TO_OPTICAL: model}}],
        "baselines": {SAR_TO_OPTICAL: scores},
    }


def _draw(images: Mapping[str, NDArray], side: int, guess: str) -> Image.Image:
    """Images (C, H, W) of 8 bits in rows of three, captions above, the standing notice below the guess.

    Args:
        side: of each image on the sheet, in pixels.
        guess: caption of the translation.
    """
    across = min(3, len(images))
    down = -(-len(images) // across)
    tall = side + 2 * _CAPTION
    sheet = Image.new("RGB", (across * (side + _GAP) + _GAP, down * tall), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT * side // SIZE + 4 * (side < SIZE))
    for number, (caption, image) in enumerate(images.items()):
        left, top = _GAP + number % across * (side + _GAP), number // across * tall
        bands = np.repeat(image, 3, axis=0) if len(image) == 1 else image
        shown = Image.fromarray(np.ascontiguousarray(bands.transpose(1, 2, 0)))
        sheet.paste(shown if shown.width == side else shown.resize((side, side)), (left, top + _CAPTION))
        pen.text((left, top + _CAPTION // 2), caption, "black", font, anchor="lm")
        if caption == guess:
            pen.text((left, top + side + _CAPTION * 3 // 2), NOTICE, "black", font, anchor="lm")
    return sheet
