"""References that lie: what training does to an earlier image so that the network learns when not to believe it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

CELLS = (8, 16, 32)
"""Sizes in pixels of the random shapes."""
CLOUDS, SMALLEST, FADING = (24, 48), 3, 0.6
"""Sizes in pixels of the largest and smallest cells of clouds; amplitude of cells over that of cells twice as large."""
OPAQUE, SHADED = 0.15, 0.3
"""Opacity of a cloud, and darkness of its shadow, from which the ground counts as hidden."""


@dataclass(frozen=True)
class References:
    """The earlier images of a batch, as a network sees them.

    Attributes:
        optical: (N, C, h, w), 0 where it is not valid.
        optical_valid: (N, 1, h, w), 1 or 0.
        medians: (N, C, h, w), what a network is told of the scene of the optical image, or 0 bands.
        sar: (N, C', h, w), 0 where it is not valid; None where the direction has none.
        sar_valid: (N, 1, h, w); None likewise.
        false: (N, 1, h, w) bool, where the optical image shows a cloud, its shadow or another place.
    """

    optical: Tensor
    optical_valid: Tensor
    medians: Tensor
    sar: Tensor | None
    sar_valid: Tensor | None
    false: Tensor


def random_field(like: Tensor) -> Tensor:
    """A smooth random field (N, 1, h, w) for images (N, C, h, w), made of cells of one size drawn from `CELLS`."""
    return _field(like, CELLS[int(torch.randint(len(CELLS), ()))])


def cloud_field(like: Tensor) -> Tensor:
    """A random field (N, 1, h, w) of variance 1 for images (N, C, h, w) with detail of every size, as clouds have."""
    largest = CLOUDS[int(torch.randint(len(CLOUDS), ()))]
    octaves = [FADING**number for number in range(int(math.log2(largest / SMALLEST)) + 1)]
    fields = [weight * _field(like, largest // 2**number) for number, weight in enumerate(octaves)]
    return torch.stack(fields).sum(0) / math.sqrt(sum(weight**2 for weight in octaves))


def _field(like: Tensor, cell: int) -> Tensor:
    count, _, height, width = like.shape
    coarse = torch.randn(count, 1, math.ceil(height / cell) + 1, math.ceil(width / cell) + 1, device=like.device)
    return functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)


def random_shapes(like: Tensor, largest: float) -> Tensor:
    """Random shapes (N, 1, h, w) bool that cover 5 % to `largest` of each image."""
    field = random_field(like)
    share = 0.05 + (largest - 0.05) * torch.rand(len(like), 1, device=like.device)
    flat = field.flatten(1).sort(dim=1).values
    place = ((1.0 - share) * (flat.shape[1] - 1)).long()
    return field > flat.gather(1, place)[:, :, None, None]


def chosen(like: Tensor, probability: float) -> Tensor:
    """True (N, 1, 1, 1) for a random share of the images."""
    return torch.rand(len(like), 1, 1, 1, device=like.device) < probability


def replace_places(references: References, probability: float) -> References:
    """Parts of the references come from the next image of the batch, mirrored: what SAR shows today is not there."""
    swap = random_shapes(references.optical, 0.5) & chosen(references.optical, probability)

    def mixed(image: Tensor) -> Tensor:
        return torch.where(swap, image.roll(1, 0).flip(-1), image)

    return replace(
        references,
        optical=mixed(references.optical),
        optical_valid=mixed(references.optical_valid),
        sar=None if references.sar is None else mixed(references.sar),
        sar_valid=None if references.sar_valid is None else mixed(references.sar_valid),
        false=references.false | swap,
    )


def sandy_gain(like: Tensor, probability: float) -> Tensor:
    """What makes the ground of some images as bright as sand is, (N, C, 1, 1): 1 to 2.6 times, and .6 to 1.3 times that
    in each band, for sand has a colour and clouds have none."""
    gain = 1.0 + 1.6 * torch.rand_like(like[:, :1, :1, :1])
    tint = 0.6 + 0.7 * torch.rand_like(like[:, :, :1, :1])
    return torch.where(chosen(like, probability), gain * tint, 1.0)


def brightened(image: Tensor, gain: Tensor) -> Tensor:
    """An image in [-1, 1] with a gain on what it holds above -1.

    >>> brightened(torch.tensor([-1.0, -0.5, 0.5]), torch.tensor(2.0)).tolist()
    [-1.0, 0.0, 1.0]
    """
    return torch.where(gain == 1.0, image, ((image + 1.0) * gain - 1.0).clamp(-1.0, 1.0))


def cast_clouds(references: References, probability: float, overcast: float = 0.0, haze: float = 0.0) -> References:
    """White clouds of any thickness and their shadows, which no mask tells of.

    Args:
        probability: the share of images with clouds.
        overcast: the share of images under a closed deck, of which nothing shines through or a tenth.
        haze: the share of images under a thin veil through which the ground shows.
    """
    field = cloud_field(references.optical)
    on = chosen(field, probability)
    level = torch.randn(len(field), 1, 1, 1, device=field.device)
    opacity = ((field - level) / (0.2 + torch.rand_like(level))).clamp(0.0, 1.0) * on
    down, right = (int(torch.randint(-24, 25, ())) for _ in range(2))
    shadow = opacity.roll((down, right), (-2, -1)) * (0.3 + 0.4 * torch.rand_like(level))
    white = 1.0 - 0.2 * torch.rand_like(level)
    if overcast > 0.0:
        closed = chosen(field, overcast)
        opacity = torch.where(closed, 1.0 - 0.1 * torch.rand_like(level), opacity)
        white = torch.where(closed, (1.2 - 1.4 * torch.rand_like(level) + 0.1 * field).clamp(-1.0, 1.0), white)
        shadow = shadow * ~closed
    if haze > 0.0:
        veil = (0.05 + 0.35 * torch.rand_like(level)) * (1.0 + 0.2 * field).clamp(0.3, 1.7) * chosen(field, haze)
        white = torch.where(veil > opacity, 0.6 * torch.rand_like(level), white)
        opacity = torch.maximum(opacity, veil)
    image = (references.optical + 1.0) * (1.0 - shadow) - 1.0
    image = image + opacity * (white - image)
    image = torch.where(references.optical_valid > 0.5, image, references.optical)
    hidden = (opacity > OPAQUE) | (shadow > SHADED)
    return replace(references, optical=image, false=references.false | hidden)


def mask(references: References, holes: float, optical: float, sar: float) -> References:
    """Parts of the optical image are masked, or all of it, or all of the earlier SAR image.

    Args:
        holes, optical, sar: the share of images that this happens to.
    """
    kept = ~(random_shapes(references.optical, 0.9) & chosen(references.optical, holes))
    there = ~chosen(references.optical, optical)
    kept = kept & there
    masked = replace(
        references,
        optical=references.optical * kept,
        optical_valid=references.optical_valid * kept,
        medians=references.medians * there,
    )
    if masked.sar is None or masked.sar_valid is None:
        return masked
    there = ~chosen(masked.sar, sar)
    return replace(masked, sar=masked.sar * there, sar_valid=masked.sar_valid * there)
