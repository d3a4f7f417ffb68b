"""Fixtures of a place whose images a STAC API on the loopback offers."""

import pytest
from rasterio.warp import transform_bounds

from saropt.curation import stac
from saropt.curation.stac import Collection, Service
from saropt.scenes import remote
from stac_world import UTM, World


@pytest.fixture
def area():
    return stac.Area(transform_bounds(UTM, "EPSG:4326", 400200, 3779300, 400800, 3779800))


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(remote, "FIRST_DELAY_S", 0.02)
    folder = tmp_path / "files"
    folder.mkdir()
    made = World(folder)
    yield made
    made.server.close()


@pytest.fixture
def service(world):
    return Service(
        url=world.server.url,
        sar=Collection(name="rtc", assets={"VV": "vv", "VH": "vh"}, units="gamma0"),
        optical=Collection(
            name="s2", assets={"B4": "B04", "B3": "B03", "B2": "B02"}, units="reflectance x 10000", mask="SCL"
        ),
        token=f"{world.server.url}/token",
    )
