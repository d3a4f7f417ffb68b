"""An output never takes the place of an input, by whatever name."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.shutil import copy

from saropt.errors import InputError
from saropt.files.places import check_not_input
from saropt.scenes import write_array


def test_the_source_of_a_virtual_raster_is_an_input(tmp_path: Path) -> None:
    source = write_array(tmp_path / "a.tif", np.ones((1, 8, 8), np.float32))
    virtual = tmp_path / "a.vrt"
    copy(source, virtual, driver="VRT")
    with pytest.raises(InputError, match="is an input, which the output would replace"):
        check_not_input(source, [virtual])
    check_not_input(tmp_path / "b.tif", [virtual])
