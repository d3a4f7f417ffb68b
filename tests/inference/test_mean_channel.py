"""Turned channels: the same values from other weights, and graphs that must stay as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from saropt.artifacts import load_graph
from saropt.inference.bundled import find_translator, list_translators
from saropt.inference.runtimes.mean_channel import carry_means

HEAD = '<ir_version: 9, opset_import: ["": 18]> f (float[1, 2, 8, 8] x) => (float[1, c, h, w] y)'
WEIGHTS = {
    "w": (6, 2, 3, 3),
    "v": (6, 6, 1, 1),
    "u": (3, 6, 1, 1),
    "d": (6, 6, 2, 2),
    "g": (6, 1, 3, 3),
    "b": (6,),
    "s": (1,),
}
OPEN = "i = Conv <pads = [1, 1, 1, 1]> (x, w, b) "
NORM = "q = Mul (i, i) r = ReduceMean (q, one) m = ReduceMean (i, one) n = Mul (m, m) p = Sub (r, n) k = Sqrt (p) "


def graph_of(body: str, seed: int = 0) -> onnx.ModelProto:
    """A graph with random weights under the names of `WEIGHTS`, "one" = [1], "twice" and "half"."""
    model = parser.parse_model(f"{HEAD} {{ {body} }}")
    draws = np.random.default_rng(seed)
    values = {name: draws.normal(size=shape).astype(np.float32) for name, shape in WEIGHTS.items()}
    values |= {"one": np.array([1]), "two": np.array([2]), "twice": np.array([1, 1, 2, 2], np.float32)}
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in values.items() if k in used)
    return model


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: image})[0]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(
    "body",
    [
        OPEN + NORM + "o = Mul (i, k) y = Conv (o, u)",
        OPEN + NORM + "o = Div (i, k) e = Conv (o, v) a = Add (i, e) y = Conv (a, u)",
        OPEN + NORM + "o = Div (i, k) e = Conv (o, v) a = Sub (e, i) y = Conv (a, u)",
        OPEN + NORM + "e = Conv <strides = [2, 2]> (i, d) a = Resize <mode = 'linear'> (e, , twice) o = Add (a, i) "
        "t = Mul (o, k) y = Conv (t, u)",
        OPEN + NORM + "t = Cast <to = 1> (i) o = Mul (k, t) y = Conv (o, u)",
        OPEN + NORM + "o = Mul (i, s) z = Conv (o, u) y = Mul (z, k)",
        OPEN + NORM + "c = ReduceMean (v, one) f = Sub (v, c) o = Div (i, k) e = Conv (o, f) y = Conv (e, u)",
        OPEN + NORM + "z = Conv (i, u) y = Add (z, m)",
    ],
)
def test_values_stay(body):
    body = body.replace("'", '"')
    model, image = graph_of(body), np.random.default_rng(1).normal(size=(1, 2, 8, 8)).astype(np.float32)
    expected = run(model, image)
    changed = carry_means(graph_of(body))
    assert kinds(changed).count("Slice") == 1
    np.testing.assert_allclose(run(changed, image), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "body",
    [
        OPEN + NORM + "z = Relu (i) y = Conv (z, u)",
        OPEN + NORM + "o = Sub (i, m) y = Conv (o, u)",  # the mean is taken from every channel
        OPEN + NORM + "z = Conv (i, u) y = Mul (i, k)",  # the images are the output
        OPEN + NORM + "z = Conv <group = 6> (i, g) y = Conv (z, u)",
        OPEN + NORM + "z = ConvTranspose (i, v) y = Conv (z, u)",
        OPEN + NORM + "z = Concat <axis = 1> (i, x) y = ReduceMean (z, one)",
        OPEN + NORM + "o = Mul (i, i) y = Conv (o, u)",  # squares of which more than the sum is asked
        OPEN + NORM + "o = Mul (i, q) y = Conv (o, u)",
        OPEN + NORM + "e = Conv <pads = [1, 1, 1, 1]> (x, w) f = Exp (e) o = Div (i, f) y = Conv (o, u)",
        OPEN + NORM + "e = Conv (i, v) o = Mul (i, e) t = ReduceMean (o, one) z = Conv (i, u) y = Add (z, t)",
        OPEN + NORM + "o = Add (i, s) y = Conv (o, u)",  # one number for all channels is none of the basis
        OPEN + NORM + "o = Add (i, x) y = Conv (o, u)",
        OPEN + NORM + "c = Relu (v) y = Conv (i, c)",  # weights that the graph makes in another way
        OPEN + NORM + "c = ReduceMean (v, two) f = Sub (v, c) y = Conv (i, f)",
        "c = Relu (b) i = Conv <pads = [1, 1, 1, 1]> (x, w, c) " + NORM + "y = Conv (i, u)",
        OPEN + NORM + "y = Conv (x, i) z = Conv (i, u)",
        OPEN + "m = ReduceMean <keepdims = 0> (i, one) y = Conv (i, u)",
        OPEN + "m = ReduceMean (i, two) y = Conv (i, u)",
        "i = Relu (x) m = ReduceMean (i, one) y = Add (i, m)",
    ],
)
def test_other_graphs_stay_as_they_are(body):
    model = graph_of(body)
    before = model.SerializeToString()
    assert carry_means(model).SerializeToString() == before


def test_weights_of_two_convolutions_are_turned_for_each():
    body = (
        OPEN
        + NORM
        + "o = Div (i, k) e = Conv (o, v) a = Add (i, e) z = Conv (a, u) j = Conv (a, v) h = Relu (j) y = Conv (h, v)"
    )
    image = np.random.default_rng(2).normal(size=(1, 2, 8, 8)).astype(np.float32)
    changed = carry_means(graph_of(body))
    assert "Slice" in kinds(changed)
    np.testing.assert_allclose(run(changed, image), run(graph_of(body), image), rtol=2e-5, atol=2e-5)


def test_functions_with_the_name_of_an_operator_stay():
    model = graph_of(OPEN + NORM + "z = Conv (i, u) y = Add (z, m)")
    for node in model.graph.node:
        node.domain = "mine" if node.op_type == "Conv" else ""
    before = model.SerializeToString()
    assert carry_means(model).SerializeToString() == before


@pytest.mark.parametrize("name", sorted(list_translators()))
def test_bundled_translators(name):
    from onnxruntime import InferenceSession

    model = onnx.load_model_from_string(load_graph(find_translator(name))[1])
    described = model.graph.input[0].type.tensor_type.shape.dim
    image = np.random.default_rng(0).uniform(-1, 1, (1, described[1].dim_value, 64, 96)).astype(np.float32)

    def output(graph: onnx.ModelProto) -> np.ndarray:
        session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {graph.graph.input[0].name: image})[0]

    expected, norms = output(model), kinds(model).count("Sqrt")
    changed = carry_means(model)
    assert kinds(changed).count("ReduceMean") == norms  # the means of squares
    np.testing.assert_allclose(output(changed), expected, atol=2e-5)
