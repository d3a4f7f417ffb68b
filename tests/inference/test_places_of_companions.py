"""Where rasters lie that come with a scene: on any grid, without a place, or elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform

from companion_files import HEIGHT, WIDTH, read, tags, write_optical
from reference_files import BANDS
from saropt.errors import InputError
from saropt.inference import TranslateOptions, companions
from saropt.inference.companions import Ground
from saropt.scenes import Georeference, Scene, open_scene, write_array
from translator_fixtures import GEOREFERENCE


def test_references_come_from_any_grid_and_projection(fresh, scene, colours, tmp_path):
    """A reference in degrees, of half the scene: it is copied where it lies, elsewhere all is from radar."""
    west, north, east, south = 400_000.0, 3_800_000.0, 400_000.0 + 10 * WIDTH, 3_800_000.0 - 10 * HEIGHT
    longitudes, latitudes = transform("EPSG:32611", "EPSG:4326", [west, east], [north, south])
    step = (longitudes[1] - longitudes[0]) / WIDTH
    place = Georeference(CRS.from_epsg(4326), from_origin(longitudes[0], latitudes[0] + step, step, step))
    flat = np.stack([np.full((HEIGHT, WIDTH // 2), value, np.uint8) for value in (40, 90, 140)])
    old = write_optical(tmp_path / "degrees.tif", flat, place, tags={"ACQUISITION_DATE": "2019-06-12"})
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert tags(result.path)["SAROPT_OPTICAL_REFERENCE_DATE"].startswith("2019-06-12")
    image, radar = read(result.path), read(result.products["origin"])[0]
    left, right = np.s_[20:-60, 20 : WIDTH // 2 - 20], np.s_[20:-60, WIDTH // 2 + 20 :]
    assert (radar[left] == 0).all()
    assert (radar[right] == 100).all()
    assert [int(band[left].mean().round()) for band in image] == [40, 90, 140]
    assert image[(slice(None), *left)].std(axis=(1, 2)).max() == 0


def test_beside_a_scene_with_control_points(scene, colours, fresh, tmp_path):
    """Companions have the same points; elsewhere, or on a grid, they cannot be laid on it."""

    def points(shift: float) -> Georeference:
        corners = [(row, col) for row in (0, HEIGHT) for col in (0, WIDTH)]
        gcps = [GroundControlPoint(row, col, 5e5 + shift + 10 * col, 4e6 - 10 * row) for row, col in corners]
        return Georeference(gcps=tuple(gcps), gcp_crs=CRS.from_epsg(32611))

    radar = write_array(tmp_path / "radar.tif", read(scene), band_names=["VH"], georeference=points(0))
    same = write_optical(tmp_path / "same.tif", colours, points(0))
    result = fresh.run(radar, tmp_path / "out.tif", TranslateOptions(reference=same))
    assert np.array_equal(read(result.path), colours)
    for other in (points(2e5), GEOREFERENCE):
        old = write_optical(tmp_path / "old.tif", colours, other, overwrite=True)
        with pytest.raises(InputError, match=r"old.tif: cannot be laid on .*radar.tif, which has control points"):
            fresh.run(radar, tmp_path / "no.tif", TranslateOptions(reference=old))
        with pytest.raises(InputError, match="project the scene first"):
            fresh.run(radar, tmp_path / "no.tif", TranslateOptions(reference=same, reference_mask=old))


def test_beside_a_scene_with_rpcs(scene, colours, fresh, tmp_path):
    """As beside control points: the same RPCs or no place at all."""

    def place(longitude: float) -> Georeference:
        ones = " ".join(["1"] + ["0"] * 19)
        offsets = {"LINE_OFF": HEIGHT / 2, "SAMP_OFF": WIDTH / 2, "LAT_OFF": -33, "LONG_OFF": longitude}
        scales = {"LINE_SCALE": HEIGHT / 2, "SAMP_SCALE": WIDTH / 2, "LAT_SCALE": 0.02, "LONG_SCALE": 0.02}
        heights = {"HEIGHT_OFF": 0, "HEIGHT_SCALE": 500}
        line, sample = " ".join(["0", "0", "-1"] + ["0"] * 17), " ".join(["0", "1"] + ["0"] * 18)
        rest = {"LINE_NUM_COEFF": line, "LINE_DEN_COEFF": ones, "SAMP_NUM_COEFF": sample, "SAMP_DEN_COEFF": ones}
        return Georeference(rpcs={key: str(value) for key, value in (offsets | scales | heights | rest).items()})

    radar = write_array(tmp_path / "radar.tif", read(scene), band_names=["VH"], georeference=place(151))
    assert open_scene(radar).georeference.rpcs
    same, placeless = write_optical(tmp_path / "same.tif", colours, place(151)), tmp_path / "placeless.tif"
    write_array(placeless, colours, band_names=BANDS)
    line = f"{placeless}: taken to lie pixel on pixel on {radar}, as they lack a common place"
    for old, told in ((same, False), (placeless, True)):
        result = fresh.run(radar, tmp_path / "out.tif", TranslateOptions(reference=old, overwrite=True))
        assert np.array_equal(read(result.path), colours)
        assert (line in result.warnings) == told
    for other in (place(15), GEOREFERENCE):
        old = write_optical(tmp_path / "old.tif", colours, other, overwrite=True)
        with pytest.raises(InputError, match=r"old.tif: cannot be laid on .*radar.tif, which has RPCs and no grid"):
            fresh.run(radar, tmp_path / "no.tif", TranslateOptions(reference=old))


def test_beside_a_scene_without_a_crs(scene, colours, fresh, tmp_path):
    """A transform that puts a raster elsewhere is refused; where one has no place, the pixels are taken to fit."""
    transform = GEOREFERENCE.transform

    def write(name: str, values: np.ndarray, pixels: float | None, crs: CRS | None = None) -> Path:
        place = Georeference() if pixels is None else Georeference(crs, transform @ Affine.translation(pixels, 0))
        bands = BANDS if len(values) == 3 else ["VH"]
        return write_array(tmp_path / f"{name}.tif", values, band_names=bands, georeference=place)

    flat, nowhere = write("flat", read(scene), 0), write("nowhere", read(scene), None)
    same, half = write("same", colours, 0), write("half", colours, 0.5)
    known, far = write("known", colours, 0, GEOREFERENCE.crs), write("far", colours, 1e4)
    placeless = write("placeless", colours, None)
    for radar, old, told in (
        (flat, same, False),
        (flat, half, False),
        (flat, known, False),
        (flat, placeless, True),
        (nowhere, placeless, True),
        (nowhere, far, True),
    ):
        result = fresh.run(radar, tmp_path / "out.tif", TranslateOptions(reference=old, overwrite=True))
        assert np.array_equal(read(result.path), colours)
        line = f"{old}: taken to lie pixel on pixel on {radar}, as they lack a common place"
        assert [one for one in result.warnings if "pixel on pixel" in one] == [line] * told
    with pytest.raises(
        InputError, match=r"far.tif: lies elsewhere than .*flat.tif by its transform, and the scene has"
    ):
        fresh.run(flat, tmp_path / "no.tif", TranslateOptions(reference=far))
    assert not (tmp_path / "no.tif").exists()


def test_companions_of_another_place_are_refused_and_partial_ones_are_told(fresh, scene, colours, tmp_path):
    def moved(name: str, metres: float) -> Path:
        place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(metres / 10, 0))
        return write_array(tmp_path / name, colours, band_names=BANDS, georeference=place)

    far, half = moved("far.tif", 1e5), moved("half.tif", 10 * WIDTH / 2)
    placeless = write_array(tmp_path / "placeless.tif", colours, band_names=BANDS)
    old = write_optical(tmp_path / "old.tif", colours)
    empty = write_array(
        tmp_path / "empty.tif", np.full((1, HEIGHT, WIDTH), np.nan, np.float32), georeference=GEOREFERENCE
    )
    beside = colours.copy()
    beside[:, :, WIDTH // 2 :] = 0
    place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(-WIDTH / 2, 0))
    edge = write_array(tmp_path / "edge.tif", beside, band_names=BANDS, georeference=place, nodata=0)
    far_mask = write_array(tmp_path / "far_mask.tif", colours[:1], georeference=Scene.open(far).georeference)
    for changes, message in (
        ({"reference": far}, "far.tif: shares no ground with"),
        ({"keep_clear": far}, "far.tif: shares no ground with"),
        ({"reference": edge}, "edge.tif: holds no valid pixel on this scene"),
        ({"keep_clear": edge}, "edge.tif: holds no valid pixel on this scene"),
        (
            {"reference": placeless},
            "placeless.tif: has no place on the ground: neither a transform with CRS nor control points",
        ),
        ({"reference": old, "reference_mask": far_mask}, "far_mask.tif: shares no ground with"),
        ({"reference": old, "reference_mask": empty}, "empty.tif: holds no valid pixel"),
    ):
        with pytest.raises(InputError, match=message):
            fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**changes))
        assert not list(tmp_path.glob("out*"))
    for field in ("reference", "keep_clear"):
        result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**{field: half}, overwrite=True))
        assert f"{half} covers 50.0% of the scene: the rest is made without it" in result.warnings
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, overwrite=True))
    assert not [line for line in result.warnings if "covers" in line]


@pytest.mark.parametrize("columns", [0, 0.5])
@pytest.mark.parametrize("field", ["reference", "keep_clear", "reference_sar"])
def test_companions_that_are_nodata_over_most_of_the_scene_are_told(fresh, scene, colours, tmp_path, field, columns):
    """The edge of a swath inside its tile, on the scene's grid and on another."""
    values, names, nodata = colours.copy(), BANDS, 0
    if field == "reference_sar":
        with Scene.open(scene) as opened:
            values, names, nodata = opened.read()[0].copy(), opened.band_names, np.nan
    values[:, :, WIDTH // 4 :] = nodata
    place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(columns, 0))
    swath = write_array(tmp_path / "swath.tif", values, band_names=names, georeference=place, nodata=nodata)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**{field: swath}))
    (line,) = [line for line in result.warnings if "covers" in line]
    share = float(line.split("covers ")[1].split("%")[0])
    assert share == pytest.approx(25, abs=3)


