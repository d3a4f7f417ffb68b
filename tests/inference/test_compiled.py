"""Networks that torch.compile has made code for give what they gave before."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import CASES, small, with_noise

from saropt.errors import InputError
from saropt.inference import Translator
from saropt.inference.runtimes import TorchBackend
from saropt.scenes import Scene

Factory = Callable[..., Path]


@pytest.mark.parametrize("name", CASES)
def test_every_network_compiles_in_one_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With frozen statistics where it has any; traced only, so that no C++ compiler is needed."""
    monkeypatch.setattr("torch.compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr("saropt.networks.check_compiler", lambda device, option: None)
    torch.compiler.reset()
    network = small(name, 2, 3)
    plain, compiled = (
        TorchBackend(copy.deepcopy(network), "cpu", "fp32", needs_samples=True, compiled=on) for on in (False, True)
    )
    for side in (256, 320, 256) if name != "unet_256" else (256,):
        values = with_noise(network, torch.rand(1, 2, side, side) * 2.0 - 1.0).numpy()
        if side == 256:
            plain, compiled = (backend.freeze(values) for backend in (plain, compiled))
        np.testing.assert_allclose(compiled(values), plain(values), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_code_gives_the_same_scene(
    precision: str, make_translator: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++: torch.compile cannot make code for the CPU")
    torch._dynamo.utils.counters.clear()
    model, scene = make_translator("resnet", ".safetensors"), make_scene(150, 170)
    torch.compiler.reset()
    outputs = []
    for compiled in (False, True):
        out = tmp_path / f"{compiled}.tif"
        Translator.load(model, precision=precision, compile=compiled).translate(scene, out, tile=64)
        with Scene.open(out) as translated:
            outputs.append(translated.read_stored()[0].astype(float))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    apart = np.abs(outputs[1] - outputs[0])
    assert outputs[0].std() > 0.05
    assert apart.mean() < (1e-6 if precision == "fp32" else 0.02)


def test_compiling_is_refused_where_nothing_compiles(make_translator: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    for model, words in (
        (make_translator("naf_unet", ".safetensors"), r"compile: needs a C\+\+ compiler: no-such-compiler"),
        (make_translator("naf_unet", ".onnx"), "compile=True: is for backend torch"),
    ):
        with pytest.raises(InputError, match=words):
            Translator.load(model, compile=True)
