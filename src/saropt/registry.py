"""A registry for all that has a name and can be added from outside, such as methods, metrics and roles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from importlib.metadata import entry_points
from typing import Generic, TypeVar

Item = TypeVar("Item")
_log = logging.getLogger("saropt")


class Registry(Generic[Item]):
    """Items by name. Other packages add theirs through an entry point group, which is read at the first look-up.

    A plug-in that cannot be imported is one line in the log; all others stay usable.

    Args:
        kind: what the items are, for errors: "method".
        group: entry point group of plug-ins, such as "saropt.methods". Loading an entry point must register the item.

    >>> colours = Registry[int]("colour", "example.colours")
    >>> colours.add("red", 0xFF0000)
    >>> colours["red"], list(colours)
    (16711680, ['red'])
    >>> colours["blue"]
    Traceback (most recent call last):
    ...
    ValueError: unknown colour 'blue'; known: red
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group
        self._items: dict[str, Item] = {}
        self._has_plugins = False

    def add(self, name: str, item: Item) -> None:
        """Register an item.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._items[name] = item

    def register(self, name: str) -> Callable[[Item], Item]:
        """A decorator that registers what it decorates."""

        def add(item: Item) -> Item:
            self.add(name, item)
            return item

        return add

    def registered(self) -> dict[str, Item]:
        """Items by name so far; plug-ins are not loaded for it."""
        return dict(self._items)

    def __getitem__(self, name: str) -> Item:
        """The item of a name.

        Raises:
            ValueError: there is none; the message lists the known names.
        """
        self._load_plugins()
        if name not in self._items:
            raise ValueError(f"unknown {self.kind} {name!r}; known: {', '.join(self)}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of registration."""
        self._load_plugins()
        return iter(list(self._items))

    def items(self) -> list[tuple[str, Item]]:
        """Names and items, in the order of registration."""
        return [(name, self._items[name]) for name in self]

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a shell pattern, sorted."""
        return sorted(name for name in self if fnmatch(name, pattern))

    def _load_plugins(self) -> None:
        if self._has_plugins:
            return
        self._has_plugins = True
        for entry in entry_points(group=self.group):
            try:
                entry.load()
            except (Exception, SystemExit) as error:  # whatever a stranger's module raises when it is imported
                words = " ".join(str(error).split())
                _log.warning(
                    "plug-in %s of %s is left out: %s: %s", entry.name, self.group, type(error).__name__, words
                )
