"""What a run becomes that is resumed with another length, or with other settings of its optimizers."""

from __future__ import annotations

import json

import pytest
import torch
from training_runs import METHODS, train

from saropt.artifacts import load_weights
from saropt.cli import main
from saropt.domain import SAR_TO_OPTICAL
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.training import Loop
from saropt.training.segmentation import SegmenterTask
from saropt.training.segmentation_config import SegmentationConfig

QUICK = {"validate_every": 0, "sample_every": 0}


def kinds(folder) -> list[str]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return ["adversarial" if "adversarial/gan" in line else "regression" for line in lines]


def test_both_ends_are_made_anew_by_the_length_of_a_longer_run(root, new_config, tmp_path):
    folder, told = tmp_path / "run", []
    short = train(new_config("compact", engine={**QUICK, "max_steps": 4}), root, folder)
    assert set(short.kept) == {"fidelity"}
    longer = new_config("compact", engine={**QUICK, "max_steps": 16})
    made = train(longer, root, folder, resume=True, tell=told.append)
    assert kinds(folder) == ["regression"] * 2 + ["adversarial"] * 2 + ["regression"] * 4 + ["adversarial"] * 8
    assert made.average.steps == 8
    before, after = short.kept["fidelity"]["sar2opt"], made.kept["fidelity"]["sar2opt"]
    assert any(not torch.equal(value, after[key]) for key, value in before.items())
    assert told == [
        f"{folder}: 25% of the training is done by its new length, not 100%: learning rates and phases go on from "
        "there; the fidelity end is made anew, from weights of a later phase"
    ]


def test_an_end_stays_where_its_phase_is_over_by_the_new_length_too(root, new_config, tmp_path):
    folder, told = tmp_path / "run", []
    short = train(new_config("compact", engine={**QUICK, "max_steps": 4}), root, folder)
    made = train(new_config("compact", engine={**QUICK, "max_steps": 6}), root, folder, resume=True, tell=told.append)
    for key, value in short.kept["fidelity"]["sar2opt"].items():
        assert torch.equal(value, made.kept["fidelity"]["sar2opt"][key])
    assert kinds(folder)[4:] == ["adversarial"] * 2
    assert "67% of the training is done" in told[0]
    assert "made anew" not in told[0]


def test_a_run_of_the_same_length_says_nothing_of_it(root, new_config, tmp_path):
    told: list[str] = []
    train(new_config(engine=QUICK), root, tmp_path / "run", stop=5)
    train(new_config(engine=QUICK), root, tmp_path / "run", resume=True, tell=told.append)
    assert told == []


def test_other_settings_of_the_optimizers_hold_after_resume(root, new_config, tmp_path):
    folder = tmp_path / "run"
    train(new_config("pix2pix", engine={**QUICK, "max_steps": 3}), root, folder)
    arguments = {"beta1": 0.9, "learning_rate": 1e-3}
    made = train(
        new_config("pix2pix", arguments=arguments, engine={**QUICK, "max_steps": 6}), root, folder, resume=True
    )
    for optimizer in made.optimizers.values():
        assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.999)}
        assert all(float(state["step"]) == 6 for state in optimizer.state.values())
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)["optimizers"]
    assert {tuple(group["betas"]) for state in saved.values() for group in state["param_groups"]} == {(0.9, 0.999)}
    assert load_weights(folder / "translator.safetensors")[0].training.config["arguments"]["beta1"] == 0.9


def test_another_file_to_start_from_is_refused_on_resume(root, new_config, tmp_path, capsys):
    folder = tmp_path / "run"
    train(new_config(engine={**QUICK, "max_steps": 2}), root, folder)
    start = str(folder / "translator.safetensors")
    given = ["--resume", "--max-steps", "3", "--set", f"arguments.start={start}"]
    assert main(["train", "regression", str(root.path), "--out", str(folder), *given]) == 2
    assert capsys.readouterr().err.endswith("a resumed run has the weights of its checkpoint\n")


def test_weight_decay_changed_on_resume_holds(root, new_config, tmp_path):
    train(new_config(engine={**QUICK, "max_steps": 3}), root, tmp_path / "run")
    config = new_config(arguments={"weight_decay": 0.25}, engine={**QUICK, "max_steps": 6})
    (optimizer,) = train(config, root, tmp_path / "run", resume=True).optimizers.values()
    assert 0.25 in {group["weight_decay"] for group in optimizer.param_groups}


def test_another_optimizer_is_refused(labelled_root, tmp_path):
    def config(optimizer):
        return SegmentationConfig.model_validate(
            {
                "modality": "sar",
                "network": "compact",
                "arguments": {"width": 4},
                "optimizer": optimizer,
                "data": {"crop": 32, "batch_size": 2},
                "engine": {"max_steps": 2, "validate_every": 0},
            }
        )

    root = DataRoot.open(labelled_root)
    train(config("adam"), root, tmp_path / "run", task=SegmenterTask)
    with pytest.raises(InputError, match="does not fit the configuration"):
        Loop(SegmenterTask, config("sgd"), root, tmp_path / "run", accelerator="cpu", resume=True)


@pytest.mark.parametrize("limit", [{"max_steps": 5}, {"max_steps": 1000, "max_minutes": 0.5}])
def test_the_last_step_is_validated(limit, root, new_config, tmp_path, monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr("saropt.training.loop.time.perf_counter", lambda: 6.0 * next(now))
    config = new_config(engine={"validate_every": 3, "sample_every": 0, "select": "last", **limit})
    made = train(config, root, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    validated = [line for line in lines if "val/sar2opt/psnr" in line]
    assert [line["step"] for line in validated] == [3, 5]
    assert made.chosen_figures["val/sar2opt/psnr"] == pytest.approx(validated[-1]["val/sar2opt/psnr"])
    with made.average.in_networks():
        figures = made.task.validation.figures(made.task.generators[SAR_TO_OPTICAL], SAR_TO_OPTICAL, made.task.device)
    assert made.chosen_figures["val/sar2opt/psnr"] == pytest.approx(figures["psnr"])


def test_figures_of_two_ends_are_those_of_the_realism_end(db_root, tmp_path, capsys):
    settings = {**METHODS["compact"], "network_arguments": METHODS["compact"]["network_arguments"]}
    given = [f"arguments.{key}={json.dumps(value)}" for key, value in settings.items()]
    given += ["data.crop=64", "data.batch_size=2", "engine.validate_every=1", "engine.sample_every=0"]
    given += ["engine.validation_windows=2", "engine.select=best", "engine.max_steps=4"]
    run = tmp_path / "run"
    arguments = ["train", "compact", str(db_root), "--out", str(run), "--device", "cpu"]
    assert main([*arguments, *(word for setting in given for word in ("--set", setting))]) == 0
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert f"val at realism 1: sar2opt/mae {last['val/sar2opt/mae']:.3f}" in capsys.readouterr().out
