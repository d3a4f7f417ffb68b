"""Classes without labels: per-pixel features of one modality, clustered by mini-batch k-means while training runs.

Features are backscatter or reflectance, local means, local standard deviation, gradient energy, and differences between
bands (ratios in decibels for SAR; normalised differences, NDVI and NDWI among them, for optical images). Clustering is
mini-batch k-means (Sculley, "Web-scale k-means clustering", WWW 2010) from a k-means++ start on the first batch.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

_MEANS = (3, 9, 27)
_TEXTURE = 9
_INDEX_BANDS = 4
_START_PIXELS = 4096


class PixelFeatures(nn.Module):
    """Features of every pixel, centred and scaled by running statistics over all images seen in training.

    Args:
        bands: bands of the images.
        modality: "sar" (differences between bands) or "optical" (normalised differences).

    Shapes: (N, bands, H, W) in [-1, 1] -> (N, `count`, H, W).

    >>> features = PixelFeatures(2, "sar")
    >>> features(torch.zeros(1, 2, 16, 16)).shape[1] == features.count
    True
    """

    seen: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, bands: int, modality: str) -> None:
        super().__init__()
        self.modality = modality
        self.pairs = list(combinations(range(min(bands, _INDEX_BANDS)), 2))
        self.count = bands * (1 + len(_MEANS)) + len(self.pairs) + 2
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(self.count))
        self.register_buffer("square", torch.ones(self.count))

    def forward(self, image: Tensor) -> Tensor:
        return self.scaled(self.raw(image))

    @property
    def scale(self) -> Tensor:
        """(count,) reciprocal standard deviations."""
        return (self.square - self.mean.square()).clamp_min(1e-6).rsqrt()

    def scaled(self, raw: Tensor) -> Tensor:
        """Raw features (N, count, H, W), centred and scaled."""
        return (raw - self.mean.view(1, -1, 1, 1)) * self.scale.view(1, -1, 1, 1)

    def raw(self, image: Tensor) -> Tensor:
        """The features before centring and scaling."""
        brightness = image.mean(dim=1, keepdim=True)
        parts = [image, *(local_mean(image, side) for side in _MEANS)]
        for first, second in self.pairs:
            difference = image[:, first : first + 1] - image[:, second : second + 1]
            if self.modality == "optical":
                total = image[:, first : first + 1] + image[:, second : second + 1] + 2.0
                difference = difference / total.clamp_min(0.1)
            parts.append(difference)
        centred = brightness - local_mean(brightness, _TEXTURE)
        parts.append((local_mean(centred.square(), _TEXTURE) + 1e-6).sqrt())
        across = functional.pad(brightness.diff(dim=3), (0, 1, 0, 0))
        down = functional.pad(brightness.diff(dim=2), (0, 0, 0, 1))
        parts.append((local_mean(across.square() + down.square(), 3) + 1e-6).sqrt())
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def update(self, raw: Tensor) -> None:
        """Update the running statistics with the raw features of a batch of real images."""
        sums = torch.stack([raw.mean(dim=(0, 2, 3)), raw.square().mean(dim=(0, 2, 3))])
        _sum_over_ranks(sums)
        sums = sums / _ranks()
        self.seen += 1
        self.mean += (sums[0] - self.mean) / self.seen
        self.square += (sums[1] - self.square) / self.seen


class PseudoClasses(nn.Module):
    """A segmenter that learns its `classes` from unlabelled images.

    `forward` gives logits (N, classes, H, W), -mean (f - c)^2 / (2 `temperature`) over the scaled features f, so that a
    gradient reaches the image; the mean keeps their size whatever the number of bands. `update` fits centres to a batch
    of real images. It has buffers only, and no parameters for an optimizer.

    >>> segmenter = PseudoClasses(2, "sar", classes=6)
    >>> segmenter.update(torch.rand(1, 2, 32, 32))
    >>> segmenter(torch.rand(1, 2, 16, 16)).shape
    torch.Size([1, 6, 16, 16])
    """

    centres: Tensor
    counts: Tensor

    def __init__(self, bands: int, modality: str, classes: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.features = PixelFeatures(bands, modality)
        self.register_buffer("centres", torch.zeros(classes, self.features.count))
        self.register_buffer("counts", torch.zeros(classes))

    def forward(self, image: Tensor) -> Tensor:
        return self._logits(self.features(image))

    def _logits(self, features: Tensor) -> Tensor:
        centres = (self.centres - self.features.mean) * self.features.scale
        cross = torch.einsum("nfhw,kf->nkhw", features, centres)
        squared = features.square().sum(dim=1, keepdim=True)
        distances = cross - 0.5 * (squared + centres.square().sum(dim=1).view(1, -1, 1, 1))
        return distances / (self.features.count * self.temperature)

    @torch.no_grad()
    def update(self, image: Tensor) -> None:
        """One step of mini-batch k-means on real images (N, bands, H, W)."""
        raw = self.features.raw(image)
        self.features.update(raw)
        pixels = raw.movedim(1, -1).flatten(0, 2)
        if not self.counts.any():
            self.centres.copy_(self._start(pixels))
        labels = self._logits(self.features.scaled(raw)).argmax(dim=1).flatten()
        sums = torch.zeros_like(self.centres).index_add_(0, labels, pixels)
        counts = torch.bincount(labels, minlength=len(self.counts)).to(sums.dtype)
        _sum_over_ranks(sums)
        _sum_over_ranks(counts)
        self.counts += counts
        rate = (counts / self.counts.clamp_min(1.0))[:, None]
        self.centres += rate * (sums / counts.clamp_min(1.0)[:, None] - self.centres)

    def _start(self, pixels: Tensor) -> Tensor:
        """k-means++: each next centre is a pixel drawn with probability proportional to its squared distance."""
        picked = pixels[torch.randperm(len(pixels), device=pixels.device)[:_START_PIXELS]]
        scale = self.features.scale
        chosen = [0]
        distance = ((picked - picked[0]) * scale).square().sum(dim=1)
        while len(chosen) < len(self.counts):
            chosen.append(int(torch.multinomial(distance + 1e-12, 1)))
            distance = torch.minimum(distance, ((picked - picked[chosen[-1]]) * scale).square().sum(dim=1))
        start = picked[chosen]
        if _ranks() > 1:
            distributed.broadcast(start, 0)
        return start


def local_mean(image: Tensor, side: int) -> Tensor:
    """Mean over the part of a window of `side` (odd) around each position that lies inside the image (N, C, H, W).

    >>> local_mean(torch.tensor([[[[0.0, 3.0, 6.0]]]]), side=3).flatten().tolist()
    [1.5, 3.0, 4.5]
    """
    reach = side // 2
    down = functional.avg_pool2d(image, (side, 1), stride=1, padding=(reach, 0), count_include_pad=False)
    return functional.avg_pool2d(down, (1, side), stride=1, padding=(0, reach), count_include_pad=False)


def _ranks() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _sum_over_ranks(tensor: Tensor) -> None:
    if _ranks() > 1:
        distributed.all_reduce(tensor)
