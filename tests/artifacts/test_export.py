"""Export parity: every registered network gives in ONNX Runtime and OpenVINO what it gives in torch."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
import torch

from saropt.artifacts import SamplerCard, load_graph, read_card
from saropt.artifacts.export import export_graph
from saropt.errors import InputError
from saropt.inference.runtimes import OnnxBackend, OpenVinoBackend
from saropt.networks import build_network, freeze_statistics, has_instance_statistics, list_networks

SMALL = {
    "bridge": {
        "regressor_arguments": {"width": 4, "encoder": [1], "decoder": [1], "middle": 1},
        **{"width": 8, "encoder": [1], "decoder": [1], "middle": 1},
    },
    "diffusion_unet": {"width": 8, "multipliers": [1, 2], "blocks": 1, "heads": 2, "times": 9, "steps": 3},
    "naf_unet": {"width": 8, "encoder": [1, 1], "decoder": [1, 1], "middle": 1, "unshuffle": 2},
    "resnet": {"width": 8, "blocks": 2},
    "resnet antialiased": {"width": 8, "blocks": 2, "antialias": True},
    "tuigan": {"width": 4, "scales": 3},
    "unet_256": {"width": 8},
}


def small(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_network(name.split()[0], 2, 3, **SMALL.get(name, {}))
    for key, parameter in network.named_parameters():
        if key.endswith(("beta", "gamma")):
            torch.nn.init.constant_(parameter, 0.7)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    if network.stride < 256:
        with torch.no_grad():
            network.train()(images(2, 64, 64))
    return network.eval()


def run(path, images: np.ndarray, runtime: str = "onnx", precision: str = "fp32") -> np.ndarray:
    graph = load_graph(path)[1]
    if runtime == "openvino":
        return OpenVinoBackend(graph, precision, 1)(images)
    return OnnxBackend(graph, "cpu", 1)(images)


def images(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 2, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


LONG = {"hat", "s2oformer"}  # 15 to 50 s each


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in LONG))
        for name in sorted({*list_networks(), *SMALL} - {"diffusion_unet", "reference_unet"})
    ],
)
def test_parity(name, new_card, tmp_path):
    network = small(name)
    global_view = network.receptive_field is None
    directions = {
        "sar2opt": {
            "network": name.split()[0],
            "stride": network.stride,
            "receptive_field": network.receptive_field,
            "sampler": SamplerCard.of(network),
        }
    }
    calibration = images(3, 64, 64) if has_instance_statistics(network) else None
    path = tmp_path / "t.onnx"
    export_graph(path, new_card(directions=directions, realism=None), "sar2opt", [network], calibration)
    for count, height, width in [(1, 256, 256)] if global_view else [(1, 64, 64), (2, 96, 160)]:
        batch = images(count, height, width)
        noise = torch.randn(count, getattr(network, "noise_channels", 0), height, width)
        batch = torch.cat([batch, noise], dim=1)
        with torch.no_grad():
            expected = network(batch).numpy()
        assert expected.std() > 1e-3
        for runtime in ("onnx", "openvino"):
            output = run(path, batch.numpy(), runtime)
            assert output.shape == expected.shape
            np.testing.assert_allclose(output, expected, atol=1e-4, err_msg=runtime)


def test_bf16_is_near_and_by_name_only(new_card, tmp_path):
    network, batch = small("naf_unet"), images(1, 128, 128).numpy()
    path = tmp_path / "t.onnx"
    directions = {"sar2opt": {"network": "naf_unet", "stride": network.stride, "receptive_field": 1}}
    export_graph(path, new_card(directions=directions, realism=None), "sar2opt", [network])
    exact = run(path, batch, "openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(InputError, match="no bf16 arithmetic"):
            run(path, batch, "openvino", "bf16")
        return
    rounded = run(path, batch, "openvino", "bf16")
    error = np.abs(rounded - exact)
    assert 0.0 < error.mean() < 0.01
    assert error.max() < 0.1


def test_many_steps_are_no_graph(new_card, tmp_path):
    directions = {"sar2opt": {"network": "diffusion_unet", "stride": 2}}
    with pytest.raises(InputError, match="toy: draws samples in steps that no static graph holds"):
        export_graph(tmp_path / "t.onnx", new_card(directions=directions), "sar2opt", [small("diffusion_unet")])
    assert list(tmp_path.iterdir()) == []


def test_instance_statistics_are_frozen_from_the_calibration(new_card, tmp_path):
    """Not from the tile that the graph happens to see."""
    calibration, tile = images(4, 32, 32), 0.3 * images(1, 64, 64) + 0.5
    directions = {"sar2opt": {"network": "resnet", "stride": 4, "statistics": "scene"}}
    path = tmp_path / "t.onnx"
    export_graph(path, new_card(directions=directions, realism=None), "sar2opt", [small("resnet")], calibration)
    assert read_card(path).directions["sar2opt"].statistics == "training"
    with torch.no_grad():
        per_tile = small("resnet")(tile).numpy()
        frozen = freeze_statistics(small("resnet"), calibration)(tile).numpy()
    output = run(path, tile.numpy())
    np.testing.assert_allclose(output, frozen, atol=1e-4)
    assert np.abs(output - per_tile).mean() > 10 * np.abs(output - frozen).mean() + 1e-3


def test_instance_statistics_need_a_calibration(new_card, tmp_path):
    directions = {"sar2opt": {"network": "resnet", "stride": 4, "statistics": "scene"}}
    with pytest.raises(ValueError, match="needs calibration inputs"):
        export_graph(tmp_path / "t.onnx", new_card(directions=directions), "sar2opt", [small("resnet")])
    assert list(tmp_path.iterdir()) == []


def test_dropout_and_batch_statistics_are_off(new_card, tmp_path):
    """The same input gives the same output, alone or in a batch."""
    network = small("unet_256")
    directions = {"sar2opt": {"network": "unet_256", "stride": 256}}
    path = tmp_path / "t.onnx"
    export_graph(path, new_card(directions=directions, realism=None), "sar2opt", [network])
    batch = images(2, 256, 256).numpy()
    together = run(path, batch)
    np.testing.assert_allclose(run(path, batch[:1]), together[:1], atol=1e-5)
    np.testing.assert_array_equal(run(path, batch), together)
