"""TuiGAN (Lin et al., "TuiGAN: Learning Versatile Image-to-Image Translation with Two Unpaired Images", ECCV 2020).

Two images, a pyramid of each, and per scale, from coarse to fine, a generator for each direction and a critic for each
role. At every scale, with fakes y = G(x + 0.1 n, enlarged result of the coarser scale):
loss_D = D(y) - D(real) + 0.1 penalty; loss_G = -D(y) + L1(cycle) + L1(identity) + 0.1 TV(y); three steps of each.
The scales below are done: they are evaluated as a translator file evaluates them, and only hand their result up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction, Role
from saropt.losses import gradient_penalty, total_variation
from saropt.methods.bands import adapt_bands
from saropt.methods.base import Batch, Method, MethodConfig, Update, frozen
from saropt.methods.registry import register
from saropt.networks import ScaleCritics, TuiGANGenerator, enlarge, pyramid, scale_widths

_WAYS: tuple[tuple[Direction, Direction], ...] = ((SAR_TO_OPTICAL, OPTICAL_TO_SAR), (OPTICAL_TO_SAR, SAR_TO_OPTICAL))


class TuiGANConfig(MethodConfig):
    """Config of `tuigan`; defaults are the paper's.

    Attributes:
        scales: sizes of the pyramid, each 3/4 of the next; with four, windows (`data.crop`) of 256 pixels shrink to 108
            (the paper: 250 at most, 100 at least).
        width: channels of the coarsest four scales.
        literal: wiring of the published code, whose attention branch lacks two blocks.
        noise: standard deviation of the noise added to real images that are translated in training.
        inner_steps: steps of the critics, then of the generators, per step of the run.
        decay_from: share of each scale's training after which its learning rates fall to a tenth.
    """

    scales: int = Field(4, ge=1, le=6)
    width: int = Field(32, ge=1)
    literal: bool = False
    lambda_cycle: float = Field(1.0, ge=0.0)
    lambda_identity: float = Field(1.0, ge=0.0)
    lambda_tv: float = Field(0.1, ge=0.0)
    lambda_penalty: float = Field(0.1, ge=0.0)
    noise: float = Field(0.1, ge=0.0)
    inner_steps: int = Field(3, ge=1)
    learning_rate: float = Field(5e-4, gt=0.0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)
    decay_from: float = Field(0.4, ge=0.0, le=1.0)


@register("tuigan", paper="Lin et al., ECCV 2020")
class TuiGAN(Method):
    """Pyramids of generators and critics, learned from one SAR and one optical window; both directions.

    >>> TuiGAN.name, TuiGAN.single_batch
    ('tuigan', True)
    """

    config_type = TuiGANConfig
    unpaired = True
    single_batch = True
    scale: Tensor

    def __init__(self, config: TuiGANConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        self.sar2opt, self.opt2sar = (
            TuiGANGenerator(*self.channels(direction), **self.network_of(direction)[1]) for direction, _ in _WAYS
        )
        self.optical_critics = ScaleCritics(bands["optical"], config.scales, config.width)
        self.sar_critics = ScaleCritics(bands["sar"], config.scales, config.width)
        self.register_buffer("scale", torch.zeros((), dtype=torch.long))

    def generators(self) -> dict[Direction, nn.Module]:
        return {SAR_TO_OPTICAL: self.sar2opt, OPTICAL_TO_SAR: self.opt2sar}

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        config = self.config
        return "tuigan", {"scales": config.scales, "width": config.width, "literal": config.literal}

    def optimizers(self) -> dict[str, Optimizer]:
        groups: dict[str, tuple[TuiGANGenerator | ScaleCritics, ...]] = {
            "critics": (self.optical_critics, self.sar_critics),
            "generators": (self.sar2opt, self.opt2sar),
        }
        return {
            f"{name}_{scale}": Adam(
                [p for network in networks for p in network.scales[scale].parameters()],
                lr=self.config.learning_rate,
                betas=(self.config.beta1, 0.999),
            )
            for scale in range(self.config.scales)
            for name, networks in groups.items()
        }

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        """1, and a tenth from `decay_from` of each scale's training on."""
        return 1.0 if self._phase(progress)[1] < self.config.decay_from else 0.1

    def _phase(self, progress: float) -> tuple[int, float]:
        """The scale that is trained, 0 the coarsest, and the share of its training that is done."""
        done = progress * self.config.scales
        scale = min(int(done + 1e-9), self.config.scales - 1)
        return scale, max(0.0, done - scale)

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        scale, _ = self._phase(progress)
        self._begin(scale)
        images = {d: pyramid(batch.pair(d)[0], self.config.scales)[: scale + 1] for d, _ in _WAYS}
        below = self._below(images, scale)
        for _ in range(self.config.inner_steps):
            yield f"critics_{scale}", self._critic_losses(images, below, scale)
        for _ in range(self.config.inner_steps):
            with frozen(self.optical_critics, self.sar_critics):
                yield f"generators_{scale}", self._generator_losses(images, below, scale)

    def _begin(self, scale: int) -> None:
        """Start a new scale from the weights of the one below, where they are alike; settle the scales below."""
        widths = scale_widths(self.config.width, self.config.scales)
        networks: tuple[TuiGANGenerator | ScaleCritics, ...]
        networks = (self.sar2opt, self.opt2sar, self.optical_critics, self.sar_critics)
        for new in range(int(self.scale) + 1, scale + 1):
            if widths[new] == widths[new - 1]:
                for network in networks:
                    network.scales[new].load_state_dict(network.scales[new - 1].state_dict())
        self.scale.fill_(scale)
        for generator in (self.sar2opt, self.opt2sar):
            generator.active = scale + 1
            for level, part in enumerate(generator.scales):
                part.train(level >= scale)

    @torch.no_grad()
    def _below(self, images: dict[Direction, list[Tensor]], scale: int) -> dict[str, Tensor | None]:
        """Enlarged results of the scales below for every chain of translations; None at the coarsest scale."""
        if scale == 0:
            return dict.fromkeys(f"{kind} {d}" for kind in ("fake", "cycle", "identity") for d, _ in _WAYS)
        results: dict[str, Tensor | None] = {}
        for there, back in _WAYS:
            bands = self.channels(there)[0]
            fakes = self._chain(there, images[there][:scale])
            cycled = self._chain(back, fakes)
            identical = self._chain(there, [adapt_bands(image, bands) for image in images[back][:scale]])
            for kind, chain in (("fake", fakes), ("cycle", cycled), ("identity", identical)):
                results[f"{kind} {there}"] = enlarge(chain[-1])
        return results

    def _chain(self, direction: Direction, images: Sequence[Tensor]) -> list[Tensor]:
        results: list[Tensor] = []
        for level, image in enumerate(images):
            before = enlarge(results[-1]) if results else None
            results.append(self.generators()[direction](image, before, level))
        return results

    def _translate(
        self, direction: Direction, images: dict[Direction, list[Tensor]], below: dict[str, Tensor | None], scale: int
    ) -> Tensor:
        image = images[direction][scale]
        noisy = image + self.config.noise * torch.randn_like(image)
        return self.generators()[direction](noisy, below[f"fake {direction}"], scale)

    def _critics(self, direction: Direction) -> tuple[Role, ScaleCritics]:
        """The role that a direction makes, and its critics."""
        critics = {"optical": self.optical_critics, "sar": self.sar_critics}
        return direction.output, critics[direction.output]

    def _critic_losses(
        self, images: dict[Direction, list[Tensor]], below: dict[str, Tensor | None], scale: int
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for there, back in _WAYS:
            role, critics = self._critics(there)
            with torch.no_grad():
                fake = self._translate(there, images, below, scale)
            real = images[back][scale]
            # not through the critics' own forward: mixed precision forbids what the penalty differentiates
            penalty = gradient_penalty(critics.scales[scale], real, fake)
            losses |= {
                f"real_{role}": -critics(real, scale).mean(),
                f"fake_{role}": critics(fake, scale).mean(),
                f"penalty_{role}": self.config.lambda_penalty * penalty,
            }
        return losses

    def _generator_losses(
        self, images: dict[Direction, list[Tensor]], below: dict[str, Tensor | None], scale: int
    ) -> dict[str, Tensor]:
        config = self.config
        losses: dict[str, Tensor] = {}
        fakes = {there: self._translate(there, images, below, scale) for there, _ in _WAYS}
        with _unrecorded(self.sar2opt, self.opt2sar):
            for there, back in _WAYS:
                role, critics = self._critics(there)
                fake, source, target = fakes[there], images[there][scale], images[back][scale]
                cycled = self.generators()[back](fake, below[f"cycle {there}"], scale)
                same = adapt_bands(target, self.channels(there)[0])
                identical = self.generators()[there](same, below[f"identity {there}"], scale)
                losses |= {
                    f"gan_{role}": -critics(fake, scale).mean(),
                    f"cycle_{there}": config.lambda_cycle * functional.l1_loss(cycled, source),
                    f"identity_{role}": config.lambda_identity * functional.l1_loss(identical, target),
                    f"tv_{role}": config.lambda_tv * total_variation(fake),
                }
        return losses


@contextmanager
def _unrecorded(*networks: nn.Module) -> Iterator[None]:
    """BatchNorms keep their running statistics inside the block: they are to be those of translated images alone."""
    norms = [layer for network in networks for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
