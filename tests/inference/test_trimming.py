"""What only the halo of a window needs is left out of a graph; every other value stays."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, helper, load_model, load_model_from_string, parser
from onnx.reference import ReferenceEvaluator

from saropt.artifacts import load_graph
from saropt.inference import Translator
from saropt.inference.bundled import find_translator
from saropt.inference.runtimes import OnnxBackend
from saropt.inference.runtimes.trimming import trim_graph
from saropt.inference.tiling import halo_of

SIDE = 64
TRIM = 12


def graph_of(body: str, channels: int = 2) -> ModelProto:
    weights = """float[2, 2, 3, 3] w = {W3}, float[2, 2, 5, 5] v = {W5}, float[8, 2, 1, 1] m = {W1}, int64[1] one = {1},
        float[4] twice = {1, 1, 2, 2}, float[4] thrice = {1, 1, 3, 3}, int64[1] zero = {0}, float half = {0.5},
        float[2] pair = {2, 2}, int64[1] three = {3}, float[72] ramp = {RAMP},
        float[2] step = {0.03, 0.05}, uint8[2] grey = {128, 100}, float[72] steps = {STEPS},
        uint8[72] greys = {GREYS}"""
    weights = weights.replace("RAMP", ", ".join(map(str, range(SIDE + 8))))
    weights = weights.replace("STEPS", ", ".join(str(0.01 * (1 + place)) for place in range(SIDE + 8)))
    weights = weights.replace("GREYS", ", ".join(["128"] * (SIDE + 8)))
    rng = np.random.default_rng(0)
    for key, count in (("W3", 36), ("W5", 100), ("W1", 16)):
        weights = weights.replace(key, ", ".join(f"{value:.3f}" for value in rng.normal(size=count)))
    return parser.parse_model(
        f"""<ir_version: 9, opset_import: ["": 19]>
        f (float[batch, {channels}, height, width] x) => (float[batch, c, a, b] y) <{weights}> {{ {body} }}"""
    )


def same_inside(body: str) -> tuple[int, list[str]]:
    """Check the values that are needed, and return how many pixels a side lacks and the kinds of the nodes."""
    values = np.random.default_rng(1).normal(size=(1, 2, SIDE, SIDE + 8)).astype(np.float32)
    whole = ReferenceEvaluator(graph_of(body)).run(None, {"x": values})[0]
    changed = trim_graph(graph_of(body), TRIM, stride=8)
    left = ReferenceEvaluator(changed).run(None, {"x": values})[0]
    absent = (whole.shape[2] - left.shape[2]) // 2
    assert whole.shape[3] - left.shape[3] == 2 * absent
    assert absent <= TRIM
    inner, own = whole[:, :, TRIM:-TRIM, TRIM:-TRIM], TRIM - absent
    needed = left[:, :, own : own + inner.shape[2], own : own + inner.shape[3]]
    np.testing.assert_allclose(needed, inner, rtol=1e-5, atol=1e-5)
    return absent, [node.op_type for node in changed.graph.node]


DOWN_AND_UP = """
    e = Conv <pads = [1, 1, 1, 1]> (x, w) p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (e)
    q = Conv <pads = [1, 1, 1, 1]> (p, w) u = Resize <mode = "linear"> (q, , twice)
