"""A random part of the train split."""

from __future__ import annotations

from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.training import TrainingConfig, TranslatorTask


def test_translators_train_on_so_many_pairs_and_the_card_says_so(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(5, 1, 1), size=64))
    data = {"crop": 32, "max_rasters": 2, "rasters_seed": 1}
    config = {"method": "regression", "data": data, "engine": {"validate_every": 0, "sample_every": 0}}
    task = TranslatorTask(TrainingConfig.model_validate(config), root)
    drawn = [path.stem for path in task.sampler.paths("sar")]
    assert len(drawn) == 2
    assert drawn == [path.stem for path in task.sampler.paths("optical")]
    assert task._card(tmp_path, 1, False).training.split == "train: 2 random rasters, seed 1"
    assert len(root.names("train")) == 5
    kept = {tuple(root.with_fewer("train", 2, seed).names("train")) for seed in range(20)}
    assert len(kept) > 3
    assert root.with_fewer("train", 2, 7).names("train") == root.with_fewer("train", 2, 7).names("train")


def test_bands_are_found_by_their_synonyms(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(2, 1, 1), size=64))
    data = {"crop": 32, "bands": {"optical": ["blue", "red"]}}
    config = {"method": "regression", "data": data, "engine": {"validate_every": 0, "sample_every": 0}}
    task = TranslatorTask(TrainingConfig.model_validate(config), root)
    own = root.images["optical"].bands
    assert task.images["optical"].bands == (own[2], own[0])
