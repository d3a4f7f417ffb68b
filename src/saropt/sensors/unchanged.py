"""Inputs that must stay as they are while a run reads them."""

from __future__ import annotations

from pathlib import Path

from saropt.files.identity import check_same
from saropt.sensors.product_names import digest_product


class Unchanged:
    """What rasters, products and other files held before they were read. A run calls `check` before anything that it
    makes takes its name.

    Args:
        paths: the inputs, as `note` takes them.

    >>> from saropt.files import write_text
    >>> write_text("scene.tif", "1")
    >>> inputs = Unchanged("scene.tif")
    >>> write_text("scene.tif", "2")
    >>> inputs.check()
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: scene.tif: has changed while it was read: nothing is written
    """

    def __init__(self, *paths: str | Path) -> None:
        self._before: dict[str, str] = {}
        self.note(*paths)

    def note(self, *paths: str | Path) -> None:
        """Note what further inputs hold; of one that is noted already the first state counts.

        Raises:
            InputError: a file cannot be read.
        """
        for path in map(str, paths):
            if path not in self._before:
                self._before[path] = digest_product(path)

    def check(self) -> None:
        """Refuse to go on where an input has changed.

        Raises:
            InputError: one has, or cannot be read any more.
        """
        for path, before in self._before.items():
            check_same(path, before, digest_product(path))
