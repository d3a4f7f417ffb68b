"""The losses of a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saropt.losses import gan_loss


def discriminator_losses(discriminator: nn.Module, real: Tensor, fake: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Half the loss of the real and of the (detached) fake images, from one forward pass of both."""
    logits = discriminator(torch.cat([real, fake.detach()]))[-1]
    real_logits, fake_logits = logits.split([len(real), len(fake)])
    return 0.5 * gan_loss(real_logits, True, mode), 0.5 * gan_loss(fake_logits, False, mode)
