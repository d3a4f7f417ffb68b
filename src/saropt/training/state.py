"""The content of a checkpoint: all that a run needs to continue exactly where it stopped, as tensors and plain
values."""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from saropt.errors import InputError
from saropt.files import atomic_file
from saropt.progress import Tell
from saropt.roots.identity import differences
from saropt.training.averaging import States
from saropt.training.checkpoint_version_1 import upgrade
from saropt.training.sharding import shard_like, shard_optimizer_like


@dataclass(frozen=True)
class Best:
    """The best weights up to now.

    Attributes:
        score: their validation figure; lower is better.
        states: the weights of each network that is shipped.
        figures: all their validation figures.
    """

    score: float
    states: States
    figures: dict[str, float]


@dataclass(frozen=True)
class RunState:
    """The state of a run between two steps.

    Attributes:
        method: what is trained: a method's name, "segmenter NETWORK" or "matcher".
        step: steps done.
        seconds: of training, where the run is limited by time.
        modules: state of the task's module.
        optimizers: state of each optimizer.
        average, average_steps: averaged weights of each network that is shipped, and over how many steps.
        kept: the weights kept at each milestone.
        best: the best weights, None before the first validation.
        waited: validations since then.
        figures: the last validation figures.
        data: what the run learns from (`saropt.roots.identity.describe_data`); None in checkpoints of older versions.
        data_use: how the run takes them (`Task.data_use`); None in checkpoints of older versions.
        share: share of the training that was done; None in checkpoints of older versions.
    """

    method: str
    step: int
    seconds: float
    modules: dict[str, Tensor]
    optimizers: dict[str, Any]
    average: States
    average_steps: int
    kept: dict[str, States]
    best: Best | None
    waited: int
    figures: dict[str, float]
    data: dict[str, str] | None
    data_use: dict[str, str] | None
    share: float | None

    def to_values(self) -> dict[str, Any]:
        """Tensors and plain values, for `write_values`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        best = self.best
        return values | {"best": best and {field.name: getattr(best, field.name) for field in fields(best)}}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """The state that `to_values` gave.

        Raises:
            KeyError: a value is missing.
        """
        best = values["best"]
        found = {field.name: values[field.name] for field in fields(cls)}
        return cls(**found | {"best": best and Best(**best)})


def write_values(path: Path, values: dict[str, Any]) -> None:
    """Save values with torch.save. The file appears when it is complete.

    Raises:
        InputError: it cannot be written; an older checkpoint stays as it was.
    """
    with atomic_file(path) as part:
        try:
            torch.save(values, part)
        except RuntimeError as error:  # so torch tells of a full disk
            raise InputError(path, "cannot be written whole: the disk may be full") from error


def read_state(
    path: Path, method: str, device: torch.device, score: Callable[[Mapping[str, float]], float]
) -> RunState:
    """The state in a checkpoint; no code runs.

    Args:
        path: the checkpoint.
        method: what the run trains.
        device: where the tensors go.
        score: of validation figures, for checkpoints of version 1, which hold none.

    Raises:
        InputError: damaged, no checkpoint, or of a run that trains something else.
    """
    try:
        with zipfile.ZipFile(path) as parts:  # torch does not look at the checksums
            if (damaged := parts.testzip()) is not None:
                raise ValueError(damaged)
        values = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise InputError(path, f"is damaged or no checkpoint ({type(error).__name__})") from error
    if not isinstance(values, dict) or "method" not in values:
        raise InputError(path, "is damaged or no checkpoint of saropt")
    if values["method"] != method:
        raise InputError(path, f"is of a {values['method']!r} run, not of {method!r}")
    try:
        return RunState.from_values(upgrade(values, score))
    except (KeyError, TypeError) as error:
        raise InputError(path, f"is damaged or no checkpoint of saropt ({error})") from error


def check_same_data(
    path: Path, state: RunState, root: Path, data: Mapping[str, str], data_use: Mapping[str, str], tell: Tell
) -> None:
    """Refuse to resume on other data, or on the same data taken in another way.

    Args:
        path: the checkpoint.
        state: what it holds.
        root: the data root of the resumed run.
        data, data_use: of the resumed run, as in `RunState`.
        tell: gets a line where the checkpoint does not say.

    Raises:
        InputError: they differ.
    """
    if state.data is None:
        tell(f"{path}: does not say what data it is of: {root} is taken to be the same")
    elif other := differences(state.data, data):
        raise InputError(path, f"is of a run on other data than {root}: they differ in {other}")
    elif state.data_use is None:
        tell(f"{path}: does not say how its run took the data: bands, recipes and seed are taken to be the same")
    elif other := differences(state.data_use, data_use):
        raise InputError(path, f"is of a run that took its data otherwise: they differ in {other}")


def load_modules(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a saved state into a module, child by child: Fabric's wrappers load, but do not list, the keys of what they
    wrap.

    Raises:
        RuntimeError, KeyError: the state is of another module.
    """
    for name, child in module.named_children():
        prefix, like = f"{name}.", child.state_dict()
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        versioned = OrderedDict(shard_like(own, like))
        # without the versions of its layers, BatchNorm takes a state for one of an old torch and adds buffers to it
        versioned._metadata = getattr(like, "_metadata", {})  # type: ignore[attr-defined]
        child.load_state_dict(versioned)
    for name, buffer in module.named_buffers(recurse=False):
        buffer.copy_(state[name])


def load_optimizer(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Put a saved state into an optimizer; what the configuration says of its steps holds, not what was saved.

    Raises:
        KeyError, ValueError: the state is of another optimizer.
    """
    kept = ("params", "lr")  # the loop sets the rate of every step
    own = [{key: value for key, value in group.items() if key not in kept} for group in optimizer.param_groups]
    optimizer.load_state_dict(shard_optimizer_like(saved, optimizer))
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        if missing := settings.keys() - group.keys():
            raise KeyError(*missing)
        group.update(settings)
