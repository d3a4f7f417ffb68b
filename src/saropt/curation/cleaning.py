"""Finds faults in the rasters of a data root. The report lists them; the root itself is not changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from saropt.curation.near_duplicates import Signature, equal_pairs, overlapping_pairs, signature, similar_pairs
from saropt.curation.other_dates import shared_images
from saropt.curation.registration import offsets_of_pair
from saropt.domain import describe_role
from saropt.errors import InputError, OptionError
from saropt.files import write_text
from saropt.progress import Progress
from saropt.roots.one_grid import grid_difference
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot
from saropt.roots.splits import shared_groups
from saropt.scenes import Scene, Window
from saropt.sensors.unchanged import Unchanged

KINDS = (
    *("grid", "cloud", "nodata", "saturation", "duplicate", "near-duplicate"),
    *("overlap", "misregistration", "date", "leak"),
)
DROPPED = ("grid", "cloud", "nodata", "duplicate")
_COLOURS = (("b4", "b3", "b2"), ("red", "green", "blue"), ("r", "g", "b"))
_WHOLE_PIXELS = 1 << 26
_SURE_SHARE = 0.15
_SQUARE = np.ones((5, 5), bool)


@dataclass(frozen=True)
class Limits:
    """Limits above which a measured value is a finding.

    Attributes:
        cloud: share of white pixels (`white_share`); snow, sand and bright roofs are white as well.
        nodata: share of pixels of either raster that are invalid or lie in areas of zeros.
        saturation: share of pixels of a band at the top of its range.
        misregistration_px: length of the median offset of the confident tiles of a raster; measured where at least 15 %
            of its tiles are confident.
        days: time between the SAR and the optical acquisition, in days.

    >>> Limits(cloud=0.2).cloud
    0.2
    """

    cloud: float = 0.05
    nodata: float = 0.01
    saturation: float = 0.02
    misregistration_px: float = 2.0
    days: float = 7.0


@dataclass(frozen=True)
class Finding:
    """One fault: the `name` of the raster, its `kind` (one of `KINDS`), the value that exceeds the limit, and a
    sentence that explains it.

    Where a finding is about two rasters, `other` is the second one, which shows the same ground.
    """

    name: str
    kind: str
    value: float
    detail: str
    other: str = ""


@dataclass(frozen=True)
class Report:
    """The findings of a data root. `measures` maps each name to what was measured; `pairs` lists names that show the
    same ground, and `inputs` what the rasters held when they were read."""

    root: str
    limits: Limits
    measures: dict[str, dict[str, float]]
    findings: list[Finding]
    summary: dict[str, float] = field(default_factory=dict)
    inputs: Unchanged = field(default_factory=Unchanged, compare=False, repr=False)

    def counts(self) -> dict[str, int]:
        """Findings of each kind."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS}

    def to_dict(self) -> dict[str, Any]:
        values = {**asdict(self), "counts": self.counts()}
        del values["inputs"]
        return values


def clean_root(path: str | Path, limits: Limits | None = None, progress: Progress | None = None) -> Report:
    """Check every raster of a paired data root.

    Clouds are detected by a rough proxy: bright pixels without colour. Where a raster has more than 2^26 pixels, only
    its middle is read.

    Raises:
        InputError: no paired data root, or a raster that cannot be read.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> report = clean_root(write_simulated_root("root", scenes=(2, 0, 0), size=64))
    >>> sorted(finding.kind for finding in report.findings)
    []
    """
    root, limits = DataRoot.open(path), limits or Limits()
    if not root.paired:
        raise InputError(path, "is unpaired: only pairs can be compared; check each side with data inspect")
    names = list(root.splits)
    inputs = Unchanged(*(root.path / name for name in ("dataset.yaml", "splits.csv")))
    measures: dict[str, dict[str, float]] = {}
    findings: list[Finding] = []
    signatures: dict[str, list[Signature]] = {"sar": [], "optical": []}
    for number, name in enumerate(names, start=1):
        inputs.note(*(one for role in root.images if (one := root.path_of(role, name)) is not None))
        own, found = _look_at(root, name, limits, signatures)
        measures[name] = own
        findings += found
        if progress is not None:
            progress(number, len(names), name)
    findings += _shared_ground(root, names, signatures)
    order = {kind: place for place, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: (order[finding.kind], -finding.value, finding.name))
    return Report(str(root.path), limits, measures, findings, _summary(measures), inputs)


def write_report(report: Report, path: str | Path) -> Path:
    """Write a report as JSON.

    Raises:
        InputError: it cannot be written, or the data root is not as it was when the report was made.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> report = clean_root(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> write_report(report, "report.json").name
    'report.json'
    """
    path = Path(path)
    report.inputs.check()
    write_text(path, json.dumps(report.to_dict(), indent=1) + "\n")
    return path


