"""The bytes that count for the quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from saropt.scenes import write_array
from saropt.viewer.rasters import Limits
from saropt.viewer.state import Viewer
from saropt.viewer.uploads import TooLargeError


def test_a_file_that_goes_while_it_is_counted_has_no_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = Viewer(tmp_path)
    (viewer.state / "kept").write_bytes(b"12345")
    monkeypatch.setattr("saropt.viewer.state.os.walk", lambda top: iter([(str(top), [], ["kept", "gone"])]))
    assert viewer.used_bytes() == 5


def test_translations_that_wait_count(tmp_path: Path) -> None:
    viewer = Viewer(tmp_path)
    used = viewer.taken_bytes()
    for _ in range(2):
        viewer.jobs.submit({"layer": "a", "bytes": 1000})
    assert viewer.taken_bytes() - used >= 2000
    viewer.jobs.cancel(viewer.jobs.all()[0].id)
    assert 1000 <= viewer.taken_bytes() - used < 2000


def test_uploads_that_overlap_keep_to_the_quota_together(
    tmp_path: Path, simulated: tuple[np.ndarray, np.ndarray]
) -> None:
    """Of five, four fit: two are begun, three are sent meanwhile, then the two end."""
    content = write_array(tmp_path / "a.tif", simulated[0]).read_bytes()
    (tmp_path / "scenes").mkdir()
    viewer = Viewer(tmp_path / "scenes")
    viewer.uploads.limits = Limits(quota_bytes=int(4.5 * len(content)) + viewer.taken_bytes())

    async def pieces(gate: asyncio.Event) -> AsyncIterator[bytes]:
        yield content[:1000]
        await gate.wait()
        yield content[1000:]

    async def all_of_them() -> list[str]:
        gate, opened = asyncio.Event(), asyncio.Event()
        opened.set()
        slow = [asyncio.create_task(sent(viewer, f"s{n}.tif", pieces(gate))) for n in range(2)]
        await asyncio.sleep(0)
        others = [await sent(viewer, f"o{n}.tif", pieces(opened)) for n in range(3)]
        gate.set()
        return [*others, *await asyncio.gather(*slow)]

    ends = asyncio.run(all_of_them())
    assert ends == ["taken"] * 3 + ends[3:]
    assert sorted(ends[3:]) == ["refused", "taken"]
    assert len(viewer.uploads.files()) == 4
    assert viewer.taken_bytes() <= viewer.uploads.limits.quota_bytes


async def sent(viewer: Viewer, name: str, content: AsyncIterator[bytes]) -> str:
    try:
        await viewer.uploads.receive(name, content, viewer.taken_bytes)
    except TooLargeError:
        return "refused"
    return "taken"
