"""mosaic: fragments of one grid joined without resampling."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from saropt.errors import InputError
from saropt.scenes import Georeference, Scene, Window, mosaic, write_array

CRS = rasterio.CRS.from_epsg(32631)
TRANSFORM = rasterio.Affine(10, 0, 5e5, 0, -10, 4e6)
WHOLE = np.random.default_rng(0).integers(1, 60000, (2, 60, 90), dtype=np.uint16)
REAL = Path(__file__).parents[3] / "shared" / "data" / "s1s2-losangeles"


def fragment(folder, row, col, height, width, *, shift=0.0, name=None, **extra):
    transform = TRANSFORM @ rasterio.Affine.translation(col + shift, row)
    array = WHOLE[:, row : row + height, col : col + width]
    form = {"georeference": Georeference(CRS, transform), "band_names": ["VV", "VH"]} | extra
    return write_array(folder / (name or f"{row}_{col}.tif"), form.pop("array", array), **form)


def parts(folder, **extra):
    return [fragment(folder, row, col, 30, 45, **extra) for row in (30, 0) for col in (0, 45)]


def test_join(tmp_path):
    paths = parts(tmp_path, tags={"REGION": "x"})
    paths[0] = fragment(tmp_path, 30, 0, 30, 45, tags={"REGION": "x", "OWN": "y"}, overwrite=True)
    out = mosaic(paths, tmp_path / "out.tif")
    with Scene.open(out) as scene:
        np.testing.assert_array_equal(scene.read_stored()[0], WHOLE)
        assert scene.georeference == Georeference(CRS, TRANSFORM)
        assert scene.band_names == ["VV", "VH"]
        assert scene.tags["REGION"] == "x"
        assert "OWN" not in scene.tags
    assert cog_validate(out)[0]


@pytest.mark.parametrize("nodata", [0, 7])
def test_gaps_need_a_nodata_value(tmp_path, nodata):
    paths = parts(tmp_path)[1:]
    with pytest.raises(InputError, match="gaps"):
        mosaic(paths, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
    mosaic(paths, tmp_path / "out.tif", nodata=nodata)
    with Scene.open(tmp_path / "out.tif") as scene:
        stored, valid = scene.read_stored()
    expected = WHOLE.copy()
    expected[:, 30:, :45] = nodata
    np.testing.assert_array_equal(stored, expected)
    assert not valid[30:, :45].any()


def test_masked_pixels_become_nodata(tmp_path):
    paths = parts(tmp_path)
    with rasterio.open(paths[0], "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        mask = np.full((30, 45), 255, np.uint8)
        mask[3, 4] = 0
        dataset.write_mask(mask)
    with pytest.raises(InputError, match="has invalid pixels"):
        mosaic(paths, tmp_path / "out.tif")
    mosaic(paths, tmp_path / "out.tif", nodata=0)
    with Scene.open(tmp_path / "out.tif") as scene:
        assert np.argwhere(~scene.read()[1]).tolist() == [[33, 4]]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"shift": 0.4}, "not on the pixel grid"),
        ({"georeference": Georeference(CRS, TRANSFORM @ rasterio.Affine.scale(1.01))}, "not on the pixel grid"),
        ({"georeference": Georeference(rasterio.CRS.from_epsg(32632), TRANSFORM)}, "CRS differs"),
        ({"georeference": Georeference(CRS)}, "no geotransform"),
        ({"band_names": ["VV", "HH"]}, "bands differs"),
        ({"array": WHOLE[:, :30, :45].astype(np.int32)}, "type differs"),
        ({"nodata": 3}, "nodata value differs"),
        ({}, "overlaps"),
    ],
)
def test_fragments_that_do_not_fit(tmp_path, odd, reason):
    paths = parts(tmp_path)
    paths.append(fragment(tmp_path, 30, 44, 30, 45, name="odd.tif", **odd))
    with pytest.raises(InputError, match=reason) as caught:
        mosaic(paths, tmp_path / "out.tif")
    assert "odd.tif" in str(caught.value)
    assert not (tmp_path / "out.tif").exists()


def test_no_fragments(tmp_path):
    with pytest.raises(InputError, match="no fragments"):
        mosaic([], tmp_path / "out.tif")


@pytest.mark.skipif(not REAL.is_dir(), reason="real data s1s2-losangeles are not present")
@pytest.mark.parametrize(("modality", "bands"), [("sar", ["VH"]), ("optical", ["B4", "B3", "B2"])])
def test_real_scene(tmp_path, modality, bands):
    numbers = [start + step for start in (48, 61, 74, 87, 100) for step in range(3)]
    paths = [REAL / modality / f"{number:03d}.tif" for number in numbers]
    out = mosaic(paths, tmp_path / "scene.tif")
    assert cog_validate(out)[0]
    with Scene.open(out, bands=bands) as scene:
        assert sorted((scene.width, scene.height)) == [3072, 5120]
        assert scene.acquired is not None
        assert (scene.acquired.year, scene.acquired.month) == (2020, 11)
        assert scene.acquired.day == (7 if modality == "sar" else 4)
        for path in (paths[0], paths[7], paths[-1]):
            with Scene.open(path) as part:
                step = ~scene.georeference.transform @ part.georeference.transform
                window = Window(round(step.f), round(step.c), part.height, part.width)
                np.testing.assert_array_equal(scene.read(window)[0], part.read()[0])
        assert scene.sample(100_000).shape[0] == len(bands)
