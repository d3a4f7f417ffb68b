"""Networks by name: adding one is one decorated class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from torch import nn

NetworkClass = TypeVar("NetworkClass", bound=type[nn.Module])
_NETWORKS: dict[str, type[nn.Module]] = {}


class Generator(Protocol):
    """What the tile engine needs to know of a generator.

    Attributes:
        stride: tile origins and sizes must be multiples of it.
        receptive_field: side in pixels of the input window that one output pixel sees; None when it is global.
        tile: side of the windows in which scenes are best translated, a compromise of memory and halo.
    """

    stride: int
    receptive_field: int | None
    tile: int


def network(name: str) -> Callable[[NetworkClass], NetworkClass]:
    """Class decorator: make the network available under `name`."""

    def add(cls: NetworkClass) -> NetworkClass:
        if name in _NETWORKS:
            raise ValueError(f"network {name!r} is registered twice")
        _NETWORKS[name] = cls
        return cls

    return add


def list_networks() -> list[str]:
    return sorted(_NETWORKS)


def network_arguments(name: str) -> dict[str, Any]:
    """The keyword arguments of a network and their defaults (without the channel counts)."""
    parameters = inspect.signature(_network(name).__init__).parameters
    skipped = ("self", "in_channels", "out_channels")
    return {key: parameter.default for key, parameter in parameters.items() if key not in skipped}


def build_network(name: str, in_channels: int, out_channels: int, **arguments: Any) -> nn.Module:
    """A freshly initialised network.

    Raises:
        ValueError: unknown network or argument.
    """
    known = network_arguments(name)
    unknown = set(arguments) - set(known)
    if unknown:
        raise ValueError(f"network {name!r} has no argument {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    factory = cast("Callable[..., nn.Module]", _network(name))
    return factory(in_channels, out_channels, **arguments)


def _network(name: str) -> type[nn.Module]:
    if name not in _NETWORKS:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(list_networks())}")
    return _NETWORKS[name]
