"""Colour pictures of dual-polarised SAR rasters and products, window by window."""

from __future__ import annotations

from pathlib import Path

from saropt.domain import canonical_band, listed
from saropt.errors import InputError
from saropt.files import check_not_input
from saropt.progress import Progress, Tell, log_line
from saropt.radiometry import sar_composite, to_db
from saropt.radiometry.composite import CO_RANGE, CROSS_RANGE, RATIO_RANGE
from saropt.scenes import Scene, SceneWriter, Window
from saropt.scenes.measurements import measured_backscatter
from saropt.scenes.metadata import tags_for_output
from saropt.sensors.grd_scene import open_scene_or_product
from saropt.sensors.unchanged import Unchanged

_TILE = 1024
_PAIRS = (("VV", "VH"), ("HH", "HV"))


def write_composite(
    source: str | Path,
    out: str | Path,
    units: str | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    tell: Tell = log_line,
) -> Path:
    """Write a dual-polarised SAR raster, or a Sentinel-1 GRD product, as red VV, green VH and blue VV/VH of 8 bits.

    The ranges are fixed (`saropt.radiometry.composite`); HH and HV take the places of VV and VH. Impossible values, and
    fill that the raster does not declare, become nodata (`saropt.scenes.measurements`).

    Args:
        source: SAR raster with two polarisations, or a product, which is calibrated to `units`.
        out: GeoTIFF on the same grid, nodata 0.
        units: SAR units with a decibel scale (not `uint8`); when None those that the raster's tags or band names state,
            else decibels of sigma0.
        tell: gets a line for pixels that are made nodata, and for units that the raster states.

    Raises:
        InputError: a polarisation is missing, the values contradict the units, or a file cannot be used.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> decibels = np.full((2, 64, 64), [[[-8.0]], [[-15.0]]], np.float32)
    >>> path = write_array("sar.tif", decibels, band_names=["VV", "VH"])
    >>> with Scene.open(write_composite(path, "colours.tif")) as scene:
    ...     scene.read()[0][:, 0, 0].tolist()
    [153.0, 134.0, 64.0]
    """
    check_not_input(out, [source])
    with open_scene_or_product(source, units) as scene:
        inputs = Unchanged(source)
        measured = measured_backscatter(scene, units)
        co, cross = _bands(scene, source)
        ranges = " ".join(f"{low:g}..{high:g}" for low, high in (CO_RANGE, CROSS_RANGE, RATIO_RANGE))
        names = [canonical_band(scene.band_names[place]) for place in (co, cross)]
        with SceneWriter(
            out,
            width=scene.width,
            height=scene.height,
            band_names=[*names, f"{names[0]}/{names[1]}"],
            dtype="uint8",
            nodata=0,
            georeference=scene.georeference,
            tags={**tags_for_output(scene), "COMPOSITE_RANGES_DB": ranges},
            overwrite=overwrite,
            photometric="rgb",
        ) as writer:
            for line in measured.notes:
                tell(line)
            starts = [(row, col) for row in range(0, scene.height, _TILE) for col in range(0, scene.width, _TILE)]
            for number, (row, col) in enumerate(starts, start=1):
                window = Window(row, col, min(_TILE, scene.height - row), min(_TILE, scene.width - col))
                values, valid = scene.read(window)
                valid = valid & measured.rule.measured(values)
                values[:, ~valid] = 1
                decibels = to_db(values, measured.units)
                picture = sar_composite(decibels[co], decibels[cross])
                picture[:, ~valid] = 0
                writer.write(row, col, picture)
                if progress is not None:
                    progress(number, len(starts), "windows")
            inputs.check()
            return writer.finish()


def _bands(scene: Scene, source: str | Path) -> tuple[int, int]:
    """Places of the two polarisations."""
    names = [canonical_band(name) for name in scene.band_names]
    for co, cross in _PAIRS:
        if names.count(co) == names.count(cross) == 1:
            return names.index(co), names.index(cross)
    raise InputError(source, f"holds {listed(scene.band_names)}; VV and VH, or HH and HV, are needed")
