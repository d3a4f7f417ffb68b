"""Adversarial losses and their gradient penalties."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def gan_loss(logits: Tensor, real: bool, mode: str) -> Tensor:
    """Mean loss of patch logits, of any shape, against the label real or fake; a scalar.

    Args:
        mode: "lsgan" (squared error to 1 or 0) or "vanilla" (binary cross entropy).

    >>> gan_loss(torch.tensor([[[[1.0, 0.0]]]]), real=True, mode="lsgan").item()
    0.5
    """
    label = torch.full_like(logits, 1.0 if real else 0.0)
    if mode == "lsgan":
        return functional.mse_loss(logits, label)
    if mode == "vanilla":
        return functional.binary_cross_entropy_with_logits(logits, label)
    raise ValueError(f"unknown GAN mode {mode!r}; known: lsgan, vanilla")


def relativistic_loss(winner: Sequence[Tensor], loser: Sequence[Tensor]) -> Tensor:
    """Relativistic pairing loss, mean softplus(-(winner - loser)) over patches and scales (R3GAN, Huang et al. 2024).

    For paired data each patch logit of the generated image is compared with the logit of its own truth. The
    discriminator is trained with winner = real, the generator with winner = fake.

    >>> round(relativistic_loss([torch.zeros(1, 1, 4, 4)], [torch.zeros(1, 1, 4, 4)]).item(), 4)
    0.6931
    """
    terms = [functional.softplus(lost - won).mean() for won, lost in zip(winner, loser, strict=True)]
    return torch.stack(terms).mean()


def approximate_gradient_penalty(
    logits_of: Callable[[Tensor], Sequence[Tensor]], image: Tensor, logits: Sequence[Tensor], sigma: float = 0.05
) -> Tensor:
    """Gradient penalty R1/R2 by finite differences, mean ||D(x) - D(x + sigma n)||^2 / sigma^2 (SeedVR2). It needs no
    second backward pass. `image` is (N, C, H, W), `logits` those of the image, one tensor for each scale.

    >>> image = torch.zeros(1, 3, 8, 8)
    >>> approximate_gradient_penalty(lambda x: [0 * x], image, [0 * image]).item()
    0.0
    """
    disturbed = logits_of(image + sigma * torch.randn_like(image))
    terms = [functional.mse_loss(a, b) for a, b in zip(disturbed, logits, strict=True)]
    return torch.stack(terms).mean() / sigma**2


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Mean (||grad||_2 - 1)^2 of a critic on random blends of real and fake (WGAN-GP, Gulrajani et al. 2017, eq. 3).

    The gradient is that of the sum of the critic's map, and its norm is taken over the channels of each pixel, as for
    critics that judge patches (SinGAN, Shaham et al. 2019). Images (N, C, H, W), one blend per image; differentiable
    with respect to the critic's weights.

    >>> gradient_penalty(lambda x: 3 * x, torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)).item()
    4.0
    """
    share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
    blend = (share * real + (1.0 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(blend).sum(), blend, create_graph=True)
    return (gradient.norm(dim=1) - 1.0).square().mean()


def feature_matching(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """Mean absolute difference of the discriminator features of fake and real images, over layers and scales. No
    gradient flows to the real features.

    Each scale is a list of features (N, C, h, w), of which the last, the logits, is left out (pix2pixHD, Wang et al.,
    CVPR 2018, eq. 4).

    >>> feature_matching([[torch.ones(1, 4, 8, 8), torch.ones(1)]], [[torch.zeros(1, 4, 8, 8), torch.zeros(1)]]).item()
    1.0
    """
    terms = [
        functional.l1_loss(f, r.detach())
        for fake_scale, real_scale in zip(fake, real, strict=True)
        for f, r in zip(fake_scale[:-1], real_scale[:-1], strict=True)
    ]
    return torch.stack(terms).mean()
