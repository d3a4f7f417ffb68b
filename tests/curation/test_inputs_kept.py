"""Tools that write one raster of others: none of these is replaced, or changes while it is read."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from saropt.curation.composite import write_composite
from saropt.curation.filtering import filter_scene, write_pauli
from saropt.errors import InputError
from saropt.scenes import write_array

VALUES = np.random.default_rng(0).gamma(2.0, 0.05, (3, 64, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("tool", "bands"),
    [
        (lambda path, out, **how: filter_scene(path, out, "lee", 4.0, "sigma0", **how), ["VV"]),
        (lambda path, out, **how: write_composite(path, out, "sigma0", **how), ["VV", "VH"]),
        (lambda path, out, **how: write_pauli([path], out, **how), ["T11", "T22", "T33"]),
    ],
)
def test_an_input_stays_and_is_read_in_one_state(tool, bands, tmp_path: Path) -> None:
    write = partial(write_array, tmp_path / "a.tif", band_names=bands, overwrite=True)
    path = write(VALUES[: len(bands)])
    content = path.read_bytes()
    with pytest.raises(InputError, match="is an input, which the output would replace"):
        tool(path, path, overwrite=True)
    assert path.read_bytes() == content
    with pytest.raises(InputError, match=r"a\.tif: has changed while it was read: nothing is written"):
        tool(path, tmp_path / "out.tif", progress=lambda *_: write(2 * VALUES[: len(bands)]))
    assert [one.name for one in tmp_path.iterdir()] == ["a.tif"]
