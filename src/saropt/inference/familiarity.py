"""Whether a scene looks like those that a translator was trained on.

A scene is described by the distribution of its network inputs: five quantiles of every band, and the logarithm of its
mean gradient, over at most 16 windows spread over it. It is unlike the training data where its distance to the nearest
training scene is above that of 95 % of the training scenes to their nearest ones. The size of its pixels on the ground
is held against that of the training data, too, and so are its month, latitude and incidence angle where they are known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard, SeenCard
from saropt.artifacts.trust import QUANTILES, TEXTURE, feature_names
from saropt.domain import SCENE_INPUTS, Role, season
from saropt.errors import InputError
from saropt.inference.opening import open_input
from saropt.inference.reader import TileReader
from saropt.scenes import Georeference, Scene, read_scene_inputs
from saropt.scenes.georeference import other_pixel_metres
from saropt.scenes.metadata import unreadable_date

if TYPE_CHECKING:
    from saropt.roots import DataRoot

_LEAST_SCENES, _MOST_SCENES, _STRIDE = 10, 256, 16
_LIKE, _LEAST_SPREAD = 0.95, 1e-3
_ABSENT = -0.999
_LEAST_PART = 8
T = TypeVar("T")


def describe_scene(reader: TileReader) -> NDArray[np.float64]:
    """The features of a scene's first input; NaN for those of a band that is missing.

    Raises:
        InputError: the scene is mostly nodata.

    >>> from saropt.inference import ArraySource
    >>> image = ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe={"kind": "db_clip"})
    >>> values = np.random.default_rng(0).normal(-12.5, 3.5, (1, 64, 64)).astype(np.float32)
    >>> describe_scene(TileReader((image,), {"sar": ArraySource(values)}))[[0, 4, 5]].round(1).tolist()
    [-0.3, 0.3, -0.6]
    """
    places, bands = reader.inputs[0].places, len(reader.inputs[0].image.bands)
    windows = reader.spread_windows(_STRIDE, first_input=True)[:, :bands].astype(np.float64)
    found = []
    for band in range(bands):
        values = windows[:, band]
        if values.max() < _ABSENT or (places and band not in places):
            found += [math.nan] * (len(QUANTILES) + 1)
            continue
        found += np.quantile(values, list(QUANTILES.values())).tolist()
        found.append(math.log10(max(float(np.abs(np.diff(values, axis=-1)).mean()), 1e-6)))
    return np.array(found)


def seen_in_training(root: DataRoot, image: ImageCard, split: str) -> SeenCard | None:
    """What the scenes of a split looked like; None where they are fewer than 10.

    Args:
        image: the first input of the translator.

    Raises:
        InputError: a raster cannot be read.

    >>> from saropt.roots import DataRoot
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(10, 0, 0), size=32, units="sigma0_db"))
    >>> recipe = {"kind": "db_clip"}
    >>> image = ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=recipe)
    >>> len(seen_in_training(root, image, "train").scenes)
    10
    """
    paths = list(root.rasters(image.role, split).values())  # type: ignore[arg-type]
    described = []
    for path in _some(paths):
        with open_input(path, None, image, "translator") as scene:
            try:
                described.append(
                    describe_scene(
                        TileReader((image,), {image.role: scene}, {image.role: root.image(image.role).units})
                    )
                )
            except InputError:
                continue  # mostly nodata
    return summarise(described, image)


def other_pixel_size(place: Georeference, height: int, width: int, gsd_m: float) -> str | None:
    """One line where a scene's pixels are 1.5 times larger or smaller than those of the training data; None where they
    are not, or where the scene has no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> other_pixel_size(Georeference(CRS.from_epsg(32611), Affine(1, 0, 5e5, 0, -1, 4e6)), 100, 100, 10.0)
    'the scene has pixels of 1 m, the training data of 10 m: bring it to that size first'
    """
    pixel = other_pixel_metres(place, height, width, gsd_m)
    if pixel is None:
        return None
    return f"the scene has pixels of {pixel:.3g} m, the training data of {gsd_m:g} m: bring it to that size first"


def too_narrow(height: int, width: int, looked_at: int) -> str | None:
    """One line where a scene is narrower than an eighth of what a network looks at for one pixel; None where it is not.

    Args:
        looked_at: side in pixels of the network's receptive field; of its window, where it sees all of that.

    >>> too_narrow(1, 500, 324)
    'the scene is 1x500 pixels, the network looks at 324x324 for each: the picture rests on mirrored pixels'
    """
    if _LEAST_PART * min(height, width) >= looked_at:
        return None
    scene = f"the scene is {height}x{width} pixels, the network looks at {looked_at}x{looked_at} for each"
    return f"{scene}: the picture rests on mirrored pixels"


def scene_inputs_in_training(root: DataRoot, role: Role, split: str) -> dict[str, tuple[float, ...]]:
    """The months, latitudes and incidence angles of the scenes of a split, each value once, to a whole number; what is
    known of no scene is left out. Months are those of the northern hemisphere with the same season.

    Args:
        role: of the first input of the translator.

    Raises:
        InputError: a raster cannot be read, or an entry of splits.csv is no number.

    >>> from saropt.roots import DataRoot
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(2, 0, 0), size=64))
    >>> _ = (root.path / "splits.csv").write_text("name,split,month\\ntrain_000,train,7\\ntrain_001,train,8\\n")
    >>> scene_inputs_in_training(root, "sar", "train")
    {'month': (7.0, 8.0)}
    """
    from saropt.roots.scene_inputs import scene_inputs_of, stated_scene_inputs

    home = root.borrowed.get(role, root)
    stated = stated_scene_inputs(home)
    names = list(home.rasters(role, split))
    found: dict[str, set[float]] = {}
    for name in _some(names):
        for key, value in _by_season(scene_inputs_of(home, role, name, stated)).items():
            found.setdefault(key, set()).add(float(round(value)))
    return {key: tuple(sorted(found[key])) for key in SCENE_INPUTS if key in found}


def other_scene_inputs(known: Mapping[str, float], seen: Mapping[str, Sequence[float]]) -> str | None:
    """One line where the month, latitude or incidence angle of a scene is far from all those of the training data; None
    where none is, or nothing is known.

    Args:
        known: of the scene.
        seen: of the training data, as `scene_inputs_in_training` gives them.

    >>> other_scene_inputs({"latitude": -33.5, "month": 1}, {"latitude": (12.0, 48.0), "month": (6.0, 7.0)})
    'the scene is unlike the training data: its latitude is -33.5, the nearest there 12 (45.5 degrees away)'
    """
    parts = []
    for name, value in _by_season(known).items():
        described = SCENE_INPUTS[name]
        distances = {there: abs(value - there) for there in seen.get(name, ())}
        if name == "month":
            distances = {there: min(apart, 12.0 - apart) for there, apart in distances.items()}
        nearest = min(distances, key=lambda there: distances[there], default=None)
        if nearest is None or distances[nearest] <= described.near:
            continue
        apart = f"{distances[nearest]:g} {described.unit or 'months'} away"
        words = f"{known[name]:g}" if value == known[name] else f"{known[name]:g}, in the north {value:g}"
        parts.append(f"its {name} is {words}, the nearest there {nearest:g} ({apart})")
    return f"the scene is unlike the training data: {'; '.join(parts)}" if parts else None


def unread_month(scene: Scene) -> str | None:
    """One line where a scene's month is not known because the date in its tags cannot be read; None where it can.

    >>> from saropt.scenes import write_array
    >>> path = write_array("a.tif", np.ones((1, 8, 8), np.float32), tags={"ACQUISITION_DATE": "02/11/2023"})
    >>> with Scene.open(path) as scene:
    ...     unread_month(scene)
    "its month is not known: ACQUISITION_DATE is '02/11/2023', which cannot be read in one way"
    """
    unreadable = unreadable_date(scene.tags)
    if unreadable is None or "month" in read_scene_inputs(scene):
        return None
    return f"its month is not known: {unreadable}"


def _some(scenes: Sequence[T]) -> Sequence[T]:
    """At most `_MOST_SCENES` of them, evenly spread."""
    return scenes[:: max(1, math.ceil(len(scenes) / _MOST_SCENES))]


def _by_season(known: Mapping[str, float]) -> dict[str, float]:
    months = {"month": season(known["month"], known.get("latitude"))} if "month" in known else {}
    return {**known, **months}


def summarise(described: Sequence[NDArray[np.float64]], image: ImageCard) -> SeenCard | None:
    """The features of several scenes as a card; None where they are fewer than 10.

    >>> image = ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe={"kind": "db_clip"})
    >>> summarise(list(np.random.default_rng(0).normal(0, 1, (20, 6))), image).features[:2]
    ('VV 5 % quantile', 'VV 25 % quantile')
    """
    if len(described) < _LEAST_SCENES:
        return None
    scenes = np.round(np.stack(described), 4)
    kept = np.isfinite(scenes).sum(axis=0) >= _LEAST_SCENES
    if not kept.any():
        return None
    scenes = scenes[:, kept]
    spread = np.maximum(np.nanstd(scenes, axis=0), _LEAST_SPREAD)
    nearest = [
        np.nanmin(_distances(scene, np.delete(scenes, number, axis=0), spread)) for number, scene in enumerate(scenes)
    ]
    return SeenCard(
        features=tuple(name for name, keep in zip(feature_names(image.bands), kept, strict=True) if keep),
        scenes=tuple(tuple(None if math.isnan(value) else value for value in scene) for scene in scenes.tolist()),
        spread=tuple(np.round(spread, 5).tolist()),
        threshold=float(f"{max(np.quantile(nearest, _LIKE), 1e-3):.4g}"),
    )


def lacks_as_in_training(reader: TileReader, seen: SeenCard) -> bool:
    """Whether a scene lacks a band that the training scene nearest to it lacked, too: the network knows such land
    without it."""
    first = reader.inputs[0]
    if not first.places or first.image.band_difference is None:
        return False
    _, distances = _compared(reader, seen)
    return not np.isnan(distances).all() and None in seen.scenes[int(np.nanargmin(distances))]


def _compared(reader: TileReader, seen: SeenCard) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The features of a scene that a card has, and its distance to each training scene; NaN where it is mostly
    nodata."""
    try:
        features = describe_scene(reader)
    except InputError:
        return np.full(len(seen.features), np.nan), np.full(len(seen.scenes), np.nan)
    names = feature_names(reader.inputs[0].image.bands)
    found = np.array([features[names.index(name)] for name in seen.features])
    return found, _distances(found, np.array(seen.scenes, float), np.array(seen.spread))


