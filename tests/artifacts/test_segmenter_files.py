"""Segmenter files: what is written is read, and nothing else is taken for one."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from saropt.artifacts import (
    ImageCard,
    SegmenterCard,
    TrainingCard,
    load_segmenter,
    load_weights,
    parse_segmenter_card,
    save_weights,
)
from saropt.errors import InputError
from saropt.radiometry import EightBit

WEIGHTS = {"network.a": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)}


def make_card(**changes) -> SegmenterCard:
    values = {
        "name": "floods",
        "network": "unet",
        "arguments": {"encoder": "resnet18"},
        "stride": 32,
        "tile": 512,
        "input": ImageCard(role="optical", bands=("B4",), units="uint8", dtype="uint8", recipe=EightBit().to_dict()),
        "classes": {0: "dry", 255: "flooded"},
        "gsd_m": 10.0,
        "training": TrainingCard(data="toy", split="train", steps=3, seed=0, licence="CC0-1.0"),
        "quality": {"val": {"pixel_accuracy": 0.75}},
    }
    return SegmenterCard(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    save_weights(tmp_path / "s.safetensors", make_card(), WEIGHTS)
    return tmp_path / "s.safetensors"


def refused(read, path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return caught.value.reason


def test_round_trip(path):
    card, weights = load_segmenter(path)
    assert card == make_card()
    assert set(weights) == set(WEIGHTS)
    for key, value in WEIGHTS.items():
        np.testing.assert_array_equal(weights[key], value)


def test_a_translator_is_no_segmenter(translator):
    assert refused(load_segmenter, translator.safetensors) == "is a translator, not a segmenter"
    assert refused(load_segmenter, translator.onnx) == "is an .onnx file; segmenters are .safetensors files"


def test_a_segmenter_is_no_translator(path):
    assert refused(load_weights, path) == "is a segmenter, not a translator"


def test_pickles(tmp_path):
    for suffix in ("pt", "safetensors"):
        torch.save({"a": torch.zeros(3)}, tmp_path / f"s.{suffix}")
        assert "can run code" in refused(load_segmenter, tmp_path / f"s.{suffix}")
    (tmp_path / "p.safetensors").write_bytes(pickle.dumps([1, 2]))
    assert "can run code" in refused(load_segmenter, tmp_path / "p.safetensors")


def test_damaged_files(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert "damaged" in refused(load_segmenter, path)
    path.write_bytes(b"")
    assert "is empty" in refused(load_segmenter, path)
    path.unlink()
    assert "no such file" in refused(load_segmenter, path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 7}, "format version 7"),
        ({"kind": "detector"}, "is a detector, not a segmenter"),
        ({"classes": {"0": "dry"}}, "card: classes"),
        ({"classes": {"dry": "dry", "1": "wet"}}, "card: classes"),
        ({"modality": "lidar"}, "card: modality"),
        ({"surprise": 1}, "card: surprise"),
    ],
)
def test_cards_that_do_not_fit(changes, words):
    values = json.loads(make_card().model_dump_json()) | changes
    with pytest.raises(ValueError, match=words):
        parse_segmenter_card(json.dumps(values))
