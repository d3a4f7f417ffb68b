"""A small translator with both ends, in both forms."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from saropt.artifacts import Card, ImageCard, TrainingCard, save_weights
from saropt.artifacts.export import export_graph
from saropt.networks import build_network
from saropt.radiometry import DbClip, EightBit
from translator_files import direction_cards

ARGUMENTS = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}


IMAGES = {
    "sar": ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict()),
    "optical": ImageCard(
        role="optical", bands=("B4", "B3", "B2"), units="uint8", dtype="uint8", recipe=EightBit().to_dict()
    ),
}
NETWORK = {"network": "naf_unet", "arguments": ARGUMENTS, "stride": 4, "receptive_field": 40}


def make_card(**changes) -> Card:
    values = {
        "name": "toy",
        "method": "compact",
        "directions": direction_cards(IMAGES, sar2opt=NETWORK),
        "gsd_m": 10.0,
        "training": TrainingCard(data="toy", split="train", steps=3, seed=0, licence="CC0-1.0"),
        "realism": 0.6,
        "quality": {"test": {"psnr": 17.25}},
        "notes": "for tests",
    }
    if all(isinstance(described, dict) for described in changes.get("directions", {}).values()):
        changes = {k: direction_cards(IMAGES, **v) if k == "directions" else v for k, v in changes.items()}
    return Card(**{**values, **changes})


def make_ends(count: int = 2) -> list[torch.nn.Module]:
    """Networks of one architecture with unlike weights, all branches alive."""
    ends = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = build_network("naf_unet", 2, 3, **ARGUMENTS)
        for key, parameter in network.named_parameters():
            if key.endswith(("beta", "gamma", "bias")):
                torch.nn.init.normal_(parameter, 0.0, 0.3)
        ends.append(network.eval())
    return ends


@pytest.fixture(scope="session")
def translator(tmp_path_factory):
    """Both files of one translator with two ends, and its networks."""
    folder = tmp_path_factory.mktemp("translator")
    card, ends = make_card(), make_ends()
    weights = {
        f"{end}/sar2opt.{key}": value.numpy()
        for end, network in zip(("fidelity", "realism"), ends, strict=True)
        for key, value in network.state_dict().items()
    }
    save_weights(folder / "t.safetensors", card, weights)
    export_graph(folder / "t.onnx", card, "sar2opt", ends)
    return SimpleNamespace(
        card=card, ends=ends, weights=weights, safetensors=folder / "t.safetensors", onnx=folder / "t.onnx"
    )


@pytest.fixture
def card() -> Card:
    return make_card()


@pytest.fixture(scope="session")
def new_card():
    """`make_card`: a card with some fields changed."""
    return make_card


@pytest.fixture(scope="session")
def new_ends():
    """`make_ends`."""
    return make_ends
