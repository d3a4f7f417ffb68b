"""Batches drawn ahead come in order; interrupts wait for the step under way; a run has its folder alone."""

from __future__ import annotations

import signal
import threading
import time
from contextvars import ContextVar

import pytest

from saropt.errors import BusyError
from saropt.processors import map_ahead
from saropt.training.run_folder import lock_folder
from saropt.training.stepping import until_interrupted


def test_order_and_reach():
    asked = []

    def draw(step):
        asked.append(step)
        time.sleep(0.002 * (step % 3))
        return step

    seen = []
    for item in map_ahead(draw, range(3, 40), 2, 4, "windows"):
        seen.append(item)
        assert max(asked) <= item + 5
    assert seen == list(range(3, 40))
    assert sorted(asked) == seen
    assert list(map_ahead(draw, range(5, 5), 2, 4, "windows")) == []


def test_threads_see_the_context_of_the_caller():
    asked = ContextVar("asked")
    asked.set("yes")
    assert list(map_ahead(lambda step: asked.get(), range(5), 2, 2, "windows")) == ["yes"] * 5


def test_errors_surface_at_their_step_and_threads_end():
    def draw(step):
        if step == 6:
            raise ValueError("step six")
        return step

    before = threading.active_count()
    items = map_ahead(draw, range(0, 100), 2, 4, "windows")
    assert [next(items) for _ in range(6)] == list(range(6))
    with pytest.raises(ValueError, match="step six"):
        next(items)
    stopped = map_ahead(draw, range(0, 5), 2, 4, "windows")
    next(stopped)
    stopped.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupts_wait_for_the_step_and_save(number):
    done, saved = [], []
    before = signal.getsignal(number)

    def take(step):
        if step == 2:
            signal.raise_signal(number)
        done.append(step)

    with pytest.raises(KeyboardInterrupt):
        list(map(take, until_interrupted(range(5), lambda: saved.append(len(done)))))
    assert (done, saved) == ([0, 1, 2], [3])
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("pause_s", "reached"), [(0.0, [0, 1, 2]), (1.2, [0, 1])])
def test_a_second_ctrl_c_does_not_wait(pause_s, reached):
    done, saved = [], []

    def take(step):
        if step == 2:
            signal.raise_signal(signal.SIGINT)
            time.sleep(pause_s)
            signal.raise_signal(signal.SIGINT)
        done.append(step)

    with pytest.raises(KeyboardInterrupt):
        list(map(take, until_interrupted(range(5), lambda: saved.append(len(done)))))
    assert done == reached
    assert saved == ([3] if pause_s == 0.0 else [])


def test_one_run_in_a_folder(tmp_path):
    folder = tmp_path / "new" / "run"
    with lock_folder(folder, "first"):
        with pytest.raises(BusyError, match="another run is training in it"), lock_folder(folder, "second"):
            pass
        with pytest.raises(BusyError), lock_folder(folder, None, lambda here: True):  # another process of the same run
            pass
        with lock_folder(folder, None):
            pass
        assert (folder / "config.yaml").read_text() == "first"
    with lock_folder(folder, "2nd"):
        assert (folder / "config.yaml").read_text() == "2nd"
