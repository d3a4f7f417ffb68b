"""How many processors there are to work with, and work done ahead in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cpus() -> int:
    """Processors that this process may use, at least 1; all of the machine where the system does not say.

    >>> usable_cpus() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int, name: str
) -> Iterator[Result]:
    """Yield function(item) in the order of the items; up to `ahead` are worked on ahead in threads, whose error is
    raised here. They see the caller's context variables, where rasterio keeps the openers of remote rasters.

    Args:
        workers: number of threads.
        name: what the threads are called.

    >>> list(map_ahead(str, range(3), workers=2, ahead=4, name="digits"))
    ['0', '1', '2']
    """
    upcoming = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
        try:
            waiting = deque(pool.submit(copy_context().run, function, item) for item in islice(upcoming, ahead))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(copy_context().run, function, item) for item in islice(upcoming, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
