"""Fill that a companion does not declare has no part in the pixels beside it on another grid."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from saropt.inference import TranslateOptions, Translator
from saropt.inference.companions import Ground, open_companions
from saropt.inference.opening import open_input
from saropt.scenes import Georeference, write_array

SIDE = 200
BORDER = np.add.outer(np.arange(SIDE), np.arange(SIDE)) < 100


def place(east: float) -> Georeference:
    return Georeference(rasterio.CRS.from_epsg(32611), from_origin(400_000 + east, 3_800_000, 10, 10))


OPTICAL, SAR = ["B4", "B3", "B2", "B8"], ["VV", "VH"]


@pytest.mark.parametrize(
    ("role", "bands", "values", "declared", "scale"),
    [
        ("reference", OPTICAL, (2000, 2050), None, None),
        ("reference", OPTICAL, (2000, 2050), 0, None),
        ("reference", OPTICAL, (2000, 2050), 65535, None),
        ("reference_sar", SAR, (-14.0, -10.0), None, None),
        ("reference_sar", SAR, (-14.0, -10.0), -9999.0, None),
        ("reference_sar", SAR, (-14.0, -10.0), None, 0.01),
    ],
)
def test_fill_is_left_out_before_pixels_are_resampled(tmp_path, role, bands, values, declared, scale) -> None:
    """Water that one band of an optical image does not see, stored as 0 as the fill is, stays."""
    rng = np.random.default_rng(0)
    speckled = rng.normal(-12, 2, (2, SIDE, SIDE)).astype(np.float32)
    scene = write_array(tmp_path / "scene.tif", speckled, band_names=SAR, georeference=place(0))
    dtype = np.uint16 if role == "reference" else np.float32
    earlier = rng.uniform(*values, (len(bands), SIDE, SIDE)).astype(dtype)
    earlier[:, BORDER] = 0
    water = role == "reference" and declared != 0
    if water:
        earlier[3, 120:150, 120:150] = 0
    if scale is not None:
        earlier = np.rint(earlier / scale).astype(np.int16)
    path = write_array(tmp_path / "e.tif", earlier, band_names=bands, georeference=place(3), nodata=declared)
    if scale is not None:
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK=True) as dataset:
            dataset.scales = [scale] * len(bands)
    translator = Translator.load("s1-reference")
    with ExitStack() as stack:
        ground = Ground(stack.enter_context(open_input(scene, None, translator.inputs[0], "translator")))
        sources = open_companions(stack, TranslateOptions(**{role: path}), translator.inputs, ground, "translator")
        found, valid = list(sources.values())[1].read()
    told = [line for line in ground.told if line.endswith("parts of it are fill (0): made nodata")]
    assert len(told) == (declared != 0)
    assert 0.8 < valid.mean() < 0.9
    assert found[:3, valid].min() >= values[0] - 0.02
    assert found[:, valid].max() <= values[1] + 0.02
    if water:
        assert valid[122:148, 122:148].all()
        assert (found[3, 122:148, 122:148] == 0).all()
