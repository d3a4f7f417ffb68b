"""`dem` and `geoid`: a Sentinel-1 product is geocoded and flattened on the way to the network."""

from __future__ import annotations

import pytest
from rasterio.shutil import copy

from safe_files import write_safe
from saropt.errors import InputError, OptionError
from saropt.files import identity
from saropt.inference import TranslateOptions, Translator
from saropt.scenes import Scene, write_array
from saropt.sensors.sentinel1 import calibrate
from terrain_files import SIDE, UTM, grid_at, ground, write_dem


def test_translate_takes_a_terrain_model(tmp_path, make_translator):
    """On the grid that the control points span, the orbit sees nothing: the options arrive, and a line says so."""
    safe, _ = write_safe(tmp_path, geometry=True)
    translator = Translator.load(make_translator())
    dem = write_dem(tmp_path / "dem.tif", grid_at(3.0, 0.1), 0.0)
    with pytest.raises(InputError, match="dem\\.tif: has no height where the scene lies"):
        translator.run(safe, tmp_path / "out.tif", TranslateOptions(dem=dem, geoid=48.0))
    with pytest.raises(OptionError, match="flattens Sentinel-1 products"):
        translator.run(dem, tmp_path / "out.tif", TranslateOptions(dem=dem))
    for wrong, reason in (
        ({"geoid": 48.0}, "is for a terrain model"),
        ({"geoid": 480.0, "dem": dem}, "within 200 m"),
    ):
        with pytest.raises(OptionError, match=reason):
            TranslateOptions(**wrong)


def test_a_product_is_translated_by_a_terrain_model(tmp_path, make_translator, monkeypatch):
    safe, _ = write_safe(tmp_path, geometry=True)
    grid = grid_at(*ground(20.0, 30.0))
    monkeypatch.setattr("saropt.sensors.grd_scene.overlap_grid", lambda *arguments: grid)
    dem = write_dem(tmp_path / "dem.tif", grid, 0.0, base=0.0)
    Translator.load(make_translator()).run(safe, tmp_path / "out.tif", TranslateOptions(dem=dem))
    with Scene.open(tmp_path / "out.tif") as made:
        _, valid = made.read()
        assert (made.georeference.crs, made.georeference.transform) == (UTM, grid.transform)
        assert made.tags["TERRAIN_FLATTENED"] == "True"
        assert made.tags["RADAR_SHADOW_PERCENT"] == "0.0"
        assert 500 < valid.sum() < valid.size / 2


def test_ground_in_shadow_is_nodata(tmp_path, make_translator, monkeypatch):
    """Behind a wall of 100 m the beam first reaches the ground some 80 m away."""
    safe, _ = write_safe(tmp_path, geometry=True)
    grid = grid_at(*ground(20.0, 30.0))
    monkeypatch.setattr("saropt.sensors.grd_scene.overlap_grid", lambda *arguments: grid)
    with Scene.open(write_dem(tmp_path / "flat.tif", grid, 0.0, base=0.0)) as flat:
        heights, place = flat.read()[0], flat.georeference
    wall = heights.shape[-1] // 2
    heights[..., wall : wall + 2] = 100.0
    dem = write_array(tmp_path / "dem.tif", heights, band_names=["height"], georeference=place)
    Translator.load(make_translator()).run(safe, tmp_path / "out.tif", TranslateOptions(dem=dem))
    with Scene.open(tmp_path / "out.tif") as made:
        _, valid = made.read()
        share = float(made.tags["RADAR_SHADOW_PERCENT"])
    seen = valid[:, SIDE // 2 + 15 : SIDE // 2 + 20].all(axis=1)
    assert seen.sum() > 20
    assert not valid[seen, SIDE // 2 + 2 : SIDE // 2 + 7].any()
    assert 5 < share < 30


def test_the_terrain_model_is_an_input(tmp_path, make_translator, monkeypatch):
    """It is not replaced by the output. A virtual one is another where its source is."""
    safe, _ = write_safe(tmp_path, geometry=True)
    grid = grid_at(*ground(20.0, 30.0))
    monkeypatch.setattr("saropt.sensors.grd_scene.overlap_grid", lambda *arguments: grid)
    dem = write_dem(tmp_path / "dem.tif", grid, 0.0, base=0.0)
    virtual = tmp_path / "dem.vrt"
    copy(dem, virtual, driver="VRT")
    content, translator = dem.read_bytes(), Translator.load(make_translator())
    for named in (dem, virtual):
        with pytest.raises(InputError, match=r"dem\.tif: is an input, which the output would replace"):
            translator.run(safe, dem, TranslateOptions(dem=named, overwrite=True))
    assert dem.read_bytes() == content
    options = TranslateOptions(dem=virtual)
    translator.run(safe, tmp_path / "out.tif", options)
    assert translator.look(safe, tmp_path / "out.tif", options).is_complete
    dem.unlink()
    write_dem(dem, grid, 0.0, base=1.0)
    assert not translator.look(safe, tmp_path / "out.tif", options).is_complete


def test_a_file_of_a_product_is_an_input(tmp_path, make_translator):
    safe, _ = write_safe(tmp_path, geometry=True)
    measurement = next(safe.rglob("*.tiff"))
    content, translator = measurement.read_bytes(), Translator.load(make_translator())
    for named in (safe, safe / "manifest.safe"):
        with pytest.raises(InputError, match="is an input, which the output would replace"):
            translator.run(named, measurement, TranslateOptions(overwrite=True))
        with pytest.raises(InputError, match="is an input, which the output would replace"):
            calibrate(named, measurement, overwrite=True)
    assert measurement.read_bytes() == content


def test_heights_are_read_in_one_state_which_is_told_once(tmp_path, make_translator, monkeypatch):
    safe, _ = write_safe(tmp_path, geometry=True)
    grid = grid_at(*ground(20.0, 30.0))
    monkeypatch.setattr("saropt.sensors.grd_scene.overlap_grid", lambda *arguments: grid)
    dem = write_dem(tmp_path / "dem.tif", grid, 0.0, base=0.0)
    read, add = [], identity._add
    monkeypatch.setattr(
        identity, "_add", lambda digest, path, *how, **more: (read.append(path), add(digest, path, *how, **more))
    )

    def change(*_):
        dem.write_bytes(dem.read_bytes() + b" ")

    with pytest.raises(InputError, match=r"dem\.tif: has changed while it was read: nothing is written"):
        Translator.load(make_translator()).run(safe, tmp_path / "out.tif", TranslateOptions(dem=dem), change)
    assert read.count(str(dem)) == 2
