"""Methods that need labels: what reaches them, and which data they refuse."""

from __future__ import annotations

import pytest
import torch

from saropt.artifacts import load_weights
from saropt.errors import InputError
from saropt.roots import DataRoot, draw_batch
from saropt.training import Loop, TranslatorTask


def test_labels_reach_the_method_and_stay_out_of_the_file(labelled_root, new_config, tmp_path, monkeypatch):
    config = new_config("unet-dsd", data={"crop": 32}, engine={"max_steps": 3})
    trainer = Loop(TranslatorTask, config, DataRoot.open(labelled_root), tmp_path / "run", accelerator="cpu")
    assert trainer.task.module.semantic.head.out_channels == 3
    seen = []
    method = trainer.task.module
    updates = method.updates
    monkeypatch.setattr(method, "updates", lambda batch, share: seen.append(batch) or updates(batch, share))
    trainer.run()
    for number, batch in enumerate(seen):
        drawn = draw_batch(trainer.task.sampler, 2, [0, number, 0])
        assert torch.equal(batch["optical"], torch.from_numpy(drawn["optical"]))
        assert torch.equal(batch.label, torch.from_numpy(drawn["label"]))
        assert batch.label.dtype == torch.long
    card, weights = load_weights(tmp_path / "run" / "translator.safetensors")
    assert card.method == "unet-dsd"
    assert {key.split(".")[0] for key in weights} == {"sar2opt"}
    assert not any("semantic" in key for key in weights)


def test_other_methods_get_none(labelled_root, new_config):
    task = TranslatorTask(new_config(), DataRoot.open(labelled_root))
    assert task.draw(0, 0).label is None


def test_data_without_classes_are_refused(db_root, new_config, tmp_path):
    with pytest.raises(InputError, match=r"dataset.yaml: names no classes"):
        Loop(TranslatorTask, new_config("unet-dsd"), DataRoot.open(db_root), tmp_path / "run", accelerator="cpu")


def test_two_roots_are_refused(labelled_root, new_config, tmp_path):
    root = DataRoot.open(labelled_root)
    with pytest.raises(InputError, match="unet-dsd needs pairs"):
        Loop(
            TranslatorTask,
            new_config("unet-dsd"),
            root.with_role_from("optical", root),
            tmp_path / "run",
            accelerator="cpu",
        )


def test_resumes_to_the_bit(labelled_root, new_config, tmp_path):
    root = DataRoot.open(labelled_root)
    engine = {"max_steps": 4, "validate_every": 0, "sample_every": 0, "checkpoint_every": 2}
    states = []
    for name, stop in (("straight", None), ("killed", 3)):
        config = new_config("unet-dsd", data={"crop": 32}, engine=engine)
        trainer = Loop(TranslatorTask, config, root, tmp_path / name, accelerator="cpu")

        def kill(step: int, total: int, what: str, stop: int | None = stop) -> None:
            if step == stop:
                raise KeyboardInterrupt

        if stop is None:
            trainer.run(kill)
        else:
            with pytest.raises(KeyboardInterrupt):
                trainer.run(kill)
            trainer = Loop(TranslatorTask, config, root, tmp_path / name, accelerator="cpu", resume=True)
            assert trainer.step == 2
            trainer.run()
        states.append(torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["modules"])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
