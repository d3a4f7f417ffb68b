"""One odd file must not stop the viewer: it starts, shows the others and lists this one as refused."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import rasterio
from asking import ORDER
from fastapi.testclient import TestClient

from saropt.viewer.catalogue import Catalogue
from saropt.viewer.rasters import Limits


def with_bytes(folder: Path, name: str, **fields: object) -> Path:
    """A GeoTIFF whose description and CRS are no UTF-8."""
    path = folder / name
    with rasterio.open(path, "w", driver="GTiff", count=1, height=8, width=8, dtype="uint8", crs="EPSG:32633") as file:
        file.write(np.full((1, 8, 8), 7, np.uint8))
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION="mark1")
        file.descriptions = ("mark2",)
    content = path.read_bytes()
    for mark in (b"mark1", b"mark2", b"WGS 84 / UTM"):
        assert mark in content or mark.startswith(b"WGS")
        content = content.replace(mark, b"\xff\xfe" + mark[2:])
    path.write_bytes(content)
    return path


def test_an_odd_file_stops_nothing(folder: Path, viewer: TestClient) -> None:
    latin, long = os.fsencode(folder) + b"/caf\xe9.tif", folder / ("影" * 80 + ".tif")
    for name in (latin, os.fsencode(long)):
        Path(os.fsdecode(name)).write_bytes((folder / "here.tif").read_bytes())
    os.mkfifo(folder / "pipe.tif")
    (folder / "directory.tif").mkdir()
    with_bytes(folder, "marked.tif")
    (folder / "header.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65535) + b"\xff" * 64)
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("<p>")
    (folder / "report" / "report.json").write_text("[" * 100_000)
    (folder / "root" / "dataset.yaml").write_text("&a [*a]")
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    shown = {scene.name for scene in catalogue.scenes.values()}
    assert {"here.tif", "plain.png", "root/sar/a.tif", long.name} <= shown
    refused = " ".join(one.name for one in catalogue.refused)
    assert "header.tif" in refused
    assert "caf" in refused
    assert viewer.post("/api/catalogue/scan", headers=ORDER).status_code == 200
    listed = viewer.get("/api/catalogue")
    assert listed.status_code == 200
    assert {"here.tif", long.name} <= {scene["name"] for scene in listed.json()["scenes"]}
