"""Random windows of one role with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import is_sar
from saropt.errors import InputError
from saropt.radiometry import Normaliser, check_units
from saropt.roots.augmentation import Augmentation
from saropt.roots.labels import IGNORED, classes_of
from saropt.roots.rasters import Rasters
from saropt.roots.recipes import band_indices
from saropt.roots.root import DataRoot
from saropt.scenes import Scene, Window

_TRIES = 64


class LabelledSampler:
    """Draws random square windows of the images of one role and their labels; rasters are weighted by their area.

    Pixels without valid values take the raster's median, as they do when a scene is segmented, and have no label.

    Args:
        root: a data root with classes.
        split: "train", "val" or "test".
        crop: window side in pixels.
        image: role, bands, units and recipe (`describe_images`).
        augmentation: random changes; None for none.

    Raises:
        InputError: no classes, a raster or label is missing, smaller than `crop`, the two are on different grids, or
            values contradict their units.
    """

    def __init__(
        self,
        root: DataRoot,
        split: str,
        crop: int,
        image: ImageCard,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.crop = crop
        self.image = image
        self._bands = band_indices(root, image.role, image.bands)
        self._recipe = image.make_recipe()
        self.classes = classes_of(root)
        self.augmentation = augmentation or Augmentation(flips=False)
        rasters = root.rasters(image.role, split)
        self.label_paths = [root.raster("label", name) for name in rasters]
        self._paths = list(rasters.values())
        self._images = Rasters()
        self._labels = Rasters(palette="index")
        self._shapes: list[tuple[int, int]] = []
        self._normalisers: list[tuple[Normaliser, NDArray[np.float32]]] = []
        for path, label_path in zip(self._paths, self.label_paths, strict=True):
            self._inspect(path, label_path)
        areas = np.array([h * w for h, w in self._shapes], np.float64)
        self._weights = areas / areas.sum()

    def _inspect(self, path: Path, label_path: Path) -> None:
        with Scene.open(path, bands=self._bands) as scene, Scene.open(label_path, palette="index") as label:
            shape = (scene.height, scene.width)
            if (label.height, label.width) != shape:
                raise InputError(label_path, f"is {label.height}x{label.width} but its image {shape[0]}x{shape[1]} px")
            if label.count != 1:
                raise InputError(label_path, f"has {label.count} bands; labels have one")
            if min(shape) < self.crop:
                raise InputError(path, f"is {shape[0]}x{shape[1]}: smaller than the training window of {self.crop}")
            sample = scene.sample(1 << 18)
            if not sample.size:
                raise InputError(path, "holds no valid pixel (all nodata or NaN)")
            try:
                if is_sar(self.image.role):
                    check_units(sample, self.image.units, scene.dtype)
                normaliser = self._recipe.fit(sample, self.image.units, scene.dtype)
            except ValueError as error:
                raise InputError(path, str(error)) from error
        self._shapes.append(shape)
        self._normalisers.append((normaliser, np.median(normaliser.forward(sample[..., None]), axis=(1, 2))))

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Network values (C, crop, crop) in [-1, 1] and class indices (crop, crop) of one random window with a label.

        Raises:
            InputError: an unknown label value, or no window with a labelled pixel.
        """
        for _ in range(_TRIES):
            index = int(rng.choice(len(self._weights), p=self._weights))
            height, width = self._shapes[index]
            row, col = int(rng.integers(height - self.crop + 1)), int(rng.integers(width - self.crop + 1))
            window = Window(row, col, self.crop, self.crop)
            stored, labelled = self._labels.read(self.label_paths[index], (1,), window)
            labels = self.classes.indices(stored[0], labelled, self.label_paths[index])
            values, valid = self._images.read(self._paths[index], self._bands, window)
            labels[~valid] = IGNORED
            if (labels != IGNORED).any():
                break
        else:
            raise InputError(self.label_paths[0].parent, f"no labelled window of {self.crop} px in {_TRIES} tries")
        values = self.augmentation.disturb(rng, self.image.role, values, self.image.units)
        normaliser, fill = self._normalisers[index]
        network = normaliser.forward(values)
        network[:, ~valid] = fill[:, None]
        image, turned = self.augmentation.symmetry(rng, network, labels)
        return np.ascontiguousarray(image), np.ascontiguousarray(turned)


def draw_labelled_batch(
    sampler: LabelledSampler, size: int, seed: Sequence[int], first: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Images (N, C, h, w) and class indices (N, h, w) of `size` windows; a pure function of `seed` and `first`,
    as `draw_batch`."""
    drawn = [sampler.draw(np.random.default_rng([*seed, index])) for index in range(first, first + size)]
    return np.stack([image for image, _ in drawn]), np.stack([labels for _, labels in drawn])
