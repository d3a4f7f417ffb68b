"""SEN12JHL (Fu et al., IGARSS slides): SEN12MS over Japan with JAXA's high-resolution land use and land cover map.

The authors' files are not published; this builds the same kind of set from its two sources: SEN12MS (layout in
`sen12ms`) and HRLULC Japan v21.11, GeoTIFF tiles of one degree named by their south-west corner (LC_N34E138.tif),
8-bit values 1 water, 2 built-up, 3 paddy field, 4 cropland, 5 grassland, 6 deciduous broadleaf, 7 deciduous
needleleaf, 8 evergreen broadleaf, 9 evergreen needleleaf forest, 10 bare, 11 bamboo, 12 solar panel. The merging of 12
to 4 categories stands in hrlulc_to_4.yaml; another file can be given. The tile names and values come from code that
reads the product (a later version with three more classes); the tiles need a registration and were not at hand. The
paper counts 5,917 triplets, split 4,033 + 738 + 589 = 5,360; where the other 557 went is not said, so that no count is
checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field
from rasterio.warp import transform_bounds

from saropt.curation.sets.base import (
    S2_BANDS,
    Convert,
    Entry,
    Plan,
    Source,
    SplitOptions,
    add_only,
    bands_by_name,
    pair_up,
    register_set,
    split_groups,
)
from saropt.curation.sets.rasters import unreadable
from saropt.curation.sets.sen12ms import patches, scene_of_patch
from saropt.errors import InputError
from saropt.files import load_yaml
from saropt.roots.one_grid import check_one_grid
from saropt.scenes import Grid, Scene, Window

IGNORED = 255
S1_BANDS = ("VV", "VH")
_TILE = re.compile(r"LC_([NS])(\d+)([EW])(\d+)")


class JhlOptions(SplitOptions):
    hrlulc: str = Field(..., description="folder of the HRLULC tiles")
    merge: str = Field("", description="YAML of value: [name, [HRLULC values]]; the package's own when empty")
    window: int = Field(256, ge=16, description="side of the windows cut from each patch")
    stride: int = Field(128, ge=1, description="step of the sliding window where a patch is larger than it")
    unlabelled: float = Field(0.0, ge=0, lt=1, description="largest share of a window without label or pixels")


@register_set(
    "sen12jhl",
    title="SEN12JHL: SEN12MS over Japan with JAXA HRLULC merged to 4 classes (--set hrlulc=FOLDER)",
    layout="SEN12MS patches; --set hrlulc=FOLDER with LC_N34E138.tif and so on",
    options=JhlOptions,
)
def sen12jhl(source: Path, options: JhlOptions) -> Plan:
    """Plan SEN12JHL. Patches that no tile covers and incomplete windows are left out; all patches of a SEN12MS scene
    go to one split."""
    tiles = read_tiles(Path(options.hrlulc))
    names, table = read_merging(Path(options.merge) if options.merge else None)
    files = patches(source, ("s1", "s2"), ".tif")
    complete_keys, missing = pair_up(files)
    sar, optical = files["s1"], files["s2"]
    kept: list[tuple[str, str, Window, Convert]] = []
    found: dict[str, _Patch] = {}
    for key in complete_keys:
        patch = _read_patch(sar[key], optical[key], tiles, table)
        if isinstance(patch, str):
            missing.append(f"{key}: {patch}")
            continue
        if patch is None:
            continue
        found[key], grid = patch, patch.grid
        side = options.window
        for row in range(0, grid.height - side + 1, options.stride):
            for col in range(0, grid.width - side + 1, options.stride):
                if 1.0 - patch.complete[row : row + side, col : col + side].mean() <= options.unlabelled:
                    window = Window(row, col, side, side)
                    name = f"{key}_{row:04d}_{col:04d}" if (grid.height, grid.width) != (side, side) else key
                    kept.append((name, key, window, _labelling(patch.tiles, grid, table)))
    if not kept:
        raise InputError(source, f"no complete patch lies under the tiles of {options.hrlulc}")
    splits = split_groups([scene_of_patch(key) for _, key, _, _ in kept], options.train, options.val, options.seed)
    entries = [
        Entry(
            name,
            splits[scene_of_patch(key)],
            {
                "sar": Source((sar[key],), bands=found[key].sar_bands, window=window, band_names=S1_BANDS),
                "optical": Source((optical[key],), bands=found[key].optical_bands, window=window, band_names=S2_BANDS),
                "label": Source(
                    (sar[key],),
                    bands=(1,),
                    window=window,
                    convert=label,
                    band_names=("class",),
                    dtype="uint8",
                    nodata=255,
                ),
            },
            {"group": scene_of_patch(key)},
        )
        for name, key, window, label in kept
    ]
    description = {
        "name": "sen12jhl",
        "gsd_m": 10.0,
        "sar": {"bands": list(S1_BANDS), "units": "sigma0_db"},
        "optical": {"bands": list(S2_BANDS), "units": "reflectance x 10000"},
        "classes": names,
        "ignore_index": IGNORED,
        "licence": "SEN12MS CC BY 4.0 as published; JAXA HRLULC (cite JAXA EORC); Copernicus Sentinel data terms",
    }
    tables = [Path(options.merge)] if options.merge else []
    return Plan(description, entries, missing, files=[*tables, *tiles.values()])


@dataclass(frozen=True)
class _Patch:
    """What is known of a patch that labels cover: its grid and their tiles, the numbers of the bands of the set in its
    files, and which pixels (h, w) have all values and a label."""

    grid: Grid
    tiles: list[Path]
    sar_bands: tuple[int, ...]
    optical_bands: tuple[int, ...]
    complete: NDArray[np.bool_]


def _read_patch(sar: Path, optical: Path, tiles: Mapping[str, Path], table: NDArray[np.uint8]) -> _Patch | str | None:
    """A patch, or why it cannot be taken; None where no tile covers it."""
    try:
        with Scene.open(sar) as scene, Scene.open(optical) as other:
            place = scene.georeference
            if place.crs is None or place.transform is None:
                return "no place on the ground"
            grid = Grid(place.crs, place.transform, scene.height, scene.width)
            needed = [tiles[name] for name in _tile_names(grid) if name in tiles]
            if not needed:
                return None
            check_one_grid(optical, "SAR and optical", scene, other)
            bands = bands_by_name(scene, S1_BANDS, "sar"), bands_by_name(other, S2_BANDS, "optical")
            complete = scene.read()[1] & other.read()[1] & (_labels(needed, grid, table) != IGNORED)
    except InputError:
        if (why := unreadable(Source((sar, optical)))) is None:
            raise
        return str(why)
    return _Patch(grid, needed, *bands, complete)


def read_tiles(folder: Path) -> dict[str, Path]:
    """The tile files by name, such as N34E138.

    Raises:
        InputError: the folder does not exist, or holds no tile, or one of them twice.
    """
    if not folder.is_dir():
        raise InputError(folder, "no such folder of HRLULC tiles")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("LC_*.tif")):
        if match := _TILE.match(path.stem):
            add_only(found, match.group(0)[3:], path)
    if not found:
        raise InputError(folder, "holds no tiles named like LC_N34E138.tif")
    return found


def read_merging(path: Path | None) -> tuple[dict[int, str], NDArray[np.uint8]]:
    """The class names, and a table (256,) that maps HRLULC values to classes, 255 for values without a class.

    Raises:
        InputError: the file cannot be read, maps a value twice, or has a class or a value that 8 bits cannot hold.
    """
    own = resources.files("saropt.curation.sets") / "hrlulc_to_4.yaml"
    shown = path or Path("hrlulc_to_4.yaml")
    if path is not None and not path.is_file():
        raise InputError(path, "no such file")
    names: dict[int, str] = {}
    table = np.full(256, IGNORED, np.uint8)
    try:
        content: Mapping[int, tuple[str, list[int]]] = load_yaml((path or own).read_text(encoding="utf-8"))
        for value, (name, merged) in content.items():
            if not isinstance(merged, list):
                raise TypeError(f"{merged!r} is no list of HRLULC values")
            number = _whole(value, "class", IGNORED - 1)
            names[number] = str(name)
            for old in merged:
                if table[place := _whole(old, "HRLULC value", len(table) - 1)] != IGNORED:
                    raise InputError(shown, f"maps {old} twice")
                table[place] = number
    except (AttributeError, TypeError, ValueError, IndexError, yaml.YAMLError) as error:
        raise InputError(shown, f"must map values to [name, [HRLULC values]]: {error}") from error
    return names, table


def _whole(value: object, what: str, highest: int) -> int:
    """A whole number from 0 to `highest`.

    Raises:
        ValueError: it is none.
    """
    number = float(str(value)) if re.fullmatch(r"\d+(\.0*)?", str(value)) else math.inf
    if number > highest:
        raise ValueError(f"{what} {value} is not a whole number from 0 to {highest}")
    return int(number)


def _tile_names(grid: Grid) -> list[str]:
    left, bottom, right, top = transform_bounds(grid.crs, "EPSG:4326", *grid.bounds, densify_pts=5)
    return [
        f"{'N' if lat >= 0 else 'S'}{abs(lat):02d}{'E' if lon >= 0 else 'W'}{abs(lon):03d}"
        for lat in range(math.floor(bottom), math.floor(top) + 1)
        for lon in range(math.floor(left), math.floor(right) + 1)
    ]


def _labels(tiles: list[Path], grid: Grid, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Merged classes (h, w) of the tiles on the grid of the patch, by nearest neighbour."""
    label = np.full((grid.height, grid.width), IGNORED, np.uint8)
    for path in tiles:
        with Scene.open(path, grid=grid, resampling="nearest", palette="index") as scene:
            values, valid = scene.read_stored()
        if (values[0][valid] % 1 != 0).any():
            raise InputError(path, "holds fractions where HRLULC has whole numbers")
        free = valid & (label == IGNORED) & (values[0] >= 0) & (values[0] < len(table))
        merged = table[np.where(free, values[0], 0).astype(np.uint8)]
        label[free] = merged[free]
    return label


def _labelling(tiles: list[Path], grid: Grid, table: NDArray[np.uint8]) -> Convert:
    def convert(values: NDArray, valid: NDArray[np.bool_], window: Window) -> NDArray:
        valid[:] = True
        rows, columns = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
        return _labels(tiles, grid, table)[None, rows, columns]

    return convert
