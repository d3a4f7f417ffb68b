"""A run goes on with its own data, and from its start where it was killed before its first checkpoint."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import load_file
from training_runs import METHODS, train

from saropt.cli import main
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.roots.identity import describe_data, differences
from saropt.roots.simulated import write_simulated_root
from saropt.training import TrainingConfig, TranslatorTask
from saropt.training.segmentation import SegmenterTask
from saropt.training.segmentation_config import SegmentationConfig

SIMULATED = {"scenes": (2, 1, 1), "size": 64, "bands": ("VH",)}


def config(steps: int) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "method": "regression",
            "arguments": METHODS["regression"],
            "data": {"crop": 32, "batch_size": 1},
            "engine": {"max_steps": steps, "validate_every": 0, "sample_every": 0, "select": "last"},
        }
    )


@pytest.fixture
def run(tmp_path):
    """A run of 2 steps on a root, both in a folder."""
    root = write_simulated_root(tmp_path / "r1", **SIMULATED)
    train(config(2), DataRoot.open(root), tmp_path / "run")
    return tmp_path


def halve(path) -> None:
    with rasterio.open(path) as file:
        values, profile = file.read() // 2, file.profile
    with rasterio.open(path, "w", **profile) as file:
        file.write(values.astype(profile["dtype"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: halve(next((root / "optical").glob("train*"))), "files of optical in split train"),
        (
            lambda root: (root / "splits.csv").write_text("\n".join(["name,split", "train_000,train", "val_000,val"])),
            r"sar rasters of split train \(2 there, 1 here\)",
        ),
    ],
)
def test_changed_pixels_and_splits_are_refused(change, words, run):
    change(run / "r1")
    with pytest.raises(InputError, match=words) as caught:
        train(config(3), DataRoot.open(run / "r1"), run / "run", resume=True)
    assert "\n" not in str(caught.value)


def test_one_changed_value_in_a_large_raster_is_seen_where_rasters_are_few(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", **SIMULATED))
    path = tmp_path / "root" / "optical" / "train_000.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, width=1024, height=1024, dtype="uint8") as file:
        file.write(np.ones((1, 1024, 1024), "uint8"))
    before = describe_data(root, ["optical"], ["train"])
    with path.open("r+b") as file:
        file.seek(512_500)
        file.write(b"2")
    assert differences(before, describe_data(root, ["optical"], ["train"])) == "files of optical in split train"


def test_a_copied_root_with_other_test_scenes_is_the_same_data(run):
    shutil.copytree(run / "r1", run / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(run / "r1")
    halve(next((run / "copy" / "optical").glob("test*")))
    text = (run / "copy" / "dataset.yaml").read_text()
    (run / "copy" / "dataset.yaml").write_text(text.replace("licence:", "licence: x # "))
    told = []
    made = train(config(3), DataRoot.open(run / "copy"), run / "run", resume=True, tell=told.append)
    assert made.step == 3
    assert [line for line in told if "data" in line] == []


def test_an_older_checkpoint_goes_on_with_a_line(run):
    path = run / "run" / "checkpoint.pt"
    values = torch.load(path, weights_only=True)
    del values["data"]
    torch.save(values, path)
    told = []
    made = train(config(3), DataRoot.open(run / "r1"), run / "run", resume=True, tell=told.append)
    assert made.step == 3
    assert [line for line in told if "does not say what data it is of" in line] == told[:1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("data.bands.optical=[B3, B2, B4]", "bands taken of optical (B4, B3, B2 there, B3, B2, B4 here)"),
        ("data.recipes.sar={kind: q99_amplitude, floor_db: -20}", "recipe of sar (kind q99_amplitude, "),
        ("data.max_rasters=1", "rasters (all there, 1 by seed 0 here)"),
        ("engine.seed=7", "seed (0 there, 7 here)"),
    ],
)
@pytest.mark.parametrize("steps", [2, 3])
def test_data_taken_otherwise_are_refused(settings, words, steps, run, capsys):
    before = {path.name: path.read_bytes() for path in (run / "run").iterdir()}
    arguments = ["train", "regression", str(run / "r1"), "--out", str(run / "run"), "--device", "cpu", "--resume"]
    assert main([*arguments, "--max-steps", str(steps), "--set", settings]) == 2
    complaint = capsys.readouterr().err
    assert "checkpoint.pt: is of a run that took its data otherwise: they differ in " + words in complaint
    assert complaint.count("\n") == 1
    assert {path.name: path.read_bytes() for path in (run / "run").iterdir()} == before


def test_scene_inputs_and_splits_are_ways_to_take_data(db_root, new_config):
    root = DataRoot.open(db_root)
    splits = {"sar": "train", "optical": "val"}
    one, other = (
        TranslatorTask(new_config("cyclegan", data={"splits": given}), root).data_use
        for given in (splits, dict(zip(splits, reversed(splits.values()), strict=True)))
    )
    assert differences(one, other) == "split of sar (train there, val here), split of optical (val there, train here)"
    assert (one["directions"], one["scene inputs"]) == ("sar2opt, opt2sar", "none")


def test_a_segmenter_is_resumed_with_its_bands_alone(labelled_root, tmp_path):
    def with_bands(*bands: str) -> SegmentationConfig:
        values = {"modality": "optical", "network": "compact", "arguments": {"width": 4}}
        values["data"] = {"crop": 32, "batch_size": 1, "bands": bands}
        return SegmentationConfig.model_validate({**values, "engine": {"max_steps": 1, "validate_every": 0}})

    root = DataRoot.open(labelled_root)
    bands = root.images["optical"].bands
    train(with_bands(*bands), root, tmp_path / "run", task=SegmenterTask)
    with pytest.raises(InputError, match="took its data otherwise: they differ in bands taken of optical"):
        train(with_bands(*bands[::-1]), root, tmp_path / "run", task=SegmenterTask, resume=True)


@pytest.mark.parametrize("version", [{"data_use": None}, {}])
def test_a_checkpoint_that_does_not_say_how_goes_on_with_a_line(version, run):
    path = run / "run" / "checkpoint.pt"
    values = torch.load(path, weights_only=True)
    del values["data_use"]
    torch.save(values | version, path)
    told = []
    made = train(config(3), DataRoot.open(run / "r1"), run / "run", resume=True, tell=told.append)
    assert made.step == 3
    assert "bands, recipes and seed are taken to be the same" in told[0]


def test_a_run_without_a_checkpoint_begins_at_its_start(run, capsys):
    begun = run / "begun"
    begun.mkdir()
    shutil.copyfile(run / "run" / "config.yaml", begun / "config.yaml")
    arguments = ["train", "regression", str(run / "r1"), "--out", str(begun), "--device", "cpu"]
    assert main(arguments) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    assert "the run has no checkpoint.pt yet: it begins at step 0" in capsys.readouterr().err
    one, other = (load_file(run / name / "translator.safetensors") for name in ("run", "begun"))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_what_holds_no_run_or_results_alone_is_not_resumed(run):
    root = DataRoot.open(run / "r1")
    (run / "run" / "checkpoint.pt").unlink()
    for folder in (run / "run", run / "r1"):
        with pytest.raises(InputError, match=r"cannot resume: it holds no checkpoint\.pt"):
            train(config(2), root, folder, resume=True)
    (run / "killed").mkdir()
    (run / "killed" / ".lock").touch()
    assert train(config(2), root, run / "killed").step == 2


def test_fewer_steps_than_a_run_has_are_refused(run):
    before = (run / "run" / "config.yaml").read_text()
    with pytest.raises(InputError, match=r"checkpoint\.pt: has 2 steps already, more than max_steps 1$"):
        train(config(1), DataRoot.open(run / "r1"), run / "run", resume=True)
    assert (run / "run" / "config.yaml").read_text() == before


def test_a_run_whose_minutes_are_over_says_so(run):
    told = []
    short = config(9).model_copy(update={"engine": config(9).engine.model_copy(update={"max_minutes": 1e-6})})
    made = train(short, DataRoot.open(run / "r1"), run / "run", resume=True, tell=told.append)
    assert made.step == 2
    assert len(told) == 1
    assert "minutes of training already: it trains no further" in told[0]


def test_pixels_of_another_size_than_the_root_says_are_told(run):
    text = (run / "r1" / "dataset.yaml").read_text()
    (run / "r1" / "dataset.yaml").write_text(text.replace("gsd_m: 10.0", "gsd_m: 1.0"))
    told = []
    train(config(2), DataRoot.open(run / "r1"), run / "other", tell=told.append)
    assert told == ["sar/train_000: its pixels are 10 m wide, dataset.yaml says 1 m"]
