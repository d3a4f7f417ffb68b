"""How generators compute in training: activation checkpointing and compiled forwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from saropt.domain import Direction
from saropt.errors import InputError
from saropt.methods import Method
from saropt.networks import Generator, build_network, check_compiler
from saropt.training.config import EngineConfig


def prepare_generators(generators: Iterable[nn.Module], engine: EngineConfig, device: torch.device) -> None:
    """Do to generators what `engine.checkpoint_activations` and `engine.compile` ask for, in place; names of parameters
    and buffers stay as they are.

    Raises:
        InputError: there is no compiler for the device.
    """
    if engine.compile:
        check_compiler(device.type, "engine.compile")
    for generator in set(generators):
        if engine.checkpoint_activations:
            recompute_blocks(generator)
        if engine.compile:
            generator.compile()


def check_networks(method: Method, generators: Mapping[Direction, nn.Module], name: str) -> None:
    """Make sure that a method's `network_of` says its generators: files name the network that `network_of` says.

    Args:
        generators: by direction.
        name: of the method.

    Raises:
        InputError: it says another network, or one that cannot be built.
    """
    for direction, generator in generators.items():
        network, arguments = method.network_of(direction)
        try:
            with torch.random.fork_rng(devices=[]):
                said = build_network(network, *method.channels(direction), **arguments)
        except (TypeError, ValueError) as error:
            raise InputError(name, f"network_of({direction}): {error}") from error
        of_generator, of_said = (
            {key: tuple(value.shape) for key, value in one.state_dict().items()} for one in (generator, said)
        )
        if other := [key for key in of_generator | of_said if of_generator.get(key) != of_said.get(key)]:
            shapes = f"{other[0]} is {of_said.get(other[0], 'not there')} and {of_generator.get(other[0], 'not there')}"
            reason = f"network_of({direction}) says another network, {network}, than generators() holds: {shapes}"
            raise InputError(name, reason)
        if lacking := [one for one in Generator.__annotations__ if not hasattr(generator, one)]:
            raise InputError(name, f"the network of {direction} lacks {', '.join(lacking)}")


def find_blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The blocks of a network: its smallest modules of several layers of which no Sequential, ModuleList or ModuleDict
    holds smaller ones."""
    for child in network.children():
        if any(_lists_blocks(part) for part in child.modules()):
            yield from find_blocks(child)
        elif _layers(child) > 1 and not isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield child


def has_blocks(network: nn.Module) -> bool:
    """Whether `engine.checkpoint_activations` can do anything for a network."""
    return next(find_blocks(network), None) is not None


def recompute_blocks(network: nn.Module) -> int:
    """Let each block of a network keep nothing but its inputs for the backward pass (Chen et al., "Training Deep Nets
    with Sublinear Memory Cost", 2016). Parameters, their names and gradients stay the same.

    Returns:
        The number of blocks.
    """
    blocks = list(find_blocks(network))
    for block in blocks:
        block.forward = _Recomputed(block)  # type: ignore[method-assign]
    return len(blocks)


class _Recomputed:
    """The forward of a block."""

    def __init__(self, block: nn.Module) -> None:
        self._forward = block.forward
        self._norms = [layer for layer in block.modules() if isinstance(layer, _NormBase)]

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*arguments, **options)
        if not self._norms:
            return checkpoint(self._forward, *arguments, use_reentrant=False, **options)
        return checkpoint(self._forward, *arguments, use_reentrant=False, context_fn=self._contexts, **options)

    def _contexts(self) -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), self._statistics_untouched()

    @contextmanager
    def _statistics_untouched(self) -> Iterator[None]:
        """Running statistics have taken the batch in at the first time already."""
        tracking = [(layer, layer.num_batches_tracked) for layer in self._norms]
        before = [(layer.momentum, None if count is None else count.clone()) for layer, count in tracking]
        for layer in self._norms:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for (layer, count), (momentum, saved) in zip(tracking, before, strict=True):
                layer.momentum = momentum
                if count is not None and saved is not None:
                    count.copy_(saved)


def _lists_blocks(module: nn.Module) -> bool:
    holders = nn.Sequential | nn.ModuleList | nn.ModuleDict
    return isinstance(module, holders) and any(_layers(member) > 1 for member in module.children())


def _layers(module: nn.Module) -> int:
    return sum(1 for part in module.modules() if next(part.children(), None) is None)
