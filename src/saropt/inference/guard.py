"""The last look at what a network gives, before it is a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError

_ENOUGH_PIXELS = 1 << 13
_CONSTANT = 1e-4


class OutputGuard:
    """Refuses network values that are not finite, and a translation that is one colour all over.

    Args:
        source: the scene, for errors.
        kind: "translator" or "segmenter"; of a segmenter one class all over is no fault.

    >>> guard = OutputGuard("a.tif", "translator")
    >>> guard.look(np.full((1, 128, 64), 0.5, np.float32), np.ones((128, 64), bool))
    >>> guard.finish()
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: a.tif: the translation is the same value in all 8192 pixels: are units and bands right?
    """

    def __init__(self, source: str, kind: str) -> None:
        self._source, self._kind = source, kind
        self._low: NDArray[np.float32] | None = None
        self._high: NDArray[np.float32] | None = None
        self._pixels = 0

    def look(self, network: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Look at network values (C, h, w) where they are valid (h, w).

        Raises:
            InputError: one is not finite.
        """
        if not valid.any():
            return
        values = network.reshape(len(network), -1) if valid.all() else network[:, valid]
        low, high = values.min(axis=1), values.max(axis=1)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise InputError(self._source, "the network gives numbers that are not finite (NaN or infinite)")
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)
        self._pixels += values.shape[1]

    def finish(self) -> None:
        """Look at the whole output.

        Raises:
            InputError: it is nearly constant.
        """
        if self._kind != "translator" or self._low is None or self._high is None or self._pixels < _ENOUGH_PIXELS:
            return
        if bool((self._high - self._low <= _CONSTANT * np.maximum(np.abs(self._high), 1e-3)).all()):
            reason = f"the translation is the same value in all {self._pixels} pixels: are units and bands right?"
            raise InputError(self._source, reason)
