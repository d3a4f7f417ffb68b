"""PatchGAN discriminators (Isola et al., CVPR 2017) and their multi-scale form (pix2pixHD, CVPR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from saropt.networks.blur import BlurDown
from saropt.networks.initialisation import Initialisation, initialise


class PatchGAN(nn.Module):
    """Discriminator that gives a logit for each patch: (N, in_channels, 256, 256) -> (N, 1, 30, 30). With three layers
    a patch is 70x70 pixels.

    2,764,737 parameters with 3 channels and InstanceNorm, 2,768,705 with 6 channels and BatchNorm.

    Args:
        in_channels: channels of the judged image, with its condition concatenated before it.
        width: channels of the first layer; doubles per layer up to 8 times.
        layers: stride-2 layers.
        norm: "instance", "batch" or "none".
        antialias: convolve with stride 1, then blur down (CUT, Park et al., ECCV 2020); same counts and sizes.
        init: "normal", "xavier" or "truncated".
        same: pad the layers of stride 1 by one pixel before and two behind, so that they keep the size: 256x256 ->
            32x32, as TensorFlow's SAME does (CRAN).

    >>> PatchGAN(4, width=8)(torch.zeros(1, 4, 256, 256))[-1].shape
    torch.Size([1, 1, 30, 30])
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        layers: int = 3,
        norm: str = "batch",
        antialias: bool = False,
        init: Initialisation = "normal",
        same: bool = False,
    ) -> None:
        super().__init__()
        norms = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, "none": nn.Identity}
        if norm not in norms:
            raise ValueError(f"norm must be one of {', '.join(norms)}, not {norm!r}")
        self.stages = nn.ModuleList()
        before = in_channels
        for level in range(layers + 1):
            channels = width * min(2**level, 8)
            halves = level < layers
            stride = 2 if halves and not antialias else 1
            keeps = same and not halves
            stage: list[nn.Module] = [nn.ZeroPad2d((1, 2, 1, 2))] if keeps else []
            stage.append(nn.Conv2d(before, channels, 4, stride, 0 if keeps else 1, bias=level == 0 or norm != "batch"))
            if level > 0:
                stage.append(norms[norm](channels))
            stage.append(nn.LeakyReLU(0.2))
            if halves and antialias:
                stage.append(BlurDown(channels))
            self.stages.append(nn.Sequential(*stage))
            before = channels
        self.pad = nn.ZeroPad2d((1, 2, 1, 2)) if same else None
        self.head = nn.Conv2d(before, 1, 4, 1, 0 if same else 1)
        initialise(self, init)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Outputs of all stages, for feature matching, then the logits (N, 1, h, w)."""
        outputs = []
        # 4x4 convolutions run three times faster on a CPU in this memory format
        x = x.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return [*outputs, self.head(x if self.pad is None else self.pad(x))]


class MultiScalePatchGAN(nn.Module):
    """`scales` PatchGANs on the image and on its 2x average-pooled copies (pix2pixHD, Wang et al., CVPR 2018).

    >>> [scale[-1].shape[-1] for scale in MultiScalePatchGAN(3, width=4)(torch.zeros(1, 3, 128, 128))]
    [14, 6]
    """

    def __init__(self, in_channels: int, width: int = 48, layers: int = 3, scales: int = 2, norm: str = "none") -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchGAN(in_channels, width, layers, norm) for _ in range(scales))
        if norm == "none":
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, a=0.2)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Per scale, finest first: the features of all stages, then the logits."""
        outputs = []
        for discriminator in self.scales:
            outputs.append(discriminator(x))
            x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return outputs
