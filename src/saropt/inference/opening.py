"""Opens what a user names, a raster or a product, with the bands that a card's input has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from saropt.artifacts import ImageCard
from saropt.domain import (
    POLARISATIONS,
    arrange_bands,
    canonical_band,
    describe_role,
    is_known,
    is_sar,
    listed,
    match_bands,
    match_some_bands,
    replaced_bands,
    unclear_bands,
)
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError, OptionError, counted
from saropt.inference.requests import TranslateOptions
from saropt.inference.sources import ArraySource, Source
from saropt.radiometry import check_units
from saropt.scenes import Grid, Scene, open_scene
from saropt.sensors.product_names import grd_product, sentinel2_product

if TYPE_CHECKING:
    from saropt.sensors.terrain import Terrain


_LOOKED_AT = 1 << 14


def open_input(
    path: str | Path,
    bands: Sequence[str | int] | None,
    image: ImageCard,
    model: str,
    grid: Grid | None = None,
    resampling: str = "bilinear",
    units: str | None = None,
    nodata: float | None = None,
    *,
    pixel_m: float | None = None,
    terrain: Terrain | None = None,
) -> Scene:
    """A scene, or a product of Sentinel-1 (GRD) or Sentinel-2, with the bands of a card's input.

    Args:
        path: path or address.
        bands: by name or 1-based number, ordered by name where the file names them; those that the card names when
            None.
        image: the input.
        model: "translator" or "segmenter", for errors.
        grid, resampling: read the scene as if warped to this grid.
        units: units of the scene; those of the card when None.
        nodata: a stored value that is no measurement, which the file does not declare.
        pixel_m: side in metres of the UTM pixels that a product is projected to; None for radar geometry.
        terrain: a terrain model by which a Sentinel-1 product is geocoded and flattened.

    Raises:
        InputError: it cannot be read, or its bands are not those of the card.
    """
    product = grd_product(path)
    if product is not None:
        return _open_product(product, bands, image, model, units, pixel_m=pixel_m, grid=grid, terrain=terrain)
    if pixel_m is not None:
        raise OptionError("pixel", f"{pixel_m:g}", "projects Sentinel-1 products; other scenes keep their own grid")
    optical = sentinel2_product(path)
    if optical is not None:
        from saropt.sensors.sentinel2 import open_sentinel2

        _check_reflectance(optical, image, model, units)
    power = None
    with open_scene(path, bands) if optical is None else open_sentinel2(optical, bands) as scene:
        if is_sar(image.role) and grid is not None and resampling != "nearest":
            power = _units_to_resample(scene, image, units)
        try:
            bands = _chosen(bands, image, scene)
        except ValueError as error:
            part = _part_of_product(scene)
            remedy = None if image.optional or part is not None else "bands"
            raise InputError(scene.source, f"{error}; {part or _taken(image, model)}", remedy) from error
    if optical is not None:
        scene = open_sentinel2(optical, bands, grid=grid, resampling=resampling)
    else:
        how: dict[str, Any] = {"grid": grid, "resampling": resampling, "power": power}
        scene = open_scene(path, bands, units=units or image.units, nodata=nodata, **how)
    if scene.count != len(image.bands) and not (image.partial and bands_given(image, scene.band_names)):
        scene.close()
        raise InputError(scene.source, f"{counted(scene.count, 'band')} chosen, the {model} takes {len(image.bands)}")
    return scene


def terrain_of(options: TranslateOptions) -> Terrain | None:
    """The terrain model that options name."""
    if options.dem is None:
        return None
    from saropt.sensors.terrain import Terrain

    return Terrain(Path(options.dem), options.geoid or 0.0)


def unnamed_bands(image: ImageCard, names: Sequence[str], source: str) -> list[str]:
    """One line where the bands of a raster have no names, or colours that are not the card's, so that their order
    alone says which is which.

    >>> from saropt.radiometry import DbClip
    >>> card = ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> unnamed_bands(card, ["band_1", "band_2"], "scene.tif")
    ['scene.tif: its bands have no names: taken as VV, VH, in this order']
    """
    if len(image.bands) < 2 or len(names) != len(image.bands):
        return []
    try:
        match_bands(image.bands, names)
    except ValueError:
        marked, bands = ", ".join(names), ", ".join(image.bands)
        return [f"{source}: its bands are marked {marked}: taken as {bands}, in this order"]
    if any(map(is_known, names)):
        return []
    return [f"{source}: its bands have no names: taken as {', '.join(image.bands)}, in this order"]


def _check_reflectance(product: Path, image: ImageCard, model: str, units: str | None) -> None:
    """Refuse a Sentinel-2 product where something else than its reflectance is asked for."""
    wanted = units or image.units
    if is_sar(image.role) or "10000" not in wanted:
        what = f"holds reflectance x 10000, the {model} takes {describe_role(image.role).title} in {wanted}"
        raise InputError(product, what)


def _taken(image: ImageCard, model: str) -> str:
    return f"the {model} takes {', '.join(image.bands)}{', or some of them by name' if image.partial else ''}"


def _open_product(
    path: Path,
    bands: Sequence[str | int] | None,
    image: ImageCard,
    model: str,
    units: str | None,
    *,
    pixel_m: float | None,
    grid: Grid | None,
    terrain: Terrain | None,
) -> Scene:
    """A Sentinel-1 product, calibrated to the units of the card where it can be, with the bands of the card."""
    from saropt.sensors.grd_scene import GrdScene
    from saropt.sensors.sentinel1 import TARGETS

    target = units or (image.units if image.units in TARGETS else None)
    with GrdScene(path, bands) as scene:
        names = scene.band_names
    try:
        order = band_positions(image, names) if bands is None else _order(image, names)
    except ValueError as error:
        raise InputError(path, f"{error}; {_taken(image, model)}", remedy="bands") from error
    bands = [names[place] for place in order]
    scene = GrdScene(path, bands, target, pixel_m=pixel_m, grid=grid, terrain=terrain)
    return cast(Scene, scene)  # read in the same way


def _chosen(bands: Sequence[str | int] | None, image: ImageCard, scene: Scene) -> list[str | int]:
    """The bands of a scene to read, in the card's order; `bands` are those that it was opened with.

    Raises:
        ValueError: the names contradict the card; one line.
    """
    if bands is None:
        return [place + 1 for place in band_positions(image, scene.band_names, has_only_colours(scene))]
    return [bands[place] for place in _order(image, own_names(scene))]


def _order(image: ImageCard, names: Sequence[str]) -> list[int]:
    """As `arrange_bands`; as they stand where there are other numbers of bands."""
    return arrange_bands(image.bands, names) if len(names) == len(image.bands) else list(range(len(names)))


def has_only_colours(scene: Scene) -> bool:
    """Whether a scene is a picture of 8 bits whose bands have no names but the colours that it is marked with.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> with open_scene(write_array("picture.png", np.ones((3, 8, 8), np.uint8))) as scene:
    ...     has_only_colours(scene)
    True
    """
    return scene.is_plain_picture or (scene.dtype == "uint8" and not any(scene.stated_names))


def own_names(scene: Scene) -> list[str]:
    """Names of the chosen bands; "" for each where they are only the colours that a picture is marked with.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> with open_scene(write_array("picture.png", np.ones((3, 8, 8), np.uint8))) as scene:
    ...     own_names(scene)
    ['', '', '']
    """
    if scene.count == 1 and canonical_band(scene.band_names[0]) in POLARISATIONS:
        return list(scene.band_names)
    only_marked = scene.is_plain_picture or not any(getattr(scene, "stated_names", scene.band_names))
    return [""] * scene.count if only_marked else list(scene.band_names)


def told_of_file(image: ImageCard, scene: Scene, *, chosen: bool = False) -> list[str]:
    """One line for each thing that is taken for granted about the file of a scene: bands without names, or `chosen` in
    the place of others; pages that are not read; the product that the file is a part of.

    >>> from saropt.radiometry import DbClip
    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> card = ImageCard(role="sar", bands=("VH",), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> with open_scene(write_array("vv.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"]), [1]) as scene:
    ...     told_of_file(card, scene, chosen=True)
    ['vv.tif: its band VV is taken as VH, as chosen']
    """
    lines = chosen_instead(image, scene) if chosen else unnamed_bands(image, scene.band_names, scene.source)
    if (pages := getattr(scene, "pages", 1)) > 1:
        lines.append(f"{scene.source}: only the first of its {pages} pages is read")
    return lines if (part := _part_of_product(scene)) is None else [*lines, f"{scene.source}: {part}"]


def _part_of_product(scene: Scene) -> str | None:
    folder = scene.path.parent
    product = grd_product(folder.parent) if folder.name.lower() == "measurement" else None
    return None if product is None else f"it is one file of {product.name}, not calibrated: give the product itself"


def chosen_instead(image: ImageCard, scene: Scene) -> list[str]:
    """One line for each band of a scene that was chosen in the place of another."""
    if scene.count != len(image.bands):
        return []
    return [
        f"{scene.source}: its band {name} is taken as {band}, as chosen"
        for name, band in replaced_bands(image.bands, own_names(scene))
    ]


def band_positions(image: ImageCard, names: Sequence[str], only_colours: bool = False) -> list[int]:
    """As `match_bands`, or the bands that are there where some may be missing.

    Args:
        only_colours: whether it is a picture of 8 bits without other names than colours. They say nothing where they do
            not fit: programs call any three such bands red, green and blue.

    Raises:
        ValueError: the names contradict the card; one line.

    >>> from saropt.radiometry import DbClip
    >>> card = ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> band_positions(card, ["VH", "VV"])
    [1, 0]
    """
    try:
        return match_bands(image.bands, names)
    except ValueError:
        if only_colours and len(names) == len(image.bands):
            return list(range(len(names)))
        if unclear := unclear_bands(image.bands, names):
            raise ValueError(f"has several bands of one kind ({listed(unclear)})") from None
        if image.partial and (some := match_some_bands(image.bands, names)):
            return [place for _, place in some]
        raise


def bands_given(image: ImageCard, names: Sequence[str]) -> list[int]:
    """Positions in an input's bands of those that a source with these band names gives, in the source's order; empty
    where a name is none of them.

    >>> from saropt.radiometry import DbClip
    >>> card = ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> bands_given(card, ["VH"])
    [1]
    """
    found = {place: position for position, place in match_some_bands(image.bands, names)}
    return [found[place] for place in range(len(names))] if len(found) == len(names) else []


def by_names(image: ImageCard, source: Source) -> Source:
    """An array whose bands have names with its bands in the card's order; any other source as it is.

    Raises:
        InputError: a name is none of the card's.

    >>> from saropt.radiometry import DbClip
    >>> card = ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict())
    >>> import numpy as np
    >>> array = ArraySource(np.array([[[-19.0]], [[-12.0]]]), bands=["VH", "VV"])
    >>> by_names(card, array).band_names
    ('VV', 'VH')
    """
    if not isinstance(source, ArraySource) or not source.band_names:
        return source
    places = bands_given(image, source.band_names)
    if not places:
        raise InputError(source.source, f"holds {listed(source.band_names)}, not {', '.join(image.bands)}")
    return source.with_bands(sorted(range(len(places)), key=places.__getitem__))


def _units_to_resample(scene: Scene, image: ImageCard, units: str | None) -> str | None:
    """The units by which a SAR raster is brought to another grid: those given, those that it states, or those of the
    card where the values fit them."""
    if units is not None:
        return units
    stated = stated_units(scene.tags, scene.band_names, scene.dtype, image.bands)
    if stated is not None and stated.units is not None:
        return stated.units
    try:
        check_units(scene.sample(_LOOKED_AT), image.units, scene.dtype, stated=False)
    except ValueError:
        return None
    return image.units
