"""The second part of the demonstration: a flood under cloud, from SAR of today and an earlier, cloudy optical image."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from saropt.errors import SceneWarning
from saropt.inference import TranslateOptions, Translator
from saropt.roots.simulated_dates import BRIGHT_END, DATE, DATE_BEFORE, OPTICAL_BANDS, as_reflectance
from saropt.scenes import Georeference, Scene, write_array
from saropt.simulate import BANDS, CHANGES, DatesConfig, SceneConfig, SimulatedDates, simulate_dates

MODEL = "s1-reference"
SIZE, SEED = 768, 11
SHOWN_END = 0.3
PLACE = Georeference(CRS.from_epsg(32611), Affine(10.0, 0.0, 400_000.0, 0.0, -10.0, 3_780_000.0))
FILES: Mapping[str, str] = {
    "two_dates.png": "SAR before and now, the cloudy earlier image, translation, origin and truth",
    "two_dates/sar_before.tif": "the earlier simulated SAR scene (VV and VH, decibels)",
    "two_dates/sar.tif": "the SAR scene of today, with a flood",
    "two_dates/before.tif": "the earlier optical scene, with clouds and their shadows",
    "two_dates/optical.tif": "the translation",
    "two_dates/optical_origin.tif": "where each pixel comes from: earlier image or radar; and the likelihood of change",
    "two_dates/truth.tif": "the optical scene of today, which the translator never saw",
}


def make_two_dates(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Simulate the two dates, translate, and write the files into a folder.

    Returns:
        Scores by row and kind of ground, PSNR in dB, and the images to draw, (C, H, W) of 8 bits, by caption.
    """
    dates = DatesConfig("summer", crops=0.15, built=0.03, flooded=0.15, clouds=0.2, gaps=0.0)
    two = simulate_dates(SIZE, SEED, config=SceneConfig(season="autumn"), dates=dates)
    place = folder / "two_dates"
    place.mkdir()
    sar = {name: 10.0 * np.log10(values) for name, values in (("sar", two.sigma0), ("sar_before", two.sigma0_before))}
    for name, decibels in sar.items():
        write_array(place / f"{name}.tif", decibels, band_names=BANDS, georeference=PLACE)
    stored = {"before": as_reflectance(two.optical_before), "truth": as_reflectance(two.optical)}
    when = {"before": DATE_BEFORE, "truth": DATE}
    for name, values in stored.items():
        tags = {"ACQUISITION_DATE": when[name]}
        write_array(place / f"{name}.tif", values, band_names=OPTICAL_BANDS, georeference=PLACE, nodata=0, tags=tags)
    translator = Translator.load(MODEL)
    options = TranslateOptions(
        units="sigma0_db", reference=place / "before.tif", reference_sar=place / "sar_before.tif"
    )
    result = translator.run(place / "sar.tif", place / "optical.tif", options)
    image, origin = (_read(Path(path)) for path in result.products.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SceneWarning)  # the earlier images are left out on purpose
        alone = translator(sar["sar"], units="sigma0_db")
    scores = {
        MODEL: _scores(image, two),
        "copy of the earlier image": _scores(stored["before"], two),
        f"{MODEL} from SAR alone": _scores(alone, two),
    }
    grey = {name: np.clip((values[:1] + 25.0) * (255 / 25), 0, 255).astype(np.uint8) for name, values in sar.items()}
    pictures = {
        "SAR before (VV)": grey["sar_before"],
        "SAR today": grey["sar"],
        "earlier image, cloudy": _shown(stored["before"]),
        f"translated by {MODEL}": _shown(image),
        "from radar (white)": (origin[:1].astype(np.float32) * 2.55).astype(np.uint8),
        "simulated truth": _shown(stored["truth"]),
    }
    return scores, pictures


def _scores(image: NDArray, two: SimulatedDates) -> dict[str, float]:
    """PSNR in dB on a scale of 0 to .3 of reflectance, over changed, clouded and other ground."""
    error = np.square((image.astype(np.float64) - as_reflectance(two.optical)) / (BRIGHT_END * 10_000)).mean(axis=0)
    changed = two.change > 0
    grounds = {
        "all": np.ones_like(changed),
        "flooded": two.change == next(key for key, name in CHANGES.items() if name == "flooded"),
        "under cloud": two.clouded,
        "other": ~changed & ~two.clouded,
    }
    return {name: float(-10.0 * np.log10(max(error[where].mean(), 1e-10))) for name, where in grounds.items()}


def _shown(stored: NDArray) -> NDArray[np.uint8]:
    return np.clip(stored[:3] * (255 / (SHOWN_END * 10_000)), 0, 255).astype(np.uint8)


def _read(path: Path) -> NDArray:
    with Scene.open(path) as scene:
        return scene.read_stored()[0]
