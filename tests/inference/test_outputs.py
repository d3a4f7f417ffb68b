"""Several outputs of a run: all of them, or none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from saropt.errors import InputError
from saropt.inference.outputs import Destination, finish_all
from saropt.scenes import SceneWriter
from saropt.scenes.cog import raw_to_cog

NAMES = ("out.tif", "out_origin.tif", "out_reliability.tif")


def _finish(folder: Path, overwrite: bool) -> None:
    with ExitStack() as stack:
        places = [Destination(folder / name, overwrite=overwrite) for name in NAMES]
        writers = [
            stack.enter_context(
                SceneWriter(one.path, width=8, height=8, band_names=["a"], dtype="uint8", overwrite=overwrite)
            )
            for one in places
        ]
        for writer in writers:
            writer.write(0, 0, np.ones((1, 8, 8), np.uint8))
        finish_all(writers, places)


def _fails_for(name: str) -> Callable[..., None]:
    def make(raw: Path, *further: object) -> None:
        if raw.name == f".{name}.part":
            raise OSError("WriteEncodedTile/Strip() failed.")
        raw_to_cog(raw, *further)  # type: ignore[arg-type]

    return make


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("earlier", [(), NAMES[:2]])
def test_earlier_products_stay_where_one_cannot_be_made(
    name: str, earlier: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in earlier:
        (tmp_path / one).write_text(f"the earlier {one}")
    monkeypatch.setattr("saropt.scenes.writing.raw_to_cog", _fails_for(name))
    with pytest.raises(InputError, match=rf"{name}: cannot be written: WriteEncodedTile/Strip\(\) failed\.$"):
        _finish(tmp_path, overwrite=True)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {one: f"the earlier {one}" for one in earlier}


def test_a_full_disk_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(raw: Path, *_: object) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
        raise OSError("WriteEncodedTile/Strip() failed.")

    monkeypatch.setattr("saropt.scenes.writing.raw_to_cog", full)
    with pytest.raises(InputError, match=r"failed\. \(is the disk full\? 0 MB are free\)$"):
        _finish(tmp_path, overwrite=False)


def test_all_are_there_in_the_end(tmp_path: Path) -> None:
    _finish(tmp_path, overwrite=False)
    assert {one.name for one in tmp_path.iterdir()} == set(NAMES)
