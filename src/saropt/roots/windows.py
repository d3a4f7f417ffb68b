"""Random training windows straight from the rasters of a data root."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import Role, describe_role, encode_scene_inputs, list_roles
from saropt.errors import InputError
from saropt.roots.augmentation import Augmentation
from saropt.roots.index import Indexed, index_rasters
from saropt.roots.labels import check_label, classes_of
from saropt.roots.one_grid import check_one_grid
from saropt.roots.pool import Check, Pool
from saropt.roots.rasters import Rasters
from saropt.roots.root import DataRoot
from saropt.roots.scene_inputs import scene_inputs_of, stated_scene_inputs
from saropt.roots.weighted_choice import WeightedChoice, balanced_areas
from saropt.scenes import Window

_TRIES = 64
Sample = dict[Role, NDArray]
"""Role -> array. Images (C, h, w) are float32 in [-1, 1]; class indices (h, w) are int64 under "label"; scene inputs
(K,) are float32 under "scene_inputs"."""


class WindowSampler:
    """Draws random square windows of a split; rasters are weighted by their area.

    With pairs the window of a name is at one place in the rasters of all roles, and valid in all that are not
    optional; the first of them gives the grid. Images stand in the order in which their roles are registered,
    optional ones last, whatever the order of `inputs`.

    Args:
        root: the data root.
        splits: "train", "val" or "test"; role -> split where the images are drawn apart.
        crop: window side in pixels.
        inputs: role -> bands, units and recipe (`describe_images`).
        augmentation: random changes; None for none.
        unpaired: draw the window of each role independently, from random streams of their own, as unpaired methods
            do. An unpaired root is always drawn so.
        balance_tag: tag of the first image's rasters whose values share the windows, and of all rasters where windows
            are drawn from an unpaired root; by area alone when None.
        balance: how evenly, from 0 (by area) to 1 (equally): shares are areas to the power of 1 - balance.
        labels: draw the labels of the windows as well; pairs only.
        cache_bytes: memory for decoded pixels.
        scene_inputs: names of the scene inputs (`saropt.domain.SCENE_INPUTS`) to give with the windows; pairs only.

    Raises:
        InputError: rasters are missing, smaller than `crop`, on different grids though paired, without the tag, or
            contradict their units; with `labels`, no classes or no pairs.
        ValueError: no input, or only optional ones.

    >>> from tempfile import TemporaryDirectory
    >>> from saropt.roots.recipes import describe_images
    >>> from saropt.roots.simulated import write_simulated_root
    >>> with TemporaryDirectory() as folder:
    ...     root = DataRoot.open(write_simulated_root(f"{folder}/root", scenes=(1, 0, 0), size=64))
    ...     inputs = {role: describe_images(root, role) for role in ("sar", "optical")}
    ...     batch = draw_batch(WindowSampler(root, "train", 32, inputs), size=4, seed=[0])
    >>> {role: images.shape for role, images in batch.items()}
    {'sar': (4, 2, 32, 32), 'optical': (4, 3, 32, 32)}
    """

    def __init__(
        self,
        root: DataRoot,
        splits: str | Mapping[Role, str],
        crop: int,
        inputs: Mapping[Role, ImageCard],
        augmentation: Augmentation | None = None,
        *,
        unpaired: bool = False,
        balance_tag: str | None = None,
        balance: float = 1.0,
        labels: bool = False,
        cache_bytes: int = 1 << 30,
        scene_inputs: Sequence[str] = (),
    ) -> None:
        self.crop = crop
        self.augmentation = augmentation or Augmentation(flips=False)
        cards = sorted(inputs.values(), key=lambda card: (card.optional, list_roles().index(card.role)))
        if not cards or cards[0].optional:
            raise ValueError("a sampler needs an image that is not optional: it gives the grid")
        split_of = dict.fromkeys(inputs, splits) if isinstance(splits, str) else dict(splits)
        pairs = root.paired and len(set(split_of.values())) == 1
        self.unpaired = unpaired or not pairs
        self._rasters = Rasters(cache_bytes)
        self._label_paths: list[Path] = []
        if labels:
            if self.unpaired:
                raise InputError(root.path, "labels are drawn with pairs only")
            self.classes = classes_of(root)
            self._labels = Rasters(palette="index")
        self._pools: list[Pool] = []
        self._choices: list[WeightedChoice] = []
        for card in cards:
            split, tag = split_of[card.role], balance_tag if not (pairs and self._pools) else None
            found = root.aligned_rasters(card.role, split) if pairs else root.rasters(card.role, split)
            rasters = list(found.values())
            pool = Pool.open(root, card, rasters, crop, check=_tagged(tag), medians=card.scene_median)
            if pairs and self._pools:
                self._check_grids(card.role, pool.paths, pool.facts)
            elif not pairs:
                pool = pool.only_present()
            if self.unpaired or not self._pools:
                if not any(pool.areas):
                    raise InputError(root.home_of(card.role) / card.role, f"holds no raster of split {split!r}")
                self._choices.append(WeightedChoice(balanced_areas(pool.areas, pool.groups(tag), balance)))
            self._pools.append(pool)
            self._rasters.units |= {path: card.units for path in pool.paths if path is not None}
        self._vectors: list[NDArray[np.float32]] = []
        if scene_inputs:
            if self.unpaired:
                raise InputError(root.path, "scene inputs are drawn with pairs only")
            role, stated = cards[0].role, stated_scene_inputs(root)
            known = [scene_inputs_of(root, role, name, stated) for name in root.names(split_of[role])]
            self._vectors = [np.array(encode_scene_inputs(scene_inputs, one), np.float32) for one in known]
        if labels:
            self._label_paths = list(root.rasters("label", split_of[cards[0].role]).values())
            indexed = index_rasters(root, "label", self._label_paths, check=check_label)
            self._check_grids("label", self._label_paths, indexed)

    def paths(self, role: Role) -> list[Path]:
        """The rasters that the windows of a role are drawn from."""
        return [path for pool in self._pools if pool.card.role == role for path in pool.paths if path is not None]

    def _check_grids(self, role: Role, paths: Sequence[Path | None], facts: Sequence[Indexed | None]) -> None:
        first = self._pools[0]
        titles = f"{describe_role(first.card.role).title} and {describe_role(role).title}"
        for path, grid, own in zip(paths, first.facts, facts, strict=True):
            if path is not None and grid is not None and own is not None:
                check_one_grid(path, titles, grid, own)

    def draw(self, rng: np.random.Generator) -> Sample:
        """One random window, valid in all images that are not optional.

        Returns:
            Role -> (C, crop, crop), float32, the bands of `ImageCard.network_bands`: its own in [-1, 1], validity of an
            optional one, medians of the scene where the card asks for them. "label" ->
            (crop, crop), int64 class indices, `IGNORED` where there is none. "scene_inputs" -> (K,), float32, where
            they are asked for, see `saropt.domain.encode_scene_inputs`.
        """
        if not self.unpaired:
            return self._draw_together(rng, self._choices[0], self._pools)
        drawn: Sample = {}
        for stream, choice, pool in zip(rng.spawn(len(self._pools)), self._choices, self._pools, strict=True):
            drawn |= self._draw_together(stream, choice, [pool])
        return drawn

    def _draw_together(self, rng: np.random.Generator, choice: WeightedChoice, pools: Sequence[Pool]) -> Sample:
        index, window, images = self._find_window(rng, choice, pools)
        label = [self._label(index, window)] if self._label_paths else []
        arrays = self.augmentation.symmetry(rng, *(array for image in images for array in image), *label)
        sample: Sample = {"label": np.ascontiguousarray(arrays.pop())} if label else {}
        if self._vectors:
            sample["scene_inputs"] = self._vectors[index]
        for number, pool in enumerate(pools):
            values, valid = arrays[2 * number : 2 * number + 2]
            if pool.paths[index] is not None:
                values = self.augmentation.disturb(rng, pool.card.role, values, pool.card.units)
            sample[pool.card.role] = self._for_network(pool, index, values, valid)
        return sample

    def tiles(self, roles: Collection[Role]) -> Iterator[Sample]:
        """All windows of the split that stand side by side from each raster's corner and are wholly valid, as they are.

        Args:
            roles: the images to give; where roles are drawn independently, one.

        >>> from saropt.roots import DataRoot, describe_images
        >>> from saropt.roots.simulated import write_simulated_root
        >>> root = DataRoot.open(write_simulated_root("root", scenes=(2, 0, 0), size=80))
        >>> sampler = WindowSampler(root, "train", 32, {"sar": describe_images(root, "sar")})
        >>> len(list(sampler.tiles(["sar"])))
        8
        """
        pools = [pool for pool in self._pools if pool.card.role in roles]
        for index, path in enumerate(pools[0].paths):
            height, width = pools[0].shape(index) if path is not None else (0, 0)
            for row in range(0, height - self.crop + 1, self.crop):
                for col in range(0, width - self.crop + 1, self.crop):
                    images = [self._read(pool, index, Window(row, col, self.crop, self.crop)) for pool in pools]
                    if all(pool.card.optional or image[1].all() for pool, image in zip(pools, images, strict=True)):
                        vector = {"scene_inputs": self._vectors[index]} if self._vectors else {}
                        yield vector | {
                            pool.card.role: self._for_network(pool, index, *image)
                            for pool, image in zip(pools, images, strict=True)
                        }

    def _for_network(self, pool: Pool, index: int, values: NDArray, valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        if pool.paths[index] is None:
            return np.ascontiguousarray(pool.card.network_bands(None, valid))
        medians = pool.median(index) if pool.has_medians else None
        return np.ascontiguousarray(pool.card.network_bands(pool.normaliser(index).forward(values), valid, medians))

    def _label(self, index: int, window: Window) -> NDArray[np.int64]:
        path = self._label_paths[index]
        stored, labelled = self._labels.read(path, (1,), window)
        return self.classes.indices(stored[0], labelled, path).astype(np.int64)

    def _find_window(
        self, rng: np.random.Generator, choice: WeightedChoice, pools: Sequence[Pool]
    ) -> tuple[int, Window, list[tuple[NDArray, NDArray[np.bool_]]]]:
        """Raster number and place of a window, and values and validity in each pool."""
        first = pools[0]
        for _ in range(_TRIES):
            index = choice.draw(rng)
            height, width = first.shape(index)
            row, col = int(rng.integers(height - self.crop + 1)), int(rng.integers(width - self.crop + 1))
            window = Window(row, col, self.crop, self.crop)
            images = []
            for pool in pools:
                image = self._read(pool, index, window)
                if not (pool.card.optional or image[1].all()):
                    break
                images.append(image)
            else:
                return index, window, images
        place = next(path for path in first.paths if path is not None).parent
        raise InputError(place, f"no wholly valid window of {self.crop} px in {_TRIES} tries")

    def _read(self, pool: Pool, index: int, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        path = pool.paths[index]
        if path is None:
            empty = np.zeros((len(pool.bands), window.height, window.width), np.float32)
            return empty, np.zeros(empty.shape[1:], bool)
        return self._rasters.read(path, pool.bands_of(index), window)


def _tagged(tag: str | None) -> Check | None:
    if tag is None:
        return None

    def check(path: Path, facts: Indexed) -> None:
        if tag not in facts.tags:
            raise InputError(path, f"has no tag {tag} to balance the windows by")

    return check


def draw_batch(sampler: WindowSampler, size: int, seed: Sequence[int], first: int = 0) -> Sample:
    """Role -> `size` windows, stacked: images (N, C, h, w), and class indices (N, h, w) where labels are drawn.

    A pure function of `seed` and of `first`, the number of the first window: a batch can be drawn in parts.

    >>> from saropt.roots import DataRoot, describe_images
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> sampler = WindowSampler(root, "train", 32, {"sar": describe_images(root, "sar")})
    >>> draw_batch(sampler, size=2, seed=[0])["sar"].shape
    (2, 2, 32, 32)
    """
    samples = [sampler.draw(np.random.default_rng([*seed, index])) for index in range(first, first + size)]
    return {role: np.stack([sample[role] for sample in samples]) for role in samples[0]}
