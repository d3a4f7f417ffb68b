"""Segmenters: all build and run, stand apart from the generators, and are what the papers say."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from saropt.networks import build_segmenter, list_networks, list_segmenters, segmenter_arguments

SMALL = {
    "compact": {"width": 4, "encoder": [1], "decoder": [1], "middle": 1},
    "deeplabv3": {"encoder": "resnet18"},
    "deeplabv3plus": {"encoder": "resnet18"},
    "segformer": {"encoder": "mit_b0"},
    "unet": {"encoder": "resnet18"},
}


def test_every_segmenter_is_tested_here():
    assert set(SMALL) == set(list_segmenters())


@pytest.mark.parametrize("name", SMALL)
def test_contract(name):
    """Logits of every pixel, any number of bands and classes, and gradients that reach every parameter."""
    torch.manual_seed(0)
    network = build_segmenter(name, 2, 5, **SMALL[name])
    assert 64 % network.stride == 0
    assert network.smallest_batch in (1, 2)
    logits = network(torch.rand(2, 2, 64, 96) * 2 - 1)
    assert logits.shape == (2, 5, 64, 96)
    logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    network.eval()
    again = build_segmenter(name, 2, 5, **SMALL[name]).eval()
    image = torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        assert not torch.equal(network(image), again(image))
        again.load_state_dict(network.state_dict())
        assert torch.equal(network(image), again(image))


def test_only_the_compact_one_is_exact():
    fields = {name: build_segmenter(name, 1, 2, **SMALL[name]).receptive_field for name in SMALL}
    assert [name for name, field in fields.items() if field is not None] == ["compact"]


@pytest.mark.parametrize("name", [name for name in SMALL if name != "compact"])
def test_smallest_batch(name):
    """What is stated as the smallest batch can be trained on, and fewer cannot."""
    network = build_segmenter(name, 1, 2, **SMALL[name]).train()
    network(torch.rand(network.smallest_batch, 1, 64, 64))
    if network.smallest_batch > 1:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            network(torch.rand(1, 1, 64, 64))


def test_parameter_count_of_deeplabv3():
    """DeepLabV3 on ResNet-50 with 8 classes and no auxiliary head has 39,635,528 parameters (as torchvision's)."""
    assert segmenter_arguments("deeplabv3") == {"encoder": "resnet50"}
    network = build_segmenter("deeplabv3", 3, 8)
    assert sum(p.numel() for p in network.parameters()) == 39_635_528


def test_generators_and_segmenters_are_kept_apart():
    assert not set(list_networks()) & set(list_segmenters())


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="unknown segmenter 'vgg'; known: compact, deeplabv3"):
        build_segmenter("vgg", 1, 2)
    with pytest.raises(ValueError, match="segmenter 'unet' has no argument depth; known: encoder"):
        build_segmenter("unet", 1, 2, depth=3)
    with pytest.raises(ValueError, match="no encoder 'lenet'"):
        build_segmenter("unet", 1, 2, encoder="lenet")


def test_the_library_is_loaded_only_when_needed():
    code = (
        "import sys; from saropt.networks import build_segmenter; build_segmenter('compact', 1, 2);"
        "print('segmentation_models_pytorch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
