"""Labels: values to indices, counts, weights, scores, and windows that stay on their image."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
import yaml

from roots.cards import card
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Q99Amplitude
from saropt.roots import (
    IGNORED,
    Augmentation,
    Classes,
    ConfusionMatrix,
    DataRoot,
    LabelledSampler,
    class_weights,
    classes_of,
    count_labels,
    draw_labelled_batch,
)
from saropt.scenes import Scene, write_array

SAR = card("sar", ("VV", "VH"), "sigma0_db", DbClip())
OPTICAL = card("optical", ("B4", "B3", "B2"), "uint8", EightBit())


@pytest.fixture
def root(labelled_root, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(labelled_root, tmp_path / "root")


class TestClasses:
    classes = Classes({40: "c", 10: "a", 20: "b"}, 0)

    def test_indices_ascend_with_the_values(self):
        labels = np.array([[10, 20, 40], [0, 40, 99]])
        valid = np.array([[True, True, True], [True, True, False]])
        found = self.classes.indices(labels, valid, "x.tif")
        assert found.tolist() == [[0, 1, 2], [IGNORED, 2, IGNORED]]
        assert found.dtype == np.uint8
        assert self.classes.titles == ["a", "b", "c"]
        assert self.classes.values.tolist() == [10, 20, 40]

    def test_an_unknown_value_is_named(self):
        with pytest.raises(InputError, match=r"x\.tif: holds the label 99, which dataset\.yaml does not name"):
            self.classes.indices(np.array([[10, 99]]), np.ones((1, 2), bool), "x.tif")

    @pytest.mark.parametrize(
        ("names", "ignored", "nodata"),
        [
            ({0: "a", 1: "b"}, None, 255),
            ({0: "a", 255: "b"}, None, 254),
            ({1: "a", 2: "b"}, 0, 0),
            ({0: "a", 1: "b"}, -1, 255),
            ({254: "a", 255: "b"}, -1, 253),
        ],
    )
    def test_nodata_is_no_class(self, names, ignored, nodata):
        assert Classes(names, ignored).nodata == nodata

    @pytest.mark.parametrize(
        ("names", "ignored", "words"),
        [
            ({1: "a"}, None, "at least two"),
            ({1: "a", 300: "b"}, None, r"0\.\.255"),
            ({-1: "a", 3: "b"}, None, r"0\.\.255"),
            ({1: "a", 2: "b"}, 2, r"ignore_index 2 is a class \(b\)"),
        ],
    )
    def test_refusals(self, names, ignored, words):
        with pytest.raises(ValueError, match=words):
            Classes(names, ignored)

    def test_paletted_labels_are_indices(self, tmp_path):
        path = tmp_path / "label.tif"
        labels = np.array([[0, 10], [20, 40]], np.uint8)
        with rasterio.open(path, "w", driver="GTiff", width=2, height=2, count=1, dtype="uint8") as dataset:
            dataset.write(labels, 1)
            dataset.write_colormap(1, {10: (255, 0, 0, 255), 20: (0, 255, 0, 255), 40: (0, 0, 255, 255)})
        assert self.classes.read(path).tolist() == [[IGNORED, 0], [1, 2]]

    def test_labels_with_several_bands(self, tmp_path):
        write_array(tmp_path / "l.tif", np.full((2, 8, 8), 10, np.uint8))
        with pytest.raises(InputError, match=r"l\.tif: has 2 bands; labels have one"):
            self.classes.read(tmp_path / "l.tif")

    def test_a_root_without_classes(self, db_root):
        with pytest.raises(InputError, match=r"dataset\.yaml: names no classes"):
            classes_of(DataRoot.open(db_root))


class TestWeights:
    counts = np.array([[90, 10, 0, 0], [50, 0, 50, 0], [30, 5, 5, 0]])

    def test_counts(self, labelled_root, monkeypatch):
        monkeypatch.setattr("saropt.roots.labels._STRIP_PIXELS", 5 * 64)
        root = DataRoot.open(labelled_root)
        paths = [root.raster("label", name) for name in ("a", "b")]
        for path, found in zip(paths, count_labels(paths, classes_of(root)), strict=True):
            with Scene.open(path) as scene:
                labels = scene.read()[0]
            assert found.tolist() == [int((labels == value).sum()) for value in (10, 20, 40)]

    def test_none(self):
        assert class_weights(self.counts, "none").tolist() == [1.0] * 4

    def test_inverse_frequency(self):
        """N / (K n): 240 pixels, three classes of 170, 15 and 55 pixels."""
        expected = [240 / (3 * 170), 240 / (3 * 15), 240 / (3 * 55), 0.0]
        assert class_weights(self.counts, "inverse") == pytest.approx(expected, abs=1e-15)

    def test_median_frequency(self):
        """Shares only over the rasters that hold the class: 170 / 240, 15 / 140, 55 / 140."""
        shares = [170 / 240, 15 / 140, 55 / 140]
        expected = [(55 / 140) / share for share in shares]
        assert class_weights(self.counts, "median") == pytest.approx([*expected, 0.0], abs=1e-15)


class TestConfusion:
    def test_against_loops(self):
        rng = np.random.default_rng(0)
        matrix = ConfusionMatrix(["a", "b", "c"])
        truths, founds = [], []
        for shape in ((7, 5), (3, 11)):
            truth = rng.choice([0, 1, 2, IGNORED], shape).astype(np.uint8)
            found = rng.integers(0, 3, shape)
            matrix.add(truth, found)
            truths += truth.ravel().tolist()
            founds += found.ravel().tolist()
        pairs = [(t, f) for t, f in zip(truths, founds, strict=True) if t != IGNORED]
        scores = matrix.summary()
        right = sum(t == f for t, f in pairs)
        assert scores["pixels"] == len(pairs) < len(truths)
        assert scores["pixel_accuracy"] == pytest.approx(right / len(pairs), abs=1e-15)
        assert matrix.majority == max(sum(t == k for t, _ in pairs) for k in range(3)) / len(pairs)
        for index, title in enumerate("abc"):
            both = sum(t == f == index for t, f in pairs)
            true = sum(t == index for t, _ in pairs)
            either = sum(index in pair for pair in pairs)
            assert scores["class_accuracy"][title] == pytest.approx(both / true, abs=1e-15)
            assert scores["class_iou"][title] == pytest.approx(both / either, abs=1e-15)
        assert scores["mean_class_accuracy"] == pytest.approx(np.mean(list(scores["class_accuracy"].values())))
        assert scores["miou"] == pytest.approx(np.mean(list(scores["class_iou"].values())))

    def test_absent_classes_are_left_out_and_named(self):
        matrix = ConfusionMatrix(["a", "b", "c", "d"])
        matrix.add(np.array([0, 0, 1, 1], np.uint8), np.array([0, 2, 1, 1]))
        scores = matrix.summary()
        assert scores["absent"] == ["c", "d"]
        assert scores["class_accuracy"] == {"a": 0.5, "b": 1.0, "c": None, "d": None}
        assert scores["class_iou"] == {"a": 0.5, "b": 1.0, "c": 0.0, "d": None}
        assert scores["mean_class_accuracy"] == 0.75
        assert scores["miou"] == 0.5

    def test_wrong_input(self):
        matrix = ConfusionMatrix(["a", "b"])
        with pytest.raises(ValueError, match="truth is"):
            matrix.add(np.zeros(3, np.uint8), np.zeros(4, int))
        with pytest.raises(ValueError, match=r"lie in 0\.\.1"):
            matrix.add(np.zeros(3, np.uint8), np.array([0, 1, 2]))
        assert matrix.pixels == 0


class TestWindows:
    @pytest.mark.parametrize("image", [SAR, OPTICAL])
    def test_labels_stay_on_their_image(self, labelled_root, image):
        """Red decides the label: also after turning and mirroring."""
        sampler = LabelledSampler(DataRoot.open(labelled_root), "train", 24, image, Augmentation())
        images, labels = draw_labelled_batch(sampler, 12, [3])
        assert images.shape == (12, len(image.bands), 24, 24)
        assert images.dtype == np.float32
        assert labels.shape == (12, 24, 24)
        assert set(np.unique(labels)) == {0, 1, 2, IGNORED}
        if image.role == "optical":
            red = ((images[:, 0] + 1) * 127.5).round()
            expected = np.select([red < 110, red < 170], [0, 1], 2)
            assert (labels == expected)[labels != IGNORED].all()
        else:
            vh = [images[:, 1][labels == index].mean() for index in range(3)]
            assert vh[0] > vh[1] > vh[2]

    def test_statistics_are_those_of_the_raster(self, labelled_root):
        """Whole rasters as windows: the recipe with statistics of all pixels."""
        root, image = DataRoot.open(labelled_root), card("sar", ("VH",), "sigma0_db", Q99Amplitude())
        sampler = LabelledSampler(root, "test", 64, image)
        drawn, _ = sampler.draw(np.random.default_rng(0))
        with Scene.open(root.raster("sar", "d"), bands=["VH"]) as scene:
            values = scene.read()[0]
        expected = Q99Amplitude().fit(values.reshape(1, -1), "sigma0_db", "float32").forward(values)
        np.testing.assert_allclose(drawn, expected, atol=1e-6)

    def test_the_seed_alone_decides(self, labelled_root):
        root = DataRoot.open(labelled_root)
        first, second = (LabelledSampler(root, "train", 16, SAR, Augmentation()) for _ in range(2))
        draw_labelled_batch(first, 3, [9])
        for a, b in zip(draw_labelled_batch(first, 4, [1, 2]), draw_labelled_batch(second, 4, [1, 2]), strict=True):
            np.testing.assert_array_equal(a, b)
        other = draw_labelled_batch(second, 4, [1, 3])[0]
        assert not np.array_equal(other, draw_labelled_batch(first, 4, [1, 2])[0])

    def test_invalid_pixels_have_no_label(self, root):
        for name in ("a", "b"):
            with Scene.open(root / "sar" / f"{name}.tif") as scene:
                values = scene.read()[0]
            values[:, :32] = np.nan
            write_array(root / "sar" / f"{name}.tif", values, overwrite=True)
        sampler = LabelledSampler(DataRoot.open(root), "train", 64, SAR)
        image, labels = sampler.draw(np.random.default_rng(0))
        assert np.isfinite(image).all()
        assert (labels[:32] == IGNORED).all()
        assert (labels[32:, 8:] != IGNORED).all()
        assert np.ptp(image[0, :32]) == 0
        assert image[0, 0, 0] == pytest.approx(np.median(image[0, 32:]), abs=1e-6)

    def test_unknown_label_in_a_window(self, root):
        write_array(root / "label" / "a.tif", np.full((1, 64, 64), 30, np.uint8), overwrite=True)
        sampler = LabelledSampler(DataRoot.open(root), "train", 64, SAR)
        with pytest.raises(InputError, match=r"label/a\.tif: holds the label 30"):
            draw_labelled_batch(sampler, 8, [0])

    def test_nothing_labelled(self, root):
        for name in ("a", "b"):
            write_array(root / "label" / f"{name}.tif", np.zeros((1, 64, 64), np.uint8), overwrite=True)
        sampler = LabelledSampler(DataRoot.open(root), "train", 16, SAR)
        with pytest.raises(InputError, match="no labelled window of 16 px"):
            sampler.draw(np.random.default_rng(0))

    def test_other_grid(self, root):
        write_array(root / "label" / "b.tif", np.full((1, 64, 32), 10, np.uint8), overwrite=True)
        with pytest.raises(InputError, match=r"label/b\.tif: SAR and class labels are not on one grid: 64x64"):
            LabelledSampler(DataRoot.open(root), "train", 16, SAR)

    def test_missing_label(self, root):
        (root / "label" / "b.tif").unlink()
        with pytest.raises(InputError, match="no raster named b"):
            LabelledSampler(DataRoot.open(root), "train", 16, SAR)

    def test_window_larger_than_the_raster(self, root):
        with pytest.raises(InputError, match="smaller than the training window of 128"):
            LabelledSampler(DataRoot.open(root), "train", 128, OPTICAL)

    def test_contradicted_units(self, root):
        description = yaml.safe_load((root / "dataset.yaml").read_text())
        description["sar"]["units"] = "sigma0"
        (root / "dataset.yaml").write_text(yaml.safe_dump(description))
        with pytest.raises(InputError, match=r"sar/a\.tif: units are declared as sigma0 but"):
            LabelledSampler(DataRoot.open(root), "train", 16, card("sar", ("VV", "VH"), "sigma0", DbClip()))
