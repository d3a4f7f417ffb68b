"""Training of segmenters: what a run leaves, how it resumes, what it refuses, and that it learns."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import training_runs
import yaml

from saropt.artifacts import load_segmenter
from saropt.errors import InputError
from saropt.inference import Segmenter
from saropt.networks import build_segmenter
from saropt.roots import ConfusionMatrix, DataRoot, LabelledSampler, classes_of, describe_images
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene, write_array
from saropt.training import Loop, SegmentationConfig, SegmenterTask, dump_config, read_segmentation_config

NETWORK = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1}


def make_config(**changes) -> SegmentationConfig:
    values = {
        "modality": "sar",
        "network": "compact",
        "arguments": NETWORK,
        "learning_rate": 3e-3,
        "data": {"crop": 32, "batch_size": 2},
        "engine": {
            "max_steps": 6,
            "log_every": 1,
            "validate_every": 2,
            "validation_windows": 3,
            "checkpoint_every": 3,
        },
    }
    for key, update in changes.items():
        values[key] = {**values.get(key, {}), **update} if isinstance(update, dict) and key != "arguments" else update
    return SegmentationConfig.model_validate(values)


@pytest.fixture(scope="session")
def root(labelled_root) -> DataRoot:
    return DataRoot.open(labelled_root)


def train(config, root, folder, **options) -> Loop:
    return training_runs.train(config, root, folder, task=SegmenterTask, **options)


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_runs(a: Path, b: Path) -> None:
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    (card_a, weights_a), (card_b, weights_b) = (load_segmenter(f / "segmenter.safetensors") for f in (a, b))
    assert card_a == card_b
    assert set(weights_a) == set(weights_b)
    for key, value in weights_a.items():
        np.testing.assert_array_equal(value, weights_b[key])


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy"
    train(make_config(card={"attribution": "nobody"}), root, folder)
    return folder


def test_run_folder(finished):
    names = {path.name for path in finished.iterdir() if not path.name.startswith("events")}
    assert names == {"config.yaml", "checkpoint.pt", "metrics.jsonl", "pace.json", "segmenter.safetensors"}
    assert [line["step"] for line in lines(finished) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    validated = [line for line in lines(finished) if "val/miou" in line]
    assert [line["step"] for line in validated] == [2, 4, 6]
    assert all(0 <= line["val/pixel_accuracy"] <= 1 for line in validated)
    config = make_config(card={"attribution": "nobody"})
    assert read_segmentation_config(None, None, finished / "config.yaml", []) == config


def test_card(finished, root):
    card, weights = load_segmenter(finished / "segmenter.safetensors")
    assert (card.name, card.input.role, card.network, card.arguments) == ("toy", "sar", "compact", NETWORK)
    assert card.classes == dict(root.classes)
    assert (card.ignore_index, card.gsd_m, card.input.bands) == (0, 10, ("VV", "VH"))
    assert (card.training.steps, card.training.attribution) == (6, "nobody")
    best = max(line["val/pixel_accuracy"] for line in lines(finished) if "val/pixel_accuracy" in line)
    assert card.quality["val"]["pixel_accuracy"] == pytest.approx(best, abs=1e-6)
    network = build_segmenter("compact", 2, 3, **NETWORK)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "class_weights": "median", "modality": "optical"},
        {"network": "unet", "arguments": {"encoder": "resnet18"}},
        {"network": "unet", "arguments": {"encoder": "resnet18"}, "engine": {"ema": 0.9, "accumulate": 2}},
    ],
)
def test_resume_is_exact_to_the_bit(changes, root, tmp_path):
    """Killed at step 5, resumed from the checkpoint of step 3: as if nothing had happened."""
    config = make_config(**changes)
    straight, killed = tmp_path / "straight" / "run", tmp_path / "killed" / "run"
    train(config, root, straight)
    train(config, root, killed, stop=5)
    assert torch.load(killed / "checkpoint.pt", weights_only=True)["step"] == 3
    assert not (killed / "segmenter.safetensors").exists()
    train(config, root, killed, resume=True)
    assert_same_runs(straight, killed)


def test_an_interrupt_saves_the_step_under_way(root, tmp_path):
    straight, stopped = tmp_path / "straight" / "run", tmp_path / "stopped" / "run"
    train(make_config(), root, straight)
    trainer = Loop(SegmenterTask, make_config(), root, stopped, accelerator="cpu")
    with pytest.raises(KeyboardInterrupt):
        trainer.run(lambda step, total, what: signal.raise_signal(signal.SIGINT) if step == 2 else None)
    assert torch.load(stopped / "checkpoint.pt", weights_only=True)["step"] == 2
    train(make_config(), root, stopped, resume=True)
    assert_same_runs(straight, stopped)


def test_patience_ends_a_run(root, tmp_path):
    """A rate that changes nothing gives equal figures, which are no better ones."""
    engine = {"validate_every": 1, "patience": 2, "max_steps": 20}
    loop = train(make_config(learning_rate=1e-30, engine=engine), root, tmp_path / "run")
    assert loop.step == 3
    assert load_segmenter(tmp_path / "run" / "segmenter.safetensors")[0].training.steps == 3


def test_best_or_last_weights_are_shipped(root, tmp_path):
    """At a rate that spoils what was learned, the best validation is an earlier one."""
    settings = {"learning_rate": 0.1, "engine": {"validate_every": 1, "max_steps": 12}}
    best = train(make_config(**settings), root, tmp_path / "best")
    scores = [line["val/pixel_accuracy"] for line in lines(tmp_path / "best") if "val/pixel_accuracy" in line]
    assert best.best.figures["val/pixel_accuracy"] == pytest.approx(max(scores), abs=1e-6)
    settings["engine"]["select"] = "last"
    train(make_config(**settings), root, tmp_path / "last")
    last = load_segmenter(tmp_path / "last" / "segmenter.safetensors")
    assert last[0].quality["val"]["pixel_accuracy"] == pytest.approx(scores[-1], abs=1e-6)
    shipped = load_segmenter(tmp_path / "best" / "segmenter.safetensors")[1]
    for key, value in best.best.states["network"].items():
        np.testing.assert_array_equal(shipped[key], value)
    same = all(np.array_equal(shipped[key], last[1][key]) for key in shipped)
    assert same == (scores[-1] == max(scores) and scores.index(max(scores)) == len(scores) - 1)


def test_rate_of_sgd_falls_by_the_poly_policy(root, tmp_path):
    trainer = Loop(SegmenterTask, make_config(optimizer="sgd", learning_rate=None), root, tmp_path, accelerator="cpu")
    rates = []
    trainer.run(lambda step, total, what: rates.append(trainer.optimizers["network"].param_groups[0]["lr"]))
    assert rates == pytest.approx([0.01 * (1 - step / 6) ** 0.9 for step in range(6)], abs=1e-12)


def test_bf16_mixed(root, tmp_path):
    trainer = train(make_config(engine={"precision": "bf16-mixed", "max_steps": 2}), root, tmp_path / "run")
    assert all(parameter.dtype == torch.float32 for parameter in trainer.task.module.parameters())
    assert all(np.isfinite(value) for line in lines(tmp_path / "run") for value in line.values())


@pytest.mark.parametrize("modality", ["sar", "optical"])
def test_learns(modality, root, tmp_path):
    engine = {"max_steps": 60, "validate_every": 20, "checkpoint_every": 0, "validation_windows": 8}
    trainer = train(make_config(modality=modality, engine=engine, learning_rate=1e-2), root, tmp_path / "run")
    labels = trainer.task.validation[1]
    majority = max((labels == index).sum() for index in range(3)) / (labels != 255).sum()
    assert trainer.best.figures["val/pixel_accuracy"] > majority + 0.1


class TestRefusals:
    @pytest.fixture
    def refused(self, root, tmp_path, monkeypatch):
        """Refusals come before anything is launched or written."""

        def check(config=None, data=root, **options) -> str:
            with monkeypatch.context() as patch:
                patch.setattr("saropt.training.loop.launch_fabric", lambda **_: pytest.fail("was launched"))
                with pytest.raises(InputError) as caught:
                    Loop(SegmenterTask, config or make_config(), data, tmp_path / "run", accelerator="cpu", **options)
            assert "\n" not in str(caught.value)
            assert not (tmp_path / "run").exists()
            return str(caught.value)

        return check

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"network": "vgg"}, "unknown segmenter 'vgg'"),
            ({"arguments": {"depth": 3}}, "no argument depth"),
            ({"network": "unet", "arguments": {"encoder": "lenet"}}, "no encoder 'lenet'"),
            ({"data": {"crop": 30}}, "multiple of 4"),
            ({"engine": {"patience": 1, "validate_every": 0}}, "patience: needs validation"),
            ({"modality": "dem"}, "lacks dem"),
            ({"data": {"crop": 128}}, "smaller than the training window"),
            ({"data": {"bands": ["HH"]}}, "has no band HH; it has VV, VH"),
            ({"data": {"recipe": {"kind": "magic"}}}, "unknown recipe 'magic'"),
            (
                {"network": "deeplabv3", "arguments": {"encoder": "resnet18"}, "data": {"batch_size": 1}},
                "data.batch_size: must be at least 2 to train deeplabv3",
            ),
        ],
    )
    def test_unfit_configurations(self, refused, changes, words):
        assert words in refused(make_config(**changes))

    def test_root_without_labels(self, refused, db_root):
        assert "names no classes" in refused(data=DataRoot.open(db_root))

    def test_root_without_validation_split(self, refused, labelled_root, tmp_path):
        path = shutil.copytree(labelled_root, tmp_path / "root")
        (path / "splits.csv").write_text("name,split\na,train\n")
        assert "has no val split" in refused(data=DataRoot.open(path))
        trainer = train(make_config(engine={"validate_every": 0}), DataRoot.open(path), tmp_path / "plain")
        assert load_segmenter(tmp_path / "plain" / "segmenter.safetensors")[0].quality == {}
        assert trainer.chosen_figures == {}

    def test_unknown_label(self, refused, labelled_root, tmp_path):
        path = shutil.copytree(labelled_root, tmp_path / "root")
        description = yaml.safe_load((path / "dataset.yaml").read_text())
        del description["classes"][20]
        (path / "dataset.yaml").write_text(yaml.safe_dump(description))
        assert "holds the label 20" in refused(data=DataRoot.open(path))

    def test_folders(self, refused, finished, root):
        assert "cannot resume" in refused(resume=True)
        with pytest.raises(InputError, match="holds a run already"):
            Loop(SegmenterTask, make_config(), root, finished, accelerator="cpu")

    def test_checkpoint_of_another_run(self, finished, root, tmp_path):
        folder = shutil.copytree(finished, tmp_path / "run")
        other = make_config(network="unet", arguments={"encoder": "resnet18"})
        with pytest.raises(InputError, match="is of a 'segmenter compact' run, not of 'segmenter unet'"):
            Loop(SegmenterTask, other, root, folder, accelerator="cpu", resume=True)
        wider = make_config(arguments={**NETWORK, "width": 16})
        with pytest.raises(InputError, match="does not fit the configuration"):
            Loop(SegmenterTask, wider, root, folder, accelerator="cpu", resume=True)

    def test_loss_that_explodes(self, root, tmp_path):
        with pytest.raises(InputError, match="stopped being finite at step"):
            train(make_config(learning_rate=1e30, engine={"max_steps": 20}), root, tmp_path / "run")

    def test_no_modality(self):
        with pytest.raises(InputError, match="modality: Field required"):
            read_segmentation_config(None, "unet", None, [])


TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from saropt.roots import DataRoot
from saropt.training import Loop, SegmenterTask, read_segmentation_config

torch.set_num_threads(1)
folder = Path(sys.argv[1])
config = read_segmentation_config(None, None, folder / "config.yaml", [])
trainer = Loop(SegmenterTask, config, DataRoot.open(sys.argv[2]), folder / "run", devices=2, accelerator="cpu")
trainer.run()
parameters = [parameter.detach() for parameter in trainer.task.module.parameters()]
torch.save(parameters, folder / f"rank{trainer.fabric.global_rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_train_one_network(labelled_root, root, tmp_path):
    """With batch norm, whose buffers the lead must not wait for when it alone validates."""
    config = make_config(network="unet", arguments={"encoder": "resnet18"}, engine={"max_steps": 3})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    (tmp_path / "script.py").write_text(TWO_PROCESSES)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path), str(labelled_root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    alone = train(config, root, tmp_path / "alone")
    assert any(not torch.equal(*pair) for pair in zip(first, alone.task.module.parameters(), strict=True))
    assert load_segmenter(tmp_path / "run" / "segmenter.safetensors")[0].training.steps == 3


@pytest.mark.slow
def test_floods_are_found(shared_data, tmp_path):
    """Real floods, another event to test on: SAR alone beats calling everything dry, on whole rasters from the file.

    The publishers stretched each patch on its own: only relative to the patch's mean do values carry over.
    """
    source = shared_data / "ombria-floods"
    if not source.is_dir():
        pytest.skip("the data set ombria-floods is not beside the repository")
    path = tmp_path / "root"
    path.mkdir()
    for side in ("sar", "optical", "label", "dataset.yaml"):
        (path / side).symlink_to(source / side)
    with (source / "splits.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    last = max(row["group"] for row in rows if row["split"] == "train")
    with (path / "splits.csv").open("w") as stream:
        stream.write("name,split\n")
        stream.writelines(f"{r['name']},{'val' if r['group'] == last else r['split']}\n" for r in rows)
    root = DataRoot.open(path)
    config = make_config(
        arguments={},
        learning_rate=1e-3,
        data={
            "crop": 128,
            "batch_size": 4,
            "sar_gain_db": 6.0,
            "recipe": {"kind": "multiple_of_mean", "factor": 2.0},
        },
        engine={"max_steps": 120, "validate_every": 20, "validation_windows": 16},
    )
    train(config, root, tmp_path / "run")
    segmenter = Segmenter.load(tmp_path / "run")
    classes = classes_of(root)
    matrix = ConfusionMatrix(classes.titles)
    for name in root.names("test"):
        with Scene.open(root.raster("sar", name)) as scene:
            values, valid = scene.read()
        found = segmenter.classify(values, dtype="uint8", valid=valid)
        matrix.add(classes.read(root.raster("label", name)), np.searchsorted(classes.values, found))
    assert matrix.pixels == 30 * 256 * 256
    assert matrix.pixel_accuracy > matrix.majority + 0.02
    assert matrix.summary()["class_iou"]["flooded"] > 0.3


def test_a_class_can_be_oversampled(tmp_path):
    """It lies in one of four rasters: a quarter of the windows hold it, and with a share of .6 seven tenths do."""
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(4, 0, 0), size=64))
    for number, name in enumerate(root.names("train")):
        values = np.full((1, 64, 64), 1, np.uint8)
        values[0, :24, :24] = 2 if number == 0 else 1
        write_array(root.raster("label", name), values, overwrite=True)
    classes = classes_of(root)
    rare = list(classes.values).index(2)
    image = describe_images(root, "optical")
    shares = {}
    for share in (0.0, 0.6):
        more = (classes.names[2], share) if share else None
        sampler = LabelledSampler(root, "train", 48, image, None, more)
        drawn = [sampler.draw(np.random.default_rng([share > 0, seed]))[1] for seed in range(60)]
        shares[share] = np.mean([(labels == rare).any() for labels in drawn])
    assert 0.1 < shares[0.0] < 0.4
    assert 0.55 < shares[0.6] < 0.85
    with pytest.raises(InputError, match=r"data\.oversample: 'palace' is none of the classes"):
        LabelledSampler(root, "train", 48, image, None, ("palace", 0.5))


def test_a_class_without_a_pixel_to_learn_from_is_told(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(2, 0, 0), size=64))
    titles = classes_of(root).titles
    for name in root.names("train"):
        values = np.arange(64 * 64).reshape(1, 64, 64) % (len(titles) - 1)
        write_array(root.raster("label", name), classes_of(root).values[values].astype(np.uint8), overwrite=True)
    lines: list[str] = []
    config = make_config(engine={"validate_every": 0})
    Loop(SegmenterTask, config, root, tmp_path / "run", tell=lines.append)
    assert lines == [f"{root.path}: no pixel of the split train is {titles[-1]}: it cannot be learned"]
