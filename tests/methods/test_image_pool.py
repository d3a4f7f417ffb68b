"""The history of generated images: statistics, state."""

from __future__ import annotations

import io

import pytest
import torch

from saropt.methods.image_pool import ImagePool


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2)


def test_size_zero_returns_the_images():
    images = numbered(1, 2).clone().requires_grad_()
    returned = ImagePool(0)(images)
    assert torch.equal(returned, images)
    assert not returned.requires_grad


def test_a_pool_that_fills_returns_what_it_gets():
    pool = ImagePool(5)
    assert torch.equal(pool(numbered(0, 1, 2)), numbered(0, 1, 2))
    assert torch.equal(pool(numbered(3, 4)), numbered(3, 4))
    assert [int(image[0, 0, 0]) for image in pool.images] == [0, 1, 2, 3, 4]


def test_a_full_pool_swaps_half_of_the_images():
    """Swapped images come back once each, at a geometric age; what is swapped out was put in before."""
    torch.manual_seed(0)
    pool, size, count = ImagePool(10), 10, 4000
    pool(numbered(*range(size)))
    ages = []
    returned = set()
    for number in range(size, size + count):
        out = int(pool(numbered(number))[0, 0, 0, 0])
        if out != number:
            assert out < number
            assert out not in returned
            returned.add(out)
            ages.append(number - out)
    assert len(ages) / count == pytest.approx(0.5, abs=0.025)
    assert sum(ages) / len(ages) == pytest.approx(2 * size, rel=0.1)
    assert len(pool.images) == size


def test_every_image_of_a_batch_is_decided_alone():
    torch.manual_seed(0)
    pool = ImagePool(4)
    pool(numbered(*range(4)))
    swapped = pool(numbered(100, 101, 102, 103))[:, 0, 0, 0] < 100
    assert 0 < int(swapped.sum()) < 4


def test_state_continues_to_the_bit():
    torch.manual_seed(0)
    pool = ImagePool(3)
    pool(numbered(*range(7)))
    buffer = io.BytesIO()
    torch.save(pool.state_dict(), buffer)
    straight = [pool(numbered(n)) for n in range(10, 30)]
    other = ImagePool(3)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    torch.manual_seed(99)
    again = [other(numbered(n)) for n in range(10, 30)]
    assert all(torch.equal(a, b) for a, b in zip(straight, again, strict=True))
    assert len({float(image[0, 0, 0, 0]) for image in straight}) > 10


def test_an_empty_pool_has_a_state():
    pool = ImagePool(3)
    other = ImagePool(3)
    other.load_state_dict(pool.state_dict())
    assert other.images == []


def test_the_seed_of_the_run_decides():
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        pool = ImagePool(3)
        runs.append([int(pool(numbered(n))[0, 0, 0, 0]) for n in range(40)])
    assert runs[0] == runs[1] != runs[2]
