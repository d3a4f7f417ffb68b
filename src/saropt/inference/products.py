"""The products of a run: rasters that are written in one pass over the tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import rgb_bands
from saropt.scenes import Window
from saropt.scenes.nodata import usual_nodata

Decode = Callable[[NDArray[np.float32]], NDArray]
"""Network values (C, h, w) of a tile as pixels (B, h, w) of a product, in its type."""


@dataclass(frozen=True)
class Product:
    """One raster that a run writes.

    Attributes:
        name: "image", "deviation", "class", "origin"; it stands in the tag SAROPT_PRODUCT. Products of one run share
            the tag SAROPT_RUN.
        bands: band names.
        dtype: of the pixels.
        nodata: value of invalid pixels.
        decode: pixels from the network's values.
        suffix: what is added to the stem of the first product, such as "_std".
        tags: metadata that the product has beyond the run's own.
        photometric, overview_resampling: as of `saropt.scenes.SceneWriter`.

    >>> product = Product("image", ("VV",), "uint8", 0, decode=lambda network: 100 * network)
    >>> product.pixels(np.ones((1, 1, 2), np.float32), np.array([[True, False]])).tolist()
    [[[100.0, 0.0]]]
    """

    name: str
    bands: tuple[str, ...]
    dtype: str
    nodata: float
    decode: Decode
    suffix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    photometric: str | None = None
    overview_resampling: str = "average"

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel of all bands."""
        return len(self.bands) * np.dtype(self.dtype).itemsize

    def pixels(self, network: NDArray[np.float32] | None, valid: NDArray[np.bool_]) -> NDArray:
        """Pixels (B, h, w) of a tile, nodata where it is not valid; `network` is None where nothing is."""
        if network is None or not valid.any():
            return np.full((len(self.bands), *valid.shape), self.nodata, self.dtype)
        pixels = self.decode(network)
        if not valid.all():
            pixels[:, ~valid] = self.nodata
        return pixels


@dataclass(frozen=True)
class Block:
    """A finished part of all products.

    Attributes:
        window: its place in the scene.
        products: product name -> pixels (B, h, w).
        valid: (h, w).
        key: number of the unit of work that is finished with this part and need not be done again; None where more
            parts of it follow.

    >>> block = Block(Window(0, 0, 8, 8), {"image": np.ones((3, 8, 8))}, np.ones((8, 8), bool), key=0)
    >>> block.products["image"].shape
    (3, 8, 8)
    """

    window: Window
    products: Mapping[str, NDArray]
    valid: NDArray[np.bool_]
    key: int | None


def store(values: NDArray[np.float32], dtype: str, nodata: float = 0) -> NDArray:
    """Values in their stored type; the lowest integer is kept for nodata, unless `nodata` is another value.

    >>> store(np.array([-3.2, 0.2, 99.6], np.float32), "uint8")
    array([  1,   1, 100], dtype=uint8)
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return values.astype(kind)
    limits = np.iinfo(kind)
    lowest = limits.min + (nodata == limits.min)
    rounded = np.rint(values)
    return np.clip(rounded, lowest, limits.max, out=rounded).astype(kind)


def nodata_of(dtype: str, units: str = "") -> float:
    """The nodata value of an output type: the lowest of integers (255 for per cent, where 0 is a value), NaN for
    others.

    >>> nodata_of("uint8"), nodata_of("uint8", "percent")
    (0, 255)
    """
    if units == "percent":
        return 255
    return usual_nodata(dtype)


def suffix_of(name: str) -> str:
    """What a product adds to the stem of the image.

    >>> suffix_of("image"), suffix_of("origin"), suffix_of("deviation")
    ('', '_origin', '_std')
    """
    return "_std" if name == "deviation" else "" if name == "image" else f"_{name}"


def image_product(name: str, images: Sequence[ImageCard], start: int, in_units: bool) -> Product:
    """The product of outputs that stand behind one another in the network's bands, from band `start` on.

    Args:
        in_units: whether the values are in the output's units already, as the mean of several samples is.
    """
    bands = tuple(band for image in images for band in image.bands)
    dtype, nodata = images[0].dtype, nodata_of(images[0].dtype, images[0].units)
    parts: list[tuple[slice, Callable[[NDArray], NDArray]]] = []
    for image in images:
        place = slice(start, start + len(image.bands))
        parts.append((place, image.normaliser().inverse if not in_units else lambda values: values))
        start = place.stop

    def decode(network: NDArray[np.float32]) -> NDArray:
        values = [to_units(network[place]) for place, to_units in parts]
        return store(values[0] if len(values) == 1 else np.concatenate(values), dtype, nodata)

    is_picture = name == "image" and len(bands) == 3 and rgb_bands(bands) != (0, 0, 0) and images[0].role == "optical"
    photometric = "rgb" if is_picture else None
    return Product(name, bands, dtype, nodata, decode, suffix_of(name), photometric=photometric)


def deviation_product(bands: Sequence[str], samples: int) -> Product:
    """The standard deviation of several samples, which stands behind their mean.

    >>> deviation_product(["B4", "B3"], samples=4).decode(np.arange(4.0)).tolist()
    [2.0, 3.0]
    """
    spread, content = slice(len(bands), 2 * len(bands)), f"standard deviation of {samples} samples"
    said = {"SAROPT_CONTENT": content}
    name = "deviation"
    return Product(name, tuple(bands), "float32", np.nan, lambda network: network[spread], suffix_of(name), said)
