"""Network outputs as rasters hold them, and rasters that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.scenes import SceneWriter


def deviation_path(out: str | Path) -> Path:
    """Where the standard deviation of several samples goes: OUT_std.tif beside OUT.tif."""
    path = Path(out)
    return path.with_name(f"{path.stem}_std{path.suffix}")


def finish_all(writers: Sequence[SceneWriter]) -> Path:
    """Finish all, the first last; what comes beside it does not stay without it."""
    first, *others = writers
    for writer in others:
        writer.finish()
    try:
        return first.finish()
    except BaseException:
        for writer in others:
            writer.path.unlink(missing_ok=True)
        raise


def store(values: NDArray[np.float32], dtype: str) -> NDArray:
    """Values in their stored type; unsigned integers keep 0 for nodata."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return values.astype(kind)
    limits = np.iinfo(kind)
    lowest = 1 if kind.kind == "u" else limits.min
    rounded = np.rint(values)
    return np.clip(rounded, lowest, limits.max, out=rounded).astype(kind)
