"""Pixel losses against naive float64 loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saropt.losses import block_minimum, charbonnier, match_colour, total_variation


def images(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(2))


def naive_block_losses(output: np.ndarray, target: np.ndarray, shift: int, block: int) -> np.ndarray:
    """(shifts, N, blocks, blocks) mean Charbonnier errors by plain loops."""
    count, channels, height, width = output.shape
    rows, columns = height - 2 * shift, width - 2 * shift
    table = []
    for dy in range(-shift, shift + 1):
        for dx in range(-shift, shift + 1):
            losses = np.zeros((count, math.ceil(rows / block), math.ceil(columns / block)))
            sizes = np.zeros_like(losses)
            for n in range(count):
                for y in range(rows):
                    for x in range(columns):
                        error = 0.0
                        for c in range(channels):
                            d = output[n, c, y + shift, x + shift] - target[n, c, y + shift + dy, x + shift + dx]
                            error += math.sqrt(d * d + 1e-6) / channels
                        losses[n, y // block, x // block] += error
                        sizes[n, y // block, x // block] += 1
            table.append(losses / sizes)
    return np.array(table)


def test_charbonnier():
    values = torch.tensor([-3.0, 0.0, 0.5], dtype=torch.float64)
    expected = [math.sqrt(9 + 1e-6), 1e-3, math.sqrt(0.25 + 1e-6)]
    np.testing.assert_allclose(charbonnier(values), expected, rtol=1e-12)


class TestBlockMinimum:
    def test_shift_zero_is_the_mean(self):
        output, target = images(2, 3, 32, 32)
        expected = charbonnier(output - target).mean()
        torch.testing.assert_close(block_minimum(output, target, shift=0, block=16), expected)
        torch.testing.assert_close(block_minimum(output, target, shift=0, block=64), expected)

    @pytest.mark.parametrize(("shift", "block", "size"), [(1, 6, 14), (2, 8, 20), (1, 64, 12), (1, 5, 15)])
    def test_hard_minimum_in_the_limit(self, shift, block, size):
        output, target = images(2, 2, size, size)
        expected = naive_block_losses(output.numpy(), target.numpy(), shift, block).min(axis=0).mean()
        result = block_minimum(output, target, shift, block, softness=1e-7)
        assert result.item() == pytest.approx(expected, rel=1e-6)

    def test_soft_minimum(self):
        output, target = images(1, 1, 14, 14)
        losses = naive_block_losses(output.numpy(), target.numpy(), 1, 6)
        temperature = 0.1 * losses.min(axis=0) + 1e-8
        weights = np.exp(-losses / temperature)
        expected = (weights * losses).sum(axis=0) / weights.sum(axis=0)
        assert block_minimum(output, target, 1, 6).item() == pytest.approx(expected.mean(), rel=1e-6)
        assert expected.mean() > losses.min(axis=0).mean()

    @pytest.mark.parametrize("shift", [(0, 0), (2, 0), (0, -2), (-1, 2), (-2, -2)])
    def test_forgives_shifts_within_reach(self, shift):
        wide, _ = images(1, 3, 80, 80)
        target = wide[..., 8:72, 8:72]
        output = wide[..., 8 + shift[0] : 72 + shift[0], 8 + shift[1] : 72 + shift[1]]
        assert block_minimum(output, target, shift=2, block=30).item() == pytest.approx(1e-3, rel=1e-3)

    def test_does_not_forgive_shifts_beyond(self):
        wide, _ = images(1, 3, 80, 80)
        target, output = wide[..., 8:72, 8:72], wide[..., 8:72, 11:75]
        assert block_minimum(output, target, shift=2, block=30).item() > 0.3
        assert block_minimum(output, target, shift=3, block=29).item() < 2e-3

    def test_each_block_has_its_own_shift(self):
        wide, _ = images(1, 1, 80, 80)
        target = wide[..., 8:72, 8:72]
        output = torch.cat([wide[..., 8:72, 9:41], wide[..., 8:72, 38:70]], dim=-1)
        two = block_minimum(output, target, shift=2, block=30).item()
        one = block_minimum(output, target, shift=2, block=60).item()
        assert two < 2e-3
        assert one > 0.2

    def test_a_minimum_per_block_is_not_a_minimum_per_pixel(self):
        """White noise gains little from a choice of shift over a large block."""
        output, target = images(1, 1, 68, 68)
        plain = charbonnier(output - target).mean().item()
        assert block_minimum(output, target, shift=2, block=64).item() > 0.9 * plain

    def test_gradient_is_that_of_the_chosen_shift(self):
        wide, _ = images(1, 1, 40, 40)
        target = wide[..., 4:36, 4:36].clone()
        output = (wide[..., 4:36, 5:37] + 0.1).requires_grad_()
        block_minimum(output, target, shift=1, block=30, softness=1e-4).backward()
        inner = output.grad[..., 1:-1, 1:-1]
        assert torch.allclose(inner, torch.full_like(inner, 1 / 900), rtol=1e-3)
        assert not output.grad[..., 0, :].any()


class TestMatchColour:
    @staticmethod
    def naive(output: np.ndarray, target: np.ndarray, low: float, high: float) -> np.ndarray:
        result = np.empty_like(output)
        for n in range(output.shape[0]):
            for c in range(output.shape[1]):
                x, y = output[n, c].ravel(), target[n, c].ravel()
                gain = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), y, rcond=None)[0][0]
                gain = min(max(gain, low), high)
                result[n, c] = gain * output[n, c] + (y - gain * x).mean()
        return result

    @pytest.mark.parametrize("gain", [0.3, 0.85, 1.0, 1.2, 3.0, -1.0])
    def test_least_squares_with_clamped_gain(self, gain):
        output, noise = images(2, 3, 16, 16)
        target = gain * output + 0.3 + 0.05 * noise
        matched = match_colour(output, target)
        np.testing.assert_allclose(matched, self.naive(output.numpy(), target.numpy(), 0.8, 1.25), atol=1e-5)

    def test_removes_gain_and_offset(self):
        output, _ = images(1, 3, 16, 16)
        torch.testing.assert_close(match_colour(output, 1.1 * output - 0.4), 1.1 * output - 0.4, atol=1e-5, rtol=0)

    def test_a_flat_output_stays_finite(self):
        _, target = images(1, 1, 8, 8)
        matched = match_colour(torch.zeros_like(target), target)
        torch.testing.assert_close(matched, torch.full_like(target, target.mean().item()))

    def test_gain_and_offset_carry_no_gradient(self):
        output, target = images(1, 1, 8, 8)
        target = 1.1 * output + 0.01 * target
        output.requires_grad_()
        match_colour(output, target).sum().backward()
        gain = output.grad.flatten()[0]
        assert torch.allclose(output.grad, torch.full_like(output, gain.item()))
        assert gain.item() == pytest.approx(1.1, abs=0.02)


def test_total_variation():
    output, _ = images(2, 3, 5, 7)
    values = output.numpy()
    down = [(values[n, c, i + 1, j] - values[n, c, i, j]) ** 2 for n, c, i, j in np.ndindex(2, 3, 4, 7)]
    right = [(values[n, c, i, j + 1] - values[n, c, i, j]) ** 2 for n, c, i, j in np.ndindex(2, 3, 5, 6)]
    assert total_variation(output).item() == pytest.approx(np.mean(down) + np.mean(right), rel=1e-12)
    assert total_variation(torch.ones(1, 1, 4, 4)).item() == 0.0
