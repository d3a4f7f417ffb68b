"""Which tiles the figures of a suite show."""

from __future__ import annotations

import numpy as np

from saropt.benchmark.figures import shown_names
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import write_array


def test_tiles_stand_for_the_most_frequent_kinds_of_ground(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(0, 0, 6), size=32))
    covers = {0: {1: 900}, 1: {2: 1000}, 2: {3: 600, 1: 400}, 3: {4: 700}, 4: {5: 50, 1: 800}, 5: {2: 300}}
    values = sorted(root.classes)[:6]
    for number, name in enumerate(root.names("test")):
        pixels = np.full(1024, values[0], np.uint8)
        start = 0
        for cover, count in covers[number].items():
            pixels[start : start + count] = values[cover]
            start += count
        write_array(root.raster("label", name), pixels.reshape(1, 32, 32), overwrite=True)
    found = shown_names(root, "test")
    # values[1] lies most in test_000, values[0] (the rest) most in test_005, [2] in test_001, [4] in test_003
    assert found == ("test_000", "test_005", "test_001", "test_003")


def test_tiles_without_labels_are_evenly_spaced(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(0, 0, 9), size=32))
    for path in (tmp_path / "root" / "label").iterdir():
        path.unlink()
    (tmp_path / "root" / "label").rmdir()
    assert shown_names(root, "test") == ("test_001", "test_003", "test_005", "test_007")
