"""Keypoint detector and descriptor after XPoint (Yagmur et al., arXiv:2411.07430): its heads on a light encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 8
ENCODED = 48
DESCRIPTOR = 256


class _Head(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.ReflectionPad2d(1),
            nn.Conv2d(ENCODED, 256, 3),
            nn.ReLU(),
            nn.BatchNorm2d(256),
            nn.Conv2d(256, channels, 1),
            nn.BatchNorm2d(channels),
        )


class HomographyHead(nn.Module):
    """Estimates the homography between two images from the correlation of their encodings (RegNet of XPoint), for
    training.

    Args:
        side: height and width of the encodings in cells; the correlation volume has side^2 channels.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(side * side, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4)),
        )
        self.linear = nn.Sequential(nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(N, 8) shifts of the four corners from two encodings (N, 48, side, side)."""
        one, two = (functional.normalize(x.flatten(2), dim=1) for x in (first, second))
        volume = (one.transpose(1, 2) @ two).unflatten(2, first.shape[2:])
        return self.linear(self.convolutions(volume).flatten(1))


class KeypointCNN(nn.Module):
    """A VGG-like encoder to 48 channels at 1/8, and XPoint's detector and descriptor heads.

    XPoint's own encoder is VMamba, which needs a CUDA extension; this one is eight 3x3 convolutions, with batch
    norm, and three poolings. One network sees images of both kinds.

    Args:
        width: channels at full size; 1.5, 2 and 3 times as many at 1/2, 1/4 and 1/8.

    >>> features, logits, descriptors = KeypointCNN(width=8)(torch.zeros(1, 1, 32, 32))
    >>> logits.shape, descriptors.shape
    (torch.Size([1, 65, 4, 4]), torch.Size([1, 256, 4, 4]))
    """

    stride = CELL
    receptive_field = 92

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [width, width * 3 // 2, width * 2, width * 3]
        layers: list[nn.Module] = []
        before = 1
        for index, channels in enumerate(widths):
            layers += [nn.MaxPool2d(2)] if index else []
            for _ in range(2):
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
                before = channels
        self.encoder = nn.Sequential(*layers, nn.Conv2d(before, ENCODED, 1))
        self.detector = _Head(CELL * CELL + 1)
        self.descriptor = _Head(DESCRIPTOR)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of standardised grey images (N, 1, H, W), H and W multiples of 8 and at least 16.

        Returns:
            encodings (N, 48, H/8, W/8); detector logits (N, 65, H/8, W/8), the last channel "no keypoint in this
            cell"; descriptors (N, 256, H/8, W/8) of unit length.
        """
        encoded = self.encoder(images)
        return encoded, self.detector(encoded), functional.normalize(self.descriptor(encoded), dim=1)


class KeypointTraining(nn.Module):
    """The network with the homography head that it is trained with, for square windows of `crop` pixels.

    >>> training = KeypointTraining(KeypointCNN(width=8), crop=64)
    >>> training(torch.zeros(2, 1, 64, 64), torch.zeros(2, 1, 64, 64))[2].shape
    torch.Size([2, 8])
    """

    def __init__(self, network: KeypointCNN, crop: int) -> None:
        super().__init__()
        self.network = network
        self.homography = HomographyHead(crop // CELL)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (2N, ...) and descriptors (2N, ...) of both images, first ones first, and corner shifts (N, 8)."""
        encoded, logits, descriptors = self.network(torch.cat([first, second]))
        return logits, descriptors, self.homography(*encoded.chunk(2))


def heat_map(logits: Tensor) -> Tensor:
    """(N, 1, H, W) probability of a keypoint at each pixel, from detector logits (N, 65, H/8, W/8).

    >>> heat_map(torch.zeros(1, 65, 4, 4)).shape
    torch.Size([1, 1, 32, 32])
    """
    return functional.pixel_shuffle(torch.softmax(logits, dim=1)[:, :-1], CELL)
