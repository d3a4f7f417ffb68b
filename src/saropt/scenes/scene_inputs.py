"""Reads the scene inputs of a raster (`saropt.domain.SCENE_INPUTS`) from its tags and its place on the ground."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from saropt.domain import check_scene_input
from saropt.scenes.georeference import Framed, degrees_at_centre

_INCIDENCE_TAGS = ("INCIDENCE_ANGLE", "VIEW:INCIDENCE_ANGLE")


class Dated(Framed, Protocol):
    """What has tags, a date and a place on the ground: a scene, or an array that describes itself as one does."""

    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def acquired(self) -> datetime | None: ...


def read_scene_inputs(scene: Dated) -> dict[str, float]:
    """Name -> value of the scene inputs that a raster tells of: the month of its date of acquisition,
    the latitude of its centre, and the incidence angle of a tag INCIDENCE_ANGLE in degrees.

    A simulated raster tells of nothing: its date and place are made up.

    >>> import numpy as np
    >>> from saropt.scenes import Scene, write_array
    >>> tags = {"ACQUISITION_DATE": "2024-07-01", "INCIDENCE_ANGLE": "38.5"}
    >>> with Scene.open(write_array("dated.tif", np.ones((1, 8, 8), np.float32), tags=tags)) as scene:
    ...     read_scene_inputs(scene)
    {'month': 7.0, 'incidence': 38.5}
    """
    if "SIMULATED" in scene.tags:
        return {}
    found: dict[str, float] = {}
    tags = {key.upper(): value for key, value in scene.tags.items()}
    if scene.acquired is not None:
        found["month"] = float(scene.acquired.month)
    degrees = degrees_at_centre(scene.georeference, scene.height, scene.width)
    if degrees is not None and abs(degrees[1, 0]) <= 90.0:
        found["latitude"] = round(float(degrees[1, 0]), 2)
    for text in (tags[key] for key in _INCIDENCE_TAGS if key in tags):
        try:
            found.setdefault("incidence", check_scene_input("incidence", float(text)))
        except ValueError:
            continue
    return found
