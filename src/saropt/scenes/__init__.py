"""Georeferenced rasters in and out (no torch)."""

from saropt.scenes.georeference import Georeference, Window, reflect_indices
from saropt.scenes.mosaic import mosaic
from saropt.scenes.reading import Scene
from saropt.scenes.small import write_scene
from saropt.scenes.writing import SceneWriter

__all__ = ["Georeference", "Scene", "SceneWriter", "Window", "mosaic", "reflect_indices", "write_scene"]
