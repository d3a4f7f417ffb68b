"""Bands of windows: a fixed map between band counts, and windows that lack a band."""

from __future__ import annotations

import torch
from torch import Tensor

from saropt.methods.base import Batch
from saropt.methods.false_references import chosen

SAR_ROLES = ("sar", "sar_reference")


def adapt_bands(image: Tensor, bands: int) -> Tensor:
    """Averages over `bands` adaptive groups of bands: (N, C, H, W) -> (N, bands, H, W).

    Output band j is the mean of bands floor(j C / bands) to ceil((j + 1) C / bands) - 1: many to one is the mean, one
    to many repeats it, equal counts change nothing.
    """
    count = image.shape[1]
    if count == bands:
        return image
    groups = [(j * count // bands, -(-(j + 1) * count // bands)) for j in range(bands)]
    return torch.stack([image[:, start:stop].mean(dim=1) for start, stop in groups], dim=1)


def without_a_band(batch: Batch, bands: int, share: float, difference: float | None = None) -> Batch:
    """The batch without one SAR band of some windows, in every SAR image. Windows that have no other band, which is
    then -1 all over, keep theirs. What is missing is -1, the value of nothing, or made of the other band.

    Args:
        batch: windows (N, C, h, w); an earlier SAR image has the band of its validity behind its own bands, and pixels
            that are not valid stay as they are.
        bands: how many the SAR images have.
        share: of the windows, in [0, 1].
        difference: of two bands, by how much the first is taken to be above the second.

    >>> batch = Batch({"sar": torch.zeros(4, 2, 8, 8)})
    >>> without_a_band(batch, 2, share=1.0)["sar"].sum(dim=(1, 2, 3)).tolist()
    [-64.0, -64.0, -64.0, -64.0]
    """
    lost = torch.randint(bands, (len(batch["sar"]), 1, 1, 1), device=batch["sar"].device)
    band = torch.arange(bands, device=lost.device)[None, :, None, None]
    there = (batch["sar"] > -1.0).flatten(2).any(2)[..., None, None]
    others = (there & (band != lost)).any(1, keepdim=True)
    missing = (band == lost) & there & others & chosen(batch["sar"], share)
    parts = dict(batch)
    parts["sar"] = torch.where(missing, _in_its_place(batch["sar"], difference), batch["sar"])
    if "sar_reference" in parts:
        earlier, valid = batch["sar_reference"][:, :bands], batch["sar_reference"][:, bands:]
        parts["sar_reference"] = torch.cat(
            [torch.where(missing & (valid > 0.5), _in_its_place(earlier, difference), earlier), valid], dim=1
        )
    return Batch(parts)


def _in_its_place(image: Tensor, difference: float | None) -> Tensor:
    """What stands for each band where it is missing."""
    if difference is None:
        return torch.full_like(image, -1.0)
    steps = torch.tensor([difference, -difference], device=image.device)[None, :, None, None]
    return (image.flip(1) + steps).clamp(-1.0, 1.0)
