"""Rasters that are brought to a grid: no blur where it is turned, an average where it is coarser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from saropt.scenes import Georeference, Grid, Scene, Window, write_array

CRS = rasterio.CRS.from_epsg(32633)
PLACE = Affine(10, 0, 500_000, 0, -10, 4_000_000)
SIDE = 512
QUARTER = Affine.translation(SIDE, 0) @ Affine(0, -1, 0, 1, 0, 0)
NOISE = np.random.default_rng(0).normal(100, 30, (1, SIDE, SIDE)).astype(np.float32)


def _written(path: Path, pixels: np.ndarray, place: Affine) -> Path:
    return write_array(path, pixels, band_names=["VV"], georeference=Georeference(CRS, place))


def _turned_grid(degrees: float, factor: float, side: int) -> Grid:
    about = Affine.translation(SIDE / 2, SIDE / 2) @ Affine.rotation(degrees) @ Affine.scale(factor)
    return Grid(CRS, PLACE @ about @ Affine.translation(-side / 2, -side / 2), side, side)


def _read(path: Path, grid: Grid, resampling: str = "bilinear", window: Window | None = None) -> np.ndarray:
    with Scene.open(path, grid=grid, resampling=resampling) as scene:
        values, valid = scene.read(window)
    assert valid.all()
    return values[0]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_pixels_of_a_raster_turned_by_quarters_stay_as_they_are(tmp_path: Path, turns: int):
    place = PLACE
    for _ in range(turns):
        place = place @ QUARTER
    path = _written(tmp_path / "turned.tif", np.rot90(NOISE, turns, (1, 2)).copy(), place)
    assert np.array_equal(_read(path, Grid(CRS, PLACE, SIDE, SIDE)), NOISE[0])


@pytest.mark.parametrize("degrees", [5, 30, 45, 135])
def test_a_turned_grid_is_interpolated_and_not_averaged(tmp_path: Path, degrees: float):
    path = _written(tmp_path / "noise.tif", NOISE, PLACE)
    spread = _read(path, _turned_grid(degrees, 1, 300)).std() / NOISE.std()
    assert spread == pytest.approx(2 / 3, abs=0.02)  # linear interpolation anywhere between pixels leaves (2/3)^2


def _hidden_part(grid: Grid, mask: np.ndarray, parts: int = 10) -> np.ndarray:
    """Share of each pixel of the grid that lies in a mask at `PLACE`, by parts x parts points in it."""
    one = (np.arange(parts) + 0.5) / parts
    across, down = np.meshgrid(np.add.outer(np.arange(grid.width), one), np.add.outer(np.arange(grid.height), one))
    columns, rows = np.floor(~PLACE @ grid.transform @ (across.ravel(), down.ravel())).astype(int)
    return mask[rows, columns].reshape(grid.height, parts, grid.width, parts).mean(axis=(1, 3))


@pytest.mark.parametrize("factor", [0.37, 1, 2.3])
@pytest.mark.parametrize("degrees", [0, 10, 45, 135])
def test_a_mask_hides_all_that_it_touches(tmp_path: Path, degrees: float, factor: float):
    mask = np.random.default_rng(1).random((1, SIDE, SIDE)) > 0.995
    path, grid = _written(tmp_path / "mask.tif", mask.astype(np.uint8), PLACE), _turned_grid(degrees, factor, 150)
    hidden, share = _read(path, grid, "any") > 0, _hidden_part(grid, mask[0])
    assert hidden[share > 0].all()
    assert hidden.sum() < 1.2 * (share > 0).sum()  # the rest is corners between the points
    parts = [_read(path, grid, "any", Window(0, column, 150, 50)) for column in (0, 50, 100)]
    assert np.array_equal(np.hstack(parts) > 0, hidden)


def test_a_mask_of_numbers_below_0_hides_under_a_turned_grid(tmp_path: Path):
    mask = (np.random.default_rng(1).random((1, SIDE, SIDE)) > 0.995).astype(np.float32)
    mask[0, ::7, ::5] = np.nan
    path, grid = _written(tmp_path / "mask.tif", -mask, PLACE), _turned_grid(30, 1, 150)
    with Scene.open(path, grid=grid, resampling="any") as scene:
        (values,), _ = scene.read()
    assert (values[_hidden_part(grid, mask[0] == 1) > 0] != 0).all()


def test_a_scene_in_degrees_that_touches_the_pole(tmp_path: Path):
    polar = Georeference(rasterio.CRS.from_epsg(3413), Affine(2000, 0, -512_000, 0, -2000, 512_000))
    path = write_array(tmp_path / "polar.tif", NOISE, band_names=["VV"], georeference=polar)
    grid = Grid(rasterio.CRS.from_epsg(4326), Affine(0.5, 0, -180, 0, -0.02, 90), 200, 720)
    with Scene.open(path, grid=grid, resampling="bilinear") as scene:
        values, valid = scene.read()
    assert valid.mean() > 0.9
    assert values[0, valid].mean() == pytest.approx(NOISE.mean(), abs=3)


@pytest.mark.parametrize("resampling", ["bilinear", "average"])
@pytest.mark.parametrize("degrees", [30, 45, 60])
def test_finer_pixels_are_averaged_under_a_turned_grid_as_under_an_unturned_one(
    tmp_path: Path, degrees: float, resampling: str
):
    path = _written(tmp_path / "noise.tif", NOISE, PLACE)
    straight = _read(path, _turned_grid(0, 4, 80), "bilinear").std()
    assert _read(path, _turned_grid(degrees, 4, 80), resampling).std() == pytest.approx(straight, rel=0.15)


@pytest.mark.parametrize("factor", [0.5, 1, 2, 2.5, 4])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
def test_unturned_grids_are_read_as_gdal_reads_them(tmp_path: Path, factor: float, resampling: str):
    path = _written(tmp_path / "noise.tif", NOISE, PLACE)
    side = int(SIDE / factor)
    grid = Grid(CRS, PLACE @ Affine.scale(factor), side, side)
    warp = {"transform": grid.transform, "width": side, "height": side, "resampling": Resampling[resampling]}
    with rasterio.open(path) as dataset, WarpedVRT(dataset, crs=CRS, add_alpha=True, **warp) as plain:
        wanted = plain.read(1)
    assert np.allclose(_read(path, grid, resampling), wanted, atol=1e-3)


def test_columns_and_rows_of_different_size_are_told_apart_where_they_are_turned(tmp_path: Path):
    upright = _written(tmp_path / "upright.tif", NOISE, PLACE @ Affine.scale(1, 4))
    turned = _written(tmp_path / "turned.tif", np.rot90(NOISE, 1, (1, 2)).copy(), PLACE @ Affine.scale(1, 4) @ QUARTER)
    grid = Grid(CRS, PLACE @ Affine.scale(4), SIDE, SIDE // 4)
    assert np.allclose(_read(turned, grid), _read(upright, grid), atol=1e-3)


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("degrees", [12, 45, 90])
def test_windows_are_parts_of_the_whole(tmp_path: Path, degrees: float, factor: float):
    path = _written(tmp_path / "noise.tif", NOISE, PLACE)
    grid = _turned_grid(degrees, factor, 100)
    whole = _read(path, grid)
    for window in (Window(0, 0, 100, 7), Window(30, 40, 33, 50), Window(90, 90, 10, 10)):
        part = whole[window.row : window.row + window.height, window.col : window.col + window.width]
        assert np.array_equal(_read(path, grid, window=window), part)


@pytest.mark.parametrize("factor", [1, 4])
def test_control_points_of_a_turned_raster(tmp_path: Path, factor: float):
    place = PLACE @ Affine.rotation(20)
    points = [
        GroundControlPoint(row, column, *(place @ (column, row)))
        for row in range(0, SIDE + 1, 128)
        for column in range(0, SIDE + 1, 128)
    ]
    georeference = Georeference(gcps=tuple(points), gcp_crs=CRS)
    gcps = write_array(tmp_path / "gcps.tif", NOISE, band_names=["VV"], georeference=georeference)
    x, y = place @ (SIDE / 2, SIDE / 2)
    side = int(300 / factor)
    grid = Grid(CRS, Affine(10 * factor, 0, x - 1500, 0, -10 * factor, y + 1500), side, side)
    assert np.allclose(_read(gcps, grid), _read(_written(tmp_path / "noise.tif", NOISE, place), grid), atol=0.01)


def test_a_small_raster_in_a_large_grid(tmp_path: Path):
    path = _written(tmp_path / "small.tif", np.rot90(NOISE, 1, (1, 2)).copy(), PLACE @ QUARTER)
    grid = Grid(CRS, PLACE @ Affine.translation(-9000, -7000), 20_000, 20_000)
    assert np.array_equal(_read(path, grid, window=Window(7000, 9000, SIDE, SIDE)), NOISE[0])


class TestNodataInSomeBands:
    """A warped pixel is valid only where all chosen bands are, each by its own nodata."""

    names = ("B4", "B3", "B2")
    beside = Grid(CRS, PLACE @ Affine.translation(0.1, -0.1), 64, 64)
    hole = np.s_[20:40, 20:40]

    def _bands(self, fills: tuple[int, ...]) -> np.ndarray:
        values = np.random.default_rng(1).integers(10, 1000, (3, 64, 64)).astype(np.uint16)
        for number, fill in enumerate(fills):
            values[(number, *self.hole)] = fill
        return values

    def _inside(self, valid: np.ndarray) -> np.ndarray:
        return valid[self.hole][2:-2, 2:-2]

    @pytest.mark.parametrize("place", ["transform", "control points"])
    def test_one_band_is_enough(self, tmp_path: Path, place: str):
        georeference = Georeference(CRS, PLACE)
        if place == "control points":
            corners = [(row, col) for row in (0, 32, 64) for col in (0, 32, 64)]
            points = [GroundControlPoint(row, col, *(PLACE @ (col, row))) for row, col in corners]
            georeference = Georeference(gcps=tuple(points), gcp_crs=CRS)
        found = []
        for name, fills in (("one", (0,)), ("all", (0, 0, 0))):
            values = self._bands(fills)
            path = write_array(
                tmp_path / f"{name}.tif", values, band_names=self.names, nodata=0, georeference=georeference
            )
            with Scene.open(path, grid=self.beside) as scene:
                assert scene.nodata == 0
                assert scene.band_names == list(self.names)
                found.append(scene.read())
                assert np.array_equal(scene.read(Window(18, 0, 9, 64))[0], found[-1][0][:, 18:27])
            if name == "one":
                with Scene.open(path, ["B2", "B3"], grid=self.beside) as others:
                    assert self._inside(others.read()[1]).all()
                with Scene.open(path, ["B4"], grid=self.beside) as alone:
                    assert not self._inside(alone.read()[1]).any()
        (values, valid), (wanted, expected) = found
        assert not self._inside(valid).any()
        assert valid[:18, :].any()
        assert np.array_equal(valid, expected)
        assert np.array_equal(values, wanted)

    def test_bands_with_nodata_of_their_own(self, tmp_path: Path):
        path = write_array(tmp_path / "pixels.tif", self._bands((1, 2, 3)), band_names=self.names)
        bands = "".join(
            f'<VRTRasterBand dataType="UInt16" band="{band}"><Description>{name}</Description>'
            f"<NoDataValue>{band}</NoDataValue><SimpleSource><SourceFilename relativeToVRT='1'>{path.name}"
            f"</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            for band, name in enumerate(self.names, start=1)
        )
        place = ",".join(map(str, PLACE.to_gdal()))
        (tmp_path / "own.vrt").write_text(
            f'<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>{CRS}</SRS>'
            f"<GeoTransform>{place}</GeoTransform>{bands}</VRTDataset>"
        )
        for chosen in (None, ["B3"], [3, 1]):
            with Scene.open(tmp_path / "own.vrt", chosen, grid=self.beside) as scene:
                values, valid = scene.read()
            assert not self._inside(valid).any()
            assert valid[:18].all()
            assert values[:, valid].min() >= 10

    @pytest.mark.parametrize("more", ["alpha", "mask"])
    def test_beside_alpha_or_a_mask(self, tmp_path: Path, more: str):
        """On the scene's grid and beside it the same pixels are valid."""
        values, clear = self._bands((0,)), np.full((64, 64), 255, np.uint16)
        clear[50:60] = 0
        place = {"crs": CRS, "transform": PLACE}
        count = 4 if more == "alpha" else 3
        path = tmp_path / "more.tif"
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", "GTiff", 64, 64, count, dtype="uint16", nodata=0, **place) as file,
        ):
            file.write(values, [1, 2, 3])
            if more == "alpha":
                file.write(clear, 4)
                file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
            else:
                file.write_mask(clear.astype(np.uint8))
        with Scene.open(path) as scene, Scene.open(path, grid=self.beside) as moved:
            assert moved.count == scene.count == 3
            valid, beside = scene.read()[1], moved.read()[1]
        assert np.array_equal(beside[2:62, 2:62], valid[2:62, 2:62])

    @pytest.mark.filterwarnings("error")
    def test_a_raster_without_a_place_has_no_pixel_there(self, tmp_path: Path):
        path = write_array(tmp_path / "nowhere.tif", self._bands((0,)), band_names=self.names, nodata=0)
        with Scene.open(path, grid=self.beside) as scene:
            assert not scene.read()[1].any()
