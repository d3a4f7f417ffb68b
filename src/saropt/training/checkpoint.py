"""checkpoint.pt: everything a run needs to go on exactly where it stopped; tensors and plain values only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from saropt.errors import InputError
from saropt.training.loop import read_state, write_state

if TYPE_CHECKING:
    from saropt.training.engine import Trainer


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write the trainer's state under a temporary name, then rename."""
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
    write_state(path, state)


def load_checkpoint(trainer: Trainer, path: Path) -> None:
    """Put a saved state into a freshly built trainer.

    Raises:
        InputError: damaged, or from another method or configuration.
    """
    state = read_state(path, trainer.fabric.device)
    if state["method"] != trainer.config.method:
        raise InputError(path, f"is of a {state['method']!r} run, not of {trainer.config.method!r}")
    try:
        _load_modules(trainer.plain, state["modules"])
        for name, optimizer in trainer.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
    except (RuntimeError, KeyError, ValueError) as error:
        raise InputError(path, "does not fit the configuration: resume with the run's own config") from error
    trainer.average.states = state["average"]
    trainer.average.steps = state["average_steps"]
    trainer.kept = state["kept"]
    trainer.best = state["best"]
    trainer.waited = state.get("waited", 0)
    trainer.seconds = state.get("seconds", 0.0)
    trainer.step = state["step"]


def _load_modules(method: nn.Module, state: dict[str, Tensor]) -> None:
    """Into the networks one by one: Fabric's wrappers load, but do not list, the keys of what they wrap."""
    for name, child in method.named_children():
        prefix = f"{name}."
        child.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    for name, buffer in method.named_buffers(recurse=False):
        buffer.copy_(state[name])
