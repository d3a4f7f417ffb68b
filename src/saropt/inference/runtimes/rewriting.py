"""Rewriting of ONNX graphs into what ONNX Runtime computes faster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from saropt.artifacts.graph import drop_unused
from saropt.inference.runtimes.graph_facts import (
    PROBES,
    Constants,
    constants_of,
    images_of,
    is_standard,
    makers_of,
    numbers_of,
    settings_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def rewrite(model: ModelProto, device: str, stride: int | None) -> ModelProto:
    """The graph as ONNX Runtime gets it. Graphs with functions or operators of other domains get names only.

    Args:
        device: "cpu" or "cuda"; shuffles become convolutions on processors.
        stride: windows are multiples of it; see `name_axes`. None leaves the axes as they are.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[n, 8, h, w] x) => (float[n, 2, a, b] y)
    ... { z = Relu(x) y = DepthToSpace <blocksize = 2, mode = "CRD"> (z) }''')
    >>> [node.op_type for node in rewrite(graph, "cpu", stride=2).graph.node]
    ['Relu', 'ConvTranspose']
    """
    from onnx import shape_inference

    if is_standard(model):
        model = sum_squares(shape_inference.infer_shapes(model))
        if device == "cpu":
            model = convolve_shuffles(convolve_unshuffles(model))
    return model if stride is None else name_axes(model, stride)


def sum_squares(model: ModelProto) -> ModelProto:
    """The graph with every mean(x * x) as its sum of squares over the count: one pass over x in place of two.

    Means over axes whose size the graph does not state stay as they are.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[1, 8, h, w] x) => (float[1, 1, h, w] y) <int64[1] axes = {1}>
    ... { square = Mul(x, x) y = ReduceMean(square, axes) }''')
    >>> [node.op_type for node in sum_squares(graph).graph.node]
    ['ReduceSumSquare', 'Mul']
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    made, constants = makers_of(model), constants_of(model)
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info)}
    for place, mean in reversed(list(enumerate(graph.node))):
        square = made.get(mean.input[0]) if mean.op_type == "ReduceMean" and len(mean.input) == 2 else None
        if square is None or square.op_type != "Mul" or square.input[0] != square.input[1]:
            continue
        axes, values = numbers_of(constants, mean.input[1]), types.get(square.input[0])
        if axes is None or values is None or values.elem_type != TensorProto.FLOAT:
            continue
        count = math.prod(values.shape.dim[axis].dim_value for axis in axes)
        if count == 0:
            continue
        result, total, share = mean.output[0], f"{mean.output[0]}/sum", f"{mean.output[0]}/share"
        graph.initializer.append(numpy_helper.from_array(np.array(1.0 / count, np.float32), share))
        mean.op_type, mean.input[0], mean.output[0] = "ReduceSumSquare", square.input[0], total
        graph.node.insert(place + 1, helper.make_node("Mul", [total, share], [result]))
    drop_unused(model)
    return model


