"""Samplers on the command line: train a bridge from a run, draw samples, measure their deviation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saropt.cli import main
from saropt.scenes import Scene


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def bridge(data_root: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bridge") / "run"
    settings = [
        f"arguments.start={run_folder / 'translator.safetensors'}",
        "arguments.network_arguments={width: 8, encoder: [1], middle: 1, decoder: [1], sigma: 0.5}",
        "arguments.discriminator_width=4",
        "data.crop=64",
        "engine.validate_every=0",
        "engine.sample_every=0",
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    assert run("train", "bridge", data_root, "--out", folder, "--max-steps", 4, *options) == 0
    return folder


def test_samples_of_a_scene(bridge, data_root, tmp_path, capsys) -> None:
    scene, out = next((data_root / "sar").glob("test*.tif")), tmp_path / "out.tif"
    command = ("translate", scene, out, "--model", bridge, "--samples", 3, "--seed", 5, "--steps", 1, "--tile", 64)
    assert run(*command) == 0
    assert "out_std.tif: the deviation" in capsys.readouterr().out
    with Scene.open(tmp_path / "out_std.tif") as made:
        deviation = made.read()[0]
        assert made.tags["SAROPT_CONTENT"] == "standard deviation of 3 samples"
        assert made.tags["SAROPT_STEPS"] == "1"
    assert deviation.dtype == np.float32
    assert deviation.mean() > 0
    assert run("models", bridge) == 0
    assert "euler, 2 steps" in capsys.readouterr().out


def test_deviation_in_a_report(bridge, data_root, tmp_path, capsys) -> None:
    assert run("evaluate", bridge, "--data", data_root, "--out", tmp_path / "report", "--samples", 2) == 0
    assert "mean of 2 samples; their deviation correlates with its error by" in " ".join(
        capsys.readouterr().out.split()
    )
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert set(report["models"][0]["directions"]["sar2opt"]["deviation"]) >= {"samples", "seed", "correlation"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--samples", 2], "--samples 2: s1-losangeles has one output only: it draws no samples"),
        (["--seed", 1], "--seed 1: s1-losangeles has one output only"),
        (["--steps", 2], "translates in one pass: it is no sampler"),
    ],
)
def test_others_draw_no_samples(options, reason, data_root, tmp_path, capsys) -> None:
    scene = next((data_root / "sar").glob("test*.tif"))
    assert run("translate", scene, tmp_path / "out.tif", "--bands", 1, *options) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
