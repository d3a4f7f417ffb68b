"""Leaves the border of a window out of a graph as early as the values that are kept allow.

A window is read with a halo, which is thrown away behind the network. The last layers see few of the pixels around
them, so most of the halo need not reach them: of the decoder of a U-Net that is up to a third of its pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saropt.artifacts.graph import drop_unused
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

_EVERYTHING = 1 << 30


@dataclass(frozen=True)
class _Reach:
    """How the border of a node's output depends on that of its inputs, in cells at each of the four sides.

    Attributes:
        spare: cells of the inputs that the output does not need without so many of its own.
        cut: cells that the output lacks where the inputs lack so many.
        enlarges: whether the output has more cells than the inputs, so that it pays to cut them here.
    """

    spare: Callable[[int], int]
    cut: Callable[[int], int]
    enlarges: bool = False


_SAME = _Reach(lambda spare: spare, lambda cut: cut)
_WHOLE = _Reach(lambda spare: 0, lambda cut: 0)


def trim_graph(model: ModelProto, trim: int, stride: int) -> ModelProto:
    """The graph for callers who need no pixel that is nearer than `trim` to the border of a window.

    Most of these pixels are absent from its output, as many at each side; the others may have any value. The pixels
    further inside have the values that they had.

    Images are cut in front of each enlargement, and where they meet one that has been cut. Nodes of other kinds than
    those of convolutional networks get their inputs whole.

    Args:
        trim: pixels at each side of the output that are not needed.
        stride: windows are multiples of it.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[batch, 1, height, width] x) => (float[batch, 1, h, w] y) <float[4] twice = {1, 1, 2, 2}>
    ... { large = Resize <mode = "linear"> (x, , twice) y = Relu(large) }''')
    >>> [node.op_type for node in trim_graph(graph, trim=8, stride=1).graph.node]
    ['Slice', 'Resize', 'Relu']
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    if trim < 1 or not is_straight(model):
        return model
    _fill_by_numbers(model)
    constants, sides = constants_of(model), {}
    for name, value in images_of(model, stride, PROBES[0]).items():
        sides[name] = [axis.dim_value for axis in value.type.tensor_type.shape.dim[2:]]
    images = {name for name, own in sides.items() if min(own) > 1}
    flat = {"", *(name for name, own in sides.items() if own == [1, 1])}
    flat |= {name for name, tensor in constants.items() if set(tensor.dims[-2:]) <= {1}}
    reaches = [_reach(node, constants, images | flat) for node in graph.node]
    spare = _spare_cells(model, reaches, images, trim)
    nodes: list[NodeProto] = []
    slices: dict[tuple[str, int], str] = {}
    cut: dict[str, int] = {}

    def without(name: str, cells: int) -> str:
        if cells == 0:
            return name
        if (name, cells) not in slices:
            made = slices[name, cells] = f"{name}/without {cells}"
            ends = {f"{made}/first": [cells] * 2, f"{made}/last": [-cells] * 2, f"{made}/axes": [2, 3]}
            graph.initializer.extend(numpy_helper.from_array(np.array(v, np.int64), k) for k, v in ends.items())
            nodes.append(helper.make_node("Slice", [name, *ends], [made]))
        return slices[name, cells]

    for node, reach in zip(graph.node, reaches, strict=True):
        results = images.intersection(node.output)
        missing = max((cut.get(name, 0) for name in images.intersection(node.input)), default=0)
        if reach.enlarges and results:
            missing = max(missing, reach.spare(min(spare[name] for name in results)))
        given = [without(name, missing - cut.get(name, 0)) if name in images else name for name in node.input]
        node.input[:] = given
        cut |= dict.fromkeys(results, reach.cut(missing))
        nodes.append(node)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def _fill_by_numbers(model: ModelProto) -> None:
    """Give each Where(a, x, image of one number, as large as x) the number itself, which needs no size of x."""
    from onnx import numpy_helper

    made, filled = makers_of(model), False
    for node in model.graph.node:
        for place in (1, 2) if node.op_type == "Where" else ():
            fill = made.get(node.input[place])
            shape = made.get(fill.input[0]) if fill is not None and fill.op_type == "ConstantOfShape" else None
            if fill is None or shape is None or shape.op_type != "Shape" or shape.input[0] not in node.input:
                continue
            value = settings_of(fill).get("value")
            number = np.float32(0) if value is None else numpy_helper.to_array(value).reshape(())
            node.input[place] = f"{fill.output[0]}/number"
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(number), node.input[place]))
            filled = True
    if filled:
        drop_unused(model)


def _spare_cells(model: ModelProto, reaches: list[_Reach], images: set[str], trim: int) -> dict[str, int]:
    """Image -> cells at each side that no kept pixel of the output depends on."""
    spare = {value.name: trim for value in model.graph.output}
    for node, reach in zip(reversed(model.graph.node), reversed(reaches), strict=True):
        results = images.intersection(node.output)
        of_output = min((spare.get(name, _EVERYTHING) for name in results), default=0)
        spare |= dict.fromkeys(results, of_output)
        for name in images.intersection(node.input):
            own = max(0, reach.spare(of_output)) if results else 0
            spare[name] = min(spare.get(name, _EVERYTHING), own)
    return spare


def _reach(node: NodeProto, constants: Constants, fitting: set[str]) -> _Reach:
    """Args: fitting: what is an image or the same for all of its pixels; other values have a place of their own."""
    settings = settings_of(node)
    inputs = [numbers_of(constants, name) for name in node.input]
    match node.op_type:
        case kind if kind in POINTWISE and fitting.issuperset(node.input):
            return _SAME
        case "QuantizeLinear" | "DequantizeLinear" if settings.get("axis", 1) == 1 and (
            all(name in constants and len(constants[name].dims) <= 1 for name in node.input[1:])
        ):
            return _SAME
        case "Concat" if settings["axis"] == 1 and fitting.issuperset(node.input):
            return _SAME
        case "ReduceMean" | "ReduceSum" | "ReduceSumSquare" if inputs[1:] == [[1]] and settings.get("keepdims", 1):
            return _SAME
        case "Slice" if inputs[3:4] == [[1]]:
            return _SAME
        case "Conv" if set(settings.get("strides", ())) <= {1} and settings.get("auto_pad", b"NOTSET") == b"NOTSET":
            pad = max(settings.get("pads", [0]))
            return _Reach(lambda spare: spare - pad, lambda cut: cut)
        case "DepthToSpace":
            block = settings["blocksize"]
            return _Reach(lambda spare: spare // block, lambda cut: cut * block)
        case "Resize" if times := _enlargement(inputs, settings):
            return _Reach(lambda spare: max(0, spare // times - 1), lambda cut: cut * times, enlarges=True)
        case _:
            return _WHOLE


def _enlargement(inputs: list[Any], settings: Mapping[str, Any]) -> int:
    """The whole number by which a Resize enlarges, if its results depend on the nearest two cells each; else 0."""
    scales = inputs[2] if len(inputs) == 3 else None
    centred = settings.get("coordinate_transformation_mode", b"half_pixel") in (b"half_pixel", b"asymmetric")
    near = settings.get("mode", b"nearest") in (b"nearest", b"linear") and not settings.get("antialias", 0)
    if not (centred and near and scales and len(scales) == 4):
        return 0
    times = int(scales[2])
    return times if scales == [1, 1, times, times] else 0
