"""3x3 convolutions of stride 1 with a quarter of the multiplications, for training on a CPU: Winograd's F(4x4, 3x3)
(Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016).

A tile of 6x6 pixels d gives 4x4 outputs, A' [(G w G') * (B' d B)] A. The products in brackets, summed over channels,
are 36 products of matrices. Gradients are those of the same formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_OUT, _IN = 4, 6
_TILES = 512
"""Tiles transformed at a time: what they need for 256 channels stays in the cache."""
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_WEIGHT = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def winograd(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution of a padded x, as `conv2d(x, weight, bias)` gives it up to rounding, in memory format
    channels_last.

    Args:
        x: (N, C, H + 2, W + 2); H and W are multiples of 4.
        weight: (C', C, 3, 3).
        bias: (C',).

    Returns:
        (N, C', H, W).

    >>> x, weight, bias = torch.rand(1, 2, 6, 10), torch.rand(3, 2, 3, 3), torch.rand(3)
    >>> torch.allclose(winograd(x, weight, bias), torch.conv2d(x, weight, bias), atol=1e-4)
    True
    """
    return _Winograd.apply(x, weight, bias)


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1).contiguous()
        ctx.save_for_backward(pixels, weight)
        count, height, width, _ = pixels.shape
        kernels = _transformed_weight(weight)
        into, back = weight.new_tensor(_INPUT), weight.new_tensor(_OUTPUT)
        out = weight.new_empty(count, height - 2, width - 2, len(weight))
        for image, rows in _strips(pixels):
            tiles = _tiles(pixels[image], rows)
            values = _both_ways(into, tiles).view(36, -1, tiles.shape[-1])
            products = _products(values, kernels)
            _cells(out[image], rows).copy_(_both_ways(back, products.view(6, 6, *tiles.shape[2:4], -1)))
        return out.add_(bias).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        pixels, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        gradient = gradients[0].permute(0, 2, 3, 1).contiguous()
        into, back = weight.new_tensor(_INPUT), weight.new_tensor(_OUTPUT)
        kernels = _transformed_weight(weight) if of_x else None
        grad_kernels = weight.new_zeros(36, *weight.shape[:2]) if of_weight else None
        grad_x = torch.zeros_like(pixels) if of_x else None
        for image, rows in _strips(pixels):
            cells = _cells(gradient[image], rows)
            products = _both_ways(back.t(), cells).view(36, -1, len(weight))
            if grad_kernels is not None:
                tiles = _tiles(pixels[image], rows)
                values = _both_ways(into, tiles).view(36, -1, tiles.shape[-1])
                grad_kernels += _products(products.transpose(1, 2), values.transpose(1, 2))
            if grad_x is not None and kernels is not None:
                values = _products(products, kernels.transpose(1, 2))
                _add_tiles(grad_x[image], rows, _both_ways(into.t(), values.view(6, 6, *cells.shape[2:4], -1)))
        grad_weight, transpose = None, weight.new_tensor(_WEIGHT).t()
        if grad_kernels is not None:
            grad_weight = _both_ways(transpose, grad_kernels.view(6, 6, *weight.shape[:2])).permute(2, 3, 0, 1)
        grad_bias = gradient.flatten(0, 2).sum(dim=0) if of_bias else None
        return None if grad_x is None else grad_x.permute(0, 3, 1, 2), grad_weight, grad_bias


def _both_ways(matrix: Tensor, tiles: Tensor) -> Tensor:
    """`matrix` times the rows and times the columns of tiles (rows, columns, ...)."""
    down, across, *rest = tiles.shape
    by_row = (matrix @ tiles.reshape(down, -1)).view(len(matrix), across, -1)
    return (matrix @ by_row).view(len(matrix), len(matrix), *rest)


def _transformed_weight(weight: Tensor) -> Tensor:
    """(36, C', C)."""
    return _both_ways(weight.new_tensor(_WEIGHT), weight.permute(2, 3, 0, 1)).flatten(0, 1)


def _strips(pixels: Tensor) -> Iterator[tuple[int, slice]]:
    """Image and rows of tiles."""
    down, across = (pixels.shape[1] - 2) // _OUT, (pixels.shape[2] - 2) // _OUT
    step = max(1, _TILES // across)
    for image in range(len(pixels)):
        for start in range(0, down, step):
            yield image, slice(start, min(start + step, down))


def _tiles(image: Tensor, rows: slice) -> Tensor:
    """View (6, 6, tiles down, tiles across, C) of an image (H + 2, W + 2, C)."""
    _, width, channels = image.shape
    strip = image[_OUT * rows.start :]
    size = (_IN, _IN, rows.stop - rows.start, (width - 2) // _OUT, channels)
    line = width * channels
    return strip.as_strided(size, (line, channels, _OUT * line, _OUT * channels, 1))


def _cells(image: Tensor, rows: slice) -> Tensor:
    """View (4, 4, tiles down, tiles across, C) of an image (H, W, C)."""
    _, width, channels = image.shape
    strip = image[_OUT * rows.start : _OUT * rows.stop]
    return strip.view(-1, _OUT, width // _OUT, _OUT, channels).permute(1, 3, 0, 2, 4)


def _add_tiles(image: Tensor, rows: slice, tiles: Tensor) -> None:
    places = _tiles(image, rows)
    for down in range(_IN):
        for across in range(_IN):
            places[down, across].add_(tiles[down, across])


def _products(left: Tensor, right: Tensor) -> Tensor:
    """left (36, M, K) times the transpose of right (36, N, K)."""
    if left.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
        return left @ right.transpose(1, 2)
    # an operator of oneDNN: MKL, which `bmm` calls, takes twice as long on CPUs of AMD
    linear = torch.ops.mkldnn._linear_pointwise
    return torch.stack([linear(a, b, None, "none", [], "") for a, b in zip(left, right, strict=True)])
