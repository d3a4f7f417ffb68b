"""Cards that contradict their graph, and what a network sees against what its card says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rasterio
import torch

from saropt.artifacts import load_graph, parse_card
from saropt.artifacts.export import _to_onnx
from saropt.artifacts.graph import store_card
from saropt.cli import main
from saropt.inference import Translator
from saropt.inference.bundled import find_translator
from saropt.inference.runtimes.reach import reach_of, sees_beyond
from saropt.inference.tiling import halo_of
from saropt.networks import build_network, freeze_statistics
from saropt.scenes import write_array

BUNDLED = ("s1-losangeles", "losangeles-s1", "s1-world", "s1-reference", "flood-reference", "sen12-vv")
Change = Callable[[dict[str, Any]], None]


def changed(model: str, path: Path, change: Change) -> Path:
    """A copy of a bundled translator whose only direction is changed."""
    graph = onnx.load(find_translator(model))
    (text,) = (entry.value for entry in graph.metadata_props if entry.key == "saropt")
    card = json.loads(text)
    (described,) = card["directions"].values()
    change(described)
    store_card(graph, parse_card(json.dumps(card)))
    onnx.save(graph, path)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 80, 96)).astype(np.uint8)
    pixels[:, :8] = 0
    return write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], nodata=0)


@pytest.mark.parametrize("further", [[], ["--reliability"]])
def test_a_receptive_field_smaller_than_that_of_the_graph(
    further: list[str], scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed("s1-losangeles", tmp_path / "small.onnx", lambda one: one.update(receptive_field=10))
    assert main(["translate", str(scene), str(tmp_path / "out.tif"), "--model", str(path), *further]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "small.onnx: card: receptive_field 10 is too small: its graph sees 162 pixels on each side" in line
    assert not (tmp_path / "out.tif").exists()


def test_a_network_that_sees_the_whole_window() -> None:
    graph = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["": 18]>
        f (float[batch, 1, height, width] x) => (float[batch, 1, height, width] y)
        { mean = GlobalAveragePool (x) y = Sub (x, mean) }""")
    assert reach_of(graph, 1) == np.inf
    assert sees_beyond(graph, 8, 1)


@pytest.mark.parametrize("model", BUNDLED)
def test_bundled_cards_state_what_their_graphs_see(model: str) -> None:
    card, graph = load_graph(find_translator(model))
    (described,) = card.directions.values()
    reach = reach_of(onnx.load_model_from_string(graph), described.stride)
    assert described.receptive_field is not None
    assert reach is not None
    halo = halo_of(described.receptive_field, described.stride)
    assert halo - 2 * described.stride <= reach <= halo


@pytest.mark.parametrize("name", ["naf_unet", "resnet"])
def test_the_reach_of_a_graph_is_that_of_its_gradient(name: str) -> None:
    torch.manual_seed(0)
    arguments = {"blocks": 2} if name == "resnet" else {"encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}
    network = build_network(name, 2, 3, width=4, **arguments).eval()
    if name == "resnet":
        network = freeze_statistics(network, torch.randn(2, 2, 64, 64))
    else:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    stride, side = network.stride, 256
    network, values = network.double(), torch.rand(1, 2, side, side, dtype=torch.double, requires_grad=True)
    network(values)[..., 128 : 128 + stride, 128 : 128 + stride].sum().backward()
    rows = torch.nonzero(values.grad.abs().amax((0, 1, 3))).flatten()
    reach = max(128 - int(rows.min()), int(rows.max()) - (128 + stride - 1))
    assert reach_of(_to_onnx(network.float(), 2, stride), stride) == reach


def test_weights_of_zero_are_no_reach() -> None:
    """Phases of one enlargement have taps of 0 that the graph does not show: the field of the card is right."""
    network = build_network("tuigan", 1, 3, width=8, scales=3).eval()
    graph, halo = _to_onnx(network, 1, network.stride), halo_of(network.receptive_field, network.stride)
    reach = reach_of(graph, network.stride)
    assert reach is not None
    assert reach > network.receptive_field // 2
    assert not sees_beyond(graph, halo, network.stride)


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -32768), ("int32", -(2**31)), ("float64", np.nan)])
def test_outputs_of_any_type_that_is_written(dtype: str, nodata: float, scene: Path, tmp_path: Path) -> None:
    path = changed("s1-losangeles", tmp_path / "t.onnx", lambda one: one["outputs"][0].update(dtype=dtype))
    made = Translator.load(path).translate(scene, tmp_path / "out.tif")
    usual = Translator.load("s1-losangeles").translate(scene, tmp_path / "usual.tif")
    with rasterio.open(made) as out, rasterio.open(usual) as expected:
        assert out.dtypes == (dtype,) * 3
        np.testing.assert_equal(out.nodata, nodata)
        valid = expected.dataset_mask() > 0
        assert 0 < valid.sum() < valid.size
        np.testing.assert_array_equal(out.dataset_mask() > 0, valid)
        assert np.abs(out.read()[:, valid] - expected.read()[:, valid].astype(float)).max() <= 1.0
