"""Semantic guidance: which positions of an image belong together, as weights w_ij for `semantic_nce`.

`labels` compares the classes that a frozen segmenter sees (SGCL, Du et al. 2026), `kmeans` pseudo-classes found without
labels, `soft` the similarity of pixel features, `none` nothing: every position is a class of its own, as in CUT.
Classes are only ever compared within one image, so any numbering of them will do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from saropt.artifacts import SegmenterCard, load_segmenter, load_segmenter_module
from saropt.domain import Role
from saropt.losses import Weights, class_weights, similarity_weights
from saropt.networks import PixelFeatures, PseudoClasses, local_mean

Control = Literal["none", "permuted", "one_class", "distinct"]
_SMOOTHING = 5


class Guide(nn.Module):
    """Base of the guides, and the guide `none`. Guides hold buffers only, nothing for an optimizer.

    A description (N, D, h, w) says of every position what it is; weights follow from the descriptions of queries and
    keys.
    """

    segments = False
    """Whether `logits` gives class logits of images."""

    def update(self, image: Tensor) -> None:
        """Learn from a batch of real images, where the guide learns."""

    def describe(self, image: Tensor) -> Tensor:
        """(N, D, H, W) of real images (N, bands, H, W)."""
        return image[:, :1]

    def at(self, description: Tensor, height: int, width: int) -> Tensor:
        """The description on the grid of a feature map; larger maps are of mirrored images."""
        return _positions(description, height, width)

    def pool(self, description: Tensor, side: int) -> Tensor:
        """The description of patches of `side` x `side` positions, one around each position."""
        return description

    def weights(self, queries: Tensor, keys: Tensor) -> Weights:
        """w_ij from descriptions (N, P, D) and (N, K, D)."""
        return class_weights(queries[..., 0], keys[..., 0])

    def logits(self, image: Tensor) -> Tensor:
        """(N, classes, H, W); a gradient reaches the image."""
        raise TypeError(f"{type(self).__name__} has no classes")


class ClassGuide(Guide):
    """Guide by the classes of a segmenter without trainable parameters.

    Args:
        segmenter: images -> logits (N, classes, H, W).
        control: what to do to the class maps before they guide: "permuted" shuffles their positions in each image,
            "one_class" and "distinct" give all positions one class, or each its own.
        smoothing: side of the majority filter over the class map; 1 for none.
    """

    segments = True

    def __init__(self, segmenter: nn.Module, control: Control = "none", smoothing: int = 1) -> None:
        super().__init__()
        if any(True for _ in segmenter.parameters()):
            raise ValueError("a guiding segmenter must not have trainable parameters: freeze it first")
        self.segmenter = segmenter.eval()
        self.control = control
        self.smoothing = smoothing

    def train(self, mode: bool = True) -> ClassGuide:
        """Segmenters stay in evaluation mode."""
        return self

    def update(self, image: Tensor) -> None:
        if isinstance(self.segmenter, PseudoClasses):
            self.segmenter.update(image)

    @torch.no_grad()
    def describe(self, image: Tensor) -> Tensor:
        logits = self.segmenter(image)
        return majority(logits.argmax(dim=1, keepdim=True), logits.shape[1], self.smoothing)

    @torch.no_grad()
    def at(self, description: Tensor, height: int, width: int) -> Tensor:
        if self.control == "distinct":
            return _positions(description, height, width)
        classes = _resampled(description.float(), height, width, "nearest").long()
        if self.control == "one_class":
            return torch.zeros_like(classes)
        if self.control == "permuted":
            return _shuffled(classes)
        return classes

    @torch.no_grad()
    def pool(self, description: Tensor, side: int) -> Tensor:
        if self.control == "distinct":
            return description
        return majority(description, int(description.max()) + 1, side)

    def logits(self, image: Tensor) -> Tensor:
        return cast("Tensor", self.segmenter(image))


class SoftGuide(Guide):
    """w_ij = sigmoid((cos(f_i, f_j) - margin) / temperature) on standardised pixel features; no labels, no classes.

    Args:
        permuted: shuffle the positions of the features in each image before they guide, as a control.
    """

    def __init__(self, bands: int, role: Role, margin: float, temperature: float, permuted: bool = False) -> None:
        super().__init__()
        self.permuted = permuted
        self.features = PixelFeatures(bands, role)
        self.margin = margin
        self.temperature = temperature

    def update(self, image: Tensor) -> None:
        self.features.update(self.features.raw(image))

    @torch.no_grad()
    def describe(self, image: Tensor) -> Tensor:
        return cast("Tensor", self.features(image))

    @torch.no_grad()
    def at(self, description: Tensor, height: int, width: int) -> Tensor:
        features = _resampled(description, height, width, "area")
        return _shuffled(features) if self.permuted else features

    @torch.no_grad()
    def pool(self, description: Tensor, side: int) -> Tensor:
        return local_mean(description, side)

    def weights(self, queries: Tensor, keys: Tensor) -> Weights:
        return similarity_weights(queries, keys, self.margin, self.temperature)


def kmeans_guide(
    bands: int, role: Role, classes: int, control: Control = "none", temperature: float = 1.0
) -> ClassGuide:
    """Guide by pseudo-classes, majority-filtered over 5x5 pixels; see `PseudoClasses`."""
    return ClassGuide(PseudoClasses(bands, role, classes, temperature), control, _SMOOTHING)


def label_guide(path: str | Path, control: Control = "none") -> tuple[ClassGuide, SegmenterCard]:
    """Guide by the classes of a segmenter file, and the file's card.

    Raises:
        InputError: no segmenter file.
    """
    card, weights = load_segmenter(path)
    segmenter = load_segmenter_module(path, card, weights)
    freeze(segmenter)
    return ClassGuide(segmenter, control), card


def freeze(module: nn.Module) -> None:
    """Turn all parameters into buffers: they move with the module; no optimizer, gradient or checkpoint has them."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                del part._parameters[name]
                part.register_buffer(name, parameter.detach())
        part._non_persistent_buffers_set.update(part._buffers)


def majority(classes: Tensor, count: int, side: int) -> Tensor:
    """Most frequent class (ties: the lowest) in windows of `side` around each position; (N, 1, H, W), dtype long."""
    if side == 1:
        return classes
    shares = functional.one_hot(classes[:, 0], count).movedim(-1, 1).float()
    return functional.avg_pool2d(shares, side, 1, side // 2).argmax(dim=1, keepdim=True)


def _shuffled(description: Tensor) -> Tensor:
    """(N, D, h, w) with the positions of each image in an order of its own."""
    order = torch.stack([torch.randperm(description.shape[2:].numel()) for _ in description]).to(description.device)
    return description.flatten(2).gather(2, order[:, None].expand(-1, description.shape[1], -1)).view_as(description)


def _positions(like: Tensor, height: int, width: int) -> Tensor:
    return torch.arange(height * width, device=like.device).view(1, 1, height, width).expand(len(like), -1, -1, -1)


def _resampled(description: Tensor, height: int, width: int, mode: str) -> Tensor:
    margin = (height - description.shape[2]) // 2
    if margin > 0:
        return functional.pad(description, (margin,) * 4, mode="reflect")
    return functional.interpolate(description, (height, width), mode=mode)