"""


@pytest.mark.parametrize(
    ("body", "absent"),
    [
        (DOWN_AND_UP + "s = Add(u, e) y = Conv <pads = [1, 1, 1, 1]> (s, w)", 8),
        (DOWN_AND_UP + "s = Add(u, e) y = Conv <pads = [2, 2, 2, 2]> (s, v)", 8),
        (DOWN_AND_UP + "s = Add(u, e) y = Conv <pads = [4, 4, 4, 4], dilations = [2, 2]> (s, v)", 6),
        (DOWN_AND_UP + "s = Concat <axis = 1> (e, u, x) y = ReduceMean(s, one)", 10),
        (DOWN_AND_UP + "g = Conv(u, m) y = DepthToSpace <blocksize = 2, mode = "
         '"CRD"> (g)', 8),
        (DOWN_AND_UP + "q8 = QuantizeLinear(u, step, grey) s = DequantizeLinear(q8, step, grey) "
         'y = Conv <auto_pad = "NOTSET", pads = [1, 1, 1, 1]> (s, w)', 8),
        ('u = Resize <mode = "nearest", nearest_mode = "floor", coordinate_transformation_mode = "asymmetric"> '
         "(x, , thrice) y = Conv <pads = [1, 1, 1, 1]> (u, w)", 6),
        ("y = Conv <pads = [1, 1, 1, 1]> (x, w)", 0),  # nothing is enlarged: there is nothing to win
    ],
)  # fmt: skip
def test_all_that_is_left_has_its_value(body: str, absent: int) -> None:
    lacking, kinds = same_inside(body)
    assert lacking == absent
    assert ("Slice" in kinds) == (absent > 0)


@pytest.mark.parametrize(
    "node",
    [
        "t = Transpose <perm = [0, 1, 3, 2]> (u) y = Transpose <perm = [0, 1, 3, 2]> (t)",
        "g = GlobalAveragePool(u) y = Mul(u, g)",
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (u)",
        "n = Shape(u) k = Cast <to = 1> (n) l = ReduceMax <keepdims = 0> (k, zero) y = Mul(u, l)",
        "y = Softmax <axis = 3> (u)",
        "y = ReduceMean <keepdims = 1> (u)",
        'y = Conv <auto_pad = "SAME_UPPER"> (u, w)',
        'y = Resize <mode = "cubic"> (u, , twice)',
        'y = Resize <mode = "linear", axes = [2, 3]> (u, , pair)',
        "t = ReduceMax <keepdims = 1> (x, three) y = Mul(u, t)",  # one value for each row
        "y = Add(u, ramp)",  # one value for each column
        "q8 = QuantizeLinear <axis = 3> (u, steps, greys) y = DequantizeLinear <axis = 3> (q8, steps, greys)",
        "y = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (u, w)",
    ],
)
def test_nodes_that_may_look_farther_get_all_of_their_input(node: str) -> None:
    lacking, kinds = same_inside(DOWN_AND_UP + node)
    assert lacking == 0
    assert "Slice" not in kinds


def test_an_image_of_one_number_needs_no_size() -> None:
    fill = "n = Shape(u) ones = ConstantOfShape <value = float[1] {1}> (n)"
    lacking, kinds = same_inside(DOWN_AND_UP + fill + "c = Greater(x, half) y = Where(c, u, ones)")
    assert lacking > 0
    assert "Shape" not in kinds
    lacking, kinds = same_inside(DOWN_AND_UP + fill + "c = Greater(x, half) y = Where(c, x, ones)")
    assert "Shape" in kinds  # of another image, which might be larger


def test_a_graph_with_branches_stays() -> None:
    graph = parser.parse_model(
        """<ir_version: 9, opset_import: ["": 18]>
        f (float[batch, 1, height, width] x) => (float[batch, 1, a, b] y)
        <float[4] twice = {1, 1, 2, 2}, bool on = {1}> {
            u = Resize <mode = "linear"> (x, , twice)
            y = If (on) <then_branch = one () => (float[n, 1, a, b] p) { p = Neg(u) },
                         else_branch = two () => (float[n, 1, a, b] q) { q = Identity(u) }>
        }"""
    )
    assert [node.op_type for node in trim_graph(graph, 16, 8).graph.node] == ["Resize", "If"]


def test_a_function_named_like_an_operator_is_not_taken_for_it() -> None:
    """It may look farther than the operator does: the graph stays as it is."""
    model = load_model(find_translator("s1-world"))
    last = model.graph.output[0].name
    blur = helper.make_node("AveragePool", ["a"], ["b"], kernel_shape=[9, 9], pads=[4] * 4)
    model.functions.append(helper.make_function("my", "Relu", ["a"], ["b"], [blur], [helper.make_opsetid("", 18)]))
    model.opset_import.append(helper.make_opsetid("my", 1))
    model.graph.node.append(helper.make_node("Relu", [last], ["blurred"], domain="my"))
    model.graph.output[0].name = "blurred"
    assert trim_graph(model, 176, 16).graph.node[-1].op_type == "Relu"
    assert not any(node.op_type == "Slice" and "/without" in node.output[0] for node in model.graph.node)


@pytest.mark.parametrize("name", ["s1-world", "s1-losangeles", "losangeles-s1", "flood-reference", "s1-reference"])
def test_bundled_translators_lose_their_halo_and_no_value(name: str) -> None:
    card, graph = load_graph(find_translator(name))
    described = next(iter(card.directions.values()))
    halo = halo_of(described.receptive_field, described.stride)
    side = 2 * halo + 4 * described.stride
    channels = load_model_from_string(graph).graph.input[0].type.tensor_type.shape.dim[1].dim_value
    values = np.random.default_rng(0).uniform(-1, 1, (1, channels, side, side)).astype(np.float32)
    whole = OnnxBackend(graph, "cpu", 1, stride=described.stride)(values)[:, :, halo:-halo, halo:-halo]
    for backend in ("onnx", "openvino"):
        left = Translator.load(name, threads=1, backend=backend)._backend(values)
        own = halo - (side - left.shape[2]) // 2
        assert 0 <= own <= described.stride
        np.testing.assert_allclose(left[:, :, own : left.shape[2] - own, own : left.shape[3] - own], whole, atol=1e-5)


def test_trimmed_windows_agree_to_the_bit() -> None:
    backend = Translator.load("s1-world", threads=1)._backend
    values = np.random.default_rng(0).uniform(-1, 1, (1, 2, 512, 480)).astype(np.float32)
    whole, part = backend(values), backend(np.ascontiguousarray(values[:, :, 16:432, 32:432]))
    own = np.s_[:, :, 16:-16, 16:-16]
    np.testing.assert_array_equal(part[own], whole[:, :, 16 : 16 + part.shape[2], 32 : 32 + part.shape[3]][own])
