"""Small Sentinel-2 products in the published layout, for the tests of several rooms."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

SIDE = 240
CRS_33N, WEST, NORTH = CRS.from_epsg(32633), 399960.0, 5300040.0
NUMBERS = {"B02": 1, "B03": 2, "B04": 3, "B08": 7}
LOW, NODATA, SATURATED = (3, 4), (0, 0), (5, 6)


def write_jp2(
    path: Path, values: np.ndarray, metres: float, east: float = 0.0, south: float = 0.0, crs: CRS | None = None
) -> None:
    """An image whose corner lies some metres to the east and south of that of a product of one granule."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = from_origin(WEST + east, NORTH - south, metres, metres)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", width=values.shape[-1], height=values.shape[-2], dtype=values.dtype,
        count=1 if values.ndim == 2 else len(values),
        crs=crs or CRS_33N, transform=place, QUALITY="100", REVERSIBLE="YES",
    ) as out:  # fmt: skip
        out.write(values if values.ndim == 3 else values[None])


def metadata(level: str, baseline: str, quantification: str = "10000") -> str:
    """The fields of MTD_MSIL1C.xml or MTD_MSIL2A.xml that say what the numbers mean, where the format has them."""
    special = "".join(
        f"<Special_Values><SPECIAL_VALUE_TEXT>{text}</SPECIAL_VALUE_TEXT>"
        f"<SPECIAL_VALUE_INDEX>{value}</SPECIAL_VALUE_INDEX></Special_Values>"
        for text, value in (("NODATA", 0), ("SATURATED", 65535))
    )
    one = "BOA" if level == "2A" else "RADIO"
    listed = "BOA_ADD_OFFSET_VALUES_LIST" if level == "2A" else "Radiometric_Offset_List"
    offsets = "".join(f'<{one}_ADD_OFFSET band_id="{number}">-1000</{one}_ADD_OFFSET>' for number in range(13))
    offsets = f"<{listed}>{offsets}</{listed}>" if float(baseline) >= 4 else ""
    scale = f'<QUANTIFICATION_VALUE unit="none">{quantification}</QUANTIFICATION_VALUE>'
    if level == "2A":
        scale = (
            f'<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">{quantification}'
            '</BOA_QUANTIFICATION_VALUE><AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>'
            "</QUANTIFICATION_VALUES_LIST>"
        )
    root = f"Level-{level}_User_Product"
    space = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><n1:{root} xmlns:n1="{space}"><n1:General_Info><Product_Info>'
        "<PRODUCT_START_TIME>2022-06-01T10:05:59.024Z</PRODUCT_START_TIME>"
        f"<PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>"
        "<Datatake><DATATAKE_SENSING_START>2022-06-01T10:05:59.024Z</DATATAKE_SENSING_START></Datatake></Product_Info>"
        f"<Product_Image_Characteristics>{special}{scale}{offsets}</Product_Image_Characteristics></n1:General_Info>"
        f"</n1:{root}>"
    )


