"""Networks that classify every pixel. They are registered apart from the generators: `list_networks` does not list
them.

`compact` is this package's tile-exact U-Net with class logits as its output; the others are the architectures of
segmentation_models_pytorch (DeepLabV3: Chen et al., arXiv:1706.05587; DeepLabV3+: Chen et al., ECCV 2018; U-Net:
Ronneberger et al., MICCAI 2015; SegFormer: Xie et al., NeurIPS 2021), always with fresh weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from saropt.networks.nafunet import NAFUNet
from saropt.networks.registry import arguments_of, construct


class CompactSegmenter(NAFUNet):
    """`NAFUNet` whose output channels are class logits: finite receptive field, thus tile-exact."""

    smallest_batch = 1

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        encoder: Sequence[int] = (1, 1, 2),
        middle: int = 2,
        decoder: Sequence[int] = (1, 1, 1),
        unshuffle: int = 2,
    ) -> None:
        super().__init__(in_channels, classes, width, encoder, middle, decoder, unshuffle)


class _LibrarySegmenter(nn.Module):
    """An architecture of segmentation_models_pytorch; its receptive field is taken to be the whole window.

    `smallest_batch` is 2 where batch norm follows a pooling over the whole window: one value per channel has no
    variance to train by.
    """

    architecture: str
    smallest_batch = 1
    receptive_field = None
    stride = 32
    tile = 512

    def __init__(self, in_channels: int, classes: int, encoder: str) -> None:
        import segmentation_models_pytorch as library

        super().__init__()
        build = getattr(library, self.architecture)
        try:
            self.network = build(encoder_name=encoder, encoder_weights=None, in_channels=in_channels, classes=classes)
        except KeyError as error:
            raise ValueError(f"segmentation_models_pytorch has no encoder {encoder!r}") from error

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class DeepLabV3(_LibrarySegmenter):
    architecture, smallest_batch = "DeepLabV3", 2

    def __init__(self, in_channels: int, classes: int, encoder: str = "resnet50") -> None:
        super().__init__(in_channels, classes, encoder)


class DeepLabV3Plus(_LibrarySegmenter):
    architecture, smallest_batch = "DeepLabV3Plus", 2

    def __init__(self, in_channels: int, classes: int, encoder: str = "resnet50") -> None:
        super().__init__(in_channels, classes, encoder)


class UNetSegmenter(_LibrarySegmenter):
    architecture = "Unet"

    def __init__(self, in_channels: int, classes: int, encoder: str = "resnet18") -> None:
        super().__init__(in_channels, classes, encoder)


class SegFormer(_LibrarySegmenter):
    architecture = "Segformer"

    def __init__(self, in_channels: int, classes: int, encoder: str = "mit_b0") -> None:
        super().__init__(in_channels, classes, encoder)


_SEGMENTERS: dict[str, type[nn.Module]] = {
    "compact": CompactSegmenter,
    "deeplabv3": DeepLabV3,
    "deeplabv3plus": DeepLabV3Plus,
    "segformer": SegFormer,
    "unet": UNetSegmenter,
}


def list_segmenters() -> list[str]:
    """Names of all segmenters, sorted.

    >>> list_segmenters()
    ['compact', 'deeplabv3', 'deeplabv3plus', 'segformer', 'unet']
    """
    return sorted(_SEGMENTERS)


def _class_of(name: str) -> type[nn.Module]:
    if name not in _SEGMENTERS:
        raise ValueError(f"unknown segmenter {name!r}; known: {', '.join(list_segmenters())}")
    return _SEGMENTERS[name]


def segmenter_arguments(name: str) -> dict[str, Any]:
    """The keyword arguments of a segmenter and their defaults (without the channel counts).

    Raises:
        ValueError: there is no such segmenter.

    >>> segmenter_arguments("compact")
    {'width': 16, 'encoder': (1, 1, 2), 'middle': 2, 'decoder': (1, 1, 1), 'unshuffle': 2}
    """
    return arguments_of(_class_of(name), 2)


def build_segmenter(name: str, in_channels: int, classes: int, **arguments: Any) -> nn.Module:
    """A freshly initialised segmenter, (N, in_channels, H, W) -> logits (N, classes, H, W).

    Like a generator it states `stride`, `receptive_field` (None where it sees the whole window) and `tile`; beside
    them `smallest_batch`, the fewest windows it can be trained on at a time.

    Raises:
        ValueError: unknown segmenter, argument or encoder.

    >>> import torch
    >>> build_segmenter("compact", in_channels=2, classes=5)(torch.zeros(1, 2, 32, 32)).shape
    torch.Size([1, 5, 32, 32])
    """
    return construct(f"segmenter {name!r}", _class_of(name), (in_channels, classes), arguments)
