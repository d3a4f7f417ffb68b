"""One rule for band names: what counts as the same name, and which bands of a raster are the ones asked for.

Names are compared in a canonical form: B02, B2, B02_10m and blue are one band, VV, Sigma0_VV_db and sigma0-VV another.
The near infrared of Landsat 8 and 9 (nir08, SR_B5) is that of B8A, and stands for B8 where nothing else does. The bands
of Landsat 4 to 7 have the same names for other colours: they are told by the whole set of names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from saropt.errors import counted

POLARISATIONS = ("VV", "VH", "HH", "HV")
PAULI_COMPONENTS = ("HH-VV", "HV", "HH+VV")
_COLOURS = {
    "R": "B4",
    "G": "B3",
    "B": "B2",
    "COASTAL": "B1",
    "BLUE": "B2",
    "GREEN": "B3",
    "RED": "B4",
    "NIR": "B8",
    "NIR08": "B8A",
    "NIR09": "B9",
    "SWIR16": "B11",
    "SWIR22": "B12",
}
_PICTURE = ("red", "green", "blue")
_SENTINEL_2 = re.compile(r"B0?(\d|1[012]|8A)")
_LANDSAT = {
    "SR_B1": "B1",
    "SR_B2": "B2",
    "SR_B3": "B3",
    "SR_B4": "B4",
    "SR_B5": "B8A",
    "SR_B6": "B11",
    "SR_B7": "B12",
}
"""Surface reflectance of Landsat 8 and 9, Collection 2."""
_LANDSAT_4_TO_7 = {
    "SR_B1": "B2",
    "SR_B2": "B3",
    "SR_B3": "B4",
    "SR_B4": "B8",
    "SR_B5": "B11",
    "SR_B7": "B12",
}
"""The same of Landsat 4 to 7: all the names that their products have."""
_WORDS = re.compile(r"[^\s_\-./:,()\[\]]+")


def canonical_band(name: str) -> str:
    """One name for a band that goes by several; names that are not known come back in upper case.

    Optical bands get Sentinel-2's names. A polarisation is found as a word of the name; Pauli components stay as they
    are.

    >>> [canonical_band(name) for name in ("B02_10m", "blue", "Sigma0_VV_db", "HH-VV", "Amplitude", "SR_B5")]
    ['B2', 'B2', 'VV', 'HH-VV', 'AMPLITUDE', 'B8A']
    """
    plain = name.strip().upper()
    if plain in PAULI_COMPONENTS:
        return plain
    if plain in _COLOURS or plain in _LANDSAT:
        return _COLOURS.get(plain) or _LANDSAT[plain]
    words = _WORDS.findall(plain)
    if "EDGE" in words or "REDEDGE" in words:
        return plain
    found = {word for word in words if word in POLARISATIONS}
    found |= {f"B{match[1]}" for word in words if (match := _SENTINEL_2.fullmatch(word))}
    found |= {_COLOURS[word] for word in words if len(word) > 1 and word in _COLOURS}
    return found.pop() if len(found) == 1 else plain


def canonical_bands(names: Sequence[str]) -> list[str]:
    """Canonical names of the bands of a raster. With SR_B1 and without SR_B6 it can be of any Landsat: of 4 to 7 where
    all the others are there, else the names say nothing and stay.

    >>> canonical_bands(["red", "SR_B5"]), canonical_bands(["SR_B1", "SR_B5"])
    (['B4', 'B8A'], ['SR_B1', 'SR_B5'])
    """
    plain = [name.strip().upper() for name in names]
    if "SR_B1" not in plain or "SR_B6" in plain:
        return [canonical_band(name) for name in plain]
    older = _LANDSAT_4_TO_7 if set(plain) >= set(_LANDSAT_4_TO_7) else {}
    return [older.get(name, name) if name in _LANDSAT else canonical_band(name) for name in plain]


def is_known(name: str) -> bool:
    """Whether a name says which band it is: a polarisation, a Pauli component, a colour or a band of Sentinel-2.

    >>> is_known("red"), is_known("band_1")
    (True, False)
    """
    canonical = canonical_band(name)
    return canonical in (*POLARISATIONS, *PAULI_COMPONENTS) or _SENTINEL_2.fullmatch(canonical) is not None


def are_of_landsat(names: Sequence[str]) -> bool:
    """Whether names of bands are those of Landsat's surface reflectance.

    >>> are_of_landsat(["SR_B4", "SR_B5"]), are_of_landsat(["red", "nir08"])
    (True, False)
    """
    return any(name.strip().upper() in _LANDSAT for name in names)


def polarisation_in(stem: str) -> str | None:
    """The polarisation that the name of a file ends in, as those of RTC products do; None where it names none or two.

    >>> polarisation_in("S1A_IW_20230610T050000_DVP_RTC10_G_gpuned_1A2B_VV"), polarisation_in("a_vv_vh")
    ('VV', None)
    """
    words = re.split(r"[_\-. ]", stem.upper())
    several = len(words) > 1 and words[-2] in POLARISATIONS
    return words[-1] if words[-1] in POLARISATIONS and not several else None


def polarisation_named(stem: str) -> str | None:
    """The polarisation that the name of a file has as a word; None where it names none or two.

    >>> polarisation_named("s1a-iw-grd-vv-20200101t050000-001"), polarisation_named("a_vv_vh_db")
    ('VV', None)
    """
    found = set(_WORDS.findall(stem.upper())) & set(POLARISATIONS)
    return found.pop() if len(found) == 1 else None


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first of them, and how many more there are.

    >>> listed(["B2", "B3", "B4"], most=2), listed(["B2", "B3", "B4"])
    ('B2, B3 and 1 more', 'B2, B3, B4')
    """
    first = ", ".join(names[:most])
    return f"{first} and {len(names) - most} more" if len(names) > most else first


