"""Two processes on the CPU train one model: equal parameters on both, one run folder, exact resume."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import flatten, launch

from saropt.artifacts import load_weights
from saropt.roots import DataRoot
from saropt.scenes import Scene, write_array
from saropt.training import Loop, TranslatorTask, dump_config

pytestmark = pytest.mark.slow


def states(folder: Path) -> list[dict[str, torch.Tensor]]:
    """What both processes held at the end."""
    ranks = [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    assert ranks[0].pop("world") == ranks[1].pop("world") == 2
    return [dict(flatten(rank)) for rank in ranks]


def unlike(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> list[str]:
    """Names of unequal tensors; running statistics of batches are each process's own."""
    assert list(a) == list(b)
    assert len(a) > 20
    return [key for key in a if "running_" not in key and not torch.equal(a[key], b[key])]


def test_equal_parameters_and_exact_resume(new_config, db_root, tmp_path):
    """Through the milestone, where all go on from the weights that only the lead has found to be best."""
    engine = {"max_steps": 4, "validate_every": 1, "sample_every": 0, "select": "best", "checkpoint_every": 3}
    engine["seed"] = 2  # of which the first averaged weights are better than the second
    config = new_config("compact", arguments={"learning_rate": 1.0}, engine=engine)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    launch(config, db_root, straight)
    first, second = states(straight)
    assert unlike(first, second) == []
    assert any(key.startswith(".kept.fidelity") for key in first)
    records = [json.loads(line) for line in (straight / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in records if "val/sar2opt/mae" not in line] == [1, 2, 3, 4]
    scores = [line["val/sar2opt/mae"] for line in records if "val/sar2opt/mae" in line]
    assert scores[0] < scores[1], "the best weights are the last ones, so nothing is tested"
    assert set(load_weights(straight / "run" / "translator.safetensors")[0].directions) == {"sar2opt"}

    launch(config, db_root, killed, kill_at=4)
    assert torch.load(killed / "run" / "checkpoint.pt", weights_only=True)["step"] == 3
    launch(config, db_root, killed, resume=True)
    for before, after in zip((first, second), states(killed), strict=True):
        assert unlike(before, after) == []
    assert (killed / "run" / "metrics.jsonl").read_bytes() == (straight / "run" / "metrics.jsonl").read_bytes()

    alone = Loop(TranslatorTask, config, DataRoot.open(db_root), tmp_path / "alone", accelerator="cpu")
    alone.run()
    averages = dict(flatten({"average": dict(alone.average.states)}))
    assert all(not torch.equal(value, first[key]) for key, value in averages.items()), "the other batch left no trace"


def test_torchrun_launches_the_command_line(new_config, db_root, tmp_path):
    config = new_config(engine={"max_steps": 2, "sample_every": 0, "validate_every": 0})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    code = "import sys; from saropt.cli import main; sys.exit(main())"
    (tmp_path / "launched.py").write_text(code)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    verb = [str(tmp_path / "launched.py"), "train", "regression", str(db_root), "--out", str(tmp_path / "run")]
    options = ["--config", str(tmp_path / "config.yaml"), "--devices", "2", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launcher, *verb, *options], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("translator.safetensors") == 1
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2]


def test_networks_with_buffers_do_not_hang_in_validation(new_config, db_root, tmp_path):
    """The lead alone validates: it must not wait for buffers that the other process never sends."""
    root = shutil.copytree(db_root, tmp_path / "root")
    for path in root.glob("*/*.tif"):
        with Scene.open(path) as scene:
            values = np.tile(scene.read_stored()[0], (1, 3, 3))
        write_array(path, values, overwrite=True)
    config = new_config(
        "pix2pix",
        arguments={"network": "unet_256", "network_arguments": {"width": 2}},
        data={"crop": 256},
        engine={"max_steps": 3, "validate_every": 1, "sample_every": 1, "validation_windows": 1},
    )
    launch(config, root, tmp_path / "folder")
    assert unlike(*states(tmp_path / "folder")) == []


