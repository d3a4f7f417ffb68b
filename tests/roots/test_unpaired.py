"""Unpaired data: one root or two, each side from a random stream of its own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import yaml

from roots.cards import both, card
from saropt.curation.inspection import inspect_root
from saropt.errors import InputError
from saropt.radiometry import EightBit, Reflectance
from saropt.roots import Augmentation, DataRoot, WindowSampler, draw_batch
from saropt.scenes import write_array

BOTH = both(card("sar", ("VV",), "sigma0", Reflectance(1.0, 256.0)), card("optical", ("R", "G"), "uint8", EightBit()))
NAMES = {"sar": ("s1", "s2", "s3"), "optical": ("o1", "o2", "o3", "o4")}


def make_root(path, sar=NAMES["sar"], optical=NAMES["optical"], splits=None, **description):
    """Every raster is filled with its number; SAR of 40 pixels a side, optical of 56."""
    for side, names, size, bands in (("sar", sar, 40, 1), ("optical", optical, 56, 2)):
        (path / side).mkdir(parents=True)
        for number, name in enumerate(names):
            values = np.full((bands, size, size), number + 1, np.float32 if side == "sar" else np.uint8)
            write_array(path / side / f"{name}.tif", values)
    values = {
        "name": path.name,
        "gsd_m": 10,
        "paired": False,
        "sar": {"bands": ["VV"], "units": "sigma0"},
        "optical": {"bands": ["R", "G"], "units": "uint8"},
        "licence": f"of {path.name}",
        **description,
    }
    (path / "dataset.yaml").write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}))
    splits = splits or dict.fromkeys((*sar, *optical), "train")
    (path / "splits.csv").write_text("name,split\n" + "".join(f"{name},{split}\n" for name, split in splits.items()))
    return DataRoot.open(path)


def numbers(sampler, seeds) -> np.ndarray:
    """(draws, 2): raster number of the SAR and of the optical window."""
    samples = [sampler.draw(np.random.default_rng(seed)) for seed in seeds]
    found = [((s["sar"][0, 0, 0] + 1) * 128 - 1, (s["optical"][0, 0, 0] + 1) * 127.5 - 1) for s in samples]
    return np.rint(found).astype(int)


class TestOneRoot:
    def test_names_of_either_side(self, tmp_path):
        root = make_root(tmp_path / "root", ("s1", "both"), ("o1", "both"))
        assert list(root.rasters("sar", "train")) == ["s1", "both"]
        assert list(root.rasters("optical", "train")) == ["both", "o1"]
        sampler = WindowSampler(root, "train", 16, BOTH)
        assert sampler.unpaired
        sar, optical = draw_batch(sampler, 2, [0]).values()
        assert (sar.shape, optical.shape) == ((2, 1, 16, 16), (2, 2, 16, 16))

    def test_a_name_of_neither_side(self, tmp_path):
        root = make_root(tmp_path / "root", splits={"s1": "train", "o1": "train", "nobody": "train"})
        with pytest.raises(InputError, match="sar: no raster named nobody"):
            root.rasters("sar", "train")

    def test_every_split_needs_both_sides(self, tmp_path):
        root = make_root(tmp_path / "root", splits={"s1": "train", "o1": "train", "s2": "val"})
        with pytest.raises(InputError, match="optical: holds no raster of split 'val'"):
            WindowSampler(root, "val", 16, BOTH)

    def test_one_side_may_be_left_out(self, tmp_path):
        root = make_root(tmp_path / "root", optical=())
        description = yaml.safe_load((root.path / "dataset.yaml").read_text())
        del description["optical"]
        (root.path / "dataset.yaml").write_text(yaml.safe_dump(description))
        assert set(DataRoot.open(root.path).images) == {"sar"}
        (root.path / "dataset.yaml").write_text(yaml.safe_dump(description | {"paired": True}))
        with pytest.raises(InputError, match="lacks optical"):
            DataRoot.open(root.path)
        del description["sar"]
        (root.path / "dataset.yaml").write_text(yaml.safe_dump(description))
        with pytest.raises(InputError, match="lacks sar or optical"):
            DataRoot.open(root.path)

    def test_is_inspected(self, tmp_path):
        root = make_root(tmp_path / "root")
        steps = []
        description, sides = inspect_root(root.path, lambda *step: steps.append(step))
        assert description["pairs"].startswith("no")
        assert [side.facts["sizes"] for side in sides] == ["40x40", "56x56"]
        assert (sides[0].facts["SAR"], sides[1].facts["optical"]) == ("3 rasters", "4 rasters")
        assert steps[-1] == (7, 7, "optical")

    def test_both_sides_are_balanced_by_the_tag(self, tmp_path):
        root = make_root(tmp_path / "root")
        for side in ("sar", "optical"):
            for name, path in root.rasters(side, "train").items():
                values = np.full((1 if side == "sar" else 2, 40, 40), int(name[1]), np.float32)
                tags = {"REGION": "a" if name.endswith("1") else "b"}
                write_array(path, values if side == "sar" else values.astype(np.uint8), tags=tags, overwrite=True)
        found = numbers(WindowSampler(root, "train", 16, BOTH, balance_tag="REGION"), range(400))
        assert (found == 0).mean(0) == pytest.approx([0.5, 0.5], abs=0.08)
        write_array(root.raster("optical", "o2"), np.ones((2, 40, 40), np.uint8), overwrite=True)
        with pytest.raises(InputError, match=r"o2\.tif: has no tag REGION"):
            WindowSampler(root, "train", 16, BOTH, balance_tag="REGION")


class TestTwoRoots:
    def test_each_gives_its_side(self, tmp_path):
        radar = make_root(tmp_path / "radar", optical=())
        camera = make_root(tmp_path / "camera", sar=("x",), optical=("o1", "s1"), gsd_m=10.5)
        root = radar.with_role_from("optical", camera)
        assert list(root.rasters("sar", "train")) == ["s1", "s2", "s3"]
        assert list(root.rasters("optical", "train")) == ["o1", "s1"]
        assert root.raster("optical", "s1") == camera.path / "optical" / "s1.tif"
        assert not root.paired
        assert (root.name, root.licence) == (
            "radar (SAR), camera (optical)",
            "of radar (SAR); of camera (optical)",
        )
        assert WindowSampler(root, "train", 16, BOTH).unpaired

    def test_two_paired_roots(self, tmp_path):
        radar = make_root(tmp_path / "radar", optical=("s1", "s2", "s3"), paired=True)
        camera = make_root(tmp_path / "camera", ("o1",), ("o1",), paired=True)
        root = radar.with_role_from("optical", camera)
        assert list(root.rasters("optical", "train")) == ["o1"]
        assert not root.paired

    @pytest.mark.parametrize(
        ("sar", "optical", "message"),
        [
            ({"gsd_m": 10}, {"gsd_m": 11.5}, r"camera: has pixels of 11\.5 m but .*radar of 10 m"),
            ({"gsd_m": 10}, {"gsd_m": 8}, "more than 10 % apart"),
            ({"classes": {0: "land"}}, {"classes": {0: "water"}}, "camera: has other classes"),
            ({"classes": {0: "a"}, "ignore_index": 9}, {"classes": {0: "a"}}, "another ignore_index"),
            ({}, {"optical": None}, r"camera/dataset\.yaml: lacks optical"),
            ({"sar": None}, {}, r"radar/dataset\.yaml: lacks sar"),
        ],
    )
    def test_unlike_roots_are_refused(self, tmp_path, sar, optical, message):
        roots = []
        for name, changes in (("radar", sar), ("camera", optical)):
            path = make_root(tmp_path / name).path
            description = yaml.safe_load((path / "dataset.yaml").read_text()) | changes
            (path / "dataset.yaml").write_text(yaml.safe_dump({k: v for k, v in description.items() if v is not None}))
            roots.append(DataRoot.open(path))
        with pytest.raises(InputError, match=message):
            roots[0].with_role_from("optical", roots[1])

    def test_classes_of_the_labelled_one(self, tmp_path):
        radar = make_root(tmp_path / "radar")
        camera = make_root(tmp_path / "camera", classes={1: "water"}, ignore_index=0)
        for root in (radar.with_role_from("optical", camera), camera.with_role_from("optical", radar)):
            assert (root.classes, root.ignore_index) == ({1: "water"}, 0)


class TestStreams:
    """A continuous number drawn after each window: equal numbers would show equal streams."""

    def gains(self, root, seed: int, step: int, rank: int, size: int = 3) -> np.ndarray:
        """Uniform numbers in [-1, 1] where the gains of a batch are drawn: (size, 2), SAR and optical."""
        drawn = []

        class Recorded(Augmentation):
            def disturb_sar(self, rng, values, units):
                drawn.append(rng.uniform(-1.0, 1.0))
                return values

            def disturb_optical(self, rng, values):
                drawn.append(rng.uniform(-1.0, 1.0))
                return values

        draw_batch(WindowSampler(root, "train", 16, BOTH, Recorded(flips=False)), size, [seed, step, rank])
        return np.array(drawn).reshape(size, 2)

    def test_no_stream_is_drawn_twice(self, tmp_path):
        """Not by two ranks, consecutive steps, two samples of a batch, neighbouring seeds, or the two sides."""
        root = make_root(tmp_path / "root")
        drawn = [self.gains(root, seed, step, rank) for seed in (0, 1) for step in range(12) for rank in range(3)]
        values = np.concatenate(drawn).ravel()
        assert len(values) == 2 * 12 * 3 * 3 * 2
        assert len(np.unique(values)) == len(values)
        assert np.array_equal(drawn[0], self.gains(root, 0, 0, 0))

    def test_sides_are_uncorrelated(self, tmp_path):
        """Chi-squared of the 3 x 4 table of raster numbers (6 degrees of freedom: 22.5 at one in a thousand), and the
        correlation of the streams themselves."""
        root = make_root(tmp_path / "root")
        found = numbers(WindowSampler(root, "train", 16, BOTH), [[0, step, 0] for step in range(1200)])
        table = np.zeros((3, 4))
        np.add.at(table, tuple(found.T), 1)
        expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
        assert expected.min() > 60
        assert ((table - expected) ** 2 / expected).sum() < 22.5
        streams = np.concatenate([self.gains(root, 0, step, 0, size=1) for step in range(600)])
        assert abs(np.corrcoef(streams.T)[0, 1]) < 0.12
        assert all(abs(np.corrcoef(a[:-1], b[1:])[0, 1]) < 0.12 for a, b in pairwise((*streams.T, streams.T[0])))

    def test_a_paired_root_sampled_per_side(self, tmp_path):
        root = make_root(tmp_path / "root", ("s1", "s2", "s3", "s4"), ("s1", "s2", "s3", "s4"))
        found = numbers(WindowSampler(root, "train", 16, BOTH, unpaired=True), range(400))
        assert (found[:, 0] == found[:, 1]).mean() == pytest.approx(0.25, abs=0.08)
