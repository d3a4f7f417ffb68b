"""Methods by name; third parties add theirs through the entry point group `saropt.methods`."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from saropt.methods.base import Method

MethodClass = TypeVar("MethodClass", bound=type[Method])
_METHODS: dict[str, type[Method]] = {}


def register(name: str, paper: str) -> Callable[[MethodClass], MethodClass]:
    """Class decorator: make a method available under `name`; `paper` says where it is published."""

    def add(cls: MethodClass) -> MethodClass:
        if name in _METHODS:
            raise ValueError(f"method {name!r} is registered twice")
        cls.name, cls.paper = name, paper
        _METHODS[name] = cls
        return cls

    return add


def list_methods(pattern: str = "*") -> list[str]:
    """Names of all methods that match a shell pattern."""
    _load_plugins()
    return sorted(name for name in _METHODS if fnmatch(name, pattern))


def get_method(name: str) -> type[Method]:
    """The method class called `name`.

    Raises:
        ValueError: there is none; the message lists the known ones.
    """
    _load_plugins()
    if name not in _METHODS:
        raise ValueError(f"unknown method {name!r}; known: {', '.join(sorted(_METHODS))}")
    return _METHODS[name]


@cache
def _load_plugins() -> None:
    for entry in entry_points(group="saropt.methods"):
        entry.load()