def write_sentinel2(
    folder: Path,
    level: str = "2A",
    baseline: str = "05.09",
    reflectance: dict[str, np.ndarray] | None = None,
    mask: np.ndarray | None = None,
) -> tuple[Path, dict[str, np.ndarray], np.ndarray]:
    """A product, its reflectance x 10000 by band (B02 ...) and its classification (L2A) at 20 m.

    `mask` (3, h, w) is the classification mask of L1C at 60 m: opaque clouds, cirrus, snow.

    The first band has a pixel of nodata, a saturated one and one below reflectance 0.
    """
    rng = np.random.default_rng(2)
    shift = 1000 if float(baseline) >= 4 else 0
    name = f"S2A_MSIL{level}_20220601T100559_N{baseline.replace('.', '')}_R022_T33UVP_20220601T140000"
    safe = folder / f"{name}.SAFE"
    granule = safe / "GRANULE" / f"L{level}_T33UVP_A036260_20220601T100559" / "IMG_DATA"
    stem, suffix = "T33UVP_20220601T100559", "_10m" if level == "2A" else ""
    truth = reflectance or {
        band: np.kron(rng.integers(200, 3000, (SIDE // 8, SIDE // 8)), np.ones((8, 8), int)) for band in NUMBERS
    }
    for band, values in truth.items():
        stored = (values + shift).astype(np.uint16)
        if band == "B02":
            stored[NODATA], stored[SATURATED] = 0, 65535
            stored[LOW] = max(shift - 40, 1)
        write_jp2((granule / "R10m" if level == "2A" else granule) / f"{stem}_{band}{suffix}.jp2", stored, 10)
    classes = np.full((SIDE // 2, SIDE // 2), 4, np.uint8)
    classes[10:20, 10:20], classes[40:44, 40:44], classes[60:62], classes[80:81] = 9, 3, 8, 10
    classes[90:92], classes[100:104] = 2, 11  # dark ground and snow are no clouds
    if level == "2A":
        write_jp2(granule / "R20m" / f"{stem}_SCL_20m.jp2", classes, 20)
        for band in ("B02", "B03", "B04", "B8A"):  # the same bands at 20 m are no bands of 10 m
            write_jp2(granule / "R20m" / f"{stem}_{band}_20m.jp2", np.full((SIDE // 2, SIDE // 2), 7, np.uint16), 20)
    else:
        write_jp2(granule / f"{stem}_B8A.jp2", np.full((SIDE // 2, SIDE // 2), 7, np.uint16), 20)
    if mask is not None:
        write_jp2(granule.parent / "QI_DATA" / "MSK_CLASSI_B00.jp2", mask, 60)
    (safe / f"MTD_MSIL{level}.xml").write_text(metadata(level, baseline))
    (safe / "manifest.safe").write_text("<xfdu/>")
    return safe, truth, classes


def zipped(safe: Path) -> Path:
    """The .zip of a .SAFE folder, as it is delivered."""
    archive = safe.with_name(f"{safe.stem}.zip")
    with zipfile.ZipFile(archive, "w") as out:
        for path in safe.rglob("*"):
            out.write(path, f"{safe.name}/{path.relative_to(safe).as_posix()}")
    return archive


def cloud_gml(clouds: list[tuple[str, list[list[tuple[float, float]]]]]) -> str:
    """The file MSK_CLOUDS_B00.gml of L1C before baseline 04.00: kinds, each with the rings of its polygon in metres
    east and south of the upper left corner of the granule."""

    def ring(points: list[tuple[float, float]]) -> str:
        listed = " ".join(f"{WEST + x:.0f} {NORTH - y:.0f}" for x, y in [*points, points[0]])
        return f'<gml:LinearRing><gml:posList srsDimension="2">{listed}</gml:posList></gml:LinearRing>'

    members = "".join(
        f'<eop:MaskFeature gml:id="{kind}.{number}"><eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">{kind}'
        f'</eop:maskType><eop:extentOf><gml:Polygon gml:id="{kind}.{number}_Polygon">'
        f"<gml:exterior>{ring(rings[0])}</gml:exterior>"
        + "".join(f"<gml:interior>{ring(hole)}</gml:interior>" for hole in rings[1:])
        + "</gml:Polygon></eop:extentOf></eop:MaskFeature>"
        for number, (kind, rings) in enumerate(clouds)
    )
    listed = f"<eop:maskMembers>{members}</eop:maskMembers>" if members else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" '
        'xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="S2A_OPER_MSK_CLOUDS_SGS__20161201T120000_B00_MSIL1C">'
        f"<gml:name>MSK_CLOUDS</gml:name>{listed}</eop:Mask>"
    )


def add_cloud_polygons(safe: Path, text: str, granule: str = "*", name: str = "MSK_CLOUDS_B00.gml") -> Path:
    """The product with a cloud mask of polygons."""
    place = next(safe.glob(f"GRANULE/{granule}")) / "QI_DATA" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(text)
    return safe


def write_several_granules(
    folder: Path, tiles: dict[str, tuple[int, int, np.ndarray]], *, zones: int = 1, level: str = "1C"
) -> Path:
    """A product of before December 2016, with long names; of level 2A as Sen2Cor made it then, where every granule has
    a cloud (class 9) in the first 20 x 20 pixels.

    `tiles` has by name the column and the row of the first pixel on the common grid of 10 m, and reflectance x 10000,
    (h, w), of all bands alike but for 1 that each band adds; 0 is nodata. With two zones, the last tile is of another.
    """
    start = "20160929T102022"
    by, resolution = ("USER", "_10m") if level == "2A" else ("OPER", "")
    run = f"PDMC_20160929T185902_R065_V{start}_20160929T102344"
    safe = folder / f"S2A_{by}_PRD_MSIL{level}_{run}.SAFE"
    for number, (tile, (col, row, values)) in enumerate(tiles.items()):
        stem = f"S2A_{by}_MSI_L{level}_TL_SGS__20160929T154211_A006640_{tile}"
        granule = safe / "GRANULE" / f"{stem}_N02.04"
        images = granule / "IMG_DATA" / "R10m" if level == "2A" else granule / "IMG_DATA"
        crs = CRS.from_epsg(32632) if zones > 1 and number == len(tiles) - 1 else None
        for place, band in enumerate(NUMBERS):
            stored = np.where(values > 0, values + place, 0).astype(np.uint16)
            write_jp2(images / f"{stem}_{band}{resolution}.jp2", stored, 10, 10.0 * col, 10.0 * row, crs)
        if level == "2A":
            classes = np.full((-(-values.shape[0] // 2), -(-values.shape[1] // 2)), 4, np.uint8)
            classes[:10, :10] = 9
            name = f"{stem.replace('_MSI_', '_SCL_')}_20m.jp2"
            write_jp2(granule / "IMG_DATA" / name, classes, 20, 10.0 * col, 10.0 * row, crs)
    text = metadata(level, "02.04").replace("2022-06-01T10:05:59.024Z", "2016-09-29T10:20:22.000Z")
    if level == "2A":  # the names of PSD 13
        for name in ("Product_Info", "Product_Image_Characteristics", "BOA_QUANTIFICATION_VALUE"):
            text = text.replace(f"<{name}", f"<L2A_{name}").replace(f"</{name}", f"</L2A_{name}")
        text = text.replace("QUANTIFICATION_VALUES_LIST", "L1C_L2A_Quantification_Values_List")
    (safe / f"S2A_{by}_MTD_SAFL{level}_{run}.xml").write_text(text)
    (safe / "manifest.safe").write_text("<xfdu/>")
    return safe
