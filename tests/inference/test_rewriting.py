"""What is changed in a graph before ONNX Runtime runs it: no value, less work."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto, TensorProto, load_model_from_string, parser
from onnx.reference import ReferenceEvaluator
from torch import nn

from saropt.artifacts import load_graph
from saropt.artifacts.export import _exported as exported
from saropt.artifacts.graph import drop_unused
from saropt.inference.bundled import find_translator
from saropt.inference.runtimes import OnnxBackend
from saropt.inference.runtimes.rewriting import convolve_shuffles, convolve_unshuffles, name_axes, sum_squares


def graph_of(body: str, axes: str = "{1}", channels: str = "6") -> ModelProto:
    return parser.parse_model(
        f"""<ir_version: 9, opset_import: ["": 18]>
        f (float[1, {channels}, h, w] x) => (float[1, a, b, c] y) <int64[1] axes = {axes}> {{ {body} }}"""
    )


@pytest.mark.parametrize("axes", ["{1}", "{-3}"])
def test_the_mean_of_squares_is_the_sum_over_the_count(axes: str) -> None:
    graph = graph_of("s = Mul(x, x) m = ReduceMean(s, axes) y = Sqrt(m)", axes)
    values = np.random.default_rng(0).normal(size=(1, 6, 4, 5)).astype(np.float32)
    truth = np.sqrt(np.mean(values.astype(np.float64) ** 2, axis=1, keepdims=True))
    changed = sum_squares(graph)
    assert [node.op_type for node in changed.graph.node] == ["ReduceSumSquare", "Mul", "Sqrt"]
    np.testing.assert_allclose(ReferenceEvaluator(changed).run(None, {"x": values})[0], truth, rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "axes", "channels"),
    [
        ("s = Mul(x, x) y = ReduceMean(s, axes)", "{2}", "6"),  # an axis of unknown size
        ("s = Mul(x, x) y = ReduceMean(s, axes)", "{1}", "n"),
        ("t = Exp(x) s = Mul(x, t) y = ReduceMean(s, axes)", "{1}", "6"),
        ("y = ReduceMean(x, axes)", "{1}", "6"),
    ],
)
def test_other_means_stay(body: str, axes: str, channels: str) -> None:
    graph = graph_of(body, axes, channels)
    assert [node.op_type for node in sum_squares(graph).graph.node] == [node.op_type for node in graph.graph.node]


def test_squares_that_are_used_elsewhere_stay() -> None:
    changed = sum_squares(graph_of("s = Mul(x, x) m = ReduceMean(s, axes) y = Sub(s, m)"))
    assert [node.op_type for node in changed.graph.node] == ["Mul", "ReduceSumSquare", "Mul", "Sub"]


def test_what_a_branch_needs_is_not_dropped() -> None:
    graph = parser.parse_model(
        """<ir_version: 9, opset_import: ["": 18]>
        f (float[4] x, bool flag) => (float[4] y) {
            kept = Relu(x) gone = Exp(x)
            y = If (flag) <then_branch = one () => (float[4] a) { a = Neg(kept) },
                           else_branch = two () => (float[4] b) { b = Identity(kept) }>
        }"""
    )
    drop_unused(graph)
    assert [node.op_type for node in graph.graph.node] == ["Relu", "If"]


def test_errors_are_computed_only_where_they_are_asked_for() -> None:
    path = find_translator("s1-world")
    counts = [len(load_model_from_string(load_graph(path, errors=errors)[1]).graph.node) for errors in (False, True)]
    image, both = (OnnxBackend(load_graph(path, errors=errors)[1], "cpu", 1) for errors in (False, True))
    values = np.random.default_rng(0).uniform(-1, 1, (1, 2, 48, 64)).astype(np.float32)
    assert counts[0] < counts[1]
    np.testing.assert_array_equal(image(values), both(values)[:, :4])


def test_equal_sizes_get_equal_names_and_others_do_not() -> None:
    graph = parser.parse_model(
        """<ir_version: 9, opset_import: ["": 18]>
        f (float[batch, 2, height, width] x) => (float[batch, 2, h, w] y) {
            down = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
            up = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (x)
            same = Relu(down) all = GlobalAveragePool(same)
            y = Mul(same, all)
        }"""
    )
    sizes = {
        stride: {
            value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in name_axes(graph, stride).graph.value_info
        }
        for stride in (1, 2)
    }
    assert sizes[2]["down"] == sizes[2]["up"] == sizes[2]["same"] == ["batch", 2, "height 499/601", "width 499/601"]
    assert sizes[1]["down"] == sizes[1]["same"] == ["batch", 2, "height 249/300", "width 249/300"]
    assert sizes[1]["up"] == ["batch", 2, "height 250/301", "width 250/301"]
    assert sizes[1]["all"] == ["batch", 2, 1, 1]


def test_images_whose_channels_come_last_keep_their_free_sizes() -> None:
    """Windowed attention rolls such images: ONNX Runtime makes a split of the two slices, of the sizes it is told."""
    graph = parser.parse_model(
        """<ir_version: 9, opset_import: ["": 18]>
        f (float[batch, 2, height, width] x) => (float[batch, 2, height, width] y)
        <int64[1] none = {0}, int64[1] two = {2}, int64[1] end = {9223372036854775807}, int64[1] rows = {1},
         float[2] scale = {1, 2}> {
            first = MaxPool <kernel_shape = [1, 1]> (x) last = Transpose <perm = [0, 2, 3, 1]> (first)
            norm = LayerNormalization <axis = -1> (last, scale)
            tail = Slice(norm, two, end, rows) head = Slice(norm, none, two, rows)
            rolled = Concat <axis = 1> (tail, head) y = Transpose <perm = [0, 3, 1, 2]> (rolled)
        }"""
    ).SerializeToString()
    values = np.random.default_rng(0).normal(size=(1, 2, 32, 40)).astype(np.float32)
    np.testing.assert_array_equal(*(OnnxBackend(graph, "cpu", 1, stride=stride)(values) for stride in (None, 4)))


def test_named_axes_change_rounding_only_and_windows_agree_to_the_bit() -> None:
    path = find_translator("s1-world")
    card, graph = load_graph(path)
    described = card.directions["sar2opt"]
    backend = OnnxBackend(graph, "cpu", 1, stride=described.stride)
    values = np.random.default_rng(0).uniform(-1, 1, (1, 2, 464, 432)).astype(np.float32)
    whole, part = backend(values), backend(np.ascontiguousarray(values[:, :, 16:400, 32:400]))
    halo = -(-described.receptive_field // 2 // described.stride) * described.stride
    inner = np.s_[:, :, halo : 384 - halo, halo : 368 - halo]
    assert part[inner].size > 0
    np.testing.assert_array_equal(part[inner], whole[:, :, 16:400, 32:400][inner])
    np.testing.assert_allclose(whole, OnnxBackend(graph, "cpu", 1)(values), atol=1e-5)


def shuffled(side: int, channels: int, mode: str) -> ModelProto:
    return parser.parse_model(
        f"""<ir_version: 9, opset_import: ["": 18]>
        f (float[n, {channels * side**2}, h, w] x) => (float[n, {channels}, a, b] y)
        {{ y = DepthToSpace <blocksize = {side}, mode = "{mode}"> (x) }}"""
    )


@pytest.mark.parametrize(("side", "channels"), [(2, 4), (3, 2), (4, 1)])
def test_a_shuffle_by_convolution_has_the_same_bits(side: int, channels: int) -> None:
    values = np.random.default_rng(0).normal(size=(2, channels * side**2, 5, 6)).astype(np.float32)
    graph = shuffled(side, channels, "CRD")
    changed = convolve_shuffles(graph)
    assert [node.op_type for node in changed.graph.node] == ["ConvTranspose"]
    run = [
        onnxruntime.InferenceSession(one.SerializeToString()).run(None, {"x": values})[0] for one in (graph, changed)
    ]
    np.testing.assert_array_equal(*run)
    assert convolve_shuffles(shuffled(side, channels, "DCR")).graph.node[0].op_type == "DepthToSpace"


class Unshuffled(nn.Module):
    def __init__(self, side: int, bands: int = 2, **settings: int) -> None:
        super().__init__()
        self.cells = nn.PixelUnshuffle(side)
        self.convolution = nn.Conv2d(bands * side**2, 2 * side**2, 3, **settings)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(self.cells(x))


@pytest.mark.parametrize(
    ("side", "settings", "changes"),
    [
        (2, {"padding": 1}, True),
        (3, {}, True),
        (4, {"padding": 1, "bias": False}, True),
        (2, {"padding": 1, "stride": 2}, False),
        (2, {"padding": 2, "dilation": 2}, False),
        (2, {"groups": 2}, False),
        (2, {"bands": 1}, False),
    ],
)
def test_an_unshuffle_and_its_convolution_are_one(side: int, settings: dict[str, int], changes: bool) -> None:
    torch.manual_seed(0)
    module, values = Unshuffled(side, **settings).eval(), torch.randn(2, settings.get("bands", 2), 12 * side, 10 * side)
    graph = exported(module, (values,), ["x"], "y")
    changed = convolve_unshuffles(graph)
    kinds = [node.op_type for node in changed.graph.node if node.op_type != "Constant"]
    assert (kinds == ["Conv"]) == changes
    result = onnxruntime.InferenceSession(changed.SerializeToString()).run(None, {"x": values.numpy()})[0]
    with torch.no_grad():
        truth = module.double()(values.double()).numpy()
    np.testing.assert_allclose(result, truth, atol=1e-5)


def test_shuffles_of_other_types_and_odd_squeezes_stay() -> None:
    graph = shuffled(2, 1, "CRD")
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    assert convolve_shuffles(graph).graph.node[0].op_type == "DepthToSpace"
    graph = parser.parse_model(
        """<ir_version: 7, opset_import: ["": 12]>
        f (float[1, 1, 2, h, w] x) => (float[1, 1, a, b] y) <float[1, 2, 1, 1] v = {1, 2}>
        { s = Squeeze <axes = [1]> (x) y = Conv(s, v) }"""
    )
    assert [node.op_type for node in convolve_unshuffles(graph).graph.node] == ["Squeeze", "Conv"]
