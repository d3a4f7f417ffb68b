"""Methods by name; other packages add theirs through the entry point group `saropt.methods`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from saropt.methods.base import Method
from saropt.registry import Registry

MethodClass = TypeVar("MethodClass", bound=type[Method])
METHODS = Registry[type[Method]]("method", "saropt.methods")


def register(name: str, paper: str) -> Callable[[MethodClass], MethodClass]:
    """Class decorator: make a method available under `name`; `paper` says where it is published.

    >>> register("pix2pix", "a second pix2pix")(METHODS["pix2pix"])
    Traceback (most recent call last):
    ...
    ValueError: method 'pix2pix' is registered twice
    """

    def add(cls: MethodClass) -> MethodClass:
        METHODS.add(name, cls)
        cls.name, cls.paper = name, paper
        return cls

    return add


def list_methods(pattern: str = "*") -> list[str]:
    """Names of all methods that match a shell pattern, sorted.

    >>> list_methods("*cut")
    ['cut', 'fastcut']
    """
    return METHODS.names(pattern)


def get_method(name: str) -> type[Method]:
    """The method class called `name`.

    Raises:
        ValueError: there is none; the message lists the known ones.

    >>> get_method("pix2pix").paper
    'Isola et al., CVPR 2017'
    """
    return METHODS[name]
