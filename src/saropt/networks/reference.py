"""A compact network that decides, pixel by pixel, between an earlier optical image and what radar says of today."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saropt.networks.nafunet import NAFUNet
from saropt.networks.registry import network

UNCHANGED_LOGIT = -4.0


@network("reference_unet")
class ReferenceUNet(nn.Module):
    """image = radar * candidate + (1 - radar) * reference, with one U-Net of NAF blocks for all of it.

    The U-Net gives a candidate for today's image and two logits: that the candidate is to be believed rather than the
    reference (the gate), and that the image has changed, in colour too (the change). The share that comes from radar is
    0 where the gate's likelihood is below `keep`, 1 above `replace` and linear between them: the reference stays
    as it is, to the bit, where the gate is shut. Where the reference is missing or masked the share is 1.

    A fresh network copies the reference, and gives the candidate where there is none.

    With `relative` it works in multiples of the reference's median over the scene, m per band: the U-Net sees
    v / (2 m), at most 2, of reference values v (0 at -1, and 1 at 0), and its candidate is multiplied by 2 m. Water
    is as dark against its own scene in every stretch. Where m is not known, learned usual values are in its place.

    Args:
        in_channels: bands in. The last ones are the reference and behind it its band of validity, with `relative`
            then m of each band.
        out_channels: bands of the image, then two bands: share from radar and likelihood of change, 0 at -1 and 1 at 1.
        relative: whether to work in multiples of the scene's medians.
        keep, replace: likelihoods of the gate up to which the reference is kept, and from which it is replaced.
        width, encoder, middle, decoder, unshuffle: of the U-Net (`NAFUNet`).

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W), H and W multiples of `stride`.

    Raises:
        ValueError: too few bands, or `keep` and `replace` out of order.

    >>> fresh = ReferenceUNet(1 + 3 + 1, 3 + 2, width=4, encoder=[1], middle=1, decoder=[1])
    >>> reference, valid = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    >>> image = fresh(torch.cat([torch.rand(1, 1, 8, 8), reference, valid], dim=1))[:, :3]
    >>> bool((image == reference).all())
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        relative: bool = False,
        keep: float = 0.35,
        replace: float = 0.65,
        width: int = 24,
        encoder: Sequence[int] = (0, 2, 3),
        middle: int = 4,
        decoder: Sequence[int] = (1, 2, 3),
        unshuffle: int = 2,
    ) -> None:
        super().__init__()
        self.bands = out_channels - 2
        medians = self.bands if relative else 0
        if self.bands < 1 or in_channels < self.bands + 2 + medians:
            raise ValueError(
                f"{in_channels} bands in and {out_channels} out: an image, its earlier version, its validity "
                "and at least one more band are needed"
            )
        if not 0.0 <= keep < replace <= 1.0:
            raise ValueError(f"keep and replace must lie in order between 0 and 1, not {keep} and {replace}")
        self.keep, self.replace = keep, replace
        self.usual = nn.Parameter(torch.full((self.bands, 1, 1), 0.5)) if relative else None
        self.unet = NAFUNet(in_channels - medians, self.bands + 2, width, encoder, middle, decoder, unshuffle)
        self.tile, self.stride = self.unet.tile, self.unet.stride
        self.receptive_field = self.unet.receptive_field
        self._logit = slice(self.bands * unshuffle**2, None)
        with torch.no_grad():
            self.unet.exit.weight[self._logit] = 0.0
            self.unet.exit.bias[self._logit] = UNCHANGED_LOGIT  # type: ignore[index]

    def decide(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The candidate (N, C, H, W), the logit of the gate and that of change (N, 1, H, W)."""
        if self.usual is None:
            out = self.unet(x)
            return out[:, : self.bands], out[:, self.bands : -1], out[:, -1:]
        x, known = x[:, : -self.bands], x[:, -self.bands :]
        double = 2.0 * torch.where(known > 0.0, known, self.usual)
        before, reference, valid = x[:, : -self.bands - 1], x[:, -self.bands - 1 : -1], x[:, -1:]
        ratio = ((reference + 1.0) / double).clamp(max=2.0) - 1.0
        out = self.unet(torch.cat([before, torch.where(valid > 0.5, ratio, torch.zeros_like(ratio)), valid], dim=1))
        candidate = (out[:, : self.bands] + 1.0) * double - 1.0
        return candidate, out[:, self.bands : -1], out[:, -1:]

    def forward(self, x: Tensor) -> Tensor:
        candidate, gate, change = self.decide(x)
        given = x if self.usual is None else x[:, : -self.bands]
        reference, valid = given[:, -self.bands - 1 : -1], given[:, -1:]
        radar = ((torch.sigmoid(gate) - self.keep) / (self.replace - self.keep)).clamp(0.0, 1.0)
        radar = torch.where(valid > 0.5, radar, torch.ones_like(radar))
        image = torch.where(valid > 0.5, reference + radar * (candidate - reference), candidate)
        return torch.cat([image, 2.0 * radar - 1.0, 2.0 * torch.sigmoid(change) - 1.0], dim=1)

    @torch.no_grad()
    def start_from(self, translator: nn.Module) -> None:
        """Take over a translator from SAR alone, a `NAFUNet` of the same shape: the candidate is then its translation.

        Raises:
            ValueError: the networks differ in more than their first and last convolutions.
        """
        own, given = self.unet.state_dict(), translator.state_dict()
        ends = ("entry.weight", "exit.weight", "exit.bias")
        first, last = given["entry.weight"].shape[1], given["exit.weight"].shape[0]
        fits = own.keys() == given.keys() and last == self._logit.start and first <= own["entry.weight"].shape[1]
        if not fits or any(own[key].shape != given[key].shape for key in own if key not in ends):
            raise ValueError("the translator to start from must be a naf_unet of the same width, blocks and bands")
        for key, value in given.items():
            if key == "entry.weight":
                own[key].zero_()[:, :first] = value
            else:
                own[key][: len(value)] = value
        self.unet.load_state_dict(own)
