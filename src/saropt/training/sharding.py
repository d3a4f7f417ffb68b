"""Networks in shards: every process holds a part of their weights, gradients, averages and optimizer state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning_fabric.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from saropt.training.generators import find_blocks


def sharding_strategy(processes: int) -> ModelParallelStrategy:
    """Fully sharded data parallelism (Zhao et al., "PyTorch FSDP", 2023): each block of a network is gathered when it
    computes. Gradients of gradients, as of exact gradient penalties, do not go through it.

    Args:
        processes: their number on all nodes.
    """
    return ModelParallelStrategy(_shard, data_parallel_size=processes, tensor_parallel_size=1)


def _shard(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    group = mesh["data_parallel"]
    network.to(memory_format=torch.contiguous_format)  # weights with channels last cannot be sharded
    for block in find_blocks(network):
        fully_shard(block, mesh=group)
    fully_shard(network, mesh=group)
    return network


def gather_shards(state: Any, here: bool) -> Any:
    """Nested mappings and sequences in which whole tensors replace shards, gathered one after the other. All
    processes must call it together.

    Args:
        state: what to gather; tensors that are no shards stay as they are.
        here: whether this process gets the tensors, on the CPU; it gets None in their places otherwise.
    """
    if isinstance(state, DTensor):
        tensor = state.full_tensor()
        return tensor.cpu() if here else None
    if isinstance(state, dict):
        return {key: gather_shards(value, here) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(gather_shards(value, here) for value in state)
    return state


def shard_like(state: dict[str, Any], like: dict[str, Tensor]) -> dict[str, Any]:
    """Whole tensors, sharded as the tensors of the same name in `like` are, and on their device."""
    return {key: _sharded_like(value, like[key]) if key in like else value for key, value in state.items()}


def shard_optimizer_like(state: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """A whole `Optimizer.state_dict()`, sharded as the parameters of an optimizer are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {
        **state,
        "state": {
            number: {key: _sharded_like(value, parameters[number]) for key, value in values.items()}
            for number, values in state["state"].items()
        },
    }


def are_finite(optimizers: Iterable[Optimizer]) -> bool:
    """Whether all weights that optimizers train are finite, of shards the part that this process holds."""
    groups = (group for optimizer in optimizers for group in optimizer.param_groups)
    weights = (weight for group in groups for weight in group["params"])
    whole = (weight.to_local() if isinstance(weight, DTensor) else weight for weight in weights)
    return all(bool(torch.isfinite(weight).all()) for weight in whole)


def _sharded_like(value: Any, like: Tensor) -> Any:
    if not torch.is_tensor(value) or value.shape != like.shape:
        return value
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements) if isinstance(like, DTensor) else value
