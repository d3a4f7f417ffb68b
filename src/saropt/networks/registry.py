"""Networks by name. Other packages add theirs by the entry point group `saropt.networks`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
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
    return arguments_of(NETWORKS[name], 2)


def build_network(name: str, in_channels: int, out_channels: int, **arguments: Any) -> nn.Module:
    """A freshly initialised network.

    Raises:
        ValueError: unknown network or argument.

    >>> build_network("resnet", 1, 3, width=4, blocks=1).stride
    4
    """
    return construct(f"network {name!r}", NETWORKS[name], (in_channels, out_channels), arguments)


def arguments_of(network: type[nn.Module], counts: int) -> dict[str, Any]:
    """The keyword arguments of a network and their defaults, without its first `counts` arguments (channel counts)."""
    parameters = list(inspect.signature(network.__init__).parameters.items())[1 + counts :]
    return {key: parameter.default for key, parameter in parameters}


def construct(title: str, network: type[nn.Module], counts: Sequence[int], arguments: Mapping[str, Any]) -> nn.Module:
    """A network with channel counts and keyword arguments.

    Raises:
        ValueError: it has no such argument, or cannot be built with one; the message begins with `title` or its name.
    """
    known = arguments_of(network, len(counts))
    unknown = set(arguments) - set(known)
    if unknown:
        raise ValueError(f"{title} has no argument {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    for key, value in arguments.items():
        least = 1 if key == "width" else 0
        if _counts(known[key]) and any(_below(one, least) for one in _all(value)):
            raise ValueError(f"{title}: {key} must be {least} or more, not {value}")
    try:
        return cast("Callable[..., nn.Module]", network)(*counts, **arguments)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        words = " ".join(str(error).split())
        if isinstance(error, ValueError) and words.partition(" ")[0] in known:
            raise  # the network names the argument itself
        raise ValueError(f"{title} cannot be built with {dict(arguments)}: {words}") from error


def _counts(default: Any) -> bool:
    """Whether an argument counts something, by its default: a whole number above 0, or several numbers."""
    return all(type(one) is int for one in _all(default)) and max(_all(default), default=0) > 0


def _below(value: Any, least: int) -> bool:
    return isinstance(value, bool) or (isinstance(value, int) and value < least)


def _all(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]
