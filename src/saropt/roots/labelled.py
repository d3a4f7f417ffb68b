"""Random windows of one role with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import describe_role
from saropt.errors import InputError
from saropt.roots.augmentation import Augmentation
from saropt.roots.index import Indexed, index_rasters
from saropt.roots.labels import IGNORED, check_label, classes_of
from saropt.roots.one_grid import check_one_grid
from saropt.roots.pool import Pool
from saropt.roots.rasters import Rasters
from saropt.roots.root import DataRoot
from saropt.roots.weighted_choice import WeightedChoice
from saropt.scenes import Window

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
        oversample: name of a class, and the share of the windows that hold it for certain.

    Raises:
        InputError: no classes, none of the name to oversample, a raster or label is missing, smaller than `crop`, the
            two are on different grids, or values contradict their units.

    >>> from saropt.roots import DataRoot, describe_images
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> sampler = LabelledSampler(root, "train", 32, describe_images(root, "sar"))
    >>> image, classes = sampler.draw(np.random.default_rng(0))
    >>> image.shape, classes.shape
    ((2, 32, 32), (32, 32))
    """

    def __init__(
        self,
        root: DataRoot,
        split: str,
        crop: int,
        image: ImageCard,
        augmentation: Augmentation | None = None,
        oversample: tuple[str, float] | None = None,
    ) -> None:
        self.crop = crop
        self.image = image
        self.classes = classes_of(root)
        self._wanted, self._share = None, 0.0
        if oversample is not None:
            (name, self._share), names = oversample, self.classes.titles
            if name not in names:
                raise InputError("data.oversample", f"{name!r} is none of the classes {', '.join(names)}")
            self._wanted = names.index(name)
        self.augmentation = augmentation or Augmentation(flips=False)
        rasters = root.rasters(image.role, split)
        self.label_paths = [root.raster("label", name) for name in rasters]
        labels = index_rasters(root, "label", self.label_paths, check=check_label)
        label_of = dict(zip(rasters.values(), zip(self.label_paths, labels, strict=True), strict=True))

        titles = f"{describe_role(image.role).title} and {describe_role('label').title}"

        def check(path: Path, facts: Indexed) -> None:
            label_path, label = label_of[path]
            check_one_grid(label_path, titles, facts, label)

        self._pool = Pool.open(root, image, list(rasters.values()), crop, check=check, medians=True)
        self._choice = WeightedChoice(self._pool.areas)
        self._images = Rasters()
        self._labels = Rasters(palette="index")

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Network values (C, crop, crop) in [-1, 1] and class indices (crop, crop) of one random window with a label.

        Raises:
            InputError: an unknown label value, or no window with a labelled pixel.
        """
        wanted = self._wanted if self._wanted is not None and rng.random() < self._share else None
        for _ in range(_TRIES):
            index = self._choice.draw(rng)
            path = self._pool.paths[index]
            if path is None:  # an optional image without a valid pixel
                continue
            height, width = self._pool.shape(index)
            row, col = int(rng.integers(height - self.crop + 1)), int(rng.integers(width - self.crop + 1))
            window = Window(row, col, self.crop, self.crop)
            stored, labelled = self._labels.read(self.label_paths[index], (1,), window)
            labels = self.classes.indices(stored[0], labelled, self.label_paths[index])
            values, valid = self._images.read(path, self._pool.bands_of(index), window)
            labels[~valid] = IGNORED
            if (labels != IGNORED).any() if wanted is None else (labels == wanted).any():
                break
        else:
            what = "labelled window" if wanted is None else f"window with {self.classes.titles[wanted]}"
            raise InputError(self.label_paths[0].parent, f"no {what} of {self.crop} px in {_TRIES} tries")
        values = self.augmentation.disturb(rng, self.image.role, values, self.image.units)
        network = self._pool.normaliser(index).forward(values)
        network[:, ~valid] = self._pool.median(index)[:, None]
        image, turned = self.augmentation.symmetry(rng, network, labels)
        return np.ascontiguousarray(image), np.ascontiguousarray(turned)


def draw_labelled_batch(
    sampler: LabelledSampler, size: int, seed: Sequence[int], first: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Images (N, C, h, w) and class indices (N, h, w) of `size` windows; a pure function of `seed` and `first`,
    as `draw_batch`.

    >>> from saropt.roots import DataRoot, describe_images
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> sampler = LabelledSampler(root, "train", 32, describe_images(root, "optical"))
    >>> draw_labelled_batch(sampler, size=2, seed=[0])[0].shape
    (2, 3, 32, 32)
    """
    drawn = [sampler.draw(np.random.default_rng([*seed, index])) for index in range(first, first + size)]
    return np.stack([image for image, _ in drawn]), np.stack([labels for _, labels in drawn])
