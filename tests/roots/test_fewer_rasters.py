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


def test_every_split_that_is_trained_on_has_so_many(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(2, 5, 3), size=64))

    def made(method: str, splits: dict, count: int) -> TranslatorTask:
        data = {"crop": 32, "max_rasters": count, "splits": splits}
        engine = {"validate_every": 1, "sample_every": 0, "patience": 1}
        config = {"method": method, "data": data, "engine": engine}
        return TranslatorTask(TrainingConfig.model_validate(config), root)

    task = made("regression", {"sar": "test", "optical": "test"}, 1)
    assert [len(task.sampler.paths(role)) for role in ("sar", "optical")] == [1, 1]
    assert task._card(tmp_path, 1, False).training.split == "test: 1 random rasters, seed 0"
    task = made("cyclegan", {"sar": "test"}, 2)
    assert [path.stem.split("_")[0] for path in task.sampler.paths("sar")] == ["test", "test"]
    assert len(task.sampler.paths("optical")) == 2
    task = made("cyclegan", {"sar": "test"}, 3)
    described = task._card(tmp_path, 1, False).training.split
    assert described == "test (SAR), train (optical): 3 and 2 random rasters, seed 0"
    task = made("regression", {"sar": "val", "optical": "val"}, 2)
    assert len(task.sampler.paths("sar")) == 2
    assert len(task.validation._sampler.paths("sar")) == 5


def test_bands_are_found_by_their_synonyms(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(2, 1, 1), size=64))
    data = {"crop": 32, "bands": {"optical": ["blue", "red"]}}
    config = {"method": "regression", "data": data, "engine": {"validate_every": 0, "sample_every": 0}}
    task = TranslatorTask(TrainingConfig.model_validate(config), root)
    own = root.images["optical"].bands
    assert task.images["optical"].bands == (own[2], own[0])
