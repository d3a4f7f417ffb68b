"""TuiGAN's networks: resampling against another library, published parameter counts, the blend, the pyramid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from saropt.networks import RefiningScale, ScaleCritics, TuiGANGenerator, enlarge, pyramid, scale_widths, shrink
from saropt.networks.resampling import enlarging_kernel, shrinking_kernel


def image(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("resample", "before", "after"), [(shrink, (64, 48), (48, 36)), (enlarge, (48, 36), (64, 48))])
def test_resampling_is_bicubic_with_antialiasing(resample, before, after):
    """torch's antialiased bicubic has the same kernel and other borders."""
    given = image(2, 3, *before)
    found = resample(given)
    expected = functional.interpolate(given, after, mode="bicubic", antialias=True, align_corners=False)
    assert found.shape == (2, 3, *after)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-12, rtol=0)


@pytest.mark.parametrize("kernel", [shrinking_kernel(), enlarging_kernel()])
def test_kernels_keep_lines(kernel):
    """Constants and slopes come through: sums 1, and the centre of each row is where its output lies."""
    outputs = len(kernel)
    inputs = 4 if outputs == 3 else 3
    np.testing.assert_allclose(kernel.sum(1), 1.0, atol=1e-14)
    centres = kernel @ (np.arange(kernel.shape[1]) - 2)
    np.testing.assert_allclose(centres, (np.arange(outputs) + 0.5) * inputs / outputs - 0.5, atol=0.02)
    np.testing.assert_allclose(kernel[::-1, ::-1], kernel, atol=1e-14)


@pytest.mark.parametrize(
    ("side", "scales", "sizes"),
    [
        (256, 4, [108, 144, 192, 256]),
        (192, 3, [108, 144, 192]),
        (128, 1, [128]),
        (144, 2, [108, 144]),
        (512, 5, [162, 216, 288, 384, 512]),
    ],
)
def test_pyramid_sizes(side, scales, sizes):
    found = pyramid(image(1, 1, side, 2 * side), scales)
    assert [tuple(part.shape[-2:]) for part in found] == [(size, 2 * size) for size in sizes]


def test_published_parameter_counts():
    assert parameters(RefiningScale(3, 3, 32, literal=True)) == 33_318
    assert parameters(RefiningScale(3, 3, 64, literal=True)) == 121_926
    assert parameters(ScaleCritics(3, scales=1, width=32)) == 29_185
    block = 32 * 32 * 9 + 32 + 2 * 32
    assert parameters(RefiningScale(3, 3, 32)) == 33_318 + 2 * block


def test_widths_double_every_four_scales_up_to_128():
    assert scale_widths(32, 13) == [32] * 4 + [64] * 4 + [128] * 5
    assert scale_widths(4, 5) == [4, 4, 4, 4, 8]
    assert scale_widths(200, 5) == [200] * 5


def test_blend():
    scale = RefiningScale(1, 2, 4).double().eval()
    given, previous = image(1, 1, 8, 8), image(1, 2, 8, 8)
    with torch.no_grad():
        fresh = scale.main(given)
        attention = scale.attention(torch.cat([given, fresh, previous], 1))
        expected = np.empty((1, 2, 8, 8))
        for index in np.ndindex(expected.shape):
            a = attention[index].item()
            expected[index] = a * previous[index].item() + (1 - a) * fresh[index].item()
        np.testing.assert_allclose(scale(given, previous), expected, atol=1e-14)
        coarsest = scale.attention(torch.cat([given, fresh, torch.zeros_like(fresh)], 1))
        torch.testing.assert_close(scale(given), (1 - coarsest) * fresh)


def test_whole_network_is_its_scales_one_after_another():
    network = TuiGANGenerator(1, 2, scales=3, width=4).double().eval()
    given = image(1, 1, 32, 48)
    coarse, middle, fine = pyramid(given, 3)
    with torch.no_grad():
        first = network(coarse, scale=0)
        second = network(middle, enlarge(first), scale=1)
        third = network(fine, enlarge(second), scale=2)
        torch.testing.assert_close(network(given), third)
        for active, expected in ((1, enlarge(enlarge(first))), (2, enlarge(second))):
            network.active = active
            torch.testing.assert_close(network(given), expected)


def test_no_scales():
    with pytest.raises(ValueError, match="scales must be at least 1"):
        TuiGANGenerator(1, 1, scales=0)
