"""How far a graph looks: the pixels around a block of its output that the block depends on."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from saropt.inference.runtimes.graph_facts import (
    POINTWISE,
    PROBES,
    Constants,
    constants_of,
    images_of,
    is_straight,
    makers_of,
    numbers_of,
    settings_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_OF_FIRST = frozenset({"BatchNormalization", "DequantizeLinear", "Dropout", "PRelu", "QuantizeLinear"})
_ALIKE = POINTWISE | {"Erf", "Gelu", "HardSigmoid", "HardSwish", "Elu", "Softplus"}
_OVER_CHANNELS = frozenset({"ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"})
_WHOLE = frozenset({"GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization"})
_SIZES = frozenset({"Constant", "ConstantOfShape", "Shape"})
_MOVES = frozenset({"Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_FOLDED = frozenset({"Cast", "Concat", "ConstantOfShape", "Reshape", "Slice", "Transpose"})
_BEYOND, _SAME = 64, 1e-5
_LARGEST = 1 << 16
"""Numbers of a constant that is made of its shape alone: borders take a few."""
_KERNEL_SETTINGS = (("strides", 1), ("dilations", 1), ("pads", 0))
_PLACES = (b"half_pixel", b"pytorch_half_pixel", b"asymmetric")
Span = tuple[int, int]
"""First and last cell along an axis."""


class _UnknownError(Exception):
    """A node whose reach is not known."""


def reach_of(model: ModelProto, stride: int) -> float | None:
    """Pixels on each side of an aligned block of the output, `stride` a side, on which the block can depend; infinite
    where that is the whole window, None where the graph holds nodes whose reach is not known.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[batch, 1, height, width] x) => (float[batch, 1, h, w] y)
    ... { a = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x)
    ...   b = MaxPool <kernel_shape = [3, 3], dilations = [2, 2], pads = [2, 2, 2, 2]> (a) y = Relu(b) }''')
    >>> reach_of(graph, stride=1)
    3
    """
    if not is_straight(model):
        return None
    walk = _Walk(model, stride)
    try:
        return max(walk.reach(axis) for axis in (0, 1))
    except (_UnknownError, KeyError, IndexError, TypeError, ValueError):
        return None


def sees_beyond(model: ModelProto, halo: int, stride: int) -> bool:
    """Whether a block of the output changes with the pixels beyond its halo, of noise. Weights of 0 may hide what
    `reach_of` counts. False for a graph that does not state its bands.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[batch, 1, height, width] x) => (float[batch, 1, height, width] y)
    ... { y = AveragePool <kernel_shape = [5, 5], pads = [2, 2, 2, 2]> (x) }''')
    >>> [sees_beyond(graph, halo, stride=1) for halo in (1, 2)]
    [True, False]
    """
    import onnxruntime

    bands = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    if not bands:
        return False
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    margin = math.ceil(_BEYOND / stride) * stride
    side = stride + 2 * (halo + margin)
    rng = np.random.default_rng(0)
    window, other = rng.uniform(-1.0, 1.0, (2, 1, bands, side, side)).astype(np.float32)
    inside, block = (slice(start, side - start) for start in (margin, margin + halo))
    other[..., inside, inside] = window[..., inside, inside]
    first, second = (
        session.run(None, {session.get_inputs()[0].name: one})[0][..., block, block] for one in (window, other)
    )
    return bool(np.abs(first - second).max() > _SAME)


class _Walk:
    """A walk from the output of a graph back to its input."""

    def __init__(self, model: ModelProto, stride: int) -> None:
        self._model, self._stride = model, stride
        self._constants = _folded(model)
        self._makers = makers_of(model)
        self._sides: dict[str, list[int]] | None = None

    def reach(self, axis: int) -> float:
        graph = self._model.graph
        spans: dict[str, Span] = {graph.output[0].name: (0, self._stride - 1)}
        for node in reversed(graph.node):
            found = [spans[name] for name in node.output if name in spans]
            if not found or node.op_type in _SIZES:
                continue
            own = min(low for low, _ in found), max(high for _, high in found)
            if node.op_type in _WHOLE:
                return math.inf
            for name, (low, high) in self._seen(node, own, axis).items():
                before = spans.get(name, (low, high))
                spans[name] = min(low, before[0]), max(high, before[1])
        low, high = spans[graph.input[0].name]
        return max(-low, high - self._stride + 1)

    def _seen(self, node: NodeProto, span: Span, axis: int) -> dict[str, Span]:
        """What the cells of a span of a node's output depend on, by input."""
        first = node.input[0] if node.input else ""
        changing = [name for name in node.input if name and name not in self._constants]
        settings = settings_of(node)
        match node.op_type:
            case kind if kind in _ALIKE:
                return dict.fromkeys(changing, span)
            case kind if kind in _OF_FIRST:
                return {first: span}
            case "Concat" | "Softmax" | "Split" if settings.get("axis") == 1:
                return dict.fromkeys(changing, span)
            case kind if kind in _OVER_CHANNELS and self._numbers(node, 1) == [1] and settings.get("keepdims", 1):
                return {first: span}
            case "Slice" if self._numbers(node, 3) == [1]:
                return {first: span}
            case "Pad":
                before = self._numbers(node, 1)[2 + axis]
                return {first: (span[0] - before, span[1] - before)}
            case "Conv" | "MaxPool" | "AveragePool" | "ConvTranspose":
                return {first: _kernel_span(node, self._constants, span, axis)}
            case "DepthToSpace":
                block = settings["blocksize"]
                return {first: (span[0] // block, span[1] // block)}
            case "Resize":
                return {first: _resized_span(self._numbers(node, 2), settings, span, axis)}
            case kind if kind in _MOVES:
                return self._moved(node, span, axis)
            case _:
                raise _UnknownError(node.op_type)

    def _numbers(self, node: NodeProto, place: int) -> list[Any]:
        found = numbers_of(self._constants, node.input[place])
        if found is None:
            raise _UnknownError(node.op_type)
        return found

    def _moved(self, node: NodeProto, span: Span, axis: int) -> dict[str, Span]:
        """Through nodes that make blocks of pixels channels (or channels blocks), as a U-Net's first and last do."""
        if self._sides is None:
            images = images_of(self._model, self._stride, PROBES[0])
            self._sides = {
                name: [held.dim_value for held in value.type.tensor_type.shape.dim] for name, value in images.items()
            }
        source = node.input[0]
        while source not in self._sides:
            maker = self._makers[source]
            if maker.op_type not in _MOVES:
                raise _UnknownError(maker.op_type)
            source = maker.input[0]
        (_, bands, *sides), (_, own_bands, *own_sides) = self._sides[source], self._sides[node.output[0]]
        factor = Fraction(sides[axis], own_sides[axis])
        if own_bands != bands * Fraction(sides[0], own_sides[0]) * Fraction(sides[1], own_sides[1]):
            raise _UnknownError(node.op_type)
        if factor.denominator == 1:
            return {source: (span[0] * factor.numerator, (span[1] + 1) * factor.numerator - 1)}
        return {source: (math.floor(span[0] * factor), math.floor(span[1] * factor))}


def _kernel_span(node: NodeProto, constants: Constants, span: Span, axis: int) -> Span:
    """The cells that a convolution or a pool looks at."""
    settings = settings_of(node)
    if settings.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise _UnknownError(node.op_type)
    kernel = settings.get("kernel_shape") or list(constants[node.input[1]].dims[2:])
    stride, dilation, pad = (settings.get(key, 2 * [usual])[axis] for key, usual in _KERNEL_SETTINGS)
    further = dilation * (kernel[axis] - 1)
    if node.op_type == "ConvTranspose":
        return -((further - span[0] - pad) // stride), (span[1] + pad) // stride
    return span[0] * stride - pad, span[1] * stride - pad + further


def _resized_span(scales: list[float], settings: dict[str, Any], span: Span, axis: int) -> Span:
    """The cells from which an image is enlarged or reduced, between the nearest ones."""
    times = Fraction(scales[2 + axis]).limit_denominator(1 << 10)
    mode, place = settings.get("mode", b"nearest"), settings.get("coordinate_transformation_mode", b"half_pixel")
    if scales[:2] != [1, 1] or settings.get("antialias", 0) or place not in _PLACES:
        raise _UnknownError("Resize")
    if mode == b"nearest" and times.denominator == 1:
        return span[0] // times.numerator, span[1] // times.numerator
    if mode not in (b"linear", b"cubic"):
        raise _UnknownError("Resize")
    half = 0 if place == b"asymmetric" else Fraction(1, 2)
    low, high = ((cell + half) / times - half for cell in span)
    wider = 1 if mode == b"cubic" else 0
    return math.floor(low) - wider, math.ceil(high) + wider


def _folded(model: ModelProto) -> dict[str, Any]:
    """The tensors that stand in a graph, and those that are made of them alone, as the sizes of a border are."""
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    found = dict(constants_of(model))
    for node in model.graph.node:
        if node.op_type in _FOLDED and all(not name or name in found for name in node.input):
            given = {name: numpy_helper.to_array(found[name]) for name in node.input if name}
            if node.op_type == "ConstantOfShape" and math.prod(given[node.input[0]].tolist()) > _LARGEST:
                continue
            made = ReferenceEvaluator(node).run(None, given)
            found |= {name: numpy_helper.from_array(value) for name, value in zip(node.output, made, strict=True)}
    return found
