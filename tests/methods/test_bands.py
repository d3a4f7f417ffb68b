"""Windows that lack a band."""

from __future__ import annotations

import torch

from saropt.methods.bands import without_a_band
from saropt.methods.base import Batch


def test_a_window_keeps_its_only_band() -> None:
    """The other band is -1 all over, as where a raster has one band of two."""
    torch.manual_seed(0)
    sar = torch.rand(300, 2, 4, 4)
    sar[:100, 1] = sar[100:200, 0] = -1.0
    lacking = without_a_band(Batch({"sar": sar}), 2, share=1.0)["sar"]
    assert torch.equal(lacking[:200], sar[:200])
    gone = (lacking[200:] == -1.0).flatten(2).all(dim=2)
    assert bool((gone.sum(dim=1) == 1).all())
    assert bool(gone.any(dim=0).all())


def test_a_missing_band_is_made_of_the_other() -> None:
    """In the earlier SAR image where it is valid; windows that have one band from the start keep it alone."""
    torch.manual_seed(0)
    sar, valid = torch.rand(40, 2, 4, 4), torch.ones(40, 1, 4, 4)
    sar[:10, 1] = -1.0
    valid[:, :, 0] = 0.0
    earlier = torch.cat([torch.where(valid > 0.5, sar.flip(3), torch.zeros(())), valid], dim=1)
    made = without_a_band(Batch({"sar": sar, "sar_reference": earlier}), 2, share=0.5, difference=0.25)
    assert torch.equal(made["sar"][:10], sar[:10])
    first = (made["sar"][10:, 0] == (sar[10:, 1] + 0.25).clamp(-1, 1)).flatten(1).all(dim=1)
    second = (made["sar"][10:, 1] == (sar[10:, 0] - 0.25).clamp(-1, 1)).flatten(1).all(dim=1)
    whole = (made["sar"][10:] == sar[10:]).flatten(1).all(dim=1)
    assert bool((first.int() + second.int() + whole.int() == 1).all())
    assert min(first.sum(), second.sum(), whole.sum()) > 3
    shown = made["sar_reference"][:, :2]
    assert torch.equal(shown[:, :, 1:], made["sar"].flip(3)[:, :, 1:])
    assert bool((shown[:, :, 0] == 0.0).all())


def test_the_share_of_windows_without_a_band() -> None:
    torch.manual_seed(0)
    lacking = without_a_band(Batch({"sar": torch.rand(4000, 2, 2, 2)}), 2, share=0.6)["sar"]
    gone = (lacking == -1.0).flatten(2).all(dim=2).float()
    assert abs(gone.sum(dim=1).mean().item() - 0.6) < 0.03
    assert (gone.mean(dim=0) - 0.3).abs().max().item() < 0.03
