"""CycleGAN with the shift-insensitive pair loss (Qing, Zhu, Liu and Wen, "GAN-based EO-SAR Domain Transfer").

For mildly misaligned pairs, L_X = |h_G(x) - h_G(F(y))|_1 and L_Y = |h_F(y) - h_F(G(x))|_1, where h is the first N
stages of a generator: features after two downsamplings hardly change when the image moves by a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from saropt.domain import Role
from saropt.methods.base import frozen
from saropt.methods.cyclegan import CycleGAN, CycleGANConfig, Sides, weighted
from saropt.methods.registry import register


class ShiftCycleGANConfig(CycleGANConfig):
    """Config of `shift-cyclegan`.

    Attributes:
        lambda_pair: weight of both pair losses.
        stages: N, the generator's stages that are the extractor; 3 ends after the second downsampling and its ReLU.
        extractor: "frozen" trains only the fake's generator by the pair loss; "joint" the extractor as well, which
            can then lower the loss by seeing less.
    """

    lambda_pair: float = Field(10.0, ge=0.0)
    stages: int = Field(3, ge=1, le=3)
    extractor: Literal["frozen", "joint"] = "frozen"


@register("shift-cyclegan", paper="Qing et al., GAN-based EO-SAR Domain Transfer")
class ShiftCycleGAN(CycleGAN):
    """CycleGAN that also uses pairs, however loosely aligned.

    >>> ShiftCycleGAN.name, ShiftCycleGAN.unpaired
    ('shift-cyclegan', False)
    """

    config_type = ShiftCycleGANConfig
    config: ShiftCycleGANConfig
    unpaired = False

    def __init__(self, config: ShiftCycleGANConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        stage_taps = getattr(self.sar2opt, "stage_taps", None)
        if stage_taps is None:
            raise ValueError(f"network {config.network!r} has no stages for the pair loss; resnet has")
        self.taps = (stage_taps[config.stages - 1],)

    def weights(self) -> dict[str, float]:
        return super().weights() | {"pair": self.config.lambda_pair}

    def generator_losses(self, sides: Sides) -> dict[str, Tensor]:
        sar, optical = sides["sar"], sides["optical"]
        seen_sar, seen_optical = sar.fake_features, optical.fake_features
        if self.config.extractor == "frozen":
            with frozen(self.sar2opt, self.opt2sar):
                seen_sar = self._encode(self.sar2opt, sar.fake)
                seen_optical = self._encode(self.opt2sar, optical.fake)
        pairs = {
            "pair_sar": self._pair_loss(seen_sar, sar.features),
            "pair_optical": self._pair_loss(seen_optical, optical.features),
        }
        return super().generator_losses(sides) | weighted(pairs, self.weights())

    def _encode(self, generator: nn.Module, image: Tensor) -> list[Tensor]:
        return generator(image, taps=self.taps, stop=True)

    def _pair_loss(self, fake: list[Tensor], real: list[Tensor]) -> Tensor:
        truth = real[0].detach() if self.config.extractor == "frozen" else real[0]
        return functional.l1_loss(fake[0], truth)
