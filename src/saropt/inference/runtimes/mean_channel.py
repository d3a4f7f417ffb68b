"""Turns the channels of images within a graph so that one of them is the mean, which a channel norm need not take then.

The norm over the channels of each pixel asks for the mean of x and of its squares. With an orthogonal H whose first row
is (1, ..., 1) / sqrt(C), y = H x has mean(x) = y_0 / sqrt(C), and its squares have the same sum. Sums of images,
enlargements and products with an image of one channel are the same for y as for x. So H goes into the weights of the
convolutions that make such images and of those that read them, and nothing else changes. (Ashkboos et al., "SliceGPT",
ICLR 2024, section 3, turn the channels of transformers in this way.) H is a Householder reflection: H H = 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts.graph import drop_unused
from saropt.inference.runtimes.graph_facts import (
    POINTWISE,
    constants_of,
    is_straight,
    makers_of,
    numbers_of,
    settings_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass
class _Images:
    """Images of one graph that have the same channels: they are turned together or not at all.

    Attributes:
        names: of the images.
        makers, readers: convolutions, by their (first) output.
        means: nodes that take the mean over the channels, by their output.
    """

    names: set[str] = field(default_factory=set)
    makers: dict[str, NodeProto] = field(default_factory=dict)
    readers: dict[str, NodeProto] = field(default_factory=dict)
    means: dict[str, NodeProto] = field(default_factory=dict)


def carry_means(model: ModelProto) -> ModelProto:
    """The graph with each mean over the channels of a convolution's output, as channel norms take it, in a channel.

    Images that meet anything but convolutions, channel norms, sums and enlargements stay as they are.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[n, 2, h, w] x) => (float[n, 1, h, w] y) <int64[1] axes = {1},
    ... float[4, 2, 1, 1] first = {1, 2, 3, 4, 5, 6, 7, 8}, float[1, 4, 1, 1] last = {1, 2, 3, 4}>
    ... { wide = Conv (x, first) mean = ReduceMean (wide, axes) z = Conv (wide, last) y = Sub (z, mean) }''')
    >>> [node.op_type for node in carry_means(graph).graph.node]
    ['Conv', 'Slice', 'Mul', 'Conv', 'Sub']
    """
    if not is_straight(model):
        return model
    search = _Search(model)
    seen: set[str] = set()
    turned: list[_Images] = []
    for node in model.graph.node:
        if search.takes_mean(node) and node.input[0] not in seen:
            images, complete = search.images_with(node.input[0])
            seen |= images.names
            if complete:
                turned.append(images)
    if not turned:
        return model
    search.turn(turned)
    drop_unused(model)
    return model


class _Search:
    """What is known of one graph."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.made, self.constants = makers_of(model), constants_of(model)
        self.outputs = {value.name for value in model.graph.output}
        self.users: dict[str, list[NodeProto]] = defaultdict(list)
        self.single: set[str] = {name for name, tensor in self.constants.items() if set(tensor.dims) <= {1}}
        self.weights: dict[str, NDArray[np.float64]] = {}
        self.turned: set[str] = set()
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                self.users[name].append(node)
            if self.takes_mean(node) or (
                node.op_type in POINTWISE and self.single.issuperset(filter(None, node.input))
            ):
                self.single.update(node.output)

    def takes_mean(self, node: NodeProto) -> bool:
        """Whether a node is the mean over the channels of each pixel."""
        along = node.op_type == "ReduceMean" and len(node.input) == 2 and node.input[0] not in self.constants
        return along and numbers_of(self.constants, node.input[1]) == [1] and settings_of(node).get("keepdims", 1) == 1

    def images_with(self, name: str) -> tuple[_Images, bool]:
        """The images that have the channels of this one, and whether all that they meet allows to turn them."""
        found, waiting, complete = _Images(), [name], True
        while waiting:
            one = waiting.pop()
            if one in found.names:
                continue
            found.names.add(one)
            maker = self.made.get(one)
            if maker is not None and self._is_convolution(maker):
                found.makers[one] = maker
            elif maker is not None and (given := self._same_channels(maker)):
                waiting += given
            else:
                complete = False
            complete = complete and one not in self.outputs
            for user in self.users[one]:
                if self._is_convolution(user):
                    found.readers[user.output[0]] = user
                elif self.takes_mean(user):
                    found.means[user.output[0]] = user
                elif one in self._same_channels(user):
                    waiting += user.output
                elif not self._is_square(user):
                    complete = False
        widths = {len(self._weight(node.input[1])) for node in found.makers.values()}
        widths |= {self._weight(node.input[1]).shape[1] for node in found.readers.values()}
        return found, complete and len(widths) == 1 and min(widths) > 1

    def turn(self, several: Iterable[_Images]) -> None:
        """Turn the channels of images, and take their means from the first."""
        from onnx import helper, numpy_helper

        initializers = self.model.graph.initializer
        slices: dict[str, tuple[NodeProto, NodeProto]] = {}
        for images in several:
            for node in images.makers.values():
                self._reflect(node, 1, axis=0)
                if len(node.input) > 2 and node.input[2]:
                    self._reflect(node, 2, axis=0)
            for node in images.readers.values():
                self._reflect(node, 1, axis=1)
            width = len(self._weight(next(iter(images.makers.values())).input[1]))
            for name, mean in images.means.items():
                ends = {f"{name}/first": [0], f"{name}/last": [1], f"{name}/axis": [1]}
                initializers.extend(numpy_helper.from_array(np.array(v, np.int64), k) for k, v in ends.items())
                share = np.array(width**-0.5, np.float32)
                initializers.append(numpy_helper.from_array(share, f"{name}/share"))
                first = helper.make_node("Slice", [mean.input[0], *ends], [f"{name}/channel"])
                slices[name] = first, helper.make_node("Mul", [f"{name}/channel", f"{name}/share"], [name])
        for name in sorted(self.turned):
            initializers.append(numpy_helper.from_array(self.weights[name].astype(np.float32), name))
        nodes = [one for node in self.model.graph.node for one in slices.get(node.output[0], (node,))]
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)

    def _reflect(self, node: NodeProto, place: int, axis: int) -> None:
        """Multiply a weight by H along one axis: H x = x - 2 v (v . x), where v takes H's first row to (1, 0, ...)."""
        values = np.moveaxis(self._weight(node.input[place]), axis, 0)
        width = len(values)
        normal = np.full(width, width**-0.5)
        normal[0] -= 1.0
        normal /= np.linalg.norm(normal)
        turned = values - 2.0 * np.multiply.outer(normal, np.tensordot(normal, values, 1))
        node.input[place] = f"turned/{node.output[0]}/{place}"
        self.weights[node.input[place]] = np.moveaxis(turned, 0, axis)
        self.turned.add(node.input[place])

    def _is_convolution(self, node: NodeProto) -> bool:
        """Whether a node is a convolution of images in which every channel takes part, of known weights."""
        if node.op_type != "Conv" or settings_of(node).get("group", 1) != 1:
            return False
        values = [self._weight(name) for name in node.input[1:] if name]
        return values[0].ndim == 4 and all(value.size for value in values)

    def _weight(self, name: str) -> NDArray[np.float64]:
        """A float32 weight: a constant, or one less its own mean over the inputs. Anything else is empty."""
        if name not in self.weights:
            self.weights[name] = self._known(name)
        return self.weights[name]

    def _known(self, name: str) -> NDArray[np.float64]:
        from onnx import TensorProto, numpy_helper

        tensor, less = self.constants.get(name), self.made.get(name)
        if tensor is not None and tensor.data_type == TensorProto.FLOAT:
            return numpy_helper.to_array(tensor).astype(np.float64)
        mean = self.made.get(less.input[1]) if less is not None and less.op_type == "Sub" else None
        if less is not None and mean is not None and mean.op_type == "ReduceMean" and len(mean.input) == 2:
            axes, whole = numbers_of(self.constants, mean.input[1]), self._weight(less.input[0])
            kept = settings_of(mean).get("keepdims", 1) == 1 and mean.input[0] == less.input[0]
            if kept and axes == [1] and whole.ndim == 4:
                return whole - whole.mean(axis=1, keepdims=True)
        return np.empty((0, 0, 0, 0))

    def _is_square(self, node: NodeProto) -> bool:
        """Whether a node makes squares of which nothing but the mean over the channels is asked for."""
        (result,) = node.output if len(node.output) == 1 else ("",)
        alone = node.op_type == "Mul" and node.input[0] == node.input[1] and result not in self.outputs
        return alone and all(self.takes_mean(user) for user in self.users[result])

    def _same_channels(self, node: NodeProto) -> list[str]:
        """Those inputs of a node that have the channels of its output, where these may be turned."""
        from onnx import TensorProto

        given, settings = list(node.input), settings_of(node)
        match node.op_type:
            case "Add" | "Sub":
                return given
            case "Cast" if settings["to"] == TensorProto.FLOAT:
                return given
            case "Mul" if given[0] != given[1] and self.single.intersection(given):
                return [name for name in given if name not in self.single]
            case "Div" if given[1] in self.single:
                return given[:1]
            case "Resize" if len(given) == 3 and not {"axes", "extrapolation_value"} & settings.keys():
                scales = numbers_of(self.constants, given[2])
                return given[:1] if scales is not None and len(scales) == 4 and scales[:2] == [1, 1] else []
            case _:
                return []
