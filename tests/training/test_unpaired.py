"""Runs on unpaired data: which methods take them, what is validated, what the card says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from saropt.artifacts import load_weights
from saropt.cli import main
from saropt.errors import InputError
from saropt.methods import get_method
from saropt.roots import DataRoot
from saropt.training import Loop, TranslatorTask, dump_config


@pytest.fixture
def unpaired(monkeypatch) -> None:
    """`regression` as if it took unpaired data."""
    monkeypatch.setattr(get_method("regression"), "unpaired", True)


@pytest.fixture
def roots(db_root, tmp_path) -> tuple[Path, Path]:
    """The SAR side alone, and the optical side alone under other names."""
    description = yaml.safe_load((db_root / "dataset.yaml").read_text())
    paths = []
    for side, other, prefix in (("sar", "optical", ""), ("optical", "sar", "o")):
        path = tmp_path / f"{side}-root"
        (path / side).mkdir(parents=True)
        for raster in (db_root / side).glob("*.tif"):
            shutil.copy(raster, path / side / f"{prefix}{raster.name}")
        own = {k: v for k, v in description.items() if k != other} | {"paired": False, "name": side}
        (path / "dataset.yaml").write_text(yaml.safe_dump(own))
        rows = "".join(f"{prefix}{line}\n" for line in (db_root / "splits.csv").read_text().splitlines()[1:])
        (path / "splits.csv").write_text("name,split\n" + rows)
        paths.append(path)
    return paths[0], paths[1]


@pytest.mark.usefixtures("unpaired")
def test_two_roots(roots, new_config, tmp_path):
    root = DataRoot.open(roots[0]).with_role_from("optical", DataRoot.open(roots[1]))
    Loop(TranslatorTask, new_config(), root, tmp_path / "run", accelerator="cpu").run()
    card = load_weights(tmp_path / "run" / "translator.safetensors")[0]
    assert card.training.data == "sar (SAR), optical (optical)"
    assert card.training.licence == "CC0-1.0 (SAR); CC0-1.0 (optical)"
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert not any(key.startswith("val/") for line in lines for key in line)
    picture = np.asarray(Image.open(tmp_path / "run" / "samples" / "sar2opt-0000003.png"))
    assert picture.shape == (3 * 32, 2 * 32, 3), "input and output, no target"


@pytest.mark.usefixtures("unpaired")
def test_pairs_are_validated_for_an_unpaired_method_too(db_root, new_config, tmp_path):
    Loop(TranslatorTask, new_config(), DataRoot.open(db_root), tmp_path / "run", accelerator="cpu").run()
    assert "val/sar2opt/mae" in (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.usefixtures("unpaired")
def test_best_weights_need_pairs(roots, new_config, tmp_path):
    root = DataRoot.open(roots[0]).with_role_from("optical", DataRoot.open(roots[1]))
    with pytest.raises(InputError, match="best needs validation on pairs"):
        Loop(TranslatorTask, new_config(engine={"select": "best"}), root, tmp_path / "run", accelerator="cpu")


def test_one_sided_roots_are_refused_alone(roots, new_config, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="regression needs pairs"):
        Loop(TranslatorTask, new_config(), DataRoot.open(roots[0]), tmp_path / "run", accelerator="cpu")
    monkeypatch.setattr(get_method("regression"), "unpaired", True)
    for path, side in zip(roots, ("optical", "sar"), strict=True):
        with pytest.raises(InputError, match=f"dataset.yaml: lacks {side}"):
            Loop(TranslatorTask, new_config(), DataRoot.open(path), tmp_path / "run", accelerator="cpu")


def test_paired_methods_refuse_a_second_root(db_root, tmp_path, new_config, capsys):
    (tmp_path / "config.yaml").write_text(dump_config(new_config()))
    arguments = ["train", "regression", db_root, "--out", tmp_path / "run", "--config", tmp_path / "config.yaml"]
    assert main([str(a) for a in (*arguments, "--device", "cpu", "--optical-root", db_root)]) == 2
    message = capsys.readouterr().err
    assert "regression needs pairs: all images from one data root" in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("unpaired")
def test_command_line_with_two_roots(roots, tmp_path, new_config):
    (tmp_path / "config.yaml").write_text(dump_config(new_config(engine={"max_steps": 1})))
    arguments = ["train", "regression", roots[0], "--optical-root", roots[1], "--out", tmp_path / "run"]
    assert main([str(a) for a in (*arguments, "--config", tmp_path / "config.yaml", "--device", "cpu")]) == 0
    assert (tmp_path / "run" / "translator.onnx").is_file()


def test_noise_of_ranks_and_steps_never_repeats(db_root, new_config):
    task = TranslatorTask(new_config(engine={"max_steps": 40}), DataRoot.open(db_root))
    seeds = [task.noise_seed(step, rank) for rank in range(3) for step in range(8)]
    assert len(set(seeds)) == 24