def check_kinds(kinds: Sequence[str]) -> None:
    """Check that all are kinds of faults.

    Raises:
        OptionError: one is unknown.

    >>> check_kinds(["cloud", "leak"])
    """
    if unknown := set(kinds) - set(KINDS):
        raise OptionError("drop", None, f"{', '.join(sorted(unknown))}: known kinds are {', '.join(KINDS)}")


def white_share(optical: NDArray, bands: Sequence[str], units: str, valid: NDArray[np.bool_]) -> float:
    """Share of pixels that lie in bright areas without colour: a rough proxy for clouds.

    A pixel counts where the darkest of red, green and blue is above 0.8 of the range and at least 0.8 of the brightest,
    in an area that contains a square of 5x5 pixels. The range is 255 for 8-bit images, reflectance 0.4 where the units
    are "x 10000", and otherwise the 99.9 % quantile. Snow, sand and large roofs count as well.
    """
    lowered = [band.lower() for band in bands]
    chosen = next((names for names in _COLOURS if set(names) <= set(lowered)), None)
    colours = optical[[lowered.index(name) for name in chosen]] if chosen else optical[:3]
    if not valid.any():
        return 0.0
    if units == "uint8":
        top = 255.0
    elif "10000" in units:
        top = 4000.0
    else:
        top = float(np.quantile(colours[:, valid], 0.999)) or 1.0
    low, high = colours.min(axis=0), colours.max(axis=0)
    white = (low > 0.8 * top) & (low > 0.8 * high) & valid
    return float(_areas(white).sum() / valid.sum())


def _look_at(
    root: DataRoot, name: str, limits: Limits, signatures: dict[str, list[Signature]]
) -> tuple[dict[str, float], list[Finding]]:
    own: dict[str, float] = {}
    found: list[Finding] = []
    values: dict[str, NDArray] = {}
    dates, masks = {}, []
    paths = {role: root.raster(role, name) for role in ("sar", "optical")}
    sar, optical = root.image("sar"), root.image("optical")
    for side, path in paths.items():
        with open_described(path, root.image(side)) as scene:
            pixels, valid = scene.read(_middle(scene))
            signatures[side].append(signature(scene, pixels, valid))
            if scene.acquired is not None:
                dates[side] = scene.acquired
            empty = float((~valid | _areas((pixels == 0).all(axis=0))).mean())
            own[f"{side}_nodata"] = empty
            if empty > limits.nodata:
                found.append(Finding(name, "nodata", empty, f"{side}: {empty:.1%} invalid or zero"))
            full = _saturation(pixels, valid, scene.dtype)
            own[f"{side}_saturation"] = full
            if full > limits.saturation:
                found.append(Finding(name, "saturation", full, f"{side}: {full:.1%} of a band at its top"))
        values[side] = pixels
        masks.append(valid)
    if masks[0].shape != masks[1].shape:
        shapes = " and ".join(f"{mask.shape[0]}x{mask.shape[1]}" for mask in masks)
        raise InputError(paths["optical"], f"SAR and optical are not on one grid: {shapes} pixels")
    found += _off_grid(root, name)
    valid = masks[0] & masks[1]
    own["white"] = white_share(values["optical"], optical.bands, optical.units, masks[1])
    if own["white"] > limits.cloud:
        words = f"{own['white']:.1%} bright and white: clouds, snow, sand or roofs"
        found.append(Finding(name, "cloud", own["white"], words))
    offsets = offsets_of_pair(values["sar"], values["optical"], valid, sar.units)
    sure = [offset for offset in offsets if offset.is_confident]
    own["tiles"], own["confident_tiles"] = float(len(offsets)), float(len(sure))
    if sure:
        down, right = (float(np.median([getattr(offset, axis) for offset in sure])) for axis in ("row", "col"))
        own |= {"offset_row": down, "offset_col": right}
        own["offset"] = float(np.hypot(down, right))
        own["within_2px"] = float(np.mean([max(abs(o.row), abs(o.col)) <= 2.5 for o in sure]))
        if own["offset"] > limits.misregistration_px and len(sure) >= _SURE_SHARE * len(offsets):
            tiles = f"{len(sure)} of {len(offsets)} tiles sure"
            words = f"{own['offset']:.1f} px ({down:+.1f} down, {right:+.1f} right), {tiles}"
            found.append(Finding(name, "misregistration", own["offset"], words))
    if len(dates) == 2:
        own["days"] = abs((dates["sar"] - dates["optical"]).total_seconds()) / 86400.0
        if own["days"] > limits.days:
            found.append(Finding(name, "date", own["days"], f"{own['days']:.1f} days between SAR and optical"))
    return own, found