@pytest.mark.parametrize("method", ["shift-cyclegan", "cut", "fastcut", "qs-attn"])
def test_unpaired_methods_hold_equal_parameters(method, new_config, db_root, tmp_path):
    config = new_config(method, engine={"max_steps": 3, "validate_every": 0, "sample_every": 0})
    launch(config, db_root, tmp_path / "folder")
    assert unlike(*states(tmp_path / "folder")) == []


def test_patience_ends_both_processes(new_config, db_root, tmp_path):
    """Only the lead validates; the other must stop with it, not wait for it."""
    engine = {"max_steps": 40, "validate_every": 1, "sample_every": 0, "checkpoint_every": 0, "patience": 2}
    config = new_config("cran", arguments={"learning_rate": 1e-12}, engine=engine)
    launch(config, db_root, tmp_path / "folder")
    assert unlike(*states(tmp_path / "folder")) == []
    assert torch.load(tmp_path / "folder" / "run" / "checkpoint.pt", weights_only=True)["step"] < 40


def test_labelled_batches_in_two_processes(new_config, labelled_root, tmp_path):
    engine = {"max_steps": 3, "validate_every": 0, "sample_every": 0}
    config = new_config("unet-dsd", arguments={"lambda_gan": 1.0}, data={"crop": 32}, engine=engine)
    launch(config, labelled_root, tmp_path / "folder")
    assert unlike(*states(tmp_path / "folder")) == []


def test_image_pools_are_shared_and_resumed(new_config, db_root, tmp_path):
    """Five images from two processes with batches of two fill up in the second step; both hold the same."""
    engine = {"max_steps": 5, "validate_every": 0, "sample_every": 0, "checkpoint_every": 3}
    config = new_config("cyclegan", engine=engine)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    launch(config, db_root, straight)
    first, second = states(straight)
    assert unlike(first, second) == []
    assert len(first[".parameters.sar_pool._extra_state.images"]) == 5
    launch(config, db_root, killed, kill_at=4)
    launch(config, db_root, killed, resume=True)
    for before, after in zip((first, second), states(killed), strict=True):
        assert unlike(before, after) == []


@pytest.mark.parametrize("method", ["regression", "cyclegan"])
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_resume_on_another_number_of_processes(before, after, method, new_config, db_root, tmp_path):
    """With as many windows to a step, by accumulation, a run goes on as it would have: equal to rounding."""

    def config(accumulate: int):
        engine = {"max_steps": 7, "validate_every": 1, "sample_every": 0, "checkpoint_every": 3}
        data = {"sar_gain_db": 0.0, "batch_size": 1}
        return new_config(method, engine={**engine, "accumulate": accumulate}, data=data)

    def figures(folder: Path) -> list[dict[str, float]]:
        lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if "val/sar2opt/mae" in line]

    straight = tmp_path / "straight"
    launch(config(2 // before), db_root, straight, devices=before)
    killed, other = tmp_path / "killed", tmp_path / "other"
    launch(config(2 // before), db_root, killed, kill_at=4, devices=before)
    shutil.copytree(killed, other)
    launch(config(2 // after), db_root, killed, resume=True, devices=after)
    expected, resumed = figures(straight), figures(killed)
    assert [line["step"] for line in resumed] == [1, 2, 3, 4, 5, 6, 7]
    assert resumed[:3] == expected[:3]
    for one, another in zip(expected, resumed, strict=True):
        assert one == pytest.approx(another, rel=1e-4, abs=1e-6)
    checkpoint = torch.load(killed / "run" / "checkpoint.pt", weights_only=True)
    assert checkpoint["average_steps"] == checkpoint["step"] == 7
    if method == "cyclegan":
        straight_pool, resumed_pool = (
            torch.load(folder / "run" / "checkpoint.pt", weights_only=True)["modules"]["sar_pool._extra_state"]
            for folder in (straight, killed)
        )
        assert torch.equal(straight_pool["random"], resumed_pool["random"])
        torch.testing.assert_close(straight_pool["images"], resumed_pool["images"], rtol=1e-3, atol=1e-3)

    launch(config(1 if after == 1 else 2), db_root, other, resume=True, devices=after)
    assert figures(other)[-1] != pytest.approx(expected[-1], rel=1e-4, abs=1e-6), "the windows made no difference"
