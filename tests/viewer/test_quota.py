"""The bytes that count for the quota."""

from __future__ import annotations

from pathlib import Path

import pytest

from saropt.viewer.state import Viewer


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