def _off_grid(root: DataRoot, name: str) -> list[Finding]:
    """The rasters of a name that do not lie on the grid of the SAR raster; no pixel is read."""
    found = []
    with Scene.open(root.raster("sar", name)) as first:
        for role in (*(role for role in root.images if role != "sar"), "label"):
            if (path := root.path_of(role, name)) is not None:
                with Scene.open(path, palette="index") as scene:
                    difference = grid_difference(first, scene)
                if difference is not None:
                    found.append(Finding(name, "grid", 1.0, f"SAR and {describe_role(role).title}: {difference}"))
    return found


def _areas(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a mask that lies in areas which contain a square of 5x5 pixels."""
    return ndimage.binary_opening(mask, _SQUARE) if mask.any() else mask


def _middle(scene: Scene) -> Window | None:
    side = int(_WHOLE_PIXELS**0.5)
    if scene.height * scene.width <= _WHOLE_PIXELS:
        return None
    height, width = min(scene.height, side), min(scene.width, side)
    return Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)


def _saturation(pixels: NDArray, valid: NDArray[np.bool_], dtype: str) -> float:
    """The largest share, over the bands, of valid pixels at the maximum: that of the integer type, or the band's own
    for other types."""
    if not valid.any() or np.iscomplexobj(pixels):
        return 0.0
    tops = np.iinfo(dtype).max if dtype in ("uint8", "uint16", "int16") else None
    shares = []
    for band in pixels:
        inside = band[valid]
        top = inside.max() if tops is None or dtype != "uint8" else tops
        share = float((inside >= top).mean())
        shares.append(0.0 if tops is None and inside.min() == top else share)
    return max(shares)


def _shared_ground(root: DataRoot, names: Sequence[str], signatures: dict[str, list[Signature]]) -> list[Finding]:
    found: list[Finding] = []
    shared: dict[tuple[int, int], str] = {}
    equal: dict[tuple[int, int], list[str]] = {}
    for side in ("sar", "optical"):
        for pair in equal_pairs(signatures[side]):
            equal.setdefault(pair, []).append(side)
    for (one, other), sides in equal.items():
        words = f"{' and '.join(sides)}: the same pixels as {names[one]}"
        found.append(_pair("duplicate", names, one, other, 1.0, words))
        shared[one, other] = "the same pixels"
    for one, other, correlation in similar_pairs(signatures["sar"]):
        if (one, other) not in equal:
            words = f"sar: a block like one of {names[one]} (correlation {correlation:.3f})"
            found.append(_pair("near-duplicate", names, one, other, correlation, words))
            shared.setdefault((one, other), f"a like block (correlation {correlation:.3f})")
    for one, other, share in overlapping_pairs(signatures["sar"]):
        words = f"footprint shares {share:.1%} with {names[one]}"
        found.append(_pair("overlap", names, one, other, share, words))
        shared.setdefault((one, other), f"{share:.1%} of the footprint")
    place = {name: number for number, name in enumerate(names)}
    for group, (first, *others) in shared_groups(root.splits, root.groups).items():
        for name in others:
            shared.setdefault((place[first], place[name]), f"both are of the group {group}")
    for name, holder in shared_images(root, names, root, names):
        one, other = sorted((place[name], place[holder]))
        shared.setdefault((one, other), "the image of another date of one is the true image of the other")
    for (one, other), why in shared.items():
        splits = root.splits[names[one]], root.splits[names[other]]
        if splits[0] != splits[1]:
            words = f"{splits[1]} shares ground with {names[one]} of {splits[0]}: {why}"
            found.append(_pair("leak", names, one, other, 1.0, words))
    return found


def _pair(kind: str, names: Sequence[str], one: int, other: int, value: float, detail: str) -> Finding:
    return Finding(names[other], kind, value, detail, other=names[one])


def _summary(measures: dict[str, dict[str, float]]) -> dict[str, float]:
    """Medians of the measurements, and the share of all confident tiles whose offset is at most 2 pixels."""
    result: dict[str, float] = {"rasters": float(len(measures))}
    for key in ("white", "sar_nodata", "optical_nodata", "sar_saturation", "optical_saturation", "offset", "days"):
        known = [own[key] for own in measures.values() if key in own]
        if known:
            result[f"median_{key}"] = float(np.median(known))
            result[f"max_{key}"] = float(np.max(known))
    sure = [(own["within_2px"], own["confident_tiles"]) for own in measures.values() if "within_2px" in own]
    if sure:
        shares, weights = np.array(sure).T
        result["tiles_within_2px"] = float(np.average(shares, weights=weights))
        result["confident_tiles"] = float(weights.sum())
    return result
