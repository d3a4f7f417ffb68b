"""Facts about a raster or a data root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saropt.domain import Role, describe_role
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError, counted
from saropt.progress import Progress, first_and_more
from saropt.radiometry import SAR_UNITS, ValueRule, check_units, fitting_units
from saropt.roots.index import Indexed
from saropt.roots.one_grid import grid_difference
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot, ImageSpec
from saropt.roots.splits import SPLITS, shared_groups_line
from saropt.roots.values import SAMPLED_PIXELS, measured_rule, sized_otherwise, stated_otherwise
from saropt.scenes import Scene, Window
from saropt.scenes.metadata import acquisition_text, unreadable_date
from saropt.sensors.grd_scene import open_scene_or_product

LEVELS = (0.0, 0.01, 0.5, 0.99, 1.0)
_SAMPLE = 1 << 20
_STRIP_PIXELS = 1 << 22


@dataclass(frozen=True)
class Facts:
    """Facts about one or more rasters, and for each band the quantiles of a sample of its pixels at `levels`.

    >>> Facts({"bands": "1"}, {"VV": [-20.0, -18.0, -12.0, -5.0, 0.0]}).levels
    ('min', '1 %', 'median', '99 %', 'max')
    """

    facts: dict[str, str]
    quantiles: dict[str, list[float]]
    levels: tuple[str, ...] = ("min", "1 %", "median", "99 %", "max")


def inspect_raster(path: Path, progress: Progress | None = None) -> Facts:
    """Describe a raster, or a Sentinel-1 product in sigma0_db: bands, size, data type, location, share of invalid
    pixels, and quantiles of the values.

    The quantiles are computed from at most 2^20 valid pixels, and from the modulus of complex pixels.

    Raises:
        InputError: it cannot be read.

    >>> from saropt.scenes import write_array
    >>> path = write_array("scene.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"])
    >>> inspect_raster(path).quantiles
    {'VV': [1.0, 1.0, 1.0, 1.0, 1.0]}
    """
    with open_scene_or_product(path) as scene:
        sample = scene.sample(_SAMPLE)
        stated = stated_units(scene.tags, scene.band_names, scene.dtype)
        facts = {
            "bands": ", ".join(scene.band_names),
            **({} if stated is None else {"units stated": f"{stated.quantity}, by its {stated.where}"}),
            "units that fit": ", ".join(fitting_units(sample, scene.dtype)) if sample.size else "no valid pixel",
            "size": f"{scene.width}x{scene.height} pixels",
            "type": scene.dtype,
            "CRS": _crs(scene),
            "pixel": _pixel(scene),
            "nodata": "none declared" if scene.nodata is None else f"{scene.nodata:g}",
            "invalid pixels": f"{_invalid_share(scene, progress):.2%}",
            "acquired": _acquired(scene),
        }
        return Facts(facts, _quantiles(scene.band_names, sample))


def inspect_root(path: Path, progress: Progress | None = None) -> tuple[dict[str, str], list[Facts]]:
    """Describe a data root, and the rasters of each role.

    Raises:
        InputError: it is no data root, a raster is missing, or a pair is not on one grid.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> description, facts = inspect_root(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> len(facts)
    2
    """
    root = DataRoot.open(path)
    counts = {split: sum(part == split for part in root.splits.values()) for split in SPLITS}
    labelled = sum(root.path_of("label", name) is not None for name in root.splits)
    description = {
        "data root": f"{root.name} ({root.path})",
        "pixel": f"{root.gsd_m:g} m",
        "pairs": "yes" if root.paired else "no, SAR and optical are unpaired",
        "splits": ", ".join(f"{split} {count}" for split, count in counts.items()),
        "labels": f"{labelled} rasters: {', '.join(root.classes.values())}" if labelled else "",
        "licence": root.licence,
    }
    rasters = {role: root.rasters(role) for role in root.images}
    steps, done_before = sum(map(len, rasters.values())), 0
    found: list[Facts] = []
    firsts: dict[str, Indexed] = {}
    one = describe_role(next(iter(rasters))).title
    for role, paths in rasters.items():
        title = describe_role(role).title

        def count(done: int, start: int = done_before, what: str = title) -> None:
            if progress is not None:
                progress(start + done, steps, what)

        if not paths:
            continue
        facts, grids = _inspect_role(role, root.images[role], root.gsd_m, list(paths.values()), count)
        done_before += len(paths)
        found.append(facts)
        apart = []
        for (name, raster), grid in zip(paths.items(), grids, strict=True):
            first = firsts.setdefault(name, grid)
            difference = grid_difference(first, grid) if root.paired else None
            if difference is not None and (grid.height, grid.width) != (first.height, first.width):
                raise InputError(raster, f"{one} and {title} are not on one grid: {difference}")
            apart += [] if difference is None else [f"{raster.name}: not on the grid of the {one} raster: {difference}"]
        if apart:
            known = facts.facts.get("warning")
            facts.facts["warning"] = "; ".join(filter(None, [known, first_and_more(apart)]))
    labels = first_and_more(_labels_apart(root, firsts)) if root.paired else None
    if warnings := [line for line in (labels, shared_groups_line(root.splits, root.groups)) if line]:
        description["warning"] = "; ".join(warnings)
    return description, found


def _labels_apart(root: DataRoot, firsts: Mapping[str, Indexed]) -> list[str]:
    """A line for each label raster that is not on the grid of its images."""
    lines = []
    for name, first in firsts.items():
        if (path := root.path_of("label", name)) is not None:
            with Scene.open(path, palette="index") as scene:
                difference = grid_difference(first, scene)
            lines += [] if difference is None else [f"label/{path.name}: not on the grid of its images: {difference}"]
    return lines


def _inspect_role(
    role: Role, image: ImageSpec, gsd_m: float, paths: Sequence[Path], count: Callable[[int], None]
) -> tuple[Facts, list[Indexed]]:
    """Facts of the rasters of a role; fill that they do not declare counts as invalid, as in translations."""
    grids, dtypes, places, samples, kept, shares, notes = [], set(), set(), [], [], [], []
    odd: list[str] = []
    others: list[str] = []
    each = max(1024, _SAMPLE // len(paths))
    for number, path in enumerate(paths, start=1):
        with open_described(path, image) as scene:
            grids.append(Indexed.of(scene))
            dtypes.add(scene.dtype)
            places.add(_crs(scene))
            sample = scene.sample(max(SAMPLED_PIXELS, each))
            rule, note = measured_rule(scene, role, image.units, sample)
            samples.append(sample[:, :: -(-sample.shape[1] // each) or 1])
            kept.append(rule.measured(samples[-1]))
            notes += [] if note is None else [f"{path.name}: {note}"]
            if problem := _contradiction(sample, image.units, scene.dtype):
                odd.append(f"{path.name}: {problem}")
            told = (stated_otherwise(scene, role, image.units), sized_otherwise(scene, gsd_m))
            others += [f"{path.name}: {line}" for line in told if line is not None]
            shares.append(_invalid_share(scene, None, rule))
        count(number)
    sample = np.concatenate(samples, axis=1)
    shapes = [(grid.width, grid.height) for grid in grids]
    weights = [width * height for width, height in shapes]
    facts = {
        describe_role(role).title: counted(len(paths), "raster"),
        "bands": ", ".join(image.bands),
        "units": image.units,
        "sizes": ", ".join(f"{width}x{height}" for width, height in sorted(set(shapes))),
        "types": ", ".join(sorted(dtypes)),
        "CRS": ", ".join(sorted(places)),
        "invalid pixels": f"{np.average(shares, weights=weights):.2%}",
    }
    problem = _contradiction(sample, image.units, min(dtypes))
    lists = ([problem] if problem else odd, others, notes)
    if warnings := [first_and_more(lines) for lines in lists if lines]:
        facts["warning"] = "; ".join(warnings)
    return Facts(facts, _quantiles(image.bands, sample[:, np.concatenate(kept)])), grids


def _invalid_share(scene: Scene, progress: Progress | None, rule: ValueRule | None = None) -> float:
    """The share of pixels that are not valid or, by a rule of the values in their units, no measurements."""
    rows = max(1, _STRIP_PIXELS // scene.width)
    starts = range(0, scene.height, rows)
    invalid = 0
    for number, row in enumerate(starts, start=1):
        window = Window(row, 0, min(rows, scene.height - row), scene.width)
        values, valid = scene.read_stored(window) if rule is None else scene.read(window)
        if rule is not None:
            valid &= rule.measured(values)
        invalid += int(valid.size - valid.sum())
        if progress is not None:
            progress(number, len(starts), "strips")
    return invalid / (scene.width * scene.height)


def _quantiles(bands: Sequence[str], sample: np.ndarray) -> dict[str, list[float]]:
    if not sample.size:
        return {}
    values = np.abs(sample) if np.iscomplexobj(sample) else sample
    return {band: [float(q) for q in np.quantile(row, LEVELS)] for band, row in zip(bands, values, strict=True)}


def _contradiction(sample: np.ndarray, units: str, dtype: str) -> str:
    """Why a sample cannot be in SAR units, or in 8 bits; empty where it can, or where the units are others."""
    if units not in SAR_UNITS or not sample.size:
        return ""
    try:
        check_units(sample, units, dtype)
    except ValueError as error:
        return str(error)
    return ""


def _acquired(scene: Scene) -> str:
    if (acquired := acquisition_text(scene.tags, scene.band_names)) is not None:
        return acquired
    unreadable = unreadable_date(scene.tags)
    return "" if unreadable is None else f"unknown: {unreadable}"


def _crs(scene: Scene) -> str:
    place = scene.georeference
    if place.crs is not None:
        return place.crs.to_string()
    if place.gcps:
        return f"{len(place.gcps)} control points, {place.gcp_crs}"
    return "none"


def _pixel(scene: Scene) -> str:
    transform = scene.georeference.transform
    if transform is None:
        return ""
    crs = scene.georeference.crs
    unit = crs.linear_units if crs is not None and crs.is_projected else "degrees" if crs is not None else "units"
    return f"{np.hypot(transform.a, transform.d):.6g} x {np.hypot(transform.b, transform.e):.6g} {unit}"
