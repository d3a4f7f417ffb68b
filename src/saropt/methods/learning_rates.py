"""Learning rate schedules of the published code bases."""

from __future__ import annotations

import math
from typing import Any


def epoch_decay(progress: float, constant_epochs: int, decay_epochs: int) -> float:
    """Factor 1 - max(0, e + 1 - constant) / (decay + 1) of CycleGAN and CUT.

    The training counts as constant + decay equal epochs, of which e = floor(progress (constant + decay)) are over. The
    last epoch's factor is 1 / (decay + 1), so that the rate never reaches zero.
    """
    # progress is a quotient of integers: an epoch must not begin late for its rounding
    done = math.floor(progress * (constant_epochs + decay_epochs) + 1e-9)
    return 1.0 - max(0, done + 1 - constant_epochs) / (decay_epochs + 1)


def some_epochs(config: Any) -> Any:
    """A method's config with `constant_epochs` and `decay_epochs`, checked.

    Raises:
        ValueError: both are 0, with which the learning rate would be 0.

    >>> from types import SimpleNamespace
    >>> some_epochs(SimpleNamespace(constant_epochs=1, decay_epochs=0)).constant_epochs
    1
    """
    if config.constant_epochs + config.decay_epochs == 0:
        raise ValueError("constant_epochs and decay_epochs are both 0: at least one epoch is needed")
    return config
