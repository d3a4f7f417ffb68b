"""A scene, a translator and an earlier image, for the tests of what comes with a scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from reference_files import BANDS, reference_translator
from saropt.inference import Translator
from saropt.scenes import Georeference, write_array
from translator_fixtures import GEOREFERENCE

Factory = Callable[..., Path]
HEIGHT, WIDTH = 220, 180


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def tags(path: Path | str) -> dict[str, str]:
    with rasterio.open(path) as dataset:
        return dataset.tags()


def write_optical(path: Path, values: np.ndarray, place: Georeference = GEOREFERENCE, **options) -> Path:
    return write_array(path, values, band_names=BANDS, georeference=place, **options)


@pytest.fixture
def colours() -> np.ndarray:
    rng = np.random.default_rng(3)
    smooth = np.kron(rng.integers(30, 220, (3, HEIGHT // 20, WIDTH // 20)), np.ones((20, 20)))
    return smooth.astype(np.uint8)


@pytest.fixture
def scene(make_scene: Factory) -> Path:
    return make_scene(HEIGHT, WIDTH)


@pytest.fixture
def fresh(tmp_path: Path) -> Translator:
    return Translator.load(reference_translator(tmp_path, fresh=True))
