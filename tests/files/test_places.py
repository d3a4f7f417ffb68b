"""An output never takes the place of an input, by whatever name."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.shutil import copy

from saropt.errors import InputError
from saropt.files.places import check_not_input
from saropt.scenes import write_array
from saropt.sensors.product_names import digest_product


def test_the_source_of_a_virtual_raster_is_an_input(tmp_path: Path) -> None:
    source = write_array(tmp_path / "a.tif", np.ones((1, 8, 8), np.float32))
    virtual = tmp_path / "a.vrt"
    copy(source, virtual, driver="VRT")
    with pytest.raises(InputError, match="is an input, which the output would replace"):
        check_not_input(source, [virtual])
    check_not_input(tmp_path / "b.tif", [virtual])


def test_a_virtual_raster_is_another_where_its_source_is(tmp_path: Path) -> None:
    source = write_array(tmp_path / "a.tif", np.ones((1, 8, 8), np.float32))
    copy(source, tmp_path / "a.vrt", driver="VRT")
    before = digest_product(tmp_path / "a.vrt")
    write_array(source, np.full((1, 8, 8), 2, np.float32), overwrite=True)
    assert digest_product(tmp_path / "a.vrt") != before
