"""Small Sentinel-1 GRD products, for the tests of several rooms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

NAME = "S1A_IW_GRDH_1SDV_20201107T135241_20201107T135306_035144_041A3D_9B6C"
HEIGHT, WIDTH = 40, 60
STEM = "s1a-iw-grd-{pol}-20201107t135241-20201107t135306-035144-041a3d-00{n}"
LINES = (0, 20, 39)
PIXELS = (0, 30, 59)
SIGMA = np.array([[400.0, 420.0, 440.0], [410.0, 430.0, 450.0], [420.0, 440.0, 460.0]])
NOISE = np.array([[900.0, 1000.0, 1100.0], [950.0, 1050.0, 1150.0], [1000.0, 1100.0, 1200.0]])


def vectors(name: str, line_values: Sequence[int], values_name: str, values: np.ndarray) -> str:
    return "".join(
        f"<{name}><azimuthTime>2020-11-07T13:52:41</azimuthTime><line>{line}</line>"
        f'<pixel count="3">{" ".join(map(str, PIXELS))}</pixel>'
        f'<{values_name} count="3">{" ".join(map(str, row))}</{values_name}>'
        f'<gamma count="3">{" ".join(str(v / 2) for v in row)}</gamma></{name}>'
        for line, row in zip(line_values, values, strict=True)
    )


def write_safe(
    folder: Path,
    form: str = "new",
    pols: Sequence[str] = ("vv", "vh"),
    kind: str = "GRD",
    border: int = 0,
    geometry: bool = False,
) -> tuple[Path, dict[str, np.ndarray]]:
    """A small product in the published schema, and its digital numbers by polarisation.

    With `geometry` it has an orbit, which sees another place than the control points say."""
    safe = folder / f"{NAME}.SAFE"
    (safe / "annotation" / "calibration").mkdir(parents=True)
    (safe / "measurement").mkdir()
    (safe / "manifest.safe").write_text("<xfdu/>")
    numbers = {}
    for n, pol in enumerate(pols, start=1):
        stem = STEM.format(pol=pol, n=n)
        rng = np.random.default_rng(n)
        digital = rng.integers(60, 400, (HEIGHT, WIDTH)).astype(np.uint16)
        digital[:, :border] = 3
        digital[:border] = 3
        digital[10, 50] = 0
        numbers[pol.upper()] = digital
        (safe / "annotation" / f"{stem}.xml").write_text(
            f"<product><adsHeader><productType>{kind}</productType><startTime>2020-11-07T13:52:41.1</startTime>"
            f"</adsHeader><generalAnnotation><productInformation><pass>Descending</pass></productInformation>"
            f"</generalAnnotation><imageAnnotation><imageInformation><numberOfSamples>{WIDTH}</numberOfSamples>"
            f"<numberOfLines>{HEIGHT}</numberOfLines></imageInformation></imageAnnotation>"
            f"{orbit_xml() if geometry else ''}</product>"
        )
        (safe / "annotation" / "calibration" / f"calibration-{stem}.xml").write_text(
            "<calibration><calibrationVectorList>"
            + vectors("calibrationVector", LINES, "sigmaNought", SIGMA)
            + "</calibrationVectorList></calibration>"
        )
        azimuth = (
            "<noiseAzimuthVectorList><noiseAzimuthVector><swath>IW1</swath><firstAzimuthLine>0</firstAzimuthLine>"
            "<firstRangeSample>0</firstRangeSample><lastAzimuthLine>39</lastAzimuthLine>"
            "<lastRangeSample>29</lastRangeSample><line>0 39</line><noiseAzimuthLut>1.0 1.39</noiseAzimuthLut>"
            "</noiseAzimuthVector></noiseAzimuthVectorList>"
        )
        body = (
            "<noiseRangeVectorList>"
            + vectors("noiseRangeVector", LINES, "noiseRangeLut", NOISE)
            + f"</noiseRangeVectorList>{azimuth}"
            if form == "new"
            else "<noiseVectorList>" + vectors("noiseVector", LINES, "noiseLut", NOISE) + "</noiseVectorList>"
        )
        (safe / "annotation" / "calibration" / f"noise-{stem}.xml").write_text(f"<noise>{body}</noise>")
        gcps = [
            GroundControlPoint(r, c, -118 + c * 1e-4, 34 - r * 1e-4, 10.0, id=f"{r}_{c}")
            for r in (0, 20, 40)
            for c in (0, 30, 60)
        ]
        form_of = {"driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": 1, "dtype": "uint16"}
        with rasterio.open(safe / "measurement" / f"{stem}.tiff", "w", **form_of) as dataset:
            dataset.write(digital, 1)
            dataset.gcps = (gcps, CRS.from_epsg(4326))
    return safe, numbers


FIRST_TIME, LINE_S = "2020-11-07T13:52:41.100000", 1.5e-3
ORBIT_RADIUS, FIRST_GROUND = 7_071_000.0, 820_000.0
_TURN, _TILT, _NODE = 1.06e-3, np.deg2rad(98.2), np.deg2rad(-3.4)


def satellite_at(time: float) -> np.ndarray:
    """Earth-fixed place (3,) of a satellite on a circle, seconds after the first line."""
    along = _TURN * (time - 4.5)
    plane = np.array([np.cos(along), np.sin(along) * np.cos(_TILT), np.sin(along) * np.sin(_TILT)])
    turn = np.array([[np.cos(_NODE), -np.sin(_NODE), 0], [np.sin(_NODE), np.cos(_NODE), 0], [0, 0, 1]])
    return ORBIT_RADIUS * turn @ plane


def orbit_xml() -> str:
    """What the annotation says of an orbit and of the ground range: columns are 5 m of slant range each."""
    start = np.datetime64(FIRST_TIME)
    vectors = "".join(
        f"<orbit><time>{start + np.timedelta64(second, 's')}</time><position>"
        + "".join(f"<{axis}>{value:.6f}</{axis}>" for axis, value in zip("xyz", satellite_at(second), strict=True))
        + "</position></orbit>"
        for second in range(-70, 71, 10)
    )
    conversions = "".join(
        f"<coordinateConversion><azimuthTime>{start + np.timedelta64(second, 's')}</azimuthTime>"
        f"<sr0>{FIRST_GROUND + second}</sr0><srgrCoefficients>{2.0 * second} 2.0</srgrCoefficients>"
        "</coordinateConversion>"
        for second in (-5, 0, 5, 10)
    )
    timing = {"productFirstLineUtcTime": FIRST_TIME, "azimuthTimeInterval": LINE_S}
    timing |= {"azimuthPixelSpacing": 10.0, "rangePixelSpacing": 10.0}
    image = "".join(f"<{name}>{value}</{name}>" for name, value in timing.items())
    return (
        f"<generalAnnotation><orbitList>{vectors}</orbitList></generalAnnotation>"
        f"<imageAnnotation><imageInformation>{image}</imageInformation></imageAnnotation>"
        f"<coordinateConversion><coordinateConversionList>{conversions}</coordinateConversionList></coordinateConversion>"
    )
