"""Steps of a training: interrupts wait for the step under way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
AGAIN_S = 1.0
"""Seconds after which another Ctrl-C is one of its own: a shell and a launcher may send the same one twice."""


def until_interrupted(
    items: Iterable[Item], save: Callable[[], None], agreed: Callable[[bool], bool] = bool
) -> Iterator[Item]:
    """Yield the items. An interrupt (Ctrl-C, or SIGTERM as job schedulers send it) waits until the step under way is
    done; then `save` is called and KeyboardInterrupt raised. A second Ctrl-C does not wait, and nothing is saved: steps
    that validate may take long.

    Args:
        items: what to step through.
        save: called once after an interrupt.
        agreed: whether any process was interrupted, from whether this one was; called after every item.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from items
        return
    asked: list[float] = []

    def ask(number: int, frame: object) -> None:
        asked.append(time.monotonic())
        if number == signal.SIGINT and asked[-1] - asked[0] > AGAIN_S:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for item in items:
            yield item
            if agreed(bool(asked)):
                save()
                raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
