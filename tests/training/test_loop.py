"""Batches drawn ahead come in order, not too far ahead, and their errors surface."""

from __future__ import annotations

import threading
import time

import pytest

from saropt.training.loop import prefetched


def test_order_and_reach():
    asked = []

    def draw(step):
        asked.append(step)
        time.sleep(0.002 * (step % 3))
        return step

    seen = []
    for item in prefetched(draw, 3, 40):
        seen.append(item)
        assert max(asked) <= item + 5
    assert seen == list(range(3, 40))
    assert sorted(asked) == seen
    assert list(prefetched(draw, 5, 5)) == []


def test_errors_surface_at_their_step_and_threads_end():
    def draw(step):
        if step == 6:
            raise ValueError("step six")
        return step

    before = threading.active_count()
    items = prefetched(draw, 0, 100)
    assert [next(items) for _ in range(6)] == list(range(6))
    with pytest.raises(ValueError, match="step six"):
        next(items)
    stopped = prefetched(draw, 0, 5)
    next(stopped)
    stopped.close()
    assert threading.active_count() == before