def unlike_training(reader: TileReader, seen: SeenCard) -> str | None:
    """One line where a scene is unlike the training data: how far, and the feature that differs most from the nearest
    training scene. None where it is not, or is mostly nodata."""
    scenes, spread = np.array(seen.scenes, float), np.array(seen.spread)
    found, distances = _compared(reader, seen)
    if np.isnan(distances).all() or not np.nanmin(distances) > seen.threshold:
        return None
    nearest = scenes[int(np.nanargmin(distances))]
    worst = int(np.nanargmax(np.abs(found - nearest) / spread))
    name = seen.features[worst]
    return (
        f"the scene is unlike the training data (distance {np.nanmin(distances):.2f} to the nearest of {len(scenes)} "
        f"scenes, 95 % of which are within {seen.threshold:.2f} of another): its {name} is "
        f"{_in_units(found[worst], name, reader)}, there {_in_units(nearest[worst], name, reader)}"
    )


def _in_units(value: float, feature: str, reader: TileReader) -> str:
    first = reader.inputs[0]
    if feature.endswith(TEXTURE) or first.normaliser is None:
        return f"{value:.2f}"
    bands = len(first.image.bands) if not first.places else len(first.places)
    values = first.normaliser.inverse(np.full((bands, 1, 1), value, np.float32))
    return f"{float(values[0, 0, 0]):.3g}"


def _distances(
    features: NDArray[np.float64], scenes: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Root mean square difference to each scene, in standard deviations, over the features that both have; NaN where
    there is none."""
    squares = np.square((scenes - features) / spread)
    there = np.isfinite(squares)
    means: NDArray[np.float64] = np.where(there, squares, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.where(there.any(axis=1), np.sqrt(means), np.nan)