def test_nodata_that_the_scene_has_too_is_not_told(fresh, scene, colours, tmp_path):
    with Scene.open(scene) as opened:
        radar, names = opened.read()[0].copy(), opened.band_names
    radar[:, :, : WIDTH // 4], colours[:, :, : WIDTH // 4] = np.nan, 0
    now = write_array(tmp_path / "now.tif", radar, band_names=names, georeference=GEOREFERENCE, nodata=np.nan)
    old = write_array(tmp_path / "old.tif", colours, band_names=BANDS, georeference=GEOREFERENCE, nodata=0)
    result = fresh.run(now, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert not [line for line in result.warnings if "covers" in line]


def test_companions_are_looked_at_once(scene, colours, tmp_path, monkeypatch):
    place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(WIDTH / 2, 0))
    half = write_array(tmp_path / "half.tif", colours, band_names=BANDS, georeference=place)
    opened = []
    monkeypatch.setattr(companions, "open_scene", lambda path: opened.append(path) or open_scene(path))
    with open_scene(scene) as radar:
        ground = Ground(radar)
        assert ground.grid_for(half) == ground.grid_for(half) is not None
        assert ground.grid_for(scene) is None
        assert ground.notes == [f"{half} covers 50.0% of the scene: the rest is made without it"]
    assert opened == [half, scene]


def test_companions_across_180_degrees(tmp_path):
    (x,), (y,) = transform("EPSG:4326", "EPSG:32660", [180.0], [20.0])
    east = Georeference(CRS.from_epsg(32660), from_origin(x - 700, y + 700, 10, 10))
    image = np.ones((1, 140, 140), np.uint8)
    old = write_array(tmp_path / "old.tif", image, georeference=east)
    for west in (179.995, -180.005):
        place = Georeference(CRS.from_epsg(4326), from_origin(west, 20.005, 1e-4, 1e-4))
        with open_scene(write_array(tmp_path / f"{west}.tif", image[:, :100, :100], georeference=place)) as radar:
            ground = Ground(radar)
            assert ground.grid_for(old) is not None
            assert ground.notes == []
