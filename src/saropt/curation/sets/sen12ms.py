"""SEN12MS (Schmitt et al., ISPRS Annals IV-2/W7, 2019), CC BY 4.0 as published.

180,662 triplets of 256x256 pixels at 10 m, GeoTIFF: Sentinel-1 VV and VH in dB (sigma0), 13 bands of Sentinel-2 L1C
(reflectance x 10000), and MODIS land cover in four schemes (bands of the lc files). Layout, in any depth: files named
like ROIs1158_spring_s1_1_p30.tif, s2 and lc in place of s1 (as code that reads the set expects them). Names of the
classes are those of MODIS MCD12Q1 v6 (Sulla-Menashe & Friedl, user guide 2018). sen12ms_published.csv lists the scenes
that the authors' toolbox (github.com/schmitt-muc/SEN12MS, folder splits) holds out: 26 for test and 25 for validation.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field

from saropt.curation.sets.base import (
    S2_BANDS,
    Entry,
    Plan,
    Source,
    SplitOptions,
    add_only,
    check_folder,
    count_line,
    pair_up,
    register_set,
    split_groups,
)
from saropt.errors import InputError, OptionError
from saropt.scenes import Scene

TRIPLETS = 180_662
SCHEMES: dict[str, dict[int, str]] = {
    "igbp": {
        **{1: "evergreen needleleaf forest", 2: "evergreen broadleaf forest", 3: "deciduous needleleaf forest"},
        **{4: "deciduous broadleaf forest", 5: "mixed forest", 6: "closed shrubland", 7: "open shrubland"},
        **{8: "woody savanna", 9: "savanna", 10: "grassland", 11: "permanent wetland", 12: "cropland"},
        **{13: "urban and built-up", 14: "cropland and natural vegetation mosaic", 15: "snow and ice"},
        **{16: "barren", 17: "water"},
    },
    "lccs_lc": {
        **{1: "barren", 2: "snow and ice", 3: "water", 11: "evergreen needleleaf forest"},
        **{12: "evergreen broadleaf forest", 13: "deciduous needleleaf forest", 14: "deciduous broadleaf forest"},
        **{15: "mixed broadleaf and needleleaf forest", 16: "mixed broadleaf forest", 21: "open forest"},
        **{22: "sparse forest", 31: "dense herbaceous", 32: "sparse herbaceous", 41: "dense shrubland"},
        **{42: "shrubland and grassland mosaic", 43: "sparse shrubland"},
    },
    "lccs_lu": {
        **{1: "barren", 2: "snow and ice", 3: "water", 9: "urban and built-up", 10: "dense forest"},
        **{20: "open forest", 25: "forest and cropland mosaic", 30: "natural herbaceous"},
        **{35: "natural herbaceous and cropland mosaic", 36: "herbaceous cropland", 40: "shrubland"},
    },
    "lccs_sh": {
        **{1: "barren", 2: "snow and ice", 3: "water", 10: "dense forest", 20: "open forest"},
        **{27: "woody wetland", 30: "grassland", 40: "shrubland", 50: "herbaceous wetland", 51: "tundra"},
    },
}
_SPELLINGS = {
    "igbp": ("igbp", "lctype1"),
    "lccs_lc": ("lccslc", "lccs1", "lcprop1", "lc", "landcover", "lccslandcover"),
    "lccs_lu": ("lccslu", "lccs2", "lcprop2", "lu", "landuse", "lccslanduse"),
    "lccs_sh": ("lccssh", "lccs3", "lcprop3", "sh", "surfacehydrology", "lccssurfacehydrology"),
}
"""Small letters and digits of the names that files give to the bands; LC_Type1 and so on are those of MCD12Q1."""
_PATCH = re.compile(r"(ROIs\d+_[a-z]+)_(s1|s2|lc)_(\d+)_p(\d+)")


def patches(source: Path, kinds: Sequence[str], suffix: str) -> dict[str, dict[str, Path]]:
    """Files by kind and key (such as `ROIs1158_spring_1_p30`), sorted by key, from all levels of the folder.

    Raises:
        InputError: it is no folder, holds no patch, or one of them twice.
    """
    check_folder(source)
    found: dict[str, dict[str, Path]] = {kind: {} for kind in kinds}
    for path in sorted(source.rglob(f"ROIs*_p*{suffix}")):
        match = _PATCH.fullmatch(path.stem)
        if match is not None and match.group(2) in found:
            add_only(found[match.group(2)], f"{match.group(1)}_{match.group(3)}_p{match.group(4)}", path)
    if not any(found.values()):
        raise InputError(source, f"holds no patches named like ROIs1158_spring_{kinds[0]}_1_p30{suffix}")
    return found


def scene_of_patch(key: str) -> str:
    """The scene that a patch was cut from.

    >>> scene_of_patch("ROIs1158_spring_1_p30")
    'ROIs1158_spring_1'
    """
    return key.rpartition("_p")[0]


class Sen12msOptions(SplitOptions):
    scheme: Literal["igbp", "lccs_lc", "lccs_lu", "lccs_sh"] = Field("igbp", description="land cover scheme")
    split: Literal["random", "published"] = Field(
        "random", description="scenes drawn with seed, or the test and validation scenes of its authors"
    )


def published_splits() -> dict[str, str]:
    """val or test by scene, as the authors of SEN12MS hold them out. All other scenes are for training.

    >>> published_splits()["ROIs1158_spring_15"], len(published_splits())
    ('test', 51)
    """
    text = (resources.files("saropt.curation.sets") / "sen12ms_published.csv").read_text(encoding="utf-8")
    return {row["scene"]: row["split"] for row in csv.DictReader(text.splitlines())}


@register_set(
    "sen12ms",
    title="SEN12MS: 180,662 Sentinel-1 / Sentinel-2 / MODIS land cover triplets, 10 m",
    layout="ROIs1158_spring/{s1_1,s2_1,lc_1}/ROIs1158_spring_s1_1_p30.tif and so on",
    options=Sen12msOptions,
)
def sen12ms(source: Path, options: Sen12msOptions) -> Plan:
    """Plan SEN12MS. All patches of a scene go to one split; `scheme` selects the land cover band."""
    if options.split == "published" and {"train", "val", "seed"} & options.model_fields_set:
        raise OptionError("options", None, "the published split takes no train, val or seed")
    files = patches(source, ("s1", "s2", "lc"), ".tif")
    names, missing = pair_up(files)
    missing += count_line(len(names), TRIPLETS, "triplets")
    scenes = {name: scene_of_patch(name) for name in names}
    if options.split == "published":
        splits = dict.fromkeys(scenes.values(), "train") | published_splits()
    else:
        splits = split_groups(list(scenes.values()), options.train, options.val, options.seed)
    entries = [
        Entry(
            name,
            splits[scenes[name]],
            {
                "sar": Source((files["s1"][name],), band_names=("VV", "VH")),
                "optical": Source((files["s2"][name],), band_names=S2_BANDS),
                "label": Source(
                    (files["lc"][name],),
                    bands=(_band(files["lc"][name], options.scheme),),
                    band_names=("class",),
                    dtype="uint8",
                ),
            },
            {"group": scenes[name]},
        )
        for name in names
    ]
    description = {
        "name": "sen12ms",
        "gsd_m": 10.0,
        "sar": {"bands": ["VV", "VH"], "units": "sigma0_db"},
        "optical": {"bands": list(S2_BANDS), "units": "reflectance x 10000"},
        "classes": SCHEMES[options.scheme],
        "ignore_index": 255,
        "licence": "CC BY 4.0 as published (Schmitt et al. 2019); Copernicus Sentinel data terms; MODIS land cover",
    }
    return Plan(description, entries, missing)


def _band(path: Path, scheme: str) -> int:
    """Number of the band of a land cover scheme: by the names that the file states, in the published order where it
    states none of them.

    Raises:
        InputError: it names other schemes, or this one twice.
    """
    try:
        with Scene.open(path) as scene:
            stated = scene.stated_names
    except InputError:  # refused where it is read
        stated = []
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in stated]
    named = [next((known for known, names in _SPELLINGS.items() if name in names), None) for name in plain]
    if not any(named):
        return list(SCHEMES).index(scheme) + 1
    if named.count(scheme) != 1:
        reason = f"{'several of them are' if scheme in named else 'none of them is'} {scheme}"
        raise InputError(path, f"names its bands {', '.join(stated)}: {reason}")
    return named.index(scheme) + 1
