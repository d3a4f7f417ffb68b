"""Sentinel-1 and Sentinel-2 images of one place, served by a STAC API on the loopback."""

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from saropt.scenes import write_array
from saropt.scenes.georeference import Georeference
from stac_server import StacServer

UTM = CRS.from_epsg(32611)
WEST, NORTH, SIDE = 400_000.0, 3_780_000.0, 96


def box(west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


class World:
    """Items of a server: `add` writes the files of one and lists it."""

    def __init__(self, folder):
        self.server = StacServer(folder)
        self.folder = folder
        self.arrays = {}

    def add(
        self,
        kind,
        day,
        assets,
        *,
        west=WEST,
        cloud=None,
        size_off=0,
        side=SIDE,
        nodata=None,
        identifier="",
        **properties,
    ):
        name = identifier or f"{kind}-{day}-{int(west)}"
        bounds = (west, NORTH - side * 10, west + side * 10, NORTH)
        entries = {}
        for key, values in assets.items():
            place = Georeference(UTM, Affine(10, 0, west, 0, -10, NORTH))
            path = write_array(self.folder / f"{name}-{key}.tif", values[None], georeference=place, nodata=nodata)
            size = path.stat().st_size + size_off
            entries[key] = {"href": f"{self.server.url}/files/{path.name}", "file:size": size}
        degrees = transform_bounds(UTM, "EPSG:4326", *bounds)
        item = {
            "type": "Feature",
            "id": name,
            "collection": kind,
            "bbox": list(degrees),
            "geometry": box(*degrees),
            "properties": {"datetime": f"2023-05-{day:02d}T10:00:00Z", **properties},
            "assets": entries,
        }
        if cloud is not None:
            item["properties"]["eo:cloud_cover"] = cloud
        self.server.items.append(item)
        self.arrays[name] = assets
        return item


def radar(seed, side=SIDE):
    rng = np.random.default_rng(seed)
    return {pol: rng.uniform(0.01, 0.3, (side, side)).astype(np.float32) for pol in ("vv", "vh")}


def image(seed, side=SIDE):
    rng = np.random.default_rng(seed)
    classes = np.full((side, side), 4, np.uint8)
    classes[40:50, 40:60] = 9
    bands = {key: rng.integers(1200, 4000, (side, side)).astype(np.uint16) for key in ("B04", "B03", "B02")}
    return {**bands, "SCL": classes}


def two_dates(world):
    world.add("rtc", 3, radar(1))
    world.add("rtc", 12, radar(2))
    world.add("s2", 2, image(3), cloud=40.0)
    world.add("s2", 11, image(4), cloud=3.0, **{"s2:processing_baseline": "05.09"})
    world.add("s2", 25, image(5), cloud=1.0)
