"""What a method yields in a step is checked before it is computed with."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch

from saropt.errors import InputError
from saropt.methods.base import Update


def checked_updates(updates: object, method: str, optimizers: Collection[str]) -> Iterator[Update]:
    """The updates of a method, each loss as a tensor without dimensions.

    Args:
        updates: what its `updates` returned.
        optimizers: the names of its optimizers.

    Raises:
        InputError: they are no updates: another optimizer, no losses, or losses that cannot be trained by.

    >>> next(checked_updates(iter([("critic", {"pixel": torch.ones(())})]), "mine", ["generator"]))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: mine: updates() yields the optimizer 'critic'; optimizers() names generator
    """
    if not isinstance(updates, Iterator):
        raise InputError(method, f"updates() must yield (optimizer, losses), not return {type(updates).__name__}")
    for update in updates:
        if not isinstance(update, tuple) or len(update) != 2 or not isinstance(update[1], dict) or not update[1]:
            raise InputError(method, f"updates() must yield (optimizer, losses by name), not {repr(update)[:60]}")
        name, losses = update
        if name not in optimizers:
            raise InputError(
                method, f"updates() yields the optimizer {name!r}; optimizers() names {', '.join(optimizers)}"
            )
        for key, loss in losses.items():
            if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                given = (
                    f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else f"type {type(loss).__name__}"
                )
                raise InputError(method, f"the loss {key!r} must be a tensor of one number, not of {given}")
        if not any(loss.requires_grad for loss in losses.values()):
            raise InputError(method, f"the losses of {name!r} depend on nothing that is trained")
        yield name, {key: loss.reshape(()) for key, loss in losses.items()}
