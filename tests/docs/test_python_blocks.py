"""The Python blocks of pages run as they are written, in order, in one folder with the files that they name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from saropt.scenes import Georeference, write_array

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = Georeference(CRS.from_epsg(32633), Affine(10, 0, 5e5, 0, -10, 5e6))


@pytest.mark.parametrize("page", ["README.md", "docs/ecosystem.md"])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    decibels = drawn.normal([[[-11]], [[-18]]], 2.0, (2, 64, 64)).astype(np.float32)
    for name in ("scene", "monday", "tuesday"):
        write_array(tmp_path / f"{name}.tif", decibels, band_names=["VV", "VH"], georeference=PLACE)
    optical = drawn.integers(300, 3000, (4, 64, 64)).astype(np.uint16)
    write_array(tmp_path / "before.tif", optical, band_names=["B4", "B3", "B2", "B8"], georeference=PLACE)
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks
    command = [sys.executable, "-W", "ignore", "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
