"""Steps of a training: batches drawn ahead, and interrupts that wait for the step under way."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_AHEAD = 4
Item = TypeVar("Item")


def prefetch(draw: Callable[[int], Item], start: int, stop: int, workers: int = 2) -> Iterator[Item]:
    """Yield draw(start), ..., draw(stop - 1) in this order; up to four are drawn ahead in threads, whose errors are
    raised here."""
    upcoming = iter(range(start, stop))
    with ThreadPoolExecutor(workers, thread_name_prefix="windows") as pool:
        ahead = deque(pool.submit(draw, step) for step in islice(upcoming, _AHEAD))
        try:
            while ahead:
                item = ahead.popleft().result()
                ahead.extend(pool.submit(draw, step) for step in islice(upcoming, 1))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)


def until_interrupted(
    items: Iterable[Item], save: Callable[[], None], agreed: Callable[[bool], bool] = bool
) -> Iterator[Item]:
    """Yield the items. An interrupt (Ctrl-C, or SIGTERM as job schedulers send it) waits until the step under way is
    done; then `save` is called and KeyboardInterrupt raised.

    Args:
        items: what to step through.
        save: called once after an interrupt.
        agreed: whether any process was interrupted, from whether this one was; called after every item.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from items
        return
    asked = threading.Event()
    before = {
        number: signal.signal(number, lambda number, frame: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        for item in items:
            yield item
            if agreed(asked.is_set()):
                save()
                raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
