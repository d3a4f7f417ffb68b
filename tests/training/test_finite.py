"""A run whose weights are spoilt ends with one line, and leaves what was good."""

from __future__ import annotations

import json

import pytest
import torch
from training_runs import train

from saropt.cli import main
from saropt.errors import InputError
from saropt.training import Loop, TranslatorTask, dump_config

QUIET = {"sample_every": 0, "log_every": 50, "max_steps": 20}


def spoil(loop: Loop, at: int, monkeypatch) -> None:
    """Have a step ruin the weights."""
    update = loop.average.update

    def ruin() -> None:
        if loop.step == at:
            with torch.no_grad():
                next(loop.task.module.parameters()).fill_(torch.nan)
        update()

    monkeypatch.setattr(loop.average, "update", ruin)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"validate_every": 2, "checkpoint_every": 5}, "figures stopped being finite by step 8: "),
        ({"validate_every": 0, "checkpoint_every": 5}, "weights stopped being finite by step 10: they are not saved"),
        ({"validate_every": 0, "checkpoint_every": 5, "max_steps": 8}, "weights stopped being finite by step 8: "),
    ],
)
def test_the_checkpoint_stays_the_last_good_one(engine, words, root, new_config, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    loop = Loop(TranslatorTask, new_config(engine={**QUIET, **engine}), root, folder, accelerator="cpu")
    spoil(loop, 8, monkeypatch)
    with pytest.raises(InputError, match=words):
        loop.run()
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 5
    assert all(value.isfinite().all() for value in state["modules"].values())
    assert not list(folder.glob("translator*"))
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_spoilt_discriminator_is_no_checkpoint_either(root, new_config, tmp_path):
    loop = train(new_config("compact", engine={**QUIET, "validate_every": 0, "max_steps": 2}), root, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        next(loop.task.module.discriminator.parameters()).fill_(torch.inf)
    with pytest.raises(InputError, match="weights stopped being finite by step 2"):
        loop._save()
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


def test_a_rate_that_spoils_the_last_step_ends_in_one_line(db_root, new_config, tmp_path, capsys):
    config = new_config(arguments={"learning_rate": 1e37}, engine={**QUIET, "max_steps": 1, "validate_every": 1})
    (tmp_path / "c.yaml").write_text(dump_config(config))
    arguments = ["train", "regression", str(db_root), "--config", str(tmp_path / "c.yaml"), "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr()
    assert "figures stopped being finite by step 1" in shown.err
    assert shown.err.count("\n") == 1
    assert "wrote" not in shown.out
    assert not list((tmp_path / "run").glob("*.safetensors"))
