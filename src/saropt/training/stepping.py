"""Steps of a training: interrupts wait for the step under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


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
