"""What the rasters of a run hold, told by their content. Unfinished work is known by it, and a run whose rasters change
meanwhile writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from saropt.files.identity import check_same
from saropt.inference.requests import TranslateOptions
from saropt.scenes import Scene, is_remote, open_scene
from saropt.scenes.formats import check_readable
from saropt.sensors.product_names import digest_product, is_product

States = Mapping[tuple[str, str], str]
"""Field or role ("" of the scene), and path or address, of each raster that a run reads -> a hash of its content."""


def states_of(scene: Scene, options: TranslateOptions, *, local: bool = False) -> States:
    """The states of the scene and of the rasters that come with it.

    Args:
        local: leave out those of addresses, of which pixels would have to be read.

    Raises:
        InputError: one cannot be read.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> path = write_array("scene.tif", np.ones((1, 8, 8), np.uint8))
    >>> with open_scene(path) as scene:
    ...     list(states_of(scene, TranslateOptions(reference=path)))
    [('reference', 'scene.tif'), ('', 'scene.tif')]
    """
    states = {(name, str(path)): _state_of(path) for name, path in options.files if not (local and is_remote(path))}
    if not (local and scene.is_remote):
        states["", scene.source] = scene.identity()
    return states


def check_unchanged(before: States, scene: Scene, options: TranslateOptions) -> None:
    """Refuse local rasters whose content is another than before they were read.

    Args:
        before: what `states_of` gave then.

    Raises:
        InputError: one has changed.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> path = write_array("scene.tif", np.ones((1, 8, 8), np.uint8))
    >>> with open_scene(path) as scene:
    ...     before = states_of(scene, TranslateOptions())
    ...     _ = write_array(path, np.zeros((1, 8, 8), np.uint8), overwrite=True)
    ...     check_unchanged(before, scene, TranslateOptions())
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: scene.tif: has changed while it was read: nothing is written
    """
    for (name, source), state in states_of(scene, options, local=True).items():
        check_same(source, before[name, source], state)


def _state_of(path: str | Path) -> str:
    if is_remote(path):
        with open_scene(path) as raster:
            return raster.identity()
    if not is_product(path):
        check_readable(Path(path))
    return digest_product(path)
