"""Reads the metadata of a raster: band names, band selection, scales and the time of acquisition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.domain import POLARISATIONS, describe_units, listed, polarisation_in, polarisation_named
from saropt.domain.rtc_names import facts_in_name
from saropt.errors import InputError, OptionError
from saropt.files.polarisation_files import files_of

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from saropt.scenes.reading import Scene

_BAND_NAME_TAGS = ("POLARIZATION", "POLARISATION", "BANDNAME", "BAND_NAME", "NAME", "LONG_NAME")
_DATE_TAGS = [
    *("ACQUISITION_DATETIME", "ACQUISITION_DATE", "ACQUISITION_TIME", "ACQUISITIONDATETIME", "ACQUIRED"),
    *("SENSING_TIME", "SENSING_START", "DATE_ACQUIRED", "PRODUCT_START_TIME", "START_TIME", "DATETIME", "DATE"),
]
_SAR_DATE_TAGS = ["SAR_PRODUCT", "S1_PRODUCT", "SAR_DATE", "S1_DATE"]
_OPTICAL_DATE_TAGS = ["OPTICAL_PRODUCT", "S2_PRODUCT", "OPTICAL_DATE", "S2_DATE"]
_STALE_TAGS = ("AREA_OR_POINT", "NODATA", "SCALE", "OFFSET", "VALID_RANGE", "SAROPT_WORK", "SAROPT_RUN")
_STALE_STARTS = ("TIFFTAG_MIN", "TIFFTAG_MAX", "STATISTICS_")
_STALE_WORDS = ("NODATA", "MINIMUM", "MAXIMUM", "STDDEV", "FILL_VALUE", "FILLVALUE", "NO_DATA", "SCALE_FACTOR")
_UNIT_STARTS = ("SPECKLE_FILTER", "SAROPT_", "RADIOMETRIC_")
_NUMBERED = re.compile(r"|((band|layer|channel)[_ ]?)?\d+", re.IGNORECASE)
"""Names of bands that say nothing."""
_POLARISATION = re.compile(r"\b(VV|VH|HH|HV)\b", re.IGNORECASE)
_TIME = (
    r"(?:[Tt _](?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?"
    r"|(?P<compact>\d{4}(?:[.,]\d+)?))(?!\d)(?: ?(?P<offset>[+-]\d\d(?::?\d\d)?)(?![\d-]))?)?"
)
_YEAR_FIRST = re.compile(r"(?<!\d)(?P<year>\d{4})[-:/.]?(?P<month>\d\d)[-:/.]?(?P<day>\d\d)" + _TIME + r"(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(?P<day>\d\d)(?P<mark>[./-])(?P<month>\d\d)[./-](?P<year>\d{4})" + _TIME + r"(?!\d)")
_ISO_DATE = re.compile(rf"\s*{_YEAR_FIRST.pattern}Z?\s*")
_TIME_ONLY = re.compile(r"\s*\d\d?:\d\d(:\d\d([.,]\d+)?)?\s*(Z|UTC)?\s*")
_MOST_NAMED = 16
_MOST_OFFSET = timedelta(hours=15)


def parse_date(text: str) -> datetime | None:
    """The first date in a text, as UTC; at midnight where no time of day is given.

    Understands ISO 8601 (also compact, as in product names, and with an offset from UTC), TIFF's "2020:11:07 13:52:41",
    "07.11.2020" (day first) and "05/31/2020", which can be read in one way only; "02/11/2020" can be read in two and is
    no date. Times without an offset are taken as UTC, as satellite products state them.

    >>> parse_date("S1A_IW_GRDH_1SDV_20201107T135241").isoformat()
    '2020-11-07T13:52:41+00:00'
    >>> parse_date("2023-05-31T23:30:00-08:00").isoformat()
    '2023-06-01T07:30:00+00:00'
    >>> parse_date("02/11/2023") is None
    True
    """
    found = _first_date(text)
    return None if found is None else found[0]


def _first_date(text: str) -> tuple[datetime, bool] | None:
    """As `parse_date`, and whether a time of day is given."""
    for pattern in (_YEAR_FIRST, _YEAR_LAST):
        for match in pattern.finditer(text):
            parts = match.groupdict()
            try:
                return _moment(parts), parts["hour"] is not None
            except (ValueError, OverflowError):
                continue
    return None


def _moment(parts: Mapping[str, str | None]) -> datetime:
    """The parts of a date as a moment.

    Raises:
        ValueError, OverflowError: there is no such date, or it can be read in two ways.
    """
    year, month, day = (int(parts[key] or 0) for key in ("year", "month", "day"))
    if parts.get("mark", ".") != ".":
        if max(month, day) <= 12 and month != day:
            raise ValueError("the day or the month may come first")
        month, day = min(month, day), max(month, day)
    hour, minute, second = (int(parts[key] or 0) for key in ("hour", "minute", "second"))
    given = (parts["offset"] or "+00").replace(":", "")
    if compact := parts["compact"]:
        minute, second = int(compact[:2]), int(compact[2:4])
        given = "+00" if len(given) == 3 and given[0] == "-" else given  # of a name: the number of a part
    sign, digits = given[0], given[1:].ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > _MOST_OFFSET:
        raise ValueError("no place is as far from UTC")
    found = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return found + offset if sign == "-" else found - offset


def acquisition_date(tags: Mapping[str, str], band_names: Sequence[str]) -> datetime | None:
    """When the scene was acquired, according to common tags; None where no tag holds a date.

    Files of a SAR-optical pair often have both dates: the SAR date is used where a band is named by a polarisation,
    otherwise the optical date. Of an interval it is the start. TIFFTAG_DATETIME is no date of acquisition: many
    programs store the date of the file there.

    >>> acquisition_date({"ACQUISITION_DATE": "2020-11-07"}, ["VV"]).year
    2020
    >>> acquisition_date({"TIFFTAG_DATETIME": "2020:11:07 13:52:41"}, ["VV"]) is None
    True
    """
    return parse_date(_dated_text(tags, band_names))


def acquisition_text(tags: Mapping[str, str], band_names: Sequence[str]) -> str | None:
    """As `acquisition_date`, as a text that has a time of day only where the tag has one; of an interval (ISO 8601)
    also its end.

    >>> acquisition_text({"ACQUISITION_DATE": "07.11.2020"}, ["VV"])
    '2020-11-07'
    >>> acquisition_text({"ACQUISITION_DATE": "2020-11-07T13:52:41/2020-11-09"}, ["VV"])
    '2020-11-07T13:52:41+00:00/2020-11-09'
    """
    text = _dated_text(tags, band_names)
    ends = [_first_date(part) if _ISO_DATE.fullmatch(part) else None for part in text.split("/")]
    known = [end for end in ends if end is not None]
    if len(known) == len(ends) == 2 and known[0][0] < known[1][0]:
        return "/".join(_in_words(*end) for end in known)
    found = _first_date(text)
    return None if found is None else _in_words(*found)


def _in_words(when: datetime, has_time: bool) -> str:
    return when.isoformat() if has_time else when.date().isoformat()


def _dated_text(tags: Mapping[str, str], band_names: Sequence[str]) -> str:
    """The text of the first tag that holds a date of acquisition; "" where none does."""
    is_sar = any(_POLARISATION.search(name) for name in band_names)
    pair = [*_SAR_DATE_TAGS, *_OPTICAL_DATE_TAGS] if is_sar else [*_OPTICAL_DATE_TAGS, *_SAR_DATE_TAGS]
    upper = {key.upper(): value for key, value in tags.items()}
    texts = (upper.get(key, "") for key in [*_DATE_TAGS, *pair])
    return next((text for text in texts if _first_date(text) is not None), "")


def tags_of(dataset: DatasetReader, path: Path) -> dict[str, str]:
    """The tags of an open raster; of the backscatter of an RTC product also what its name states (`facts_in_name`).

    >>> import numpy as np
    >>> import rasterio
    >>> from saropt.scenes import write_array
    >>> path = write_array("S1A_IW_20230610T050000_DVP_RTC10_G_gpuned_1A2B_VV.tif", np.ones((1, 8, 8), np.float32))
    >>> with rasterio.open(path) as dataset:
    ...     tags_of(dataset, path)["PRODUCT_NAME_UNITS"]
    'gamma0'
    """
    tags: dict[str, str] = dataset.tags()
    facts = named_facts(path)
    if acquisition_date(tags, POLARISATIONS) is not None:
        facts.pop("ACQUISITION_DATE", None)
    return {**facts, **tags}


def named_facts(path: Path) -> dict[str, str]:
    """What the name of the backscatter of an RTC product states (`facts_in_name`); empty for other rasters.

    >>> named_facts(Path("S1A_IW_20230610T050000_DVP_RTC10_G_gpuned_1A2B_dem.tif"))
    {}
    """
    files = files_of(path)
    return facts_in_name(files[0].name) if polarisation_in(files[0].stem) is not None else {}


def unreadable_date(tags: Mapping[str, str]) -> str | None:
    """The first tag of a date of acquisition that cannot be read, in words; None where there is none.

    >>> unreadable_date({"ACQUISITION_DATE": "02/11/2023"})
    "ACQUISITION_DATE is '02/11/2023', which cannot be read in one way"
    """
    upper = {key.upper(): value for key, value in tags.items()}
    for key in [*_DATE_TAGS, "SAR_DATE", "S1_DATE", "OPTICAL_DATE", "S2_DATE"]:
        text = " ".join(upper.get(key, "").split())
        if text and parse_date(text) is None and not _TIME_ONLY.fullmatch(text):
            return f"{key} is {text[:60]!r}, which cannot be read in one way"
    return None


def is_stale_tag(key: str, same_units: bool = False) -> bool:
    """Whether a tag states facts of a raster's own numbers, which what is made of it does not have: statistics, nodata,
    scale and offset, and units unless these are the same.

    >>> is_stale_tag("STATISTICS_MEAN"), is_stale_tag("PRODUCT_ID")
    (True, False)
    >>> is_stale_tag("CALIBRATED_TO"), is_stale_tag("CALIBRATED_TO", same_units=True)
    (True, False)
    """
    name = key.upper()
    short = name.rpartition("#")[2]
    if name in _STALE_TAGS or short in _STALE_TAGS or name.startswith(_STALE_STARTS):
        return True
    if any(word in name for word in _STALE_WORDS):
        return True
    return not same_units and (name == "CALIBRATED_TO" or name.startswith(_UNIT_STARTS) or short.endswith("UNITS"))


def tags_for_output(scene: Scene, *, same_units: bool = False) -> dict[str, str]:
    """The scene's own tags, for a raster that is made of it.

    Args:
        same_units: whether the pixels of that raster are in the units of the scene.

    >>> import numpy as np
    >>> from saropt.scenes import Scene, write_array
    >>> path = write_array("a.tif", np.ones((1, 8, 8), np.float32), tags={"NOTE": "x", "STATISTICS_MEAN": "1"})
    >>> with Scene.open(path) as scene:
    ...     tags_for_output(scene)
    {'NOTE': 'x'}
    """
    tags = {key: value for key, value in scene.tags.items() if not is_stale_tag(key, same_units)}
    if (acquired := acquisition_text(scene.tags, scene.band_names)) is not None:
        tags["ACQUISITION_DATE"] = acquired
    return tags


def band_names(dataset: DatasetReader, indexes: Sequence[int], path: Path) -> list[str]:
    """Names of the given 1-based bands: descriptions, else band tags, else colours, else band_1, band_2, ...

    A source of names is used only where all its names differ. One band without a name is the polarisation that the name
    of the file has as a word, where it has one alone.
    """
    colours = [dataset.colorinterp[index - 1].name for index in indexes]
    coloured = all(colour in ("red", "green", "blue") for colour in colours) and len(set(colours)) == len(colours)
    stated = stated_names(dataset, indexes)
    if coloured and not all(stated):
        return colours
    if len(indexes) == 1 and _NUMBERED.fullmatch(stated[0]) and (polarisation := polarisation_named(path.stem)):
        return [polarisation]
    return [name or f"band_{index}" for name, index in zip(stated, indexes, strict=True)]


def stated_names(dataset: DatasetReader, indexes: Sequence[int]) -> list[str]:
    """As `band_names`, but "" for bands that only have a colour or a number: what the file itself calls its bands.

    >>> import numpy as np, rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("a.tif", np.ones((2, 8, 8), np.uint8), band_names=["VV", "VH"])) as dataset:
    ...     stated_names(dataset, [2, 1])
    ['VH', 'VV']
    """
    tags = [{key.upper(): value for key, value in dataset.tags(index).items()} for index in indexes]
    descriptions = [dataset.descriptions[index - 1] for index in indexes]
    sources: list[list[str | None]] = [descriptions, *([tag.get(key) for tag in tags] for key in _BAND_NAME_TAGS)]
    for names in sources:
        found = [name.strip() for name in names if name and name.strip()]
        if len(found) == len(indexes) and len({name.lower() for name in found}) == len(found):
            return found
    return [name or "" for name in _partial(descriptions)]


def _partial(names: Sequence[str | None]) -> list[str | None]:
    """Names that occur once, None for the others."""
    lowered = [(name or "").strip().lower() for name in names]
    return [name if low and lowered.count(low) == 1 else None for name, low in zip(names, lowered, strict=True)]


def check_band_list(bands: object) -> None:
    """Refuse one band in place of a list of them: a name would be read as a list of letters.

    Raises:
        OptionError: it is one.

    >>> check_band_list("VH")
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: bands='VH': must be a list, as ['VH']
    """
    if isinstance(bands, str | int):
        raise OptionError("bands", bands, f"must be a list, as [{bands!r}]")


def select_bands(path: Path, names: Sequence[str], wanted: Sequence[str | int]) -> list[int]:
    """Positions (from 0) of the bands asked for.

    A band is given by its 1-based number, by its name (any case), or by one word of its name ("VH" for
    "VH amplitude") where only one band has that word.

    Raises:
        InputError: a band does not exist, or several bands share the word; the message lists the first bands of it. Or
            one band is given that is no list.

    >>> select_bands(Path("scene.tif"), ["VV amplitude", "VH amplitude"], ["VH", 1])
    [1, 0]
    """
    check_band_list(wanted)
    available = listed([f"{number} {name}" for number, name in enumerate(names, start=1)], _MOST_NAMED)
    positions = []
    for band in wanted:
        text = str(band).strip().lower()
        exact = [i for i, name in enumerate(names) if name.lower() == text and isinstance(band, str)]
        words = [i for i, name in enumerate(names) if text in re.findall(r"\w+", name.lower())]
        if exact:
            positions.append(exact[0])
        elif text.isdigit():
            if not 1 <= int(text) <= len(names):
                raise InputError(path, f"has no band {band}; available: {available}")
            positions.append(int(text) - 1)
        elif len(words) == 1:
            positions.append(words[0])
        else:
            problem = f"several bands match {band!r}" if words else f"has no band {band!r}"
            raise InputError(path, f"{problem}; available: {available}")
    if not positions:
        raise InputError(path, f"no band was chosen; available: {available}")
    return positions


def scaling(dataset: DatasetReader, indexes: Sequence[int], units: str | None) -> list[tuple[float, float]] | None:
    """Scale and offset of bands (numbers from 1), in these units; None where they change nothing.

    >>> import numpy as np, rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("plain.tif", np.ones((1, 8, 8), np.float32))) as dataset:
    ...     scaling(dataset, [1], None)
    """
    scales, offsets = dataset.scales, dataset.offsets
    pairs = [(float(scales[index - 1]), float(offsets[index - 1])) for index in indexes]
    if all(pair == (1.0, 0.0) for pair in pairs):
        return None
    try:
        factor = 1.0 if units is None else describe_units(units).factor
    except ValueError:
        factor = 1.0
    pairs = [(scale * factor, offset * factor) for scale, offset in pairs]
    return None if all(abs(scale - 1.0) < 1e-9 and offset == 0.0 for scale, offset in pairs) else pairs


def apply_scaling(values: NDArray, scaling: Sequence[tuple[float, float]]) -> NDArray:
    """Numbers (bands, ...) times scale plus offset of each band, in the type of the numbers.

    >>> import numpy as np
    >>> apply_scaling(np.full((1, 1, 1), 30, np.float32), [(0.5, -1.0)]).item()
    14.0
    """
    scales, offsets = (np.array(part).reshape(-1, *[1] * (values.ndim - 1)) for part in zip(*scaling, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        scaled: NDArray = (values * scales + offsets).astype(values.dtype)
    return scaled
