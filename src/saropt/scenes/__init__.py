"""Reading and writing of georeferenced rasters (no torch)."""

from saropt.scenes.arrays import write_array
from saropt.scenes.georeference import Georeference, Window
from saropt.scenes.grid import Grid, bounds_in, grid_over, overlap_grid, utm_of
from saropt.scenes.mirroring import read_mirrored, reflect_indices
from saropt.scenes.mosaic import mosaic
from saropt.scenes.pixel_samples import fills_blocks, sample_pixels
from saropt.scenes.reading import Scene
from saropt.scenes.remote import is_remote, open_scene, scene_name
from saropt.scenes.scene_inputs import read_scene_inputs
from saropt.scenes.writing import SceneWriter

__all__ = [
    "Georeference",
    "Grid",
    "Scene",
    "SceneWriter",
    "Window",
    "bounds_in",
    "fills_blocks",
    "grid_over",
    "is_remote",
    "mosaic",
    "open_scene",
    "overlap_grid",
    "read_mirrored",
    "read_scene_inputs",
    "reflect_indices",
    "sample_pixels",
    "scene_name",
    "utm_of",
    "write_array",
]
