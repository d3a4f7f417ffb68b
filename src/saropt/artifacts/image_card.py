"""How the images of one role are given to a network, or come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from saropt.artifacts.checks import Finite, PixelType, ProductName, RecipeFields, check_image
from saropt.artifacts.trust import Strict
from saropt.domain import Role, describe_role
from saropt.radiometry import Normaliser, Recipe, recipe_from_dict

_MISSING_BAND = -1.0


class ImageCard(Strict):
    """How the images of one role are given to a network, or come out of it.

    Attributes:
        role: what the image is for (`saropt.domain.Role`).
        bands: band names in network order.
        units: SAR units, or the optical units as in the data root.
        dtype: numpy data type of the rasters; output rasters are written in it.
        recipe: `Recipe.to_dict()` of the normalisation.
        statistics: statistics that the inverse of the recipe uses for outputs; inputs are fitted to each scene.
        optional: whether an input may be missing. Behind the bands of an optional input a network takes one more band
            that is 1 where the input is valid and 0 where it is not; the bands of the input are 0 there.
        partial: of an input, whether a scene may lack some of its bands, though not all. A network gets -1, the low end
            of the recipe, in their place, or what `band_difference` says.
        band_difference: of a partial input of two bands, by how much the network value of the first is taken to be
            above that of the second where one is missing: 0.37 is 6.5 dB where 35 dB are mapped to [-1, 1].
        scene_median: of an input, whether a network is also told the median of each band over the scene. Behind all
            other bands of the input it takes one more for each, constant over the scene: 1 + the median network value,
            or 0 where the band is missing.
        product: of an output, which product of a run its bands are ("image", "origin").

    >>> from saropt.radiometry import DbClip
    >>> image = ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> image.make_recipe()
    DbClip(low=-30.0, high=5.0)
    """

    role: Role
    bands: tuple[str, ...] = Field(min_length=1)
    units: str
    dtype: PixelType
    recipe: RecipeFields
    statistics: tuple[Finite, ...] = ()
    optional: bool = False
    partial: bool = False
    band_difference: Finite | None = None
    scene_median: bool = False
    product: ProductName = "image"

    @field_validator("role")
    @classmethod
    def _known_role(cls, value: Role) -> Role:
        describe_role(value)
        return value

    @model_validator(mode="after")
    def _fields_go_together(self) -> Self:
        check_image(self.role, self.bands, self.units, self.recipe)
        if self.band_difference is not None and not (self.partial and len(self.bands) == 2):
            raise ValueError("band_difference is of a partial input of two bands")
        return self

    def make_recipe(self) -> Recipe:
        """The normalisation recipe."""
        return recipe_from_dict(self.recipe)

    def normaliser(self) -> Normaliser:
        """The recipe bound to the units and statistics of the training."""
        return Normaliser(self.make_recipe(), self.units, self.statistics)

    def with_missing_bands(
        self, values: NDArray[np.float32], places: Sequence[int], *, estimate: bool = True
    ) -> NDArray[np.float32]:
        """All bands of a partial input, with something in the place of the missing ones.

        Args:
            values: normalised values (C, h, w) of the bands that are there.
            places: their positions among `bands`.
            estimate: whether a missing band is estimated from the other one, where `band_difference` says how.
        """
        whole = np.full((len(self.bands), *values.shape[1:]), _MISSING_BAND, np.float32)
        whole[list(places)] = values
        if estimate and self.band_difference is not None and len(places) == 1:
            (there,) = places
            step = -self.band_difference if there == 0 else self.band_difference
            whole[1 - there] = np.clip(values[0] + np.float32(step), -1.0, 1.0)
        return whole

    @property
    def channels(self) -> int:
        """Bands that a network takes of the image, with those of its validity and of its scene's medians."""
        return len(self.bands) * (1 + self.scene_median) + self.optional

    def network_bands(
        self,
        values: NDArray[np.float32] | None,
        valid: NDArray[np.bool_],
        medians: NDArray[np.float32] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """The bands that a network takes for the image, (`channels`, h, w).

        Args:
            values: normalised values (C, h, w); None where an optional image is missing.
            valid: (h, w). An optional image gets one more band behind its own, 1 where it is valid and 0 where it is
                not; its own bands are 0 there.
            medians: (C,), median network value of each band over the scene, NaN where the band is missing; None where
                the image is. Looked at where the card has `scene_median`.
            out: where the bands are written; `values` themselves may be given back when None.
        """
        if out is None and values is not None and self.channels == len(values):
            return values
        bands, whole = len(self.bands), np.empty((self.channels, *valid.shape), np.float32) if out is None else out
        whole[:bands] = 0.0 if values is None else values
        if self.optional:
            whole[:bands, ~valid] = 0.0
            whole[bands] = valid
        if self.scene_median:
            whole[-bands:] = 0.0 if medians is None else np.nan_to_num(1.0 + medians)[:, None, None]
        return whole
