"""Segmentation networks that judge a pair of images (Deep Semantic Discriminator, Fu et al., IGARSS 2024).

A semantic discriminator maps two images on one grid to class logits (N, classes, H, W) and two of its feature maps,
"deepest" and "fused". It states `stride` and `smallest_batch`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saropt.networks.registry import construct
from saropt.networks.segmenters import build_segmenter, list_segmenters
from saropt.networks.snunet import SNUNet


class JoinedSegmenter(nn.Module):
    """A segmenter of single images on both images' bands at once; its deepest map sees both, so it is "fused" too."""

    def __init__(self, name: str, first_channels: int, second_channels: int, classes: int, **arguments: Any) -> None:
        super().__init__()
        network: Any = build_segmenter(name, first_channels + second_channels, classes, **arguments)
        self.network = network
        self.stride, self.smallest_batch = network.stride, network.smallest_batch
        self._bottom: nn.Module = network.middle if name == "compact" else network.network.encoder

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        seen: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple, output: Any) -> None:
            seen.append(output if isinstance(output, Tensor) else output[-1])

        handle = self._bottom.register_forward_hook(keep)
        try:
            logits = self.network(torch.cat([first, second], dim=1))
        finally:
            handle.remove()
        return logits, {"deepest": seen[0], "fused": seen[0]}


def list_semantic_discriminators() -> list[str]:
    """Names of all semantic discriminators, sorted.

    >>> "snunet" in list_semantic_discriminators()
    True
    """
    return sorted(["snunet", *list_segmenters()])


def build_semantic_discriminator(
    name: str, first_channels: int, second_channels: int, classes: int, **arguments: Any
) -> nn.Module:
    """A freshly initialised semantic discriminator: "snunet" or any segmenter.

    Raises:
        ValueError: unknown name or argument.

    >>> judge = build_semantic_discriminator("snunet", 1, 3, classes=2, width=4)
    >>> type(judge).__name__
    'SNUNet'
    """
    if name not in list_semantic_discriminators():
        known = ", ".join(list_semantic_discriminators())
        raise ValueError(f"unknown semantic discriminator {name!r}; known: {known}")
    if name != "snunet":
        return JoinedSegmenter(name, first_channels, second_channels, classes, **arguments)
    return construct(name, SNUNet, (first_channels, second_channels, classes), arguments)
