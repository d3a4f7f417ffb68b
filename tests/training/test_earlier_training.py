"""A translator that learns from the file of another one says what that one was trained on."""

from __future__ import annotations

import pytest
from training_runs import METHODS, train

from saropt.artifacts import EarlierTraining, load_graph, load_weights
from saropt.cli import main
from saropt.curation.joining import join_roots
from saropt.errors import InputError
from saropt.evaluation.calibration import CalibrationSet, calibrate_reliability
from saropt.inference import Translator
from saropt.inference.bundled import card_of, find_translator
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.training.task import training_card

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
    one = EarlierTraining(data="toy", split=load_weights(first)[0].training.split, steps=1, sets={"toy": ("train",)})
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


def test_joined_roots_and_a_part_of_the_rasters_have_the_splits_of_their_sources(new_config, tmp_path):
    simulated = {"scenes": (2, 1, 1), "size": 64, "bands": ("VH",)}
    parts = [write_simulated_root(tmp_path / name, seed=seed, **simulated) for seed, name in enumerate(("one", "two"))]
    both = DataRoot.open(join_roots(tmp_path / "both", parts))
    train(new_config(engine=QUICK, data={"max_rasters": 3}), both, tmp_path / "run")
    training = load_weights(tmp_path / "run" / "translator.safetensors")[0].training
    assert [training.splits_of(root.name) for root in (both, *map(DataRoot.open, parts))] == [{"train"}] * 3
    for data in (parts[1], join_roots(tmp_path / "again", parts)):
        arguments = ["evaluate", str(tmp_path / "run"), "--data", str(data), "--split", "train"]
        assert main([*arguments, "--out", str(tmp_path / f"report {data.name}")]) == 0
        assert "it is scored on the split 'train'" in (tmp_path / f"report {data.name}" / "report.json").read_text()


def test_each_of_two_roots_has_its_split(new_config, tmp_path):
    names = ("radar", "images")
    radar, images = (
        DataRoot.open(write_simulated_root(tmp_path / name, scenes=(2, 1, 1), size=64, bands=("VH",))) for name in names
    )
    config = new_config(data={"splits": {"optical": "test"}})
    unpaired = radar.with_role_from("optical", images)
    splits = {role: config.data.split(role) for role in ("sar", "optical")}
    training = training_card(config, unpaired, config.data.describe_splits(["sar", "optical"]), 1, splits=splits)
    assert (training.splits_of(radar.name), training.splits_of(images.name)) == ({"train"}, {"test"})


@pytest.mark.parametrize(
    ("name", "data", "split"),
    [
        ("s1-world", "sen12mscr14", "test"),
        ("s1-world", "sen12mscr14", "train"),
        ("s1-world", "desert-months", "val"),
        ("s1-reference", "sen12mscr14", "train"),
        ("s1-reference", "terramesh5", "test"),
        ("flood-reference", "ombria-more", "train"),
        ("flood-reference", "ombria-floods", "train"),
        ("s1-losangeles", "s1s2-losangeles", "train"),
    ],
)
def test_cards_of_bundled_translators_name_each_set(name, data, split):
    assert split in card_of(find_translator(name)).training.splits_of(data)


@pytest.mark.parametrize(("name", "data"), [("s1-reference", "sen12mscr14"), ("flood-reference", "ombria-floods")])
def test_splits_that_were_kept_back_are_not_named(name, data):
    assert "test" not in card_of(find_translator(name)).training.splits_of(data)


def test_bundled_translators_are_judged_on_sets_of_their_training(shared_data, tmp_path, capsys):
    more = shared_data / "ombria-more"
    with pytest.raises(InputError, match=r"flood-reference was trained on its split 'train'"):
        calibrate_reliability(
            Translator.load("flood-reference"), [CalibrationSet(DataRoot.open(more), "train")], tmp_path / "map.onnx"
        )
    arguments = ["evaluate", "s1-world", "--data", str(shared_data / "sen12mscr14"), "--split", "val"]
    assert main([*arguments, "--out", str(tmp_path / "report")]) == 0
    assert "it is scored on the split 'val' that it was trained on" in capsys.readouterr().out
