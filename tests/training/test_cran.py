"""Early stopping, splits per side, and the refinement of a finished run on unpaired windows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from training_runs import train

from saropt.artifacts import load_weights
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Scene
from saropt.training import Loop, TranslatorTask
from saropt.training.validation import Validation

ENGINE = {"max_steps": 12, "validate_every": 1, "sample_every": 0, "checkpoint_every": 0}


def scored(monkeypatch, scores) -> None:
    """Validation finds these MAEs, one after the other."""
    found = iter(scores)
    monkeypatch.setattr(Validation, "figures", lambda *_: {"mae": next(found)})


def test_stops_after_as_many_validations_without_a_new_best(root, new_config, tmp_path, monkeypatch):
    scored(monkeypatch, [0.5, 0.4, 0.45, 0.39, 0.4, 0.39, 0.41, 0.1])
    config = new_config(engine={**ENGINE, "patience": 3, "select": "best"})
    told: list[str] = []
    trainer = train(config, root, tmp_path / "run", tell=told.append)
    steps = config.engine.max_steps
    line = f"stopped after 7 of {steps} steps: no better figure in 3 validations (engine.patience)"
    assert told == [f"{tmp_path / 'run'}: {line}"]
    assert trainer.step == 7, "an equal figure is no new best"
    assert trainer.best.score == 0.39
    assert load_weights(tmp_path / "run" / "translator.safetensors")[0].training.steps == 7
    again = train(config, root, tmp_path / "run", resume=True)
    assert again.step == 7, "a stopped run stays so"


def test_counting_goes_on_after_resume(root, new_config, tmp_path, monkeypatch):
    scored(monkeypatch, [0.5, 0.6, 0.6, 0.6])
    trainer = Loop(
        TranslatorTask,
        new_config(engine={**ENGINE, "patience": 3, "checkpoint_every": 2}),
        root,
        tmp_path / "run",
        accelerator="cpu",
    )

    def kill(step: int, total: int, what: str) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(kill)
    scored(monkeypatch, [0.6, 0.6, 0.6])
    config = new_config(engine={**ENGINE, "patience": 3, "checkpoint_every": 2})
    assert train(config, root, tmp_path / "run", resume=True).step == 4


def test_patience_needs_figures(root, new_config):
    with pytest.raises(InputError, match=r"engine.patience: needs validation: set engine.validate_every"):
        TranslatorTask(new_config(engine={"validate_every": 0, "patience": 2}), root)


def test_phases_and_patience_do_not_go_together(root, new_config):
    engine = {"patience": 2, "validate_every": 1}
    with pytest.raises(InputError, match=r"engine.patience: must be 0: compact trains in phases"):
        TranslatorTask(new_config("compact", engine=engine), root)
    TranslatorTask(new_config("compact", arguments={"adversarial_start": 1.0}, engine=engine), root)


def test_the_best_weights_need_figures(root, new_config):
    with pytest.raises(InputError, match=r"engine.select: needs validation: set engine.validate_every"):
        TranslatorTask(new_config(engine={"validate_every": 0, "select": "best"}), root)


def test_pairs_come_from_one_split(root, new_config):
    with pytest.raises(InputError, match=r"data.splits: must be the same for all roles: regression needs pairs"):
        TranslatorTask(new_config(data={"splits": {"optical": "test"}}), root)


@pytest.fixture(scope="module")
def start(root, new_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cran") / "run"
    train(new_config("cran", engine={"max_steps": 2}), root, folder)
    return folder / "translator.safetensors"


def test_refines_the_scenes_to_be_translated(root, new_config, start, tmp_path):
    config = new_config(
        "cran-refine",
        arguments={"start": str(start)},
        data={"splits": {"sar": "test"}, "sar_gain_db": 0.0, "flips": False},
    )
    trainer = Loop(TranslatorTask, config, root, tmp_path / "run", accelerator="cpu")
    before, weights = load_weights(start)
    first = {f"sar2opt.{k}": v for k, v in trainer.task.generators["sar2opt"].state_dict().items()}
    assert all(torch.equal(value, torch.from_numpy(weights[key])) for key, value in first.items())
    assert [path.stem for path in trainer.task.sampler.paths("sar")] == ["d"]
    assert [path.stem for path in trainer.task.sampler.paths("optical")] == ["a", "b"]
    paths = trainer.run()
    assert sorted(path.name for path in paths) == [
        "translator-opt2sar.onnx",
        "translator-sar2opt.onnx",
        "translator.safetensors",
    ]
    card, refined = load_weights(paths[0])
    assert card.directions == before.directions
    assert card.training.split == "test (SAR), train (optical)"
    assert any(not np.array_equal(weights[key], value) for key, value in refined.items())


def test_unpaired_patience_goes_by_round_trips(db_root, root, new_config, start, tmp_path, monkeypatch):
    other = root.with_role_from("optical", DataRoot.open(db_root))
    config = new_config("cran-refine", arguments={"start": str(start)}, engine={**ENGINE, "patience": 2})
    trainer = Loop(TranslatorTask, config, other, tmp_path / "run", accelerator="cpu")
    source = trainer.task.validation.batch["sar"]
    with torch.no_grad():
        opt2sar, sar2opt = (trainer.task.generators[d].eval() for d in ("opt2sar", "sar2opt"))
        back = opt2sar(sar2opt(source).clamp(-1, 1)).clamp(-1, 1)
    figures = trainer.task.validation.cycle_figures(trainer.task.generators, torch.device("cpu"))
    assert figures.keys() == {"sar/mae", "optical/mae"}
    assert figures["sar/mae"] == pytest.approx(((back + 1) / 2 - (source + 1) / 2).abs().mean().item(), rel=1e-5)
    found = iter([0.5, 0.3, 0.31, 0.32])
    monkeypatch.setattr(Validation, "cycle_figures", lambda *_: {"sar/mae": next(found)})
    trainer.run()
    assert trainer.step == 4
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["val/cycle_sar/mae"] for line in lines if "val/cycle_sar/mae" in line] == [0.5, 0.3, 0.31, 0.32]


def test_refining_refuses_data_normalised_otherwise(amplitude_root, new_config, start, tmp_path):
    with pytest.raises(InputError, match="has no band VV; it has VH"):
        Loop(
            TranslatorTask,
            new_config("cran-refine", arguments={"start": str(start)}, data={"sar_gain_db": 0.0}),
            DataRoot.open(amplitude_root),
            tmp_path / "run",
            accelerator="cpu",
        )


def test_refining_takes_bands_and_recipes_from_its_start(root, new_config, tmp_path):
    recipe = {"kind": "db_clip", "low": -22.0, "high": 1.0}
    data = {"bands": {"sar": ["VH"]}, "recipes": {"sar": recipe}}
    train(new_config("cran", data=data, engine={"max_steps": 1}), root, tmp_path / "start")
    file = tmp_path / "start" / "translator.safetensors"
    task = TranslatorTask(new_config("cran-refine", arguments={"start": str(file)}), root)
    assert (task.images["sar"].bands, task.images["sar"].recipe) == (("VH",), recipe)
    other = new_config("cran-refine", arguments={"start": str(file)}, data={"recipes": {"sar": {"kind": "db_clip"}}})
    with pytest.raises(InputError, match="the network of its file was trained on sar recipe"):
        TranslatorTask(other, root)


def test_refining_is_not_stopped_by_the_truth(root, new_config, start):
    """The root has pairs, and validation of the unsupervised stage looks at none of them."""
    config = new_config("cran-refine", arguments={"start": str(start)}, engine={**ENGINE, "patience": 2})
    figures = TranslatorTask(config, root).validate()
    assert figures.keys() == {"val/cycle_sar/mae", "val/cycle_optical/mae"}
    with pytest.raises(InputError, match="cran-refine looks at none: use last"):
        TranslatorTask(config.model_copy(update={"engine": config.engine.model_copy(update={"select": "best"})}), root)


def test_patience_goes_by_the_whole_validation_set(db_root, new_config):
    """All windows side by side, each once, unless the configuration states a number of random ones."""
    root = DataRoot.open(db_root)
    engine = {**ENGINE, "patience": 2, "validation_windows": None}
    task = TranslatorTask(new_config(data={"crop": 32, "sar_gain_db": 0.0}, engine=engine), root)
    windows, errors = 0, 0.0
    with torch.no_grad():
        for sar, optical in zip(
            task.validation._sampler.paths("sar"), task.validation._sampler.paths("optical"), strict=True
        ):
            images = {}
            for role, path in (("sar", sar), ("optical", optical)):
                with Scene.open(path) as scene:
                    values, valid = scene.read()
                    normaliser = (
                        task.images[role].make_recipe().fit(values[:, valid], task.images[role].units, scene.dtype)
                    )
                images[role] = torch.from_numpy(np.where(valid, normaliser.forward(values), np.nan))
            height, width = images["sar"].shape[1:]
            for row in range(0, height - 31, 32):
                for col in range(0, width - 31, 32):
                    source, target = (images[r][None, :, row : row + 32, col : col + 32] for r in ("sar", "optical"))
                    if source.isfinite().all() and target.isfinite().all():
                        output = task.generators["sar2opt"].eval()(source.float()).clamp(-1, 1)
                        errors += (output - target).abs().mean().item() / 2
                        windows += 1
    assert windows > 1
    assert task.validate()["val/sar2opt/mae"] == pytest.approx(errors / windows, rel=1e-5)
    fixed = TranslatorTask(new_config(engine={**engine, "validation_windows": 3}), root)
    assert len(fixed.validation.batch["sar"]) == 3
    assert fixed.validation._sampler is None


def test_windows_that_are_too_small_are_told_in_one_line(root, new_config):
    with pytest.raises(InputError, match=r"data.crop: 32 does not fit the translator; the smallest that does is 64"):
        TranslatorTask(new_config("cran", data={"crop": 32}), root)
