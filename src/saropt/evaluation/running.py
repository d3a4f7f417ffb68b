"""Mean and spread of a stream of numbers."""

from __future__ import annotations

import math


class RunningStatistics:
    """Mean and population standard deviation of a stream of numbers (Welford 1962); NaN is not counted.

    >>> running = RunningStatistics()
    >>> for value in (1.0, 3.0, math.nan):
    ...     running.add(value)
    >>> running.mean, running.std, running.n
    (2.0, 1.0, 2)
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = math.nan
        self._squares = 0.0

    def add(self, value: float) -> None:
        """Take one number."""
        if math.isnan(value):
            return
        self.n += 1
        if self.n == 1:
            self.mean = value
            return
        delta = value - self.mean
        if math.isinf(value) or math.isinf(self.mean):
            self.mean, self._squares = self.mean + value, math.nan
            return
        self.mean += delta / self.n
        self._squares += delta * (value - self.mean)

    @property
    def std(self) -> float:
        """Population standard deviation; NaN before the first number and when one was infinite."""
        return math.sqrt(self._squares / self.n) if self.n and not math.isinf(self.mean) else math.nan
