"""WHU-OPT-SAR (Li et al., "MCANet", Int. J. Appl. Earth Obs. Geoinf. 106, 2022).

100 pairs of 5556x3704 pixels at 5 m over Hubei: GF-1 red, green, blue, near infrared; GF-3 SAR in 8 bits whose stretch
is not stated; labels 0 background, 10 farmland, 20 city, 30 village, 40 water, 50 forest, 60 road, 70 others.

Layout after unpacking the three archives: optical/, sar/ and lbl/ with files of one name, such as NH49E001013.tif
(names as in code that reads the set; the archives themselves could not be opened here). The 256-pixel tiles do not
overlap and the remainder is dropped: 21 x 14 = 294 per pair, 29,400 in all; whole images are split 70/20/10 as the
counts 20,580, 5,880 and 2,940 of Du et al. (2026) require. Which image goes where is not published: a seeded draw.
The group of a tile is its image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from saropt.curation.sets.base import (
    Entry,
    Plan,
    Source,
    SplitOptions,
    bands_by_name,
    count_line,
    first_folder,
    first_readable,
    pair_up,
    register_set,
    split_groups,
)
from saropt.curation.sets.image_folders import images_by_role
from saropt.errors import InputError, counted
from saropt.scenes import Scene, Window

PAIRS = 100
SIZE = (3704, 5556)
COLOURS: tuple[str, ...] = ("red", "green", "blue", "nir")
CLASSES = {10: "farmland", 20: "city", 30: "village", 40: "water", 50: "forest", 60: "road", 70: "others"}


class WhuOptions(SplitOptions):
    train: float = Field(0.7, ge=0, le=1, description="share of the images")
    val: float = Field(0.2, ge=0, le=1, description="share of the images; test has the rest")
    tile: int = Field(256, ge=0, description="side of the tiles; 0 keeps whole images")
    train_tiles: int | None = Field(None, ge=1, description="number of training tiles, drawn at random; all when null")


@register_set(
    "whu-opt-sar",
    title="WHU-OPT-SAR: 100 GF-1/GF-3 pairs over Hubei, 5 m, 7 classes",
    layout="optical/, sar/, lbl/ with NAME.tif",
    options=WhuOptions,
)
def plan(source: Path, options: WhuOptions) -> Plan:
    folders = {"optical": ("optical", "opt"), "sar": ("sar",), "label": ("lbl", "label", "labels")}
    sides, notes = images_by_role({side: first_folder(source, names) for side, names in folders.items()})
    names, missing = pair_up(sides)
    missing += count_line(len(names), PAIRS, "complete pairs")
    splits = split_groups(names, options.train, options.val, options.seed)
    entries = []
    colours = COLOURS
    if names and not _has_bands(first_readable([sides["optical"][name] for name in names]), len(COLOURS)):
        colours = COLOURS[:3]
    for name in names:
        files = {side: sides[side][name] for side in sides}
        try:
            with Scene.open(files["sar"]) as scene:
                height, width = scene.height, scene.width
        except InputError as error:
            missing.append(f"{name}: {error}")
            continue
        order = _order(files["optical"], colours)
        if (height, width) != SIZE:
            missing.append(f"{name}: {height}x{width} pixels instead of {SIZE[0]}x{SIZE[1]}")
        side = options.tile
        windows: list[Window | None] = (
            [
                Window(row, col, side, side)
                for row in range(0, height - side + 1, side)
                for col in range(0, width - side + 1, side)
            ]
            if side
            else [None]
        )
        for number, window in enumerate(windows):
            entries.append(
                Entry(
                    f"{name}_{number:03d}" if side else name,
                    splits[name],
                    {
                        "sar": Source((files["sar"],), window=window, band_names=("SAR",)),
                        "optical": Source((files["optical"],), bands=order, window=window, band_names=colours),
                        "label": Source((files["label"],), window=window, band_names=("class",), palette_index=True),
                    },
                    {"group": name} if side else {},
                )
            )
    if options.train_tiles is not None:
        entries = _fewer(entries, options.train_tiles, options.seed, source)
    description = {
        "name": "whu-opt-sar",
        "gsd_m": 5.0,
        "sar": {"bands": ["SAR"], "units": "uint8", "scaling": "8 bits; stretch not stated by the publishers"},
        "optical": {"bands": list(colours), "units": "uint8"},
        "classes": CLASSES,
        "ignore_index": 0,
        "licence": "not stated by the publishers; research use; cite Li et al. 2022",
    }
    return Plan(description, entries, missing, notes=notes)


def _has_bands(path: Path, count: int) -> bool:
    """Whether a raster has so many bands, whatever the last one is marked as."""
    try:
        with Scene.open(path, bands=range(1, count + 1)):
            return True
    except InputError:
        return False


def _order(path: Path, colours: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers of the colours in an optical raster: by name where it states names."""
    numbers = tuple(range(1, len(colours) + 1))
    if not _has_bands(path, len(colours)):  # refused where it is read
        return numbers
    with Scene.open(path, numbers) as scene:
        return bands_by_name(scene, colours, "optical")


def _fewer(entries: list[Entry], count: int, seed: int, source: Path) -> list[Entry]:
    train = [place for place, entry in enumerate(entries) if entry.split == "train"]
    if count > len(train):
        raise InputError(source, f"train_tiles {count}: train has {counted(len(train), 'tile')}")
    kept = set(np.random.default_rng([seed, 1]).choice(train, count, replace=False).tolist())
    return [entry for place, entry in enumerate(entries) if entry.split != "train" or place in kept]
