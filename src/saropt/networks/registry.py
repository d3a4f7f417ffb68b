"""Networks by name. Other packages add theirs by the entry point group `saropt.networks`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from torch import nn

from saropt.registry import Registry

NetworkClass = TypeVar("NetworkClass", bound=type[nn.Module])
NETWORKS = Registry[type[nn.Module]]("network", "saropt.networks")


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
        NETWORKS.add(name, cls)
        return cls

    return add


def list_networks() -> list[str]:
    """Names of all networks that translate, sorted.

    >>> "resnet" in list_networks()
    True
    """
    return NETWORKS.names()


def network_arguments(name: str) -> dict[str, Any]:
    """The keyword arguments of a network and their defaults (without the channel counts).

    Raises:
        ValueError: unknown network.

    >>> network_arguments("resnet")["width"]
    64
    """
    parameters = inspect.signature(NETWORKS[name].__init__).parameters
    skipped = ("self", "in_channels", "out_channels")
    return {key: parameter.default for key, parameter in parameters.items() if key not in skipped}


def build_network(name: str, in_channels: int, out_channels: int, **arguments: Any) -> nn.Module:
    """A freshly initialised network.

    Raises:
        ValueError: unknown network or argument.

    >>> build_network("resnet", 1, 3, width=4, blocks=1).stride
    4
    """
    known = network_arguments(name)
    unknown = set(arguments) - set(known)
    if unknown:
        raise ValueError(f"network {name!r} has no argument {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    factory = cast("Callable[..., nn.Module]", NETWORKS[name])
    return factory(in_channels, out_channels, **arguments)
