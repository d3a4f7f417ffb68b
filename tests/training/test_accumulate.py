"""Accumulated batches are one bigger batch."""

from __future__ import annotations

import json

import pytest

from saropt.roots import DataRoot
from saropt.training import Loop, TranslatorTask


@pytest.mark.parametrize("method", ["regression", "shift-cyclegan"])
def test_accumulated_batches_are_a_bigger_one(method, new_config, db_root, tmp_path):
    """Losses of the later steps tell, as they come from the weights of the earlier ones."""

    def losses(name: str, size: int, accumulate: int) -> list[dict[str, float]]:
        engine = {"max_steps": 4, "validate_every": 0, "sample_every": 0, "accumulate": accumulate}
        arguments = {"pool_size": 0} if method == "shift-cyclegan" else {}
        data = {"batch_size": size, "sar_gain_db": 0.0}
        config = new_config(method, engine=engine, data=data)
        config = config.model_copy(update={"arguments": {**config.arguments, **arguments}})
        Loop(TranslatorTask, config, DataRoot.open(db_root), tmp_path / name, accelerator="cpu").run()
        return [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

    whole, parts, small = losses("whole", 4, 1), losses("parts", 2, 2), losses("small", 2, 1)
    assert len(whole) == 4
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other, rel=3e-3, abs=1e-5)
    assert small[-1] != pytest.approx(whole[-1], rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_penalties_come_every_so_many_steps_whatever_is_accumulated(accumulate, new_config, db_root, tmp_path):
    engine = {"max_steps": 10, "validate_every": 0, "sample_every": 0, "accumulate": accumulate}
    config = new_config("compact", arguments={"adversarial_start": 0.2, "penalty_every": 4}, engine=engine)
    Loop(TranslatorTask, config, DataRoot.open(db_root), tmp_path / "run", accelerator="cpu").run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "discriminator/penalty" in line] == [3, 7]
