"""Windows: aligned, valid, augmented alike on both sides, and decided by the seed alone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml

from roots.cards import both, card
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Reflectance, convert
from saropt.roots import Augmentation, DataRoot, WindowSampler, draw_batch
from saropt.roots.rasters import Rasters
from saropt.scenes import Scene, Window, write_array

SIDE = 64
PIXEL = ("row", "column", "number")
SAR = card("sar", PIXEL, "uint8", Reflectance(1.0, 256.0))
OPTICAL = card("optical", PIXEL, "uint8", EightBit())
BOTH = both(SAR, OPTICAL)
RAW = Augmentation(flips=False)


def make_root(path, names=("a", "b"), shape=(SIDE, SIDE), sar=None, optical=None, sar_nodata=None, **description):
    """Both sides hold, in every pixel, its row, its column and the number of its raster."""
    for side in ("sar", "optical"):
        (path / side).mkdir(parents=True)
    for number, name in enumerate(names):
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        pixels = np.stack([rows, columns, np.full_like(rows, number)])
        write_array(path / "sar" / f"{name}.tif", sar[number] if sar else pixels.astype(np.float32), nodata=sar_nodata)
        write_array(path / "optical" / f"{name}.tif", optical[number] if optical else pixels.astype(np.uint8))
    values = {
        "name": "grid",
        "gsd_m": 10,
        "sar": {"bands": ["row", "column", "number"], "units": "uint8"},
        "optical": {"bands": ["row", "column", "number"], "units": "uint8"},
        **description,
    }
    (path / "dataset.yaml").write_text(yaml.safe_dump(values))
    (path / "splits.csv").write_text("name,split\n" + "".join(f"{name},train\n" for name in names))
    return DataRoot.open(path)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("grid") / "root")


def places(sample) -> tuple[np.ndarray, np.ndarray]:
    """Row, column, raster number of every pixel of both sides."""
    sar, optical = (sample["sar"] + 1) * 128, (sample["optical"] + 1) * 127.5
    return sar.round().astype(int), optical.round().astype(int)


def draws(sampler, count=30):
    return [sampler.draw(np.random.default_rng(seed)) for seed in range(count)]


def test_both_sides_show_the_same_pixels(grid):
    corners = set()
    for sample in draws(WindowSampler(grid, "train", 24, BOTH, RAW)):
        assert sample["sar"].shape == sample["optical"].shape == (3, 24, 24)
        assert sample["sar"].dtype == sample["optical"].dtype == np.float32
        sar, optical = places(sample)
        np.testing.assert_array_equal(sar, optical)
        np.testing.assert_array_equal(sar[0] - sar[0, :1, :1], np.mgrid[:24, :24][0])
        np.testing.assert_array_equal(sar[1] - sar[1, :1, :1], np.mgrid[:24, :24][1])
        corners.add(tuple(sar[:, 0, 0]))
    assert len(corners) > 25
    assert {number for _, _, number in corners} == {0, 1}


def test_every_corner_of_a_raster_is_reached(tmp_path):
    root = make_root(tmp_path / "root", names=("a",), shape=(10, 11))
    rows, columns = set(), set()
    for sample in draws(WindowSampler(root, "train", 8, BOTH, RAW), 100):
        rows.add(int(places(sample)[0][0, 0, 0]))
        columns.add(int(places(sample)[0][1, 0, 0]))
    assert rows == {0, 1, 2}
    assert columns == {0, 1, 2, 3}


def test_the_eight_symmetries_alike_on_both_sides(grid):
    orientations = set()
    for sample in draws(WindowSampler(grid, "train", 24, BOTH, Augmentation()), 100):
        sar, optical = places(sample)
        np.testing.assert_array_equal(sar, optical)
        down, right = sar[:2, 1, 0] - sar[:2, 0, 0], sar[:2, 0, 1] - sar[:2, 0, 0]
        orientations.add((*down, *right))
    assert len(orientations) == 8


def test_unpaired_sides_are_independent(grid):
    sampler = WindowSampler(grid, "train", 24, BOTH, unpaired=True)
    corners = [tuple(side[:, 0, 0] for side in places(sample)) for sample in draws(sampler, 200)]
    assert sum(np.array_equal(a, b) for a, b in corners) < 5
    rows = np.array([(a[0], b[0]) for a, b in corners])
    assert abs(np.corrcoef(rows.T)[0, 1]) < 0.2
    numbers = {(int(a[2]), int(b[2])) for a, b in corners}
    assert numbers == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_larger_rasters_are_drawn_more_often(tmp_path):
    big, small = (np.zeros((3, *shape), np.float32) + n for n, shape in enumerate(((96, 96), (48, 48))))
    root = make_root(
        tmp_path / "root", sar=[big, small], optical=[big.astype(np.uint8), small.astype(np.uint8)], sar_nodata=None
    )
    sampler = WindowSampler(root, "train", 8, BOTH)
    share = np.mean([places(sample)[0][2, 0, 0] == 0 for sample in draws(sampler, 300)])
    assert share == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("unpaired", [False, True])
def test_nodata_is_never_drawn(tmp_path, unpaired):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    sar = np.stack([rows, columns, np.zeros_like(rows)]).astype(np.float32)
    sar[:, :, :20] = -9999.0
    sar[0, 40:, 60:] = np.nan
    optical = np.stack([rows, columns, np.zeros_like(rows)]).astype(np.uint8)
    root = make_root(tmp_path / "root", names=("a",), sar=[sar], optical=[optical], sar_nodata=-9999.0)
    for sample in draws(WindowSampler(root, "train", 16, BOTH, RAW, unpaired=unpaired), 60):
        place, _ = places(sample)
        assert place[1].min() >= 20
        assert not ((place[0] >= 40) & (place[1] >= 60)).any()


def test_a_raster_without_a_valid_window_is_refused(tmp_path):
    sar = np.ones((3, SIDE, SIDE), np.float32)
    sar[:, ::8] = -1.0
    root = make_root(tmp_path / "root", names=("a",), sar=[sar], sar_nodata=-1.0)
    sampler = WindowSampler(root, "train", 16, BOTH)
    with pytest.raises(InputError, match="no wholly valid window of 16 px"):
        sampler.draw(np.random.default_rng(0))


@pytest.mark.parametrize("unpaired", [False, True])
def test_a_batch_is_a_function_of_its_seed(grid, unpaired):
    changes = Augmentation(sar_gain_db=3.0, speckle_probability=0.5, optical_gain=1.3)
    one, two = (WindowSampler(grid, "train", 16, BOTH, changes, unpaired=unpaired) for _ in range(2))
    draw_batch(two, 3, [9, 9])
    again = draw_batch(two, 4, [1, 2, 3])
    for role, images in draw_batch(one, 4, [1, 2, 3]).items():
        assert images.shape == (4, 3, 16, 16)
        np.testing.assert_array_equal(images, again[role])
    other = draw_batch(one, 4, [1, 2, 4])
    assert not np.array_equal(other["sar"], draw_batch(one, 4, [1, 2, 3])["sar"])
    windows = draw_batch(one, 4, [1, 2, 3])["sar"]
    assert len({window.tobytes() for window in windows}) == 4


def test_a_longer_batch_begins_with_the_shorter(grid):
    sampler = WindowSampler(grid, "train", 16, BOTH)
    np.testing.assert_array_equal(draw_batch(sampler, 5, [7])["sar"][:2], draw_batch(sampler, 2, [7])["sar"])


def test_small_cache_gives_the_same_windows(grid):
    expected = draw_batch(WindowSampler(grid, "train", 16, BOTH), 6, [0])
    for budget in (1, 4 * 3 * SIDE * SIDE * 4, 5 * 3 * SIDE * SIDE * 4):
        sampler = WindowSampler(grid, "train", 16, BOTH, cache_bytes=budget)
        for role, images in draw_batch(sampler, 6, [0]).items():
            np.testing.assert_array_equal(images, expected[role])


def test_changing_a_window_leaves_the_cache_alone(grid):
    rasters, window = Rasters(), Window(0, 0, 8, 8)
    path = grid.raster("sar", "a")
    rasters.read(path, (1,), window)
    rasters.read(path, (1,), window)[0][:] = -5.0
    assert rasters.read(path, (1,), window)[0].min() >= 0.0


@pytest.mark.parametrize("units", ["sigma0_db", "sigma0", "amplitude", "complex"])
def test_gain_jitter_has_its_decibels(units):
    values = np.full((1, 4, 4), 0.05, np.float32)
    values = np.sqrt(values).astype(np.complex64) if units == "complex" else convert(values, "sigma0", units)
    changes = Augmentation(sar_gain_db=3.0)
    gains = []
    for seed in range(400):
        disturbed = changes.disturb_sar(np.random.default_rng(seed), values, units)
        gain = convert(disturbed, units, "sigma0_db") - convert(values, units, "sigma0_db")
        np.testing.assert_allclose(gain, gain[0, 0, 0], atol=1e-4)
        gains.append(float(gain[0, 0, 0]))
    assert min(gains) >= -3.0001
    assert max(gains) <= 3.0001
    assert np.std(gains) == pytest.approx(3.0 / np.sqrt(3.0), rel=0.1)
    assert abs(np.mean(gains)) < 0.3


def test_speckle_comes_with_its_probability():
    changes = Augmentation(speckle_probability=0.25, looks=(3.0, 20.0))
    values = np.ones((1, 16, 16), np.float32)
    disturbed = [changes.disturb_sar(np.random.default_rng(seed), values, "sigma0") for seed in range(400)]
    noisy = [d for d in disturbed if d.std() > 0]
    assert len(noisy) / 400 == pytest.approx(0.25, abs=0.06)
    variances = [d.var() for d in noisy]
    assert min(variances) > 0.6 / 20
    assert max(variances) < 1.5 / 3
    assert np.mean([d.mean() for d in noisy]) == pytest.approx(1.0, abs=0.02)


def test_optical_gain_is_log_uniform():
    values = np.ones((3, 4, 4), np.float32)
    changes = Augmentation(optical_gain=1.5)
    gains = np.array([changes.disturb_optical(np.random.default_rng(s), values)[0, 0, 0] for s in range(400)])
    assert gains.min() >= 1 / 1.5 - 1e-6
    assert gains.max() <= 1.5 + 1e-6
    assert abs(np.log(gains).mean()) < 0.05
    np.testing.assert_array_equal(RAW.disturb_optical(np.random.default_rng(0), values), values)


def test_the_optical_side_and_the_target_are_left_alone_by_sar_changes(grid):
    changes = Augmentation(flips=False, sar_gain_db=6.0)
    plain = WindowSampler(grid, "train", 16, BOTH, RAW).draw(np.random.default_rng(3))
    changed = WindowSampler(grid, "train", 16, BOTH, changes).draw(np.random.default_rng(3))
    np.testing.assert_array_equal(plain["optical"], changed["optical"])
    assert not np.array_equal(plain["sar"], changed["sar"])


class TestRefusals:
    def test_window_larger_than_a_raster(self, grid):
        with pytest.raises(InputError, match="64x64: smaller than the training window of 80"):
            WindowSampler(grid, "train", 80, BOTH)

    def test_unlike_grids(self, tmp_path):
        root = make_root(tmp_path / "root", names=("a",), optical=[np.zeros((3, SIDE, SIDE + 1), np.uint8)])
        with pytest.raises(InputError, match=r"optical/a\.tif: SAR and optical are not on one grid: 64x64 and 65x64"):
            WindowSampler(root, "train", 16, BOTH)

    def test_contradicting_units(self, tmp_path):
        sar = [np.full((3, SIDE, SIDE), -12.0, np.float32)]
        root = make_root(tmp_path / "root", names=("a",), sar=sar)
        with pytest.raises(InputError, match=r"sar/a\.tif: units are declared as sigma0 .* are these decibels"):
            WindowSampler(root, "train", 16, both(card("sar", ("row",), "sigma0", DbClip()), OPTICAL))

    def test_absent_band(self, grid):
        with pytest.raises(InputError, match=r"root: has no band HH; it has row, column, number"):
            WindowSampler(grid, "train", 16, both(card("sar", ("HH",), "sigma0", DbClip()), OPTICAL))

    def test_empty_split(self, grid):
        with pytest.raises(InputError, match="split 'val' is empty"):
            WindowSampler(grid, "val", 16, BOTH)


def test_real_windows(shared_data):
    root = DataRoot.open(shared_data / "s1s2-losangeles")
    from saropt.radiometry import Q99Amplitude

    sar_card = card("sar", root.images["sar"].bands[:1], root.images["sar"].units, Q99Amplitude())
    inputs = both(sar_card, card("optical", root.images["optical"].bands[:3], "uint8", EightBit()))
    sar, optical = draw_batch(WindowSampler(root, "val", 128, inputs), 2, [0]).values()
    assert sar.shape == (2, 1, 128, 128)
    assert optical.shape == (2, 3, 128, 128)
    assert -1.0 <= sar.min() < sar.max() <= 1.0
    assert sar.std() > 0.05


def test_windows_are_shared_equally_between_the_values_of_a_tag(tmp_path):
    root = make_root(tmp_path / "root", names=("a", "b", "c", "d"))
    for name, region in zip("abcd", ("east", "west", "west", "west"), strict=True):
        path = root.raster("sar", name)
        with Scene.open(path) as scene:
            values = scene.read()[0]
        write_array(path, values, tags={"REGION": region}, overwrite=True)
    sampler = WindowSampler(root, "train", 8, BOTH, RAW, balance_tag="REGION")
    east = sum(places(sample)[1][2, 0, 0] == 0 for sample in draws(sampler, 400))
    assert 160 < east < 240
    by_area = WindowSampler(root, "train", 8, BOTH, RAW)
    assert 70 < sum(places(sample)[1][2, 0, 0] == 0 for sample in draws(by_area, 400)) < 130
    with pytest.raises(InputError, match="has no tag SEASON"):
        WindowSampler(root, "train", 8, BOTH, RAW, balance_tag="SEASON")


SMALL = both(card("sar", ("VV",), "sigma0_db", DbClip()), card("optical", ("B4",), "uint8", EightBit()))


class TestLabels:
    def test_labels_turn_with_their_images(self, labelled_root):
        """Labels follow from the red band of the fixture, so that every drawn pixel can be checked."""
        root = DataRoot.open(labelled_root)
        sampler = WindowSampler(root, "train", 32, SMALL, Augmentation(flips=True), labels=True)
        batch = draw_batch(sampler, 24, [5])
        images, labels = batch["optical"], batch["label"]
        assert (batch["sar"].shape, labels.shape, labels.dtype) == ((24, 1, 32, 32), (24, 32, 32), np.int64)
        red = (images[:, 0] + 1.0) * 127.5
        expected = np.select([red < 109.5, red < 169.5], [0, 1], 2)
        known = labels != 255
        assert 0.02 < (~known).mean() < 0.4
        np.testing.assert_array_equal(labels[known], expected[known])
        assert len({tuple(np.nonzero(~k.any(0))[0]) + tuple(np.nonzero(~k.any(1))[0]) for k in known}) > 3

    def test_images_do_not_depend_on_labels(self, labelled_root):
        root = DataRoot.open(labelled_root)
        plain, labelled = (WindowSampler(root, "train", 32, SMALL, labels=labels) for labels in (False, True))
        with_labels = draw_batch(labelled, 3, [1])
        for role, images in draw_batch(plain, 3, [1]).items():
            np.testing.assert_array_equal(images, with_labels[role])

    def test_refusals(self, db_root, labelled_root, tmp_path):
        with pytest.raises(InputError, match=r"dataset.yaml: names no classes"):
            WindowSampler(DataRoot.open(db_root), "train", 32, SMALL, labels=True)
        root = DataRoot.open(labelled_root)
        with pytest.raises(InputError, match="labels are drawn with pairs only"):
            WindowSampler(root, "train", 32, SMALL, unpaired=True, labels=True)
        copy = shutil.copytree(labelled_root, tmp_path / "copy")
        write_array(copy / "label" / "a.tif", np.full((1, 60, 64), 10, np.uint8), overwrite=True)
        with pytest.raises(InputError, match=r"a.tif: SAR and class labels are not on one grid: 64x64 and 64x60"):
            WindowSampler(DataRoot.open(copy), "train", 32, SMALL, labels=True)


def test_sides_of_different_splits_are_drawn_apart(labelled_root):
    root = DataRoot.open(labelled_root)
    assert not WindowSampler(root, {"sar": "train", "optical": "train"}, 16, SMALL).unpaired
    sampler = WindowSampler(root, {"sar": "test", "optical": "train"}, 64, SMALL)
    assert sampler.unpaired
    test = draw_batch(WindowSampler(root, "test", 64, SMALL), 1, [0])["sar"]
    sar, optical = draw_batch(sampler, 8, [3]).values()
    assert all(np.array_equal(image, test[0]) for image in sar)
    assert len({image.tobytes() for image in optical}) == 2
