"""What is asked of an ONNX graph before it is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

PROBES = 499, 601
"""Sides of inputs, in strides, for which sizes within a graph are compared: odd, as a window may be."""
_BATCH = 1009
POINTWISE = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Div",
        "Exp",
        "Greater",
        "Identity",
        "LeakyRelu",
        "Less",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Not",
        "Pow",
        "Reciprocal",
        "Relu",
        "Sigmoid",
        "Sqrt",
        "Sub",
        "Tanh",
        "Where",
    }
)
"""Operators whose result at a place depends on their inputs at that place alone."""
Constants = Mapping[str, "TensorProto"]


def is_standard(model: ModelProto) -> bool:
    """Whether all nodes are operators of ONNX itself: others, and functions, may have the name of one."""
    return not model.functions and all(node.domain in ("", "ai.onnx") for node in model.graph.node)


def is_straight(model: ModelProto) -> bool:
    """Whether all nodes are operators of ONNX itself, and none holds graphs of its own (branches, loops)."""
    held = (attribute for node in model.graph.node for attribute in node.attribute)
    return is_standard(model) and not any(one.HasField("g") or one.graphs for one in held)


def makers_of(model: ModelProto) -> dict[str, NodeProto]:
    """The node that makes each value of a graph, by the value's name."""
    return {name: node for node in model.graph.node for name in node.output}


def constants_of(model: ModelProto) -> Constants:
    """The tensors that stand in a graph, by their names."""
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    return tensors | {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }


def numbers_of(constants: Constants, name: str) -> list | None:
    """The numbers of a short vector that stands in a graph."""
    from onnx import numpy_helper

    tensor = constants.get(name)
    return numpy_helper.to_array(tensor).tolist() if tensor is not None and len(tensor.dims) == 1 else None


def settings_of(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node by their names."""
    from onnx import helper

    return {held.name: helper.get_attribute_value(held) for held in node.attribute}


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
