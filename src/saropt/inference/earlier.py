"""What earlier runs left under the names of a run's outputs: what of it is this work, what is whole, and what goes."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saropt.addresses import is_store
from saropt.errors import InputError
from saropt.files import same_place
from saropt.inference.outputs import Destination, output_exists, product_path
from saropt.inference.products import suffix_of
from saropt.inference.stac_item import is_item_of, item_path
from saropt.scenes import open_scene
from saropt.scenes.cog import is_whole

WORK_TAG: Final = "SAROPT_WORK"
"""Tag of an output: a hash of all that determines its pixels, the same as in the journal of unfinished work."""


@dataclass(frozen=True)
class Earlier:
    """What is there of the products of a run.

    Attributes:
        products: product name -> place, the image first.
        own: those that are of this work, whole or not.
        lacking: those that are not there or not whole.
        other: those that are of other work.

    >>> find_earlier({"image": "scene.tif"}, "a hash").lacking
    ('scene.tif',)
    """

    products: Mapping[str, Path | str]
    own: tuple[Path | str, ...]
    lacking: tuple[Path | str, ...]
    other: tuple[Path | str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether all products are there, whole and of this work."""
        return not self.lacking and not self.other


def find_earlier(products: Mapping[str, Path | str], work: str | None) -> Earlier:
    """Look for the products of a run. An object of a store that is there is whole.

    Args:
        products: product name -> place.
        work: value of `WORK_TAG` of this work.

    Raises:
        InputError: one is no raster, or the store does not answer.

    >>> find_earlier({"image": "scene.tif"}, "a hash").is_complete
    False
    """
    own: list[Path | str] = []
    lacking: list[Path | str] = []
    other: list[Path | str] = []
    for place in products.values():
        if not output_exists(place):
            lacking.append(place)
            continue
        with open_scene(place) as made:
            is_own = made.tags.get(WORK_TAG) == work
        (own if is_own else other).append(place)
        if is_own and not is_store(place) and not is_whole(Path(place)):
            lacking.append(place)
    return Earlier(products, tuple(own), tuple(lacking), tuple(other))


def take_over(destinations: Mapping[str, Destination], work: str | None) -> None:
    """Let a resumed run replace what an unfinished run of the same work left, and nothing else.

    Raises:
        InputError: an output is of other work, or all of them are finished.

    >>> take_over({"image": Destination("scene.tif")}, "a hash")
    """
    earlier = find_earlier({name: one.place for name, one in destinations.items()}, work)
    if earlier.other or not earlier.lacking:
        first = earlier.other or earlier.own
        raise InputError(first[0], "exists already", remedy="overwrite")
    for one in destinations.values():
        one.overwrite = one.address is not None or one.place in earlier.own


def find_outdated(out: str | Path, products: Sequence[Path | str], inputs: Iterable[str | Path]) -> list[Path]:
    """The products and the STAC item that the run which made a local image left beside it, and that another run which
    replaces the image does not make.

    Args:
        out: the image.
        products: places of what the other run makes.
        inputs: of the other run; they are none.

    >>> find_outdated("scene.tif", ["scene.tif"], [])
    []
    """
    image = Path(out)
    if is_store(out) or not image.is_file():
        return []
    run = _tags(image).get("SAROPT_RUN")
    if run is None:
        return []
    outdated = [item_path(image)] if is_item_of(item_path(image), image) else []
    for path in sorted(image.parent.glob(f"{glob.escape(image.stem)}_*{glob.escape(image.suffix)}")):
        tags = _tags(path)
        named = product_path(image, suffix_of(tags.get("SAROPT_PRODUCT", "image")))
        if tags.get("SAROPT_RUN") == run and path == named:
            outdated.append(path)
    kept = [*products, *inputs]
    return [path for path in outdated if not any(same_place(path, one) for one in kept)]


def _tags(path: Path) -> Mapping[str, str]:
    """The tags of a raster; none where it cannot be read."""
    try:
        with open_scene(path) as raster:
            return dict(raster.tags)
    except InputError:
        return {}
