"""Recomputed blocks and compiled forwards: the same weights, names and files, in less memory or time."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import torch
from small_networks import CASES, small, with_noise
from torch import nn
from training_runs import train

from saropt.artifacts import load_weights
from saropt.errors import InputError
from saropt.networks import build_network
from saropt.training import Loop, TranslatorTask
from saropt.training.generators import find_blocks, has_blocks, recompute_blocks


def step(network: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Output and gradients of a random loss, of one forward in training mode."""
    torch.manual_seed(3)
    time = {"time": torch.tensor([7, 3])} if hasattr(network, "schedule") else {}
    output = network.train()(image, **time)
    (output * torch.randn_like(output)).mean().backward()
    return output.detach(), {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", CASES)
def test_recomputed_blocks_have_the_same_gradients(name):
    """Dropout, stochastic depth and running statistics of BatchNorm included."""
    side = 256 if name == "unet_256" else 64
    plain, less = (small(name, 2, 3).double() for _ in range(2))
    image = with_noise(plain, torch.rand(2, 2, side, side, dtype=torch.float64) * 2 - 1)
    if hasattr(plain, "schedule"):
        image = torch.rand(2, 5, side, side, dtype=torch.float64)
    before = list(less.state_dict())
    assert recompute_blocks(less) > 0
    assert list(less.state_dict()) == before
    (output, gradients), (other, others) = step(plain, image), step(less, image)
    torch.testing.assert_close(other, output, rtol=1e-6, atol=1e-9)
    assert list(gradients) == list(others) != []
    for key, gradient in gradients.items():
        torch.testing.assert_close(others[key], gradient, rtol=1e-6, atol=1e-9, msg=key)
    for (key, one), another in zip(plain.state_dict().items(), less.state_dict().values(), strict=True):
        torch.testing.assert_close(one, another, rtol=1e-9, atol=1e-12, msg=key)


def test_blocks_hold_most_of_a_network():
    for name in CASES:
        network = small(name, 2, 3)
        blocks = list(find_blocks(network))
        inside = {id(part) for block in blocks for part in block.modules()}
        assert len(inside) == sum(1 for block in blocks for _ in block.modules()), "blocks within blocks"
    hat = small("hat", 2, 3)
    names = {id(part): key for key, part in hat.named_modules()}
    found = [names[id(block)] for block in find_blocks(hat)]
    assert found == ["body.groups.0.blocks.0", "body.groups.0.blocks.1", "body.groups.0.overlap", "tail"]
    assert list(find_blocks(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()))) == []
    assert not has_blocks(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()))


def kept_bytes(network: nn.Module, image: torch.Tensor) -> int:
    """Bytes that a forward keeps for its backward pass, parameters apart."""
    held = {}
    parameters = {parameter.data_ptr() for parameter in network.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in parameters:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = network(image)
    assert output.requires_grad
    return sum(held.values())


def test_less_is_kept():
    image = torch.rand(1, 2, 64, 64)
    arguments = {"width": 32, "depths": [2, 2], "heads": [2, 2], "window": 8, "squeeze": 8}
    plain, less = (build_network("hat", 2, 3, **arguments) for _ in range(2))
    recompute_blocks(less)
    assert kept_bytes(less, image) < 0.3 * kept_bytes(plain, image)


@pytest.mark.parametrize("method", ["compact", "cyclegan", "fastcut", "con-diffusion"])
def test_a_run_with_recomputed_blocks_is_the_same_run(method, root, new_config, tmp_path):
    states = []
    for name, engine in (("plain", {}), ("less", {"checkpoint_activations": True})):
        train(new_config(method, engine={"max_steps": 3, "checkpoint_every": 0, **engine}), root, tmp_path / name)
        states.append(load_weights(tmp_path / name / "translator.safetensors")[1])
    assert list(states[0]) == list(states[1])
    for key, value in states[0].items():
        torch.testing.assert_close(torch.from_numpy(states[1][key]), torch.from_numpy(value), rtol=1e-3, atol=1e-4)


@pytest.fixture
def graphs(monkeypatch) -> list:
    """Compile without code generation, which takes minutes; the number of graphs made."""
    made = []

    def backend(graph, inputs):
        made.append(graph)
        return graph.forward

    compile_module = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compile_module(module, backend=backend))
    yield made
    torch.compiler.reset()


@pytest.mark.parametrize("method", ["compact", "pix2pix"])
def test_compiled_runs_have_plain_files(method, graphs, root, new_config, tmp_path):
    """A compiled run is resumed without compiling, and the other way round; what is shipped is what it would be."""
    train(new_config(method), root, tmp_path / "plain")
    assert graphs == []
    folder = tmp_path / "run"
    train(new_config(method, engine={"compile": True}), root, folder, stop=4)
    assert graphs != []
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert checkpoint["step"] == 3
    assert not any("_orig_mod" in key for key in checkpoint["modules"])
    train(new_config(method), root, folder, stop=5, resume=True)
    train(new_config(method, engine={"compile": True}), root, folder, resume=True)
    weights, plain = (load_weights(tmp_path / name / "translator.safetensors")[1] for name in ("run", "plain"))
    assert list(weights) == list(plain)
    for key, value in plain.items():
        torch.testing.assert_close(torch.from_numpy(weights[key]), torch.from_numpy(value), rtol=1e-3, atol=1e-4)


def test_no_compiler_is_told(root, new_config, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match=r"engine\.compile: needs a C\+\+ compiler: no-such-compiler is not found"):
        Loop(TranslatorTask, new_config(engine={"compile": True}), root, tmp_path / "run", accelerator="cpu")


@pytest.mark.slow
def test_compiled_code_gives_the_same_run(new_config, tmp_path):
    """With code generation; minutes."""
    if shutil.which("g++") is None:
        pytest.skip("no g++: torch.compile cannot make code for the CPU")
    script = """
import torch
from saropt.networks import build_network
torch.manual_seed(0)
network = build_network("resnet", 2, 3, width=4, blocks=1)
image = torch.rand(1, 2, 32, 32)
outputs = [network(image)]
network.compile()
outputs.append(network(image))
outputs[1].square().mean().backward()
torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)
print("compiled", network._compiled_call_impl is not None, "_orig_mod" in str(list(network.state_dict())))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=590)
    assert done.stdout.strip() == "compiled True False", done.stderr[-2000:]
