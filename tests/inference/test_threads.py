"""One translator in several threads, and of several scenes at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from saropt.inference import Translator
from saropt.inference.sources import ArraySource

Factory = Callable[..., Path]


def _scene(seed: int, size: int, level: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(level, 3.0, (1, size, size + 8)).astype(np.float32)


@pytest.mark.parametrize("backend", ["onnx", "openvino", "torch"])
def test_threads_get_what_each_scene_gets_alone(backend: str, make_translator: Factory) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    network, suffix = ("resnet", ".safetensors") if backend == "torch" else ("naf_unet", ".onnx")
    translator = Translator.load(make_translator(network, suffix), backend=backend, threads=1)
    scenes = [_scene(place, 96 + 16 * place, -14.0 - 2.0 * place) for place in range(3)]
    alone = [translator.translate_array(scene) for scene in scenes]
    with ThreadPoolExecutor(len(scenes)) as pool:
        together = list(pool.map(translator.translate_array, scenes * 6))
    for made, due in zip(together, alone * 6, strict=True):
        np.testing.assert_array_equal(made, due)


def test_statistics_of_a_scene_are_of_its_reader(make_translator: Factory) -> None:
    translator = Translator.load(make_translator("resnet", ".safetensors"), threads=1)
    first, second = _scene(0, 96, -12.0), _scene(1, 96, -20.0)
    due = translator.translate_array(first)
    reader = translator.read(ArraySource(first))
    translator.read(ArraySource(second))
    made = np.zeros_like(due)

    def write(block):
        at = block.window
        made[:, at.row : at.row + at.height, at.col : at.col + at.width] = block.products["image"]

    translator.stream(reader, write)
    np.testing.assert_array_equal(made, due)
