"""Backends run in the precision that was asked for, and refuse what the machine lacks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from saropt.artifacts import load_graph
from saropt.errors import InputError, MissingExtraError
from saropt.inference import Translator
from saropt.inference.runtimes import OnnxBackend, OpenVinoBackend, check_torch_precision
from saropt.inference.runtimes.openvino import _square_by_norm

Factory = Callable[..., Path]
BUNDLED = "s1-losangeles"


def test_results_of_openvino_are_not_overwritten(make_translator: Factory) -> None:
    backend = OpenVinoBackend(load_graph(make_translator())[1], "fp32", 1)
    tiles = np.random.default_rng(0).uniform(-1, 1, (2, 1, 1, 64, 64)).astype(np.float32)
    first = backend(tiles[0])
    kept = first.copy()
    backend(tiles[1])
    np.testing.assert_array_equal(first, kept)


def test_large_windows_run_in_a_network_of_their_shape(
    make_translator: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saropt.inference.runtimes.openvino._FIXED_PIXELS", 64 * 96)
    graph = load_graph(make_translator())[1]
    backend, reference = OpenVinoBackend(graph, "fp32", 1), OnnxBackend(graph, "cpu", 1)
    rng, compiled = np.random.default_rng(0), []
    for shape, fixed in [
        ((1, 1, 64, 96), True),
        ((1, 1, 64, 96), True),
        ((1, 1, 96, 96), True),
        ((2, 1, 96, 96), False),
        ((1, 1, 64, 64), False),
        ((1, 1, 96, 96), True),
    ]:
        values = rng.uniform(-1, 1, shape).astype(np.float32)
        np.testing.assert_allclose(backend(values), reference(values), atol=1e-5)
        compiled.append(backend._compiled)
        assert compiled[-1].input(0).partial_shape.is_static == fixed
    assert [one is other for one, other in pairwise(compiled)] == [True, False, False, True, False]


def test_a_window_that_cannot_be_compiled_spoils_no_later_one(
    make_translator: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = OpenVinoBackend(load_graph(make_translator())[1], "fp32", 1)
    values = np.random.default_rng(0).uniform(-1, 1, (1, 1, 64, 64)).astype(np.float32)
    expected = backend(values)
    monkeypatch.setattr("saropt.inference.runtimes.openvino._FIXED_PIXELS", 96 * 96)
    core = backend._core

    def fails(*_: object) -> None:
        raise RuntimeError("no memory")

    backend._core = SimpleNamespace(compile_model=fails)
    with pytest.raises(InputError, match="no memory"):
        backend(np.zeros((1, 1, 96, 96), np.float32))
    backend._core = core
    np.testing.assert_array_equal(backend(values), expected)


def test_means_of_squares_become_norms_in_openvino(make_translator: Factory) -> None:
    """Each root of a variance has one; other means stay."""
    import openvino

    model = openvino.Core().read_model(load_graph(make_translator())[1])
    before = Counter(node.get_type_name() for node in model.get_ordered_ops())
    _square_by_norm(model)
    after = Counter(node.get_type_name() for node in model.get_ordered_ops())
    assert before["ReduceL2"] == 0
    assert after["ReduceL2"] == before["Sqrt"] > 0
    assert before["ReduceMean"] - after["ReduceMean"] == after["ReduceL2"]


@pytest.mark.parametrize("realism", [0.0, 1.0])
def test_realism_and_precision_of_the_bundled_translator(realism: float) -> None:
    """OpenVINO blends as ONNX Runtime does; bf16 is another arithmetic, and near."""
    import openvino

    amplitude = np.random.default_rng(0).integers(5, 250, (1, 128, 128)).astype(np.uint8)
    options = [{"backend": "onnx"}, {"backend": "openvino"}]
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        options.append({"backend": "openvino", "precision": "bf16"})
    onnx, single, *half = [
        Translator.load(BUNDLED, realism=realism, **chosen)(amplitude).astype(int) for chosen in options
    ]
    assert np.abs(single - onnx).max() <= 1
    assert (single != onnx).mean() < 0.01
    for output in half:
        assert 0 < np.abs(output - onnx).mean() < 3


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_bf16_is_used_and_near(backend: str, make_translator: Factory) -> None:
    import openvino

    if backend == "openvino" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16 arithmetic")
    suffix = ".safetensors" if backend == "torch" else ".onnx"
    model = make_translator("naf_unet", suffix)
    values = np.random.default_rng(0).uniform(-25, 0, (1, 64, 64)).astype(np.float32)
    single = Translator.load(model, backend=backend)(values)
    half = Translator.load(model, backend=backend, precision="bf16")(values)
    assert 1e-5 < np.abs(half - single).mean() < 0.02


def test_precision_that_the_machine_lacks(make_translator: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    monkeypatch.setattr(openvino, "Core", lambda: SimpleNamespace(get_property=lambda *_: ["FP32"]))
    with pytest.raises(InputError, match="precision='bf16': this CPU has no bf16"):
        Translator.load(make_translator(), backend="openvino", precision="bf16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "An old GPU")
    with pytest.raises(InputError, match="precision='bf16': An old GPU has no bf16"):
        check_torch_precision("bf16", "cuda")


def test_openvino_that_is_not_installed(make_translator: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("saropt.inference.runtimes.base.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[openvino\]"):
        Translator.load(make_translator(), backend="openvino")