def convolve_shuffles(model: ModelProto) -> ModelProto:
    """The graph with each pixel shuffle as a transposed convolution with ones, which gives the same bits.

    ONNX Runtime moves the pixels of a shuffle one by one, on one thread; the convolution takes a quarter of the time.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[1, 8, h, w] x) => (float[1, 2, a, b] y) { y = DepthToSpace <blocksize = 2, mode = "CRD"> (x) }''')
    >>> [node.op_type for node in convolve_shuffles(graph).graph.node]
    ['ConvTranspose']
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info)}
    for node in graph.node:
        settings = settings_of(node)
        if node.op_type != "DepthToSpace" or settings.get("mode") != b"CRD" or node.input[0] not in types:
            continue
        given, side = types[node.input[0]], settings["blocksize"]
        plain = len(given.shape.dim) == 4 and given.elem_type == TensorProto.FLOAT
        channels = given.shape.dim[1].dim_value // side**2 if plain else 0
        if channels == 0:
            continue
        ones = np.tile(np.eye(side**2, dtype=np.float32).reshape(-1, 1, side, side), (channels, 1, 1, 1))
        inputs, sides = [node.input[0], f"{node.output[0]}/ones"], [side] * 2
        graph.initializer.append(numpy_helper.from_array(ones, inputs[1]))
        node.CopyFrom(
            helper.make_node("ConvTranspose", inputs, node.output, group=channels, kernel_shape=sides, strides=sides)
        )
    return model


def convolve_unshuffles(model: ModelProto) -> ModelProto:
    """The graph with each pixel unshuffle and the convolution behind it as one convolution.

    A kernel of k x k cells of r x r pixels is one of k r x k r pixels, and its stride is r. Of one band the unshuffle
    stays: ONNX Runtime would take a quarter more memory to be 2 % faster.

    >>> from saropt.artifacts import load_graph
    >>> from saropt.inference.bundled import find_translator
    >>> import onnx
    >>> graph = onnx.load_model_from_string(load_graph(find_translator("s1-world"))[1])
    >>> first = next(node for node in convolve_unshuffles(graph).graph.node if node.op_type != "Constant")
    >>> first.op_type, settings_of(first)["kernel_shape"]
    ('Conv', [6, 6])
    """
    from onnx import helper, numpy_helper

    made, constants = makers_of(model), constants_of(model)
    for node in model.graph.node:
        found = _unshuffle(node, made, constants) if node.op_type == "Conv" else None
        weight = constants.get(node.input[1]) if found is not None else None
        settings = settings_of(node)
        pads, steps = set(settings.get("pads", [0])), {settings.get("group", 1)}
        steps |= {*settings.get("strides", ()), *settings.get("dilations", ())}
        if found is None or weight is None or "auto_pad" in settings or len(pads) > 1 or steps != {1}:
            continue
        source, side = found
        cells = numpy_helper.to_array(weight)
        count, depth, rows, columns = cells.shape
        if depth == side**2:
            continue
        pixels = cells.reshape(count, depth // side**2, side, side, rows, columns).transpose(0, 1, 4, 2, 5, 3)
        pixels = pixels.reshape(count, -1, rows * side, columns * side)
        inputs, sides = [source, f"{node.output[0]}/pixels", *node.input[2:]], list(pixels.shape[2:])
        model.graph.initializer.append(numpy_helper.from_array(pixels, inputs[1]))
        pad = [side * pads.pop()] * 4
        node.CopyFrom(helper.make_node("Conv", inputs, node.output, kernel_shape=sides, strides=[side] * 2, pads=pad))
    drop_unused(model)
    return model


def _unshuffle(node: NodeProto, made: Mapping[str, NodeProto], constants: Constants) -> tuple[str, int] | None:
    """The image and the factor of the pixel unshuffle that a node gets, as PyTorch exports it."""
    name, found = node.input[0], []
    for kind in ("Squeeze", "Reshape", "Transpose", "Reshape", "Reshape", "Unsqueeze"):
        step = made.get(name)
        if step is None or step.op_type != kind:
            return None
        if kind == "Transpose":
            found.append(settings_of(step).get("perm", []))
        else:
            found.append(numbers_of(constants, step.input[1]) or [] if len(step.input) > 1 else [])
        name = step.input[0]
    side = found[4][3] if len(found[4]) == 5 else 0
    split = [[0, -1, 1, 1, 0, 0], [0, 1, 3, 5, 2, 4], [0, 0, 0, 0, -1, side], [0, 0, -1, side, 0]]
    return (name, side) if side > 1 and found == [[2, 3], *split, [3]] else None


def name_axes(model: ModelProto, stride: int) -> ModelProto:
    """The graph with names for height and width of each intermediate image (N, C, H, W), the same name for the same
    size.

    ONNX Runtime adds in one step with the convolution before, and keeps its blocked memory layout, only between images
    whose sizes it knows to be equal. Sizes that agree for inputs of two sizes agree for all.

    Args:
        stride: windows are multiples of it.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[batch, 2, height, width] x) => (float[batch, 2, h, w] y)
    ... { half = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) y = Relu(half) }''')
    >>> axes = name_axes(graph, stride=2).graph.value_info[0].type.tensor_type.shape.dim
    >>> [axis.dim_param or axis.dim_value for axis in axes]
    ['batch', 2, 'height 499/601', 'width 499/601']
    """
    axes = model.graph.input[0].type.tensor_type.shape.dim
    if len(axes) != 4 or not all(axes[place].dim_param for place in (0, 2, 3)):
        return model
    first, second = (images_of(model, stride, side) for side in PROBES)
    own = {value.name for value in (*model.graph.input, *model.graph.output)}
    del model.graph.value_info[:]
    for name, value in first.items():
        shapes = value.type.tensor_type.shape.dim, second[name].type.tensor_type.shape.dim
        if shapes[0][1].dim_value != shapes[1][1].dim_value:  # its channels come last
            continue
        for place, axis in ((place, axes[place].dim_param) for place in (0, 2, 3)):
            here, there = (shape[place].dim_value for shape in shapes)
            whole = place == 0 or here == stride * PROBES[0]
            if here > 1:
                shapes[0][place].dim_param = axis if whole else f"{axis} {here}/{there}"
        if name not in own:
            model.graph.value_info.append(value)
    return model
