"""Two processes that hold a part of each network train as two that hold the whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from training_runs import METHODS, flatten, launch, train

from saropt.artifacts import load_weights
from saropt.errors import InputError
from saropt.methods import get_method
from saropt.roots import DataRoot
from saropt.training import Loop, TranslatorTask

pytestmark = pytest.mark.slow

SHARDED = [name for name in METHODS if not get_method(name).single_batch]
ENGINE = {"max_steps": 3, "validate_every": 1, "sample_every": 2, "checkpoint_every": 2}


def records(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    state = torch.load(folder / "run" / "checkpoint.pt", weights_only=True)
    return {key: tuple(value.shape) for key, value in flatten(state) if torch.is_tensor(value)}


@pytest.fixture(scope="module")
def start(db_root, new_config, tmp_path_factory) -> dict[str, str]:
    """Translator files of the methods that others go on from."""
    folder = tmp_path_factory.mktemp("start")
    engine = {"max_steps": 2, "validate_every": 0, "sample_every": 0, "checkpoint_every": 0}
    for method in ("regression", "cran"):
        train(new_config(method, engine=engine), DataRoot.open(db_root), folder / method)
    starts = {"bridge": "regression", "cran-refine": "cran"}
    return {method: str(folder / start / "translator.safetensors") for method, start in starts.items()}


@pytest.mark.parametrize("method", SHARDED)
def test_networks_in_shards_train_like_whole_ones(method, new_config, db_root, labelled_root, start, tmp_path):
    """Losses and validation figures of every step, through a milestone where there is one."""
    labelled = "label" in get_method(method).roles
    arguments = {"start": start[method]} if method in start else {}
    for strategy in ("ddp", "fsdp"):
        engine = {**ENGINE, "strategy": strategy}
        data = {"crop": 32} if labelled else {}
        config = new_config(method, arguments=METHODS[method] | arguments, engine=engine, data=data)
        launch(config, labelled_root if labelled else db_root, tmp_path / strategy)
    whole, parts = records(tmp_path / "ddp"), records(tmp_path / "fsdp")
    assert [list(line) for line in whole] == [list(line) for line in parts]
    for one, another in zip(whole, parts, strict=True):
        # Adam makes full steps of the rounding errors of gradients that are zero, as before an InstanceNorm
        assert another == pytest.approx(one, rel=3e-4 if one["step"] <= 2 else 1e-2, abs=1e-5)
    assert shapes(tmp_path / "ddp") == shapes(tmp_path / "fsdp")


def test_runs_in_shards_go_on_in_one_process_and_back(new_config, db_root, tmp_path):
    """With as many windows to a step; killed in shards, then whole in one process, then in shards again."""
    engine = {**ENGINE, "max_steps": 6, "strategy": "fsdp", "checkpoint_activations": True}
    data = {"sar_gain_db": 0.0, "batch_size": 1}
    two, one = (new_config("compact", engine={**engine, "accumulate": count}, data=data) for count in (1, 2))
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    launch(two, db_root, straight)
    shares = [json.loads((straight / f"shares{rank}.json").read_text()) for rank in range(2)]
    assert sum(share for share, _ in shares) == shares[0][1]
    assert max(share for share, _ in shares) < 0.6 * shares[0][1]

    launch(two, db_root, killed, kill_at=3)
    launch(two, db_root, shutil.copytree(killed, tmp_path / "again"), resume=True)
    assert records(tmp_path / "again") == records(straight)
    launch(one, db_root, killed, kill_at=5, resume=True, devices=1)
    launch(two, db_root, killed, resume=True)
    for expected, resumed in zip(records(straight), records(killed), strict=True):
        if "val/sar2opt/mae" in expected:  # losses are of the windows of the first process
            assert resumed == pytest.approx(expected, rel=2e-3)
    cards = [load_weights(folder / "run" / "translator.safetensors") for folder in (straight, killed)]
    assert {key: value.shape for key, value in cards[0][1].items()} == {k: v.shape for k, v in cards[1][1].items()}


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_an_interrupt_of_one_process_ends_all_after_the_same_step(strategy, new_config, db_root, tmp_path):
    config = new_config(engine={**ENGINE, "strategy": strategy, "checkpoint_every": 0})
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    launch(config, db_root, straight)
    launch(config, db_root, stopped, interrupt_at=3)
    assert torch.load(stopped / "run" / "checkpoint.pt", weights_only=True)["step"] == 3
    launch(config, db_root, stopped, resume=True)
    assert records(stopped) == records(straight)


@pytest.mark.parametrize(("setting", "value"), [("precision", "16-mixed"), ("compile", True)])
def test_what_shards_cannot_do_is_refused(setting, value, new_config, db_root, tmp_path):
    config = new_config(engine={"strategy": "fsdp", setting: value})
    with pytest.raises(InputError, match=f"engine.{setting}.*fsdp"):
        Loop(TranslatorTask, config, DataRoot.open(db_root), tmp_path / "run", devices=2, accelerator="cpu")
    assert not (tmp_path / "run").exists()
