"""A data root is looked through once: later starts read no raster, changed rasters are read anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from roots.cards import both, card
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Q99Amplitude
from saropt.roots import DataRoot, LabelledSampler, WindowSampler, draw_batch, draw_labelled_batch
from saropt.roots.index import index_places
from saropt.roots.weighted_choice import WeightedChoice
from saropt.scenes import Scene, write_array

DB = both(card("sar", ("VV", "VH"), "sigma0_db", DbClip()), card("optical", ("B4", "B3", "B2"), "uint8", EightBit()))
Q99 = card("sar", ("VV",), "sigma0_db", Q99Amplitude())


def age(folder, seconds=60):
    """Files that have not just been written, so that the index trusts their times."""
    then = time.time() - seconds
    for path in folder.rglob("*.tif"):
        os.utime(path, (then, then))


@pytest.fixture
def root(labelled_root, tmp_path):
    path = shutil.copytree(labelled_root, tmp_path / "root", ignore=shutil.ignore_patterns(".index-*"))
    age(path)
    return DataRoot.open(path)


@contextmanager
def unreadable():
    """In the block no raster can be opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scene, "open", lambda path, **options: pytest.fail(f"{path} was opened"))
        yield


class TestStarts:
    def test_the_second_opens_no_raster(self, root):
        inputs = DB | {"sar": Q99}
        expected = draw_batch(WindowSampler(root, "train", 32, inputs, labels=True), 4, [1])
        found = draw_labelled_batch(LabelledSampler(root, "train", 32, Q99), 4, [1])
        with unreadable():
            second = WindowSampler(root, "train", 32, inputs, labels=True)
            again = LabelledSampler(root, "train", 32, Q99)
        for role, images in draw_batch(second, 4, [1]).items():
            np.testing.assert_array_equal(images, expected[role], strict=True)
        for one, other in zip(draw_labelled_batch(again, 4, [1]), found, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)

    def test_recipes_without_statistics_read_no_pixels(self, root, monkeypatch):
        sampled = []
        plain = Scene.sample
        monkeypatch.setattr(Scene, "sample", lambda scene, n: sampled.append(scene.path.parent.name) or plain(scene, n))
        WindowSampler(root, "train", 32, DB)
        assert set(sampled) == {"sar"}  # units are checked once
        sampled.clear()
        WindowSampler(root, "train", 32, DB)
        assert sampled == []
        WindowSampler(root, "train", 32, DB | {"sar": Q99})
        assert sampled == ["sar", "sar"]

    def test_a_changed_raster_is_read_anew(self, root):
        before = WindowSampler(root, "train", 32, {"sar": Q99})
        path = root.raster("sar", "a")
        with Scene.open(path) as scene:
            values = scene.read()[0]
        write_array(path, values + 6.0, overwrite=True, band_names=["VV", "VH"])
        after = WindowSampler(root, "train", 32, {"sar": Q99})
        ratios = [
            new.values[0] / old.values[0]
            for new, old in zip(after._pools[0].facts, before._pools[0].facts, strict=True)
        ]
        assert ratios == [pytest.approx(10 ** (6.0 / 20), rel=1e-5), 1.0]

    def test_a_raster_that_has_just_changed_is_not_trusted(self, root):
        """Within the resolution of the clock it may change again and look the same."""
        path = root.raster("sar", "a")
        ahead = time.time() + 60  # a slow machine may need seconds
        os.utime(path, (ahead, ahead))
        WindowSampler(root, "train", 32, DB)
        known = json.loads((root.path / ".index-sar.json").read_text())["rasters"]
        assert list(known) == ["b.tif"]

    def test_other_units_are_checked_against_the_values(self, root):
        WindowSampler(root, "train", 32, DB)
        with pytest.raises(InputError, match=r"sar/a\.tif: units are declared as sigma0 but"):
            WindowSampler(root, "train", 32, DB | {"sar": card("sar", ("VV",), "sigma0", DbClip())})

    def test_what_was_read_before_a_failure_is_kept(self, root):
        path = root.raster("sar", "b")
        path.write_bytes(path.read_bytes()[:200])
        age(root.path)
        with pytest.raises(InputError, match=r"b\.tif"):
            WindowSampler(root, "train", 32, DB)
        assert "a.tif" in json.loads((root.path / ".index-sar.json").read_text())["rasters"]

    def test_a_band_that_the_file_lacks(self, root):
        write_array(root.raster("optical", "b"), np.ones((1, 64, 64), np.uint8), overwrite=True)
        with pytest.raises(InputError, match=r"optical/b\.tif: has 1 band, dataset\.yaml says B4, B3, B2"):
            WindowSampler(root, "train", 32, DB)


class TestFile:
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[1]", b'{"version": 99}', b'{"version": 1, "tags": [], "rasters": {"a.tif": [1]}}']
    )
    def test_what_is_no_index_is_replaced(self, root, content):
        place = root.path / ".index-sar.json"
        place.write_bytes(content)
        WindowSampler(root, "train", 32, DB)
        assert set(json.loads(place.read_text())["rasters"]) == {"a.tif", "b.tif"}

    def test_a_root_that_cannot_be_written(self, root, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache").chmod(0o777)
        for folder in (*tmp_path.parents, tmp_path):
            if folder.stat().st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
                folder.chmod(0o755)
        root.path.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            WindowSampler(root, "train", 32, DB)
            places = index_places(root.path, "sar")
            assert [place.exists() for place in places] == [False, True]
            assert places[1].is_relative_to(tmp_path / "cache")
            with unreadable():
                WindowSampler(root, "train", 32, DB)
        finally:
            os.seteuid(user)
            root.path.chmod(0o755)

    def test_several_processes_at_once(self, root):
        script = (
            "import sys; from roots.cards import *; from roots.test_index import DB;"
            "from saropt.roots import DataRoot, WindowSampler;"
            "WindowSampler(DataRoot.open(sys.argv[1]), 'train', 32, DB)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        runs = [subprocess.Popen([sys.executable, "-c", script, str(root.path)], env=environment) for _ in range(3)]
        assert [run.wait(60) for run in runs] == [0, 0, 0]
        assert not list(root.path.glob(".index*.part"))
        with unreadable():
            WindowSampler(root, "train", 32, DB)

    def test_two_splits_share_it(self, root):
        for split in ("train", "val", "test"):
            WindowSampler(root, split, 32, DB)
        with unreadable():
            for split in ("train", "val", "test"):
                WindowSampler(root, split, 32, DB)


class TestWeightedChoice:
    @pytest.mark.parametrize("count", [1, 2, 7, 1000, 100_000])
    def test_draws_what_numpy_draws(self, count):
        weights = np.random.default_rng(count).integers(1, 10**6, count).astype(np.float64)
        choice, shares = WeightedChoice(weights), weights / weights.sum()
        one, other = np.random.default_rng(7), np.random.default_rng(7)
        for _ in range(50 if count > 10_000 else 2000):
            assert choice.draw(one) == int(other.choice(count, p=shares))
            assert one.integers(1 << 40) == other.integers(1 << 40)  # both took one number

    def test_what_weighs_nothing_is_never_drawn(self):
        choice, rng = WeightedChoice([0.0, 1.0, 0.0, 1.0, 0.0]), np.random.default_rng(0)
        assert {choice.draw(rng) for _ in range(500)} == {1, 3}
