"""Files and run folders of the first format version are read for ever: made by saropt 0.1.0, see version_1/."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from saropt import Segmenter, Translator
from saropt.artifacts import load_graph, load_weights
from saropt.cli import main

FILES = Path(__file__).parent / "version_1"
SAR = FILES / "root" / "sar" / "val_000.tif"


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_a_translator_gives_the_pixels_that_it_gave(suffix, tmp_path):
    translator = Translator.load(FILES / "run" / f"translator{suffix}")
    assert translator.card.format_version == 2
    assert (translator.source.role, translator.target.role) == ("sar", "optical")
    translator.translate(SAR, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as made:
        difference = made.read().astype(int) - np.load(FILES / "translation.npy").astype(int)
    assert np.abs(difference).max() <= (suffix != ".onnx")


def test_both_forms_have_one_card():
    assert load_weights(FILES / "run" / "translator.safetensors")[0] == load_graph(FILES / "run" / "translator.onnx")[0]


def test_a_segmenter(tmp_path):
    segmenter = Segmenter.load(FILES / "segmenter.safetensors")
    assert segmenter.card.input.role == "sar"
    result = segmenter.predict(SAR, tmp_path / "out.tif")
    with rasterio.open(result.path) as made:
        assert set(np.unique(made.read())) <= set(segmenter.card.classes)


def test_a_run_goes_on_with_the_figures_that_it_had(tmp_path):
    """Configuration, checkpoint and random streams: the same losses to the last printed digit."""
    for name in ("root", "run"):
        shutil.copytree(FILES / name, tmp_path / name)
    root, run = str(tmp_path / "root"), str(tmp_path / "run")
    assert main(["train", "regression", root, "--out", run, "--resume", "--max-steps", "4", "--device", "cpu"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    before = [json.loads(line) for line in (FILES / "metrics_after_4_steps.jsonl").read_text().splitlines()]
    assert lines == [pytest.approx(line, rel=1e-5, abs=2e-6) for line in before]
