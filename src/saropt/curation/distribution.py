"""Histograms of a data root's values by split and class, counts of its classes, and thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.domain import Role, is_sar
from saropt.files.polarisation_files import polarisation_files
from saropt.progress import Progress
from saropt.radiometry import to_db
from saropt.roots.labels import Classes, classes_of
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot, ImageSpec
from saropt.roots.splits import SPLITS
from saropt.roots.values import SAMPLED_PIXELS, measured_rule
from saropt.scenes import Scene, Window

BINS = 64
RASTERS = 48
PICTURES = 4
_SIDE = 1024
_THUMB = 192
Counts = NDArray[np.int64]
Picture = NDArray[np.uint8]


@dataclass
class Histogram:
    """Counts of one band of a role: `edges` (65,), and under each split or class (64,) counts."""

    role: str
    band: str
    units: str
    edges: NDArray[np.float64]
    by_split: dict[str, Counts] = field(default_factory=dict)
    by_class: dict[str, Counts] = field(default_factory=dict)

    def add(self, table: dict[str, Counts], key: str, values: NDArray) -> None:
        """Values outside the edges count in the outermost bins."""
        found = np.histogram(np.clip(values, self.edges[0], self.edges[-1]), self.edges)[0]
        table[key] = table.get(key, np.zeros(BINS, np.int64)) + found


@dataclass(frozen=True)
class Distribution:
    """What the inspection page shows of a data root or raster.

    Attributes:
        histograms: one for each role and band; SAR powers and amplitudes are shown in decibels.
        class_pixels: class name -> split -> labelled pixels, over the sampled rasters.
        pictures: (split, name, {role: (h, w, 3) picture}).
        sampled: number of rasters that were read, and number of rasters that exist.
    """

    histograms: list[Histogram]
    class_pixels: dict[str, dict[str, int]]
    pictures: list[tuple[str, str, dict[str, Picture]]]
    sampled: tuple[int, int]


def distribution_of(path: Path, progress: Progress | None = None) -> Distribution:
    """Read the middle (at most 1024x1024 pixels) of up to 48 rasters of each split, or of one raster.

    Raises:
        InputError: neither a data root nor a raster, or a raster or label that cannot be read.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> found = distribution_of(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> [histogram.band for histogram in found.histograms]
    ['VV', 'VH', 'B4', 'B3', 'B2']
    """
    if not path.is_dir() or polarisation_files(path):
        values, valid, bands = _middle(path)
        plain = _histograms("raster", bands, "as stored", values[:, valid])
        for histogram, band in zip(plain, values, strict=True):
            histogram.add(histogram.by_split, path.name, np.abs(band[valid]))
        picture = thumbnail(np.abs(values), bands, "")
        return Distribution(plain, {}, [("", path.stem, {"raster": picture})], (1, 1))
    root = DataRoot.open(path)
    classes = classes_of(root) if root.classes and (path / "label").is_dir() else None
    chosen = [(split, name) for split in SPLITS for name in _spread([n for n, s in root.splits.items() if s == split])]
    histograms: dict[str, list[Histogram]] = {}
    pixels: dict[str, dict[str, int]] = {title: dict.fromkeys(SPLITS, 0) for title in classes.titles} if classes else {}
    pictures: list[tuple[str, str, dict[str, Picture]]] = []
    shown = dict.fromkeys(SPLITS, 0)
    for number, (split, name) in enumerate(chosen, start=1):
        thumbs: dict[str, Picture] = {}
        label = _label(root, name, classes)
        if label is not None and classes is not None:
            for index, title in enumerate(classes.titles):
                pixels[title][split] += int((label == index).sum())
        for role, image in root.images.items():
            needed = root.paired and not image.optional
            raster = root.raster(role, name) if needed else root.path_of(role, name)
            if raster is None:
                continue
            values, valid, _ = _middle(raster, image, role)
            shown_values, units = _in_decibels(values, image.units) if is_sar(role) else (values, image.units)
            own = histograms.setdefault(role, [])
            if not own and valid.any():
                own += _histograms(role, image.bands, units, shown_values[:, valid])
            for histogram, band in zip(own, shown_values, strict=False):
                histogram.add(histogram.by_split, split, band[valid])
                if label is not None and classes is not None and label.shape == valid.shape:
                    for index, title in enumerate(classes.titles):
                        histogram.add(histogram.by_class, title, band[valid & (label == index)])
            if shown[split] < PICTURES:
                thumbs[role] = thumbnail(shown_values, image.bands, units)
        if thumbs and label is not None and classes is not None:
            thumbs["label"] = _label_picture(label, len(classes.titles))
        if thumbs:
            pictures.append((split, name, thumbs))
            shown[split] += 1
        if progress is not None:
            progress(number, len(chosen), name)
    flat = [histogram for role in root.images for histogram in histograms.get(role, [])]
    return Distribution(flat, pixels, pictures, (len(chosen), len(root.splits)))


def thumbnail(values: NDArray, bands: Sequence[str], units: str) -> Picture:
    """(C, h, w) as an (h', w', 3) picture of at most 192 pixels a side, stretched between the 1 % and 99 % quantiles.

    Red, green and blue are taken by name (R, G, B or Sentinel-2's B4, B3, B2), else the first three of exactly three
    bands, else the first as grey.
    """
    names = [band.upper().replace("B0", "B") for band in bands]
    chosen = next(
        (
            [names.index(colour) for colour in colours]
            for colours in (("B4", "B3", "B2"), ("R", "G", "B"), ("RED", "GREEN", "BLUE"))
            if set(colours) <= set(names)
        ),
        [0, 1, 2] if len(names) == 3 else [0, 0, 0],
    )
    step = max(1, -(-max(values.shape[-2:]) // _THUMB))
    height, width = (size // step * step for size in values.shape[-2:])
    small = np.stack([values[band, :height, :width].astype(np.float64) for band in chosen])
    small = np.nan_to_num(small).reshape(3, height // step, step, width // step, step).mean(axis=(2, 4))
    if units == "uint8":
        low, high = 0.0, 255.0
    else:
        low, high = (float(q) for q in np.quantile(small, [0.01, 0.99]))
    scaled = (small - low) / max(high - low, 1e-12)
    return np.ascontiguousarray(np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))


def class_colours(count: int) -> Picture:
    """(count, 3) colours whose hues differ by the golden angle; black means no label."""
    hue = (np.arange(count) * 0.61803398875) % 1.0
    wave = np.stack([hue, hue + 2 / 3, hue + 1 / 3], axis=1) * 2 * np.pi
    return np.rint(140 + 95 * np.cos(wave)).astype(np.uint8)


def _label_picture(label: NDArray[np.uint8], count: int) -> Picture:
    table = np.zeros((256, 3), np.uint8)
    table[:count] = class_colours(count)
    step = max(1, -(-max(label.shape) // _THUMB))
    return table[label[::step, ::step]]


def _histograms(role: str, bands: Sequence[str], units: str, sample: NDArray) -> list[Histogram]:
    found = []
    for band, values in zip(bands, np.abs(sample) if np.iscomplexobj(sample) else sample, strict=True):
        low, high = (float(q) for q in np.quantile(values, [0.002, 0.998])) if values.size else (0.0, 1.0)
        if units == "uint8":
            low, high = 0.0, 255.0
        margin = 0.0 if units == "uint8" else 0.15 * (high - low)
        edges = np.linspace(low - margin, max(high + margin, low + 1e-9), BINS + 1)
        found.append(Histogram(role, band, units, edges))
    return found


def _in_decibels(values: NDArray, units: str) -> tuple[NDArray, str]:
    if units == "uint8" or units.endswith("_db"):
        return values, units
    return to_db(np.maximum(np.abs(values), 1e-4) if units == "amplitude" else values, units), f"{units}, dB"


def _middle(
    path: Path, image: ImageSpec | None = None, role: Role = "sar"
) -> tuple[NDArray, NDArray[np.bool_], list[str]]:
    """The middle of a raster; of one of a data root, valid where it is a measurement in the units of the role."""
    with Scene.open(path) if image is None else open_described(path, image) as scene:
        height, width = min(scene.height, _SIDE), min(scene.width, _SIDE)
        window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
        values, valid = scene.read(window)
        if image is not None:
            rule, _ = measured_rule(scene, role, image.units, scene.sample(SAMPLED_PIXELS))
            valid &= rule.measured(values)
        return values, valid, scene.band_names


def _label(root: DataRoot, name: str, classes: Classes | None) -> NDArray[np.uint8] | None:
    path = root.path_of("label", name)
    if classes is None or path is None:
        return None
    with Scene.open(path, palette="index") as scene:
        height, width = min(scene.height, _SIDE), min(scene.width, _SIDE)
        window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
    return classes.read(path, window)


def _spread(names: list[str]) -> list[str]:
    """At most 48 of the names, evenly spaced."""
    if len(names) <= RASTERS:
        return names
    return [names[int(place)] for place in np.linspace(0, len(names) - 1, RASTERS)]