def match_bands(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Positions in `names` of the bands asked for: by name, and in stored order only where names say nothing.

    Args:
        wanted: band names of a card.
        names: band names of a raster, in stored order.

    Raises:
        ValueError: the names contradict the bands asked for, or there are other numbers of bands; one line.

    >>> match_bands(["B4", "B3", "B2"], ["blue", "green", "red", "nir"])
    [2, 1, 0]
    >>> match_bands(["B4", "B3", "B2", "B8"], ["SR_B2", "SR_B3", "SR_B4", "SR_B5"])
    [2, 1, 0, 3]
    >>> match_bands(["B4", "B3", "B2", "B8"], ["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"])
    [2, 1, 0, 3]
    >>> match_bands(["VV"], ["band_1"])
    [0]
    >>> match_bands(["VH"], ["Sigma0_VV"])
    Traceback (most recent call last):
    ...
    ValueError: holds VV, not VH
    """
    found = _by_name(wanted, names)
    if found is not None:
        return found
    if len(names) != len(wanted):
        raise ValueError(f"has {counted(len(names), 'band')} ({listed(names)}), not {', '.join(wanted)}")
    told = [name for name, band in zip(names, wanted, strict=True) if is_known(name) and is_known(band)]
    if told:
        raise ValueError(f"holds {', '.join(canonical_bands(names))}, not {', '.join(wanted)}")
    return list(range(len(names)))


def _by_name(wanted: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Positions of the bands asked for where each has one name, None where one has not."""
    found = [place for band in wanted if (place := _place(band, names)) is not None]
    return found if len(found) == len(wanted) and len(set(found)) == len(found) else None


def _place(band: str, names: Sequence[str]) -> int | None:
    """Position of a band: the one of its very name, else the only one that means the same, else of those the only one
    that is called nothing more: of green and green_i the first."""
    plain, wanted = [name.strip().upper() for name in names], canonical_band(band)
    same = [place for place, name in enumerate(plain) if name == band.strip().upper()]
    alike = [place for place, name in enumerate(canonical_bands(names)) if name == wanted]
    short = [place for place in alike if plain[place] in _COLOURS or _SENTINEL_2.fullmatch(plain[place])]
    if wanted == "B8" and not alike:
        alike = _near_infrared(plain)
    return next((places[0] for places in (same, alike, short) if len(places) == 1), None)


def _near_infrared(plain: Sequence[str]) -> list[int]:
    """Positions of the near infrared of Landsat. A raster with names that only Sentinel-2 has is not Landsat's: its
    nir08 is B8A."""
    if "SR_B5" in plain:
        return [place for place, band in enumerate(canonical_bands(plain)) if band == "B8A"]
    words = {word for name in plain for word in _WORDS.findall(name)}
    if any("EDGE" in word or word == "NIR09" or _SENTINEL_2.fullmatch(word) for word in words):
        return []
    return [place for place, name in enumerate(plain) if "NIR08" in _WORDS.findall(name)]


def match_some_bands(wanted: Sequence[str], names: Sequence[str]) -> list[tuple[int, int]]:
    """Which of the bands asked for are there: positions in `wanted` and in `names`, by name alone.

    >>> match_some_bands(["VV", "VH"], ["Sigma0_VH_db", "angle"])
    [(1, 0)]
    """
    return [(place, found) for place, band in enumerate(wanted) if (found := _place(band, names)) is not None]


def unclear_bands(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that mean the first band asked for which several names mean, so that none can be chosen; else none.

    >>> unclear_bands(["VV", "VH"], ["VV may", "VV june", "VH"]), unclear_bands(["VV"], ["VV", "VV_filtered"])
    (['VV may', 'VV june'], [])
    """
    meant = canonical_bands(names)
    for band in wanted:
        alike = [name for name, known in zip(names, meant, strict=True) if known == canonical_band(band)]
        if len(alike) > 1 and _place(band, names) is None:
            return alike
    return []


def arrange_bands(wanted: Sequence[str], chosen: Sequence[str]) -> list[int]:
    """Positions in `chosen`, bands of a raster that a user chose, of those asked for: by name where each has one, else
    as they were chosen. Another polarisation, or another colour, can be chosen instead of the one asked for.

    Args:
        wanted: band names of a card.
        chosen: as many names, in the order of the choice.

    Raises:
        ValueError: one of the bands asked for is chosen as another, or an optical band as one of SAR; one line.

    >>> arrange_bands(["VV", "VH"], ["VH", "VV"]), arrange_bands(["VV", "VH"], ["HH", "HV"])
    ([1, 0], [0, 1])
    >>> arrange_bands(["VV", "VH"], ["B8", "VH"])
    Traceback (most recent call last):
    ...
    ValueError: its band B8 is chosen as VV
    """
    found = _by_name(wanted, chosen)
    if found is not None:
        return found
    asked = {canonical_band(band) for band in wanted}
    meant = dict(zip(chosen, canonical_bands(chosen), strict=True))
    for name, band in replaced_bands(wanted, chosen):
        optical = [_SENTINEL_2.fullmatch(canonical_band(one)) is not None for one in (name, band)]
        if meant[name] in asked or len(set(optical)) > 1:
            raise ValueError(f"its band {name} is chosen as {band}")
    return list(range(len(chosen)))


def replaced_bands(wanted: Sequence[str], chosen: Sequence[str]) -> list[tuple[str, str]]:
    """The bands that stand in the place of others, each with the one asked for, as far as names tell.

    >>> replaced_bands(["VV", "VH"], ["HH", "band_2"])
    [('HH', 'VV')]
    """
    return [
        (name, band)
        for name, meant, band in zip(chosen, canonical_bands(chosen), wanted, strict=False)
        if is_known(name) and is_known(band) and meant != canonical_band(band)
    ]


def described_bands(described: Sequence[str], stated: Sequence[str], *, spare: bool = False) -> list[int]:
    """Positions in a raster of the bands that a description of it names: by the names that the raster states itself,
    and in stored order where it states none, or just red, green, blue: so pictures of any bands are called.

    Args:
        described: band names of the description.
        stated: names that the raster states of its bands; "" where it states none.
        spare: whether the raster may have further bands where its names are not those of the description.

    Raises:
        ValueError: the raster has another number of bands, or its names contradict the description
            in stored order; one line.

    >>> described_bands(["VV", "VH"], ["VH", "VV", "angle"]), described_bands(["VV", "VH"], ["", ""])
    ([1, 0], [0, 1])
    >>> described_bands(["VV", "VH"], ["HH", "HV"])
    Traceback (most recent call last):
    ...
    ValueError: its bands are named HH, HV
    """
    found = _by_name(described, stated)
    if found is not None:
        return found
    if len(stated) < len(described) or (len(stated) > len(described) and not spare):
        raise ValueError(f"has {counted(len(stated), 'band')}")
    if tuple(name.lower() for name in stated) != _PICTURE and replaced_bands(described, stated):
        raise ValueError(f"its bands are named {listed([name or 'nothing' for name in stated])}")
    return list(range(len(described)))


def rgb_bands(names: Sequence[str]) -> tuple[int, int, int]:
    """Positions of the bands to show as red, green and blue: by name, else the first three of exactly three bands, else
    the first one as grey.

    >>> rgb_bands(["B2", "B3", "B4", "B8"]), rgb_bands(["VV", "VH"])
    ((2, 1, 0), (0, 0, 0))
    """
    canonical = canonical_bands(names)
    if {"B4", "B3", "B2"} <= set(canonical):
        red, green, blue = _by_name(("B4", "B3", "B2"), names) or map(canonical.index, ("B4", "B3", "B2"))
        return red, green, blue
    return (0, 1, 2) if len(names) == 3 else (0, 0, 0)
