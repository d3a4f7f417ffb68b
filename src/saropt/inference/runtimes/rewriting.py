"""Rewriting of ONNX graphs into what ONNX Runtime computes faster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from saropt.artifacts.graph import drop_unused

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

PROBES = 499, 601
"""Sides of inputs, in strides, for which sizes within a graph are compared: odd, as a window may be."""
_BATCH = 1009


def sum_squares(model: ModelProto) -> ModelProto:
    """The graph with every mean(x * x) as its sum of squares over the count: one pass over x in place of two.

    Means over axes of unknown size stay as they are.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[1, 8, h, w] x) => (float[1, 1, h, w] y) <int64[1] axes = {1}>
    ... { square = Mul(x, x) y = ReduceMean(square, axes) }''')
    >>> [node.op_type for node in sum_squares(graph).graph.node]
    ['ReduceSumSquare', 'Mul']
    """
    from onnx import TensorProto, helper, numpy_helper, shape_inference

    model = shape_inference.infer_shapes(model)
    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info)}
    for place, mean in reversed(list(enumerate(graph.node))):
        square = made.get(mean.input[0]) if mean.op_type == "ReduceMean" and len(mean.input) == 2 else None
        if square is None or square.op_type != "Mul" or square.input[0] != square.input[1]:
            continue
        axes, values = constants.get(mean.input[1]), types.get(square.input[0])
        if axes is None or values is None or values.elem_type != TensorProto.FLOAT:
            continue
        count = math.prod(values.shape.dim[axis].dim_value for axis in numpy_helper.to_array(axes).tolist())
        if count == 0:
            continue
        result, total, share = mean.output[0], f"{mean.output[0]}/sum", f"{mean.output[0]}/share"
        graph.initializer.append(numpy_helper.from_array(np.array(1.0 / count, np.float32), share))
        mean.op_type, mean.input[0], mean.output[0] = "ReduceSumSquare", square.input[0], total
        graph.node.insert(place + 1, helper.make_node("Mul", [total, share], [result]))
    drop_unused(model)
    return model


def name_axes(model: ModelProto, stride: int) -> ModelProto:
    """The graph with names for height and width of each intermediate image, the same name for the same size.

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
        for place, axis in ((place, axes[place].dim_param) for place in (0, 2, 3)):
            here, there = (shape[place].dim_value for shape in shapes)
            whole = place == 0 or here == stride * PROBES[0]
            if here > 1:
                shapes[0][place].dim_param = axis if whole else f"{axis} {here}/{there}"
        if name not in own:
            model.graph.value_info.append(value)
    return model


def images_of(model: ModelProto, stride: int, side: int) -> dict[str, ValueInfoProto]:
    """Name -> type and shape of each image of a graph, for square inputs of `side` times the stride.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[batch, 2, height, width] x) => (float[batch, 2, h, w] y)
    ... { half = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) y = Relu(half) }''')
    >>> images = images_of(graph, stride=2, side=10)
    >>> [axis.dim_value for axis in images["half"].type.tensor_type.shape.dim][1:]
    [2, 10, 10]
    """
    from onnx import ModelProto, shape_inference

    sized = ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    axes = sized.graph.input[0].type.tensor_type.shape.dim
    for place, size in ((0, _BATCH), (2, side * stride), (3, side * stride)):
        axes[place].dim_value = size
    for value in sized.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(sized, data_prop=True).graph
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        if len(shape) == 4 and shape[0] == _BATCH and all(shape):
            found[value.name] = value
    return found
