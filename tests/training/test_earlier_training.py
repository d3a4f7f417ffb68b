"""A translator that learns from the file of another one says what that one was trained on."""

from __future__ import annotations

import pytest
from training_runs import METHODS, train

from saropt.artifacts import EarlierTraining, load_graph, load_weights
from saropt.cli import main
from saropt.inference.bundled import card_of, find_translator
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root

BUNDLED = find_translator("s1-losangeles")
QUICK = {"max_steps": 1, "validate_every": 0, "sample_every": 0}


def rows(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("use", ["start", "teacher"])
def test_the_card_names_data_licence_and_attribution_of_the_file(use, new_config, tmp_path, capsys):
    root = DataRoot.open(write_simulated_root(tmp_path / "tiny", scenes=(1, 1, 0), size=64, bands=("VH",)))
    config = new_config(engine=QUICK, card={"attribution": "Mine"})
    arguments = {use: str(BUNDLED)} | (METHODS["regression"] if use == "teacher" else {})
    train(config.model_copy(update={"arguments": arguments}), root, tmp_path / "run")
    there, (here, _) = card_of(BUNDLED).training, load_weights(tmp_path / "run" / "translator.safetensors")
    assert here == load_graph(tmp_path / "run" / "translator.onnx")[0]
    assert (here.training.data, here.training.steps) == (root.name, 1)
    assert here.training.earlier == (EarlierTraining(data=there.data, split=there.split, steps=there.steps),)
    assert here.training.licence == f"{root.licence}; {there.licence}"
    assert here.training.attribution == f"Mine; {there.attribution}"
    assert here.training.splits_of(there.data) == {there.split}
    assert main(["models", str(tmp_path / "run" / "translator.onnx")]) == 0
    assert f"learnt before from {there.data}, split {there.split}, {there.steps} steps" in rows(capsys.readouterr().out)


def test_trainings_add_up_and_what_is_alike_is_said_once(root, new_config, tmp_path):
    train(new_config(engine=QUICK, card={"attribution": "nobody"}), root, tmp_path / "first")
    first = str(tmp_path / "first" / "translator.safetensors")
    train(new_config("bridge", arguments={"start": first}, engine=QUICK), root, tmp_path / "second")
    one = EarlierTraining(data="toy", split=load_weights(first)[0].training.split, steps=1)
    training = load_weights(tmp_path / "second" / "translator.safetensors")[0].training
    assert (training.earlier, training.licence, training.attribution) == ((one,), "CC0-1.0", "nobody")
    second = {"start": first, "teacher": first}
    config = new_config(engine=QUICK).model_copy(update={"arguments": second})
    train(config, root, tmp_path / "third")
    assert load_weights(tmp_path / "third" / "translator.safetensors")[0].training.earlier == (one, one)


def test_scores_on_the_data_of_the_file_are_told_of(new_config, tmp_path):
    simulated = {"scenes": (2, 1, 0), "size": 64, "bands": ("VH",)}
    roots = [write_simulated_root(tmp_path / name, seed=seed, **simulated) for seed, name in enumerate(("old", "new"))]
    train(new_config(engine=QUICK), DataRoot.open(roots[0]), tmp_path / "first")
    start = {"arguments": {"start": str(tmp_path / "first" / "translator.safetensors")}}
    train(new_config(engine=QUICK).model_copy(update=start), DataRoot.open(roots[1]), tmp_path / "second")
    arguments = ["evaluate", str(tmp_path / "second"), "--data", str(roots[0]), "--split", "train"]
    assert main([*arguments, "--out", str(tmp_path / "report")]) == 0
    assert "it is scored on the split 'train' that it was trained on" in (tmp_path / "report/report.json").read_text()
