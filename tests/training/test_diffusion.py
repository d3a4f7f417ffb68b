"""Runs of the samplers: what their files hold, resume to the bit, training by time."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from training_runs import train

from saropt.artifacts import load_weights, read_card
from saropt.errors import InputError
from saropt.inference import Translator
from saropt.scenes import Scene
from saropt.training import Loop, TranslatorTask

WEIGHTS = "translator.safetensors"
QUICK = {"max_steps": 4, "validate_every": 0, "sample_every": 0, "checkpoint_every": 0}


@pytest.fixture(scope="module")
def regression(root, new_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression") / "run"
    Loop(TranslatorTask, new_config(engine=QUICK), root, folder, accelerator="cpu").run()
    return folder / WEIGHTS


def test_bridge_from_a_regression_run(root, new_config, regression, tmp_path):
    arguments = {"start": str(regression)}
    config = new_config("bridge", arguments=arguments, engine={"max_steps": 6, "checkpoint_every": 4})
    folder = tmp_path / "run"
    trainer = train(config, root, folder)
    card, weights = load_weights(folder / WEIGHTS)
    described = card.directions["sar2opt"]
    assert described.sampler.kind == "euler"
    assert (described.sampler.steps, described.sampler.noise_bands) == (2, 3)
    assert described.receptive_field == trainer.task.module.generator.receptive_field
    assert card.realism is not None
    start = load_weights(regression)[1]
    for end in ("fidelity", "realism"):
        for key, value in start.items():
            held = weights[f"{end}/" + key.replace("sar2opt.", "sar2opt.regressor.")]
            np.testing.assert_allclose(held, value, atol=1e-6)
    assert any(not np.array_equal(weights[f"fidelity/{key}"], weights[f"realism/{key}"]) for key in _refined(weights))
    assert read_card(folder / "translator.onnx").directions == card.directions
    with Scene.open(root.path / "sar" / "d.tif") as scene:
        values = scene.read()[0]
    torch_backend, graph = (Translator.load(folder / name) for name in (WEIGHTS, "translator.onnx"))
    outputs = [translator.translate_array(values, seed=4).astype(int) for translator in (torch_backend, graph)]
    assert np.abs(outputs[0] - outputs[1]).max() <= 1
    four = Translator.load(folder, steps=4)
    assert four.path.suffix == ".safetensors"
    assert four.sampler.steps == 4


def _refined(weights) -> list[str]:
    return [k.removeprefix("fidelity/") for k in weights if k.startswith("fidelity/") and ".refiner." in k]


def test_bridge_resumes_to_the_bit(root, new_config, regression, tmp_path):
    engine = {**QUICK, "max_steps": 6, "checkpoint_every": 4}
    config = new_config("bridge", arguments={"start": str(regression)}, engine=engine)
    straight = train(config, root, tmp_path / "straight")

    def kill(step: int, total: int, what: str) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Loop(TranslatorTask, config, root, tmp_path / "killed", accelerator="cpu").run(kill)
    resumed = train(config, root, tmp_path / "killed", resume=True)
    for key, value in straight.task.module.state_dict().items():
        assert torch.equal(value, resumed.task.module.state_dict()[key]), key


def test_bridge_refuses_data_normalised_otherwise(root, new_config, regression, tmp_path):
    config = new_config(
        "bridge", arguments={"start": str(regression)}, data={"recipes": {"sar": {"kind": "db_clip", "low": -25.0}}}
    )
    with pytest.raises(InputError, match="the network of its file was trained on sar recipe"):
        Loop(TranslatorTask, config, root, tmp_path / "run", accelerator="cpu")


@pytest.mark.parametrize("direction", ["sar2opt", pytest.param("opt2sar", marks=pytest.mark.slow)])  # 25 s each
def test_diffusion_run(root, new_config, tmp_path, direction):
    config = new_config("con-diffusion", arguments={"direction": direction}, engine={**QUICK, "validate_every": 2})
    folder = tmp_path / "run"
    trainer = train(config, root, folder)
    assert not list(folder.glob("*.onnx"))
    card, weights = load_weights(folder / WEIGHTS)
    assert card.directions[direction].sampler.model_dump() == {
        "kind": "ddim",
        "steps": 2,
        "noise": "position-hash",
        "noise_bands": 3 if direction == "sar2opt" else 2,
    }
    averaged = trainer.average.states[direction]
    assert all(np.array_equal(weights[f"{direction}.{key}"], value.numpy()) for key, value in averaged.items())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert sum(f"val/{direction}/mae" in line for line in lines) == 2
    side = "sar" if direction == "sar2opt" else "optical"
    with Scene.open(root.path / side / "d.tif") as scene:
        output = Translator.load(folder).translate_array(scene.read()[0])
    assert np.isfinite(output).all()
    assert output.std() > 0


def test_minutes_end_a_run_and_set_its_phases(root, new_config, regression, tmp_path, monkeypatch):
    """A clock that moves six seconds per step: half a minute is five steps, and phase 2 begins after half of them."""
    now = iter(range(10_000))
    monkeypatch.setattr("saropt.training.loop.time.perf_counter", lambda: 6.0 * next(now))
    engine = {**QUICK, "max_steps": 1000, "max_minutes": 0.5}
    config = new_config("bridge", arguments={"start": str(regression)}, engine=engine)
    seen = []
    trainer = Loop(TranslatorTask, config, root, tmp_path / "run", accelerator="cpu")
    updates = trainer.task.module.updates
    monkeypatch.setattr(
        trainer.task.module, "updates", lambda batch, progress: seen.append(progress) or updates(batch, progress)
    )
    trainer.run()
    assert seen == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert trainer.step == 5
    assert trainer.seconds == 30.0
    assert set(trainer.kept) == {"fidelity"}
    card = load_weights(tmp_path / "run" / WEIGHTS)[0]
    assert card.training.steps == 5
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["seconds"] == 30.0
    again = train(config, root, tmp_path / "run", resume=True)
    assert again.step == 5, "its time is over"
