"""checkpoint.pt: everything a run needs to go on exactly where it stopped; tensors and plain values only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from saropt.errors import InputError
from saropt.training.averaging import States
from saropt.training.loop import read_state, write_state
from saropt.training.sharding import placed, placed_optimizer_state, whole

if TYPE_CHECKING:
    from saropt.training.engine import Trainer


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write the trainer's state under a temporary name, then rename; with shards all processes must call it."""
    state: dict[str, Any] = {
        "step": trainer.step,
        "method": trainer.config.method,
        "modules": trainer.plain.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in trainer.optimizers.items()},
        "average": trainer.average.states,
        "average_steps": trainer.average.steps,
        "kept": trainer.kept,
        "best": trainer.best,
        "waited": trainer.waited,
        "seconds": trainer.seconds,
    }
    lead = trainer.fabric.is_global_zero
    state = whole(state, lead)
    if lead:
        write_state(path, state)


def load_checkpoint(trainer: Trainer, path: Path) -> None:
    """Put a saved state into a freshly built trainer.

    Raises:
        InputError: damaged, or from another method or configuration.
    """
    # what goes into shards is whole here: it may not fit on a device
    state = read_state(path, torch.device("cpu") if trainer.sharded else trainer.fabric.device)
    if state["method"] != trainer.config.method:
        raise InputError(path, f"is of a {state['method']!r} run, not of {trainer.config.method!r}")
    try:
        _load_modules(trainer.plain, state["modules"])
        for name, optimizer in trainer.optimizers.items():
            optimizer.load_state_dict(placed_optimizer_state(state["optimizers"][name], optimizer))
    except (RuntimeError, KeyError, ValueError) as error:
        raise InputError(path, "does not fit the configuration: resume with the run's own config") from error
    trainer.average.states = _placed_generators(trainer, state["average"])
    trainer.average.steps = state["average_steps"]
    trainer.kept = {name: _placed_generators(trainer, states) for name, states in state["kept"].items()}
    best = state["best"]
    trainer.best = None if best is None else (best[0], _placed_generators(trainer, best[1]))
    trainer.waited = state.get("waited", 0)
    trainer.seconds = state.get("seconds", 0.0)
    trainer.step = state["step"]


def _load_modules(method: nn.Module, state: dict[str, Tensor]) -> None:
    """Into the networks one by one: Fabric's wrappers load, but do not list, the keys of what they wrap."""
    for name, child in method.named_children():
        prefix = f"{name}."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        child.load_state_dict(placed(own, child.state_dict()))
    for name, buffer in method.named_buffers(recurse=False):
        buffer.copy_(state[name])


def _placed_generators(trainer: Trainer, states: States) -> States:
    return {str(key): placed(states[key], module.state_dict()) for key, module in trainer.generators.items()}
