"""Configurations and checkpoints of version 1 are read for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from training_runs import train

from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.training import (
    Loop,
    SegmentationConfig,
    SegmenterTask,
    TranslatorTask,
    dump_config,
    read_config,
    read_matching_config,
)
from saropt.training.config import DataConfig

RECIPE = {"kind": "db_clip", "low": -25.0, "high": 0.0}
OLD = {
    "crop": 64,
    "sar_split": "test",
    "optical_split": "train",
    "sar_bands": None,
    "optical_bands": ["B4", "B2"],
    "sar_recipe": RECIPE,
    "optical_recipe": None,
    "flips": False,
}
NEW = {
    "crop": 64,
    "splits": {"sar": "test", "optical": "train"},
    "bands": {"optical": ["B4", "B2"]},
    "recipes": {"sar": RECIPE},
    "flips": False,
}


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"method": "cran-refine", "data": OLD}))
    return path


def test_old_keys_are_new_ones(preset):
    config = read_config("cran-refine", preset, [])
    assert config.data == DataConfig.model_validate(NEW)
    assert config.data.describe_splits(("sar", "optical")) == "test (SAR), train (optical)"


def test_dumps_have_the_new_keys(preset, tmp_path):
    config = read_config("cran-refine", preset, [])
    text = dump_config(config)
    assert not [f"sar_{key}" for key in ("bands", "recipe", "split") if f"sar_{key}:" in text]
    (tmp_path / "new.yaml").write_text(text)
    assert read_config("cran-refine", tmp_path / "new.yaml", []) == config


@pytest.mark.parametrize("key", ["data.sar_split", "data.splits.sar"])
def test_settings_win_over_presets_under_both_names(preset, tmp_path, key):
    assert read_config("cran-refine", preset, [f"{key}=val"]).data.split("sar") == "val"
    new = tmp_path / "new.yaml"
    new.write_text(yaml.safe_dump({"method": "cran-refine", "data": NEW}))
    assert read_config("cran-refine", new, [f"{key}=val"]).data.split("sar") == "val"


def test_a_key_that_is_null_takes_the_default(preset):
    assert "sar" not in read_config("cran-refine", preset, ["data.sar_recipe=null"]).data.recipes


def test_matchers(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: {sar_bands: [VH], optical_bands: null}\n")
    assert read_matching_config(path, []).data.bands == {"sar": ("VH",)}


def test_unknown_roles_and_splits_are_refused(preset):
    with pytest.raises(InputError, match="unknown role 'radar'"):
        read_config("cran-refine", preset, ["data.bands.radar=[VH]"])
    with pytest.raises(InputError, match=r"data.splits.sar"):
        read_config("cran-refine", preset, ["data.sar_split=training"])


def test_a_translator_goes_on_from_an_old_checkpoint(root, new_config, tmp_path):
    config = new_config("compact", engine={"select": "best", "max_steps": 5, "sample_every": 0})
    straight, old = tmp_path / "straight", tmp_path / "old"
    train(config, root, straight)
    train(config, root, old, stop=4)
    path = old / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    state["best"] = (state["best"]["score"], state["best"]["states"])
    for added in ("figures", "waited", "seconds"):
        del state[added]
    torch.save(state, path)
    train(config, root, old, resume=True)
    assert (old / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()


def test_a_segmenter_goes_on_from_an_old_checkpoint(labelled_root, tmp_path):
    values = {
        "modality": "sar",
        "network": "unet",
        "arguments": {"encoder": "resnet18"},
        "data": {"crop": 32, "batch_size": 2},
        "engine": {"max_steps": 4, "log_every": 1, "validate_every": 1, "validation_windows": 2, "checkpoint_every": 2},
    }
    config, root = SegmentationConfig.model_validate(values), DataRoot.open(labelled_root)
    straight, old = tmp_path / "straight", tmp_path / "old"
    train(config, root, straight, task=SegmenterTask)
    train(config, root, old, stop=3, task=SegmenterTask)
    path = old / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    best = state["best"]
    torch.save(
        {
            "method": state["method"],
            "step": state["step"],
            "network": {key.removeprefix("network."): value for key, value in state["modules"].items()},
            "optimizer": state["optimizers"]["network"],
            "best": {"figures": best["figures"], "state": best["states"]["network"]},
            "figures": state["figures"],
        },
        path,
    )
    resumed = Loop(SegmenterTask, config, root, old, accelerator="cpu", resume=True)
    assert resumed.best.score == -best["figures"]["val/pixel_accuracy"]
    resumed.run()
    assert (old / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()


def test_a_checkpoint_that_lacks_something_is_one_line(root, new_config, tmp_path):
    config = new_config(engine={"max_steps": 1, "validate_every": 0, "sample_every": 0})
    train(config, root, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    del state["average"]
    torch.save(state, path)
    with pytest.raises(InputError, match=r"checkpoint\.pt: is damaged or no checkpoint of saropt"):
        Loop(TranslatorTask, config, root, tmp_path / "run", accelerator="cpu", resume=True)
