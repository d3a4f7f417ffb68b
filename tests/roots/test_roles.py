"""Roles beyond SAR and optical: a folder and an entry each, optional ones, and windows that are drawn as before."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from roots.cards import both, card
from saropt.errors import InputError
from saropt.radiometry import DbClip, EightBit, Reflectance
from saropt.roots import IGNORED, Augmentation, DataRoot, ImageSpec, WindowSampler, describe_images, draw_batch
from saropt.scenes import Scene, Window, write_array

NAMES = ("a", "b", "c")
SIDE = 48
SAR = card("sar", ("VV",), "sigma0_db", DbClip())
OPTICAL = card("optical", ("R", "G"), "uint8", EightBit())
EARLIER = card("optical_reference", ("R",), "uint8", EightBit(), optional=True)
DEM = card("dem", ("height",), "metres", Reflectance(1.0, 100.0))


def write_root(path, **changes):
    """Three names; the earlier optical image of "b" is missing and that of "c" half invalid."""
    rng = np.random.default_rng(5)
    for number, name in enumerate(NAMES):
        rows = np.mgrid[:SIDE, :SIDE][0]
        images = {
            "sar": rng.uniform(-20, 0, (1, SIDE, SIDE)).astype(np.float32),
            "optical": rng.integers(1, 255, (2, SIDE, SIDE)).astype(np.uint8),
            "optical_reference": np.where(rows < SIDE // 2, 0, 100 + number)[None].astype(np.uint8),
            "dem": np.stack([rows + number]).astype(np.float32),
            "label": rng.integers(0, 3, (1, SIDE, SIDE)).astype(np.uint8),
        }
        for role, values in images.items():
            (path / role).mkdir(parents=True, exist_ok=True)
            if (role, name) != ("optical_reference", "b"):
                nodata = 0 if (role, name) == ("optical_reference", "c") else None
                write_array(path / role / f"{name}.tif", values, nodata=nodata)
    description = {
        "name": "roles",
        "gsd_m": 10,
        "sar": {"bands": ["VV"], "units": "sigma0_db"},
        "optical": {"bands": ["R", "G"], "units": "uint8"},
        "optical_reference": {"bands": ["R"], "units": "uint8", "optional": True},
        "dem": {"bands": ["height"], "units": "metres"},
        "classes": {0: "land", 1: "water"},
        "ignore_index": 2,
        **changes,
    }
    (path / "dataset.yaml").write_text(yaml.safe_dump({k: v for k, v in description.items() if v is not None}))
    (path / "splits.csv").write_text("name,split\n" + "".join(f"{name},train\n" for name in NAMES))
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return DataRoot.open(write_root(tmp_path_factory.mktemp("roles") / "root"))


class TestRoot:
    def test_entries(self, root):
        assert list(root.images) == ["sar", "optical", "optical_reference", "dem"]
        assert root.image("optical_reference") == ImageSpec(("R",), "uint8", optional=True)
        with pytest.raises(InputError, match=r"dataset\.yaml: lacks mask"):
            root.image("mask")

    def test_an_optional_raster_may_be_missing(self, root):
        assert list(root.rasters("optical_reference", "train")) == ["a", "c"]
        assert root.path_of("optical_reference", "b") is None
        assert root.aligned_rasters("optical_reference", "train")["b"] is None
        assert root.path_of("dem", "b") == root.path / "dem" / "b.tif"

    @pytest.mark.parametrize("lookup", ["rasters", "aligned_rasters"])
    def test_any_other_may_not(self, tmp_path, lookup):
        root = DataRoot.open(write_root(tmp_path / "root"))
        (root.path / "dem" / "b.tif").unlink()
        with pytest.raises(InputError, match="dem: no raster named b"):
            getattr(root, lookup)("dem", "train")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"dem": ["height"]}, "dem must hold bands"),
            ({"sar_reference": {"bands": ["VV"], "units": "metres"}}, "sar_reference.units 'metres' is not one of"),
            ({"dem": {"bands": ["h"], "units": "m", "optional": "yes"}}, "dem.optional must be true or false"),
        ],
    )
    def test_refusals(self, tmp_path, changes, message):
        with pytest.raises(InputError, match=message):
            DataRoot.open(write_root(tmp_path / "root", **changes))

    def test_a_role_from_another_root(self, root, tmp_path):
        other = DataRoot.open(write_root(tmp_path / "other", name="other", classes=None, ignore_index=None))
        joined = root.with_role_from("dem", other)
        assert joined.raster("dem", "a") == other.path / "dem" / "a.tif"
        assert joined.home_of("dem") == other.path
        assert joined.home_of("sar") == root.path
        assert joined.name == "roles (SAR, optical, earlier optical), other (elevation model)"
        assert not joined.paired
        twice = joined.with_role_from("optical", other)
        assert set(twice.borrowed) == {"dem", "optical"}


class TestDescribedImages:
    def test_from_the_root(self, root):
        found = describe_images(root, "optical_reference")
        assert (found.bands, found.units, found.dtype, found.optional) == (("R",), "uint8", "uint8", True)
        assert found.make_recipe() == EightBit()
        assert describe_images(root, "optical", ["G"]).bands == ("G",)

    def test_elevations_have_no_usual_recipe(self, root):
        with pytest.raises(InputError, match="dem: state a recipe"):
            describe_images(root, "dem")
        recipe = Reflectance(1.0, 50.0)
        assert describe_images(root, "dem", recipe=recipe.to_dict()).make_recipe() == recipe

    def test_an_absent_role_or_band(self, root):
        with pytest.raises(InputError, match="lacks mask"):
            describe_images(root, "mask")
        with pytest.raises(InputError, match="has no band B; it has R, G"):
            describe_images(root, "optical", ["B"])


INPUTS = {"dem": DEM, "optical_reference": EARLIER, **both(SAR, OPTICAL)}


class TestWindows:
    def test_all_roles_show_one_place(self, root):
        sampler = WindowSampler(root, "train", 16, INPUTS, Augmentation(), labels=True)
        seen = set()
        for seed in range(60):
            sample = sampler.draw(np.random.default_rng(seed))
            assert set(sample) == {*INPUTS, "label"}
            assert {role: image.shape[0] for role, image in sample.items() if role != "label"} == {
                "sar": 1,
                "optical": 2,
                "dem": 1,
                "optical_reference": 2,
            }
            values, valid = sample["optical_reference"]
            heights = (sample["dem"][0] + 1) * 50
            if not valid.any():
                number = 1
            else:
                number = round(float(values[valid == 1].max() + 1) * 127.5) - 100 if values.any() else -1
            seen.add(number)
            if number == 2:
                rows = heights - 2
                np.testing.assert_array_equal(valid, np.rint(rows) >= SIDE // 2)
                np.testing.assert_array_equal(values[valid == 0], 0.0)
            if number == 1:
                assert not values.any()
            if number == 0:
                assert valid.all()
        assert {0, 1, 2} <= seen

    def test_medians_of_the_scene(self, root):
        """The earlier image of a is half 0 and half 100, b has none, and c has 102 where it is not nodata."""
        told = EARLIER.model_copy(update={"scene_median": True})
        sampler = WindowSampler(root, "train", 16, {**INPUTS, "optical_reference": told})
        seen = set()
        for seed in range(60):
            median = sampler.draw(np.random.default_rng(seed))["optical_reference"][2]
            assert median.min() == median.max()
            seen.add(round(float(median[0, 0]) * 127.5))
        assert seen == {0, 50, 102}

    def test_further_roles_leave_sar_and_optical_alone(self, root):
        """The stream is the same while nothing depends on the further role."""
        changes = Augmentation(sar_gain_db=2.0, speckle_probability=0.5, optical_gain=1.2)
        plain = draw_batch(WindowSampler(root, "train", 16, both(SAR, OPTICAL), changes), 8, [1])
        more = draw_batch(WindowSampler(root, "train", 16, INPUTS, changes), 8, [1])
        for role, images in plain.items():
            np.testing.assert_array_equal(images, more[role])

    def test_every_sar_image_is_disturbed_on_its_own(self, tmp_path):
        path = write_root(tmp_path / "root", sar_reference={"bands": ["VV"], "units": "sigma0_db"})
        (path / "sar").rename(path / "x")
        for role in ("sar", "sar_reference"):
            (path / role).symlink_to(path / "x")
        inputs = both(SAR, OPTICAL) | {"sar_reference": card("sar_reference", ("VV",), "sigma0_db", DbClip())}
        root = DataRoot.open(path)
        plain = WindowSampler(root, "train", 16, inputs).draw(np.random.default_rng(0))
        np.testing.assert_array_equal(plain["sar"], plain["sar_reference"])
        drawn = WindowSampler(root, "train", 16, inputs, Augmentation(sar_gain_db=3.0)).draw(np.random.default_rng(0))
        gains = drawn["sar"] - drawn["sar_reference"]
        assert abs(gains).min() > 1e-3
        assert np.ptp(gains) < 1e-5

    def test_only_optional_images(self, root):
        with pytest.raises(ValueError, match="gives the grid"):
            WindowSampler(root, "train", 16, {"optical_reference": EARLIER})

    def test_unlike_grids(self, tmp_path):
        path = write_root(tmp_path / "root")
        write_array(path / "dem" / "c.tif", np.zeros((1, SIDE, 50), np.float32), overwrite=True)
        with pytest.raises(
            InputError, match=r"dem/c\.tif: SAR and elevation model are not on one grid: 48x48 and 50x48"
        ):
            WindowSampler(DataRoot.open(path), "train", 16, INPUTS)


class TestAsBeforeRoles:
    """SAR and optical windows against the procedure that runs before there were roles used, written out."""

    changes = Augmentation(sar_gain_db=2.0, speckle_probability=0.5, optical_gain=1.2)

    def window(self, rng, root, role):
        paths = [root.raster(role, name) for name in NAMES]
        areas = np.full(len(paths), SIDE * SIDE, np.float64)
        weights = areas / areas.sum()
        index = int(rng.choice(len(weights), p=weights))
        row, col = int(rng.integers(SIDE - 16 + 1)), int(rng.integers(SIDE - 16 + 1))
        return index, Window(row, col, 16, 16)

    def read(self, root, role, index, window, bands):
        with Scene.open(root.raster(role, NAMES[index]), bands=bands) as scene:
            return scene.read(window)[0]

    def expected(self, root, rng, unpaired, labels):
        if unpaired:
            streams = rng.spawn(2)
            places = [self.window(*both) for both in ((streams[0], root, "sar"), (streams[1], root, "optical"))]
        else:
            streams = (rng, rng)
            places = [self.window(rng, root, "sar")] * 2
        sar = self.read(root, "sar", *places[0], (1,))
        optical = self.read(root, "optical", *places[1], (1, 2))
        found = {}
        if unpaired:
            (sar,) = self.changes.symmetry(streams[0], sar)
            (optical,) = self.changes.symmetry(streams[1], optical)
        else:
            extra = []
            if labels:
                stored = self.read(root, "label", *places[0], (1,))[0]
                extra = [np.where(stored == 2, IGNORED, stored).astype(np.int64)]
            sar, optical, *extra = self.changes.symmetry(rng, sar, optical, *extra)
            if labels:
                found["label"] = extra[0]
        sar = self.changes.disturb_sar(streams[0], sar, "sigma0_db")
        optical = self.changes.disturb_optical(streams[1], optical)
        recipes = DbClip(), EightBit()
        return found | {
            "sar": recipes[0].forward(sar, "sigma0_db", ()),
            "optical": recipes[1].forward(optical, "uint8", ()),
        }

    @pytest.mark.parametrize(("unpaired", "labels"), [(False, False), (False, True), (True, False)])
    def test_to_the_bit(self, root, unpaired, labels):
        inputs = {"optical": OPTICAL, "sar": SAR}
        sampler = WindowSampler(root, "train", 16, inputs, self.changes, unpaired=unpaired, labels=labels)
        for seed in range(12):
            drawn = sampler.draw(np.random.default_rng([3, seed]))
            expected = self.expected(root, np.random.default_rng([3, seed]), unpaired, labels)
            assert set(drawn) == set(expected)
            for role, values in expected.items():
                np.testing.assert_array_equal(drawn[role], values, strict=True)
