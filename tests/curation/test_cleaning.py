"""Faults put into a simulated root are found, and what is known of the real roots."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS

from saropt.cli import main
from saropt.curation.clean_splits import write_splits
from saropt.curation.cleaning import Limits, clean_root, white_share, write_report
from saropt.curation.registration import measure_offset, offsets_of_pair
from saropt.curation.warnings_of_roots import root_warnings
from saropt.errors import InputError
from saropt.evaluation.leaks import find_leaks
from saropt.roots import DataRoot
from saropt.roots.frozen import read_frozen
from saropt.roots.recipes import describe_images
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Georeference, Scene, write_array
from saropt.simulate import simulate_scene


def change(path, function):
    with Scene.open(path) as scene:
        values, place, names = scene.read_stored()[0], scene.georeference, scene.band_names
        tags = {key: value for key, value in scene.tags.items() if not key.startswith(("AREA", "OVR"))}
    values = function(values.copy())
    write_array(path, values, band_names=names, georeference=place, tags=tags, overwrite=True)


def fill(row, col, side, value):
    def function(values):
        values[:, row : row + side, col : col + side] = value
        return values

    return function


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """train_000 clouded, train_001 with a hole, train_002 saturated, train_003 shifted by (3, -4), val_000 a copy of
    train_004, test_000 half of it the ground of train_005."""
    path = write_simulated_root(tmp_path_factory.mktemp("faulty") / "root", scenes=(7, 1, 1), size=256, seed=4)
    root = DataRoot.open(path)
    change(root.raster("optical", "train_000"), fill(20, 20, 120, 250))
    change(root.raster("sar", "train_001"), fill(100, 0, 60, 0))
    change(root.raster("sar", "train_002"), lambda values: np.minimum(values, np.quantile(values, 0.9)))
    change(root.raster("optical", "train_003"), lambda values: np.roll(values, (3, -4), axis=(1, 2)))
    for side in ("sar", "optical"):
        (path / side / "val_000.tif").write_bytes((path / side / "train_004.tif").read_bytes())
        with Scene.open(path / side / "train_005.tif") as scene:
            ground = scene.read_stored()[0][:, :, 128:]

        def graft(values, ground=ground):
            values[:, :, :128] = ground
            return values

        change(path / side / "test_000.tif", graft)
    return path


def test_the_same_ground_in_two_utm_zones_is_one_group_and_a_leak(tmp_path):
    path = write_simulated_root(tmp_path / "root", scenes=(1, 1, 1), size=128, seed=6)
    (x,), (y,) = warp.transform("EPSG:32632", "EPSG:32633", [760000.0], [5000000.0])
    for name, code, place in (
        ("train_000", 32632, (760000.0, 5000000.0)),
        ("val_000", 32632, (770000.0, 5000000.0)),
        ("test_000", 32633, (x, y)),
    ):
        grid = Georeference(CRS.from_epsg(code), Affine(10.0, 0.0, place[0], 0.0, -10.0, place[1]))
        for side in ("sar", "optical"):
            with Scene.open(path / side / f"{name}.tif") as scene:
                values, names, tags = scene.read_stored()[0], scene.band_names, scene.tags
            tags = {key: value for key, value in tags.items() if not key.startswith(("AREA", "OVR"))}
            write_array(scene.path, values, band_names=names, tags=tags, georeference=grid, overwrite=True)
    report = clean_root(path)
    found = {(own.name, own.kind) for own in report.findings if {own.name, own.other} == {"train_000", "test_000"}}
    assert {kind for _, kind in found} == {"overlap", "leak"}
    assert not [own for own in report.findings if "val_000" in (own.name, own.other) and own.kind == "overlap"]


def test_every_fault_is_found_and_nothing_else_is(faulty):
    before = sorted((p.name, p.stat().st_mtime_ns) for p in faulty.rglob("*"))
    report = clean_root(faulty, Limits(saturation=0.05))
    found = {(finding.kind, finding.name, finding.other) for finding in report.findings}
    assert found == {
        ("grid", "val_000", ""),  # its label lies where it was
        ("cloud", "train_000", ""),
        ("nodata", "train_001", ""),
        ("saturation", "train_002", ""),
        ("misregistration", "train_003", ""),
        ("duplicate", "val_000", "train_004"),
        ("near-duplicate", "test_000", "train_005"),
        ("overlap", "val_000", "train_004"),
        ("leak", "val_000", "train_004"),
        ("leak", "test_000", "train_005"),
    }
    shift = report.measures["train_003"]
    assert shift["offset_row"] == pytest.approx(3, abs=1)
    assert shift["offset_col"] == pytest.approx(-4, abs=1)
    assert report.counts()["leak"] == 2
    assert sorted((p.name, p.stat().st_mtime_ns) for p in faulty.rglob("*")) == before


def equal_places(path, same, spoiled=()):
    """Four places, the optical image of some of which is that of the first; holes in some SAR images."""
    root = write_simulated_root(path, scenes=(4, 0, 0), size=128, seed=6)
    for role in ("sar", "optical"):
        for name in DataRoot.open(root).splits:
            with Scene.open(root / role / f"{name}.tif") as scene:
                values, names = scene.read_stored()[0], scene.band_names
            write_array(root / role / f"{name}.tif", values, band_names=names, overwrite=True)
    for name in same:
        (root / "optical" / f"{name}.tif").write_bytes((root / "optical" / "train_000.tif").read_bytes())
    for name in spoiled:
        change(root / "sar" / f"{name}.tif", fill(0, 0, 60, 0))
    return root


def test_of_equal_places_the_first_without_another_fault_is_kept(tmp_path):
    root = equal_places(tmp_path / "root", ["train_001", "train_002"], spoiled=["train_000"])
    kept = write_splits(clean_root(root), tmp_path / "new.csv", ["nodata", "duplicate"])
    assert set(kept) == {"train_001", "train_003"}


def test_equal_places_share_a_split_where_the_first_of_them_is_dropped(tmp_path):
    root = equal_places(tmp_path / "root", ["train_001", "train_002"], spoiled=["train_000"])
    (root / "splits.csv").write_text("name,split\ntrain_000,train\ntrain_001,train\ntrain_002,test\ntrain_003,val\n")
    kept = write_splits(clean_root(root), tmp_path / "new.csv", ["nodata"])
    assert kept == {"train_001": "train", "train_002": "train", "train_003": "val"}
    groups = read_frozen(tmp_path / "new.csv").groups
    assert groups["train_001"] == groups["train_002"]
    assert "train_003" not in groups


def test_rows_may_end_in_a_comma(tmp_path):
    root = equal_places(tmp_path / "root", [])
    (root / "splits.csv").write_text("name,split\n" + "".join(f"train_00{n},train,\n" for n in range(4)))
    assert len(write_splits(clean_root(root), tmp_path / "new.csv")) == 4
    assert (tmp_path / "new.csv").read_text().splitlines()[
        0
    ] == "name,split,group,sha256_sar,sha256_optical,valid_sar,valid_optical"


def test_new_splits_drop_what_is_asked_and_mend_leaks(tmp_path, faulty):
    report = clean_root(faulty, Limits(saturation=0.05))
    kept = write_splits(report, tmp_path / "splits.csv", ["cloud", "nodata"])
    assert set(kept) == set(DataRoot.open(faulty).splits) - {"train_000", "train_001"}
    assert kept["val_000"] == kept["train_004"]
    assert kept["test_000"] == kept["train_005"]
    lines = (tmp_path / "splits.csv").read_text().splitlines()
    assert lines[0] == "name,split,group,sha256_sar,sha256_optical,valid_sar,valid_optical"
    frozen = read_frozen(tmp_path / "splits.csv")
    assert frozen.groups["val_000"] == frozen.groups["train_004"]
    assert frozen.groups["val_000"] != frozen.groups["test_000"]
    for name in kept:
        frozen.check("sar", name, DataRoot.open(faulty).raster("sar", name))
    assert len(lines) == 8
    with pytest.raises(InputError, match="exists already"):
        write_splits(report, tmp_path / "splits.csv")
    with pytest.raises(InputError, match="known kinds"):
        write_splits(report, tmp_path / "other.csv", ["fog"])


def test_the_report_file_and_the_command(tmp_path, faulty, capsys):
    arguments = ["data", "clean", str(faulty), "--report", str(tmp_path / "r.json")]
    assert main([*arguments, "--write-splits", str(tmp_path / "s.csv")]) == 0
    out = capsys.readouterr().out
    assert "the same pixels as train_004" in out
    assert "6 of 9 rasters" in out
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["limits"]["cloud"] == 0.05
    assert written["counts"]["duplicate"] == 1
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("shift", [(0, 0), (4, 0), (-3, 6), (7, -7)])
def test_offsets_of_shifted_scenes(shift):
    scene = simulate_scene(320, 2)
    row, col = 32 + shift[0], 32 + shift[1]
    sar = 10 * np.log10(scene.sigma0[1, row : row + 256, col : col + 256])
    optical = scene.optical.mean(axis=0)[32:288, 32:288]
    offset = measure_offset(sar, optical)
    assert offset.is_confident
    assert (offset.row, offset.col) == pytest.approx(shift, abs=1.0)


def test_unrelated_images_are_not_confident():
    sar, optical = (simulate_scene(256, seed).sigma0_clean[1] for seed in (1, 2))
    assert not measure_offset(10 * np.log10(sar), optical).is_confident
    assert offsets_of_pair(np.ones((1, 64, 64)), np.ones((3, 64, 64)), np.ones((64, 64), bool), "sigma0") == []
    with pytest.raises(ValueError, match="searched"):
        measure_offset(np.ones((20, 20)), np.ones((20, 20)))


def test_white_areas_but_no_white_specks():
    optical = np.full((3, 60, 60), 40, np.uint8)
    optical[:, ::7, ::7] = 255
    valid = np.ones((60, 60), bool)
    assert white_share(optical, ["R", "G", "B"], "uint8", valid) == 0
    optical[:, :30] = 240
    assert white_share(optical, ["R", "G", "B"], "uint8", valid) == pytest.approx(0.5, abs=0.02)
    optical[0, :30] = 100
    assert white_share(optical, ["R", "G", "B"], "uint8", valid) == 0


def test_reports_cannot_hide_unpaired_roots(tmp_path, faulty):
    with pytest.raises(InputError, match="cannot be written"):
        write_report(clean_root(faulty), tmp_path / "absent" / "r.json")


def subset(source, target, names):
    for side in ("sar", "optical"):
        (target / side).mkdir(parents=True)
        for name in names:
            path = next((source / side).glob(f"{name}.*"))
            (target / side / path.name).symlink_to(path)
    root = DataRoot.open(source)
    (target / "dataset.yaml").write_text((source / "dataset.yaml").read_text())
    (target / "splits.csv").write_text("name,split\n" + "".join(f"{name},{root.splits[name]}\n" for name in names))
    return target


def test_what_is_stated_of_the_real_patches(shared_data):
    """sen12-mixed: fall2 within 2 px, fall11 on slopes less; consecutive patches overlap by half; no duplicates."""
    report = clean_root(shared_data / "sen12-mixed")
    assert report.counts()["duplicate"] == report.counts()["leak"] == 0
    shared = {(finding.other, finding.name) for finding in report.findings if finding.kind == "near-duplicate"}
    assert {("fall2_p204", "fall2_p205"), ("fall11_p213", "fall11_p214"), ("fall2_p1", "fall2_p2")} <= shared
    within = {region: [] for region in ("fall11", "fall2")}
    for name, own in report.measures.items():
        if "within_2px" in own:
            within[name.split("_")[0]].append(own["within_2px"])
    assert np.mean(within["fall2"]) > 0.95
    assert 0.7 < np.mean(within["fall11"]) < np.mean(within["fall2"])


def test_what_is_stated_of_the_real_floods(shared_data):
    """ombria-floods: under 2 % nodata, no clouds to speak of, over 90 % of the sites with a clear peak within 2 px."""
    report = clean_root(shared_data / "ombria-floods", Limits(nodata=0.02, cloud=0.03))
    assert report.counts()["nodata"] == report.counts()["cloud"] == report.counts()["leak"] == 0
    assert report.summary["tiles_within_2px"] > 0.9


def test_what_is_stated_of_the_real_fragments(tmp_path, shared_data):
    """s1s2-losangeles: three days apart, up to 5 % of SAR and 2 % of optical saturated, fragments do not overlap."""
    names = ["048", "049", "050", *list(DataRoot.open(shared_data / "s1s2-losangeles").splits)[-3:]]
    report = clean_root(subset(shared_data / "s1s2-losangeles", tmp_path / "root", names), Limits(days=2.0))
    counts = report.counts()
    assert counts["duplicate"] == counts["near-duplicate"] == counts["overlap"] == counts["leak"] == 0
    assert counts["date"] == len(names)
    assert report.summary["median_days"] == pytest.approx(3, abs=0.5)
    assert 0.002 < report.summary["median_sar_saturation"] < 0.03
    assert 0.005 < report.summary["median_optical_saturation"] < 0.05


def test_what_is_stated_of_the_real_tiles(shared_data):
    """terramesh5: five places, aligned."""
    report = clean_root(shared_data / "terramesh5")
    assert report.findings == []
    assert report.summary["tiles_within_2px"] == 1.0


def test_an_unknown_kind_to_drop_is_refused_before_anything_is_read(tmp_path, capsys):
    assert main(["data", "clean", str(tmp_path / "no_root"), "--drop", "cloud,foo"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "foo: known kinds are grid, cloud" in told[0]


def grouped(path, groups):
    """Places without georeference: name -> its split and group."""
    root = write_simulated_root(path, scenes=(len(groups), 0, 0), size=64, seed=3)
    rows = [f"train_{number:03d},{split},{group}\n" for number, (split, group) in enumerate(groups)]
    (root / "splits.csv").write_text("name,split,group\n" + "".join(rows))
    return root


def test_groups_in_two_splits_are_leaks_and_told_with_their_names(tmp_path, capsys):
    root = grouped(tmp_path / "r", [("train", "A"), ("test", "A"), ("val", "B"), ("train", "B"), ("train", "C")])
    leaks = [own for own in clean_root(root).findings if own.kind == "leak"]
    assert [(own.name, own.other) for own in leaks] == [("train_001", "train_000"), ("train_003", "train_002")]
    assert leaks[0].detail == "test shares ground with train_000 of train: both are of the group A"
    assert main(["data", "clean", str(root), "--write-splits", str(tmp_path / "new.csv")]) == 0
    told = capsys.readouterr().err
    assert told.count("2 groups stand in more than one split (A, B)") == 1
    assert told.count("no raster is left in the splits val and test: all are left out or moved") == 1
    assert main(["data", "inspect", str(root)]) == 0
    assert "2 groups stand in more than one split" in " ".join(capsys.readouterr().out.split())
    assert "2 groups stand" in root_warnings(DataRoot.open(root))[-1]


def test_nothing_is_told_of_groups_in_one_split(tmp_path, capsys):
    root = grouped(tmp_path / "r", [("train", "A"), ("train", "A"), ("val", "B"), ("test", "")])
    assert main(["data", "clean", str(root), "--write-splits", str(tmp_path / "new.csv")]) == 0
    assert not [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert clean_root(root).counts()["leak"] == 0


def test_rasters_with_a_transform_and_no_crs_do_not_overlap_and_keep_their_splits(tmp_path):
    root = write_simulated_root(tmp_path / "root", scenes=(1, 1, 1), size=64, seed=3)
    for path in [*root.glob("sar/*.tif"), *root.glob("optical/*.tif"), *root.glob("label/*.tif")]:
        with Scene.open(path, palette="index") as scene:
            values, names = scene.read_stored()[0], scene.band_names
        place = Georeference(None, Affine(10.0, 0.0, 0.0, 0.0, -10.0, 0.0))
        write_array(path, values, band_names=names, georeference=place, overwrite=True)
    report = clean_root(root)
    assert [own for own in report.findings if own.kind in ("overlap", "leak")] == []
    kept = write_splits(report, tmp_path / "new.csv")
    assert kept == {"train_000": "train", "val_000": "val", "test_000": "test"}


@pytest.mark.parametrize("side", ["sar", "optical"])
def test_a_training_image_of_another_date_that_is_a_true_image_of_the_test_split_is_a_leak(tmp_path, side):
    root = write_simulated_root(tmp_path / "root", scenes=(2, 0, 1), size=64, seed=3)
    role = f"{side}_reference"
    spec = DataRoot.open(root).image(side)
    with (root / "dataset.yaml").open("a") as stream:
        stream.write(f"{role}: {{bands: [{', '.join(spec.bands)}], units: {spec.units}}}\n")
    (root / role).mkdir()
    for name in ("train_000", "test_000"):
        (root / role / f"{name}.tif").write_bytes((root / side / f"{name}.tif").read_bytes())
    assert clean_root(root).counts()["leak"] == 0
    (root / role / "train_000.tif").write_bytes((root / side / "test_000.tif").read_bytes())
    leaks = [own for own in clean_root(root).findings if own.kind == "leak"]
    assert [(own.name, own.other) for own in leaks] == [("test_000", "train_000")]
    assert leaks[0].detail.endswith("the image of another date of one is the true image of the other")
    data = DataRoot.open(root)
    told = ["1 of 1 rasters share an image of another date with the training data (test_000)"]
    assert find_leaks(data, ["test_000"], data, ["train_000", "train_001"], "sar") == told
    assert find_leaks(data, ["train_000"], data, ["test_000"], "sar")[0].startswith("1 of 1 rasters share an image")
    assert find_leaks(data, ["test_000"], data, ["train_001"], "sar") == []


def test_images_of_another_date_of_one_colour_are_no_leak(tmp_path):
    root = write_simulated_root(tmp_path / "root", scenes=(1, 0, 1), size=64, seed=3)
    spec = DataRoot.open(root).image("optical")
    with (root / "dataset.yaml").open("a") as stream:
        stream.write(f"optical_reference: {{bands: [{', '.join(spec.bands)}], units: {spec.units}}}\n")
    change(root / "optical" / "test_000.tif", np.zeros_like)
    (root / "optical_reference").mkdir()
    (root / "optical_reference" / "train_000.tif").write_bytes((root / "optical" / "test_000.tif").read_bytes())
    data = DataRoot.open(root)
    assert clean_root(root).counts()["leak"] == 0
    assert find_leaks(data, ["test_000"], data, ["train_000"], "sar") == []


def test_a_stored_scale_hides_no_cloud(tmp_path):
    found, cards = [], []
    for scale in (1.0, 1e-4):
        path = write_simulated_root(tmp_path / f"{scale}", scenes=(1, 0, 0), size=128, seed=4)
        raster = DataRoot.open(path).raster("optical", "train_000")
        values = np.random.default_rng(0).integers(300, 1500, (3, 128, 128)).astype(np.int16)
        values[:, :64] = 6500
        with rasterio.open(raster) as dataset:
            place = {"crs": dataset.crs, "transform": dataset.transform}
        with rasterio.open(raster, "w", "GTiff", 128, 128, 3, dtype="int16", **place) as dataset:
            dataset.write(values)
            dataset.scales = (scale,) * 3
        description = yaml.safe_load((path / "dataset.yaml").read_text())
        description["optical"]["units"] = "reflectance x 10000"
        (path / "dataset.yaml").write_text(yaml.safe_dump(description))
        report = clean_root(path)
        found.append((report.measures["train_000"]["white"], [one.kind for one in report.findings]))
        cards.append(describe_images(DataRoot.open(path), "optical"))
    assert found[0] == found[1]
    assert "cloud" in found[0][1]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("changed", ["optical/train_000.tif", "sar/val_000.tif", "splits.csv", "dataset.yaml"])
def test_hashes_are_of_the_rasters_that_were_looked_at(tmp_path, changed):
    root = write_simulated_root(tmp_path / "root", scenes=(2, 1, 0), size=64)
    report = clean_root(root)
    assert "inputs" not in report.to_dict()
    if changed.endswith(".tif"):
        change(root / changed, lambda values: values // 2 + 1)
    else:
        (root / changed).write_text((root / changed).read_text() + "\n")
    with pytest.raises(InputError, match=f"{changed}: has changed while it was read: nothing is written"):
        write_splits(report, tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()
