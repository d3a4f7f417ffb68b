"""How many processors there are to work with."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """Processors that this process may use, at least 1; all of the machine where the system does not say.

    >>> usable_cpus() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
