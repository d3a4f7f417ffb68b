"""The rasters of one role: which there are, how often each is drawn, how each is normalised."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import is_sar
from saropt.errors import InputError
from saropt.radiometry import Normaliser, Recipe
from saropt.roots.index import Indexed, Measurement, Values, index_rasters
from saropt.roots.opening import band_numbers
from saropt.roots.recipes import band_indices
from saropt.roots.root import DataRoot, ImageSpec
from saropt.roots.values import measured_pixels
from saropt.scenes import Scene

_SAMPLED_PIXELS = 1 << 18
Check = Callable[[Path, Indexed], None]


@dataclass(frozen=True)
class Pool:
    """The rasters of one role.

    Attributes:
        card: role, bands, units and recipe.
        described: what dataset.yaml says of them.
        bands: which of these are taken, from 1.
        paths: one for each name; None where an optional image is missing.
        facts: of each raster; None where it is missing.
        recipe: that of the card.
        has_medians: whether `median` can be asked.
    """

    card: ImageCard
    described: ImageSpec
    bands: tuple[int, ...]
    paths: Sequence[Path | None]
    facts: Sequence[Indexed | None]
    recipe: Recipe
    has_medians: bool = False

    @classmethod
    def open(
        cls,
        root: DataRoot,
        card: ImageCard,
        paths: Sequence[Path | None],
        crop: int,
        *,
        check: Check | None = None,
        medians: bool = False,
    ) -> Pool:
        """Look the rasters up in the index of the root.

        Args:
            paths: rasters, None for those that are missing.
            crop: side in pixels of the windows to be drawn; a smaller raster is refused.
            check: a further check of each raster's facts; may raise `InputError`.
            medians: whether `median` is needed.

        Raises:
            InputError: a raster cannot be read, lacks a band, is smaller than `crop`, contradicts its units or does
                not go with the recipe.
        """
        bands, described = band_indices(root, card.role, card.bands), root.image(card.role)

        def check_all(path: Path, facts: Indexed) -> None:
            band_numbers(path, described, facts.names, spare=True)
            if check is not None:
                check(path, facts)
            if min(facts.height, facts.width) < crop:
                size = f"{facts.height}x{facts.width}"
                raise InputError(path, f"is {size}: smaller than the training window of {crop}")

        present = [path for path in paths if path is not None]
        found = index_rasters(root, card.role, present, _measurement(card, described, bands, medians), check_all)
        recipe = card.make_recipe()
        if present and found[0].values == ():
            try:
                recipe.fit(np.zeros((len(bands), 0), np.float32), card.units, found[0].dtype)
            except ValueError as error:
                raise InputError(present[0], str(error)) from error
        known = dict(zip(present, found, strict=True))
        for path, facts in known.items():
            if facts.values is None and not card.optional:
                raise InputError(path, "holds no valid pixel (all nodata or NaN)")
        usable = [None if path is None or known[path].values is None else path for path in paths]
        kept = [None if path is None else known[path] for path in usable]
        return cls(card, described, bands, usable, kept, recipe, medians)

    def only_present(self) -> Pool:
        """The pool without the names whose raster is missing."""
        kept = [pair for pair in zip(self.paths, self.facts, strict=True) if pair[0] is not None]
        return replace(self, paths=[path for path, _ in kept], facts=[facts for _, facts in kept])

    def bands_of(self, index: int) -> tuple[int, ...]:
        """Numbers of the bands in the file of a raster, from 1."""
        path = self.paths[index]
        if path is None:
            raise ValueError(f"raster {index} is missing")
        numbers = band_numbers(path, self.described, self._facts(index).names, spare=True)
        return tuple(numbers[band - 1] for band in self.bands)

    def shape(self, index: int) -> tuple[int, int]:
        """Height and width of a raster."""
        facts = self._facts(index)
        return facts.height, facts.width

    @property
    def areas(self) -> list[float]:
        """Pixels of each raster, 0 where it is missing."""
        return [0.0 if facts is None else float(facts.height * facts.width) for facts in self.facts]

    def groups(self, tag: str | None) -> list[str]:
        """The value of a tag of each raster; all "" without a tag."""
        return ["" if tag is None or facts is None else facts.tags[tag] for facts in self.facts]

    def normaliser(self, index: int) -> Normaliser:
        """The recipe with the statistics of a raster."""
        values = self._facts(index).values or ()
        statistics = values[: len(values) - len(self.bands)] if self.has_medians else values
        return Normaliser(self.recipe, self.card.units, statistics)

    def median(self, index: int) -> NDArray[np.float32]:
        """(C,), median network value of each band of a raster; for pools opened with `medians`."""
        values = self._facts(index).values or ()
        return np.array(values[-len(self.bands) :], np.float32)

    def _facts(self, index: int) -> Indexed:
        facts = self.facts[index]
        if facts is None:
            raise ValueError(f"raster {index} is missing")
        return facts


def _measurement(card: ImageCard, described: ImageSpec, bands: tuple[int, ...], medians: bool) -> Measurement | None:
    """What is measured of the rasters, None where no pixel is needed: then units are not checked against values."""
    recipe, checked = card.make_recipe(), is_sar(card.role)
    if not (checked or medians or recipe.needs_statistics):
        return None

    def run(scene: Scene) -> Values | None:
        sample = scene.sample(_SAMPLED_PIXELS)
        if sample.size and checked:
            sample = measured_pixels(card, recipe, scene, sample)
        if not sample.size:
            return None
        normaliser = recipe.fit(sample, card.units, scene.dtype)
        if not medians:
            return normaliser.statistics
        middle = np.median(normaliser.forward(sample[..., None]), axis=(1, 2))
        return (*normaliser.statistics, *map(float, middle))

    what: dict[str, Any] = {"described": described.bands, "bands": bands, "units": card.units, "recipe": card.recipe}
    what |= {"units_checked": checked, "medians": medians} | ({"by_place": True} if described.by_place else {})
    return Measurement(json.dumps(what, sort_keys=True), described, bands, card.units, run)
