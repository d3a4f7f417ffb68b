"""Translator files as `.onnx`: one direction's graph with its weights, the card in the metadata.

A file with both ends keeps the fidelity weights as initializers and, for each float initializer W, the difference to
the realism end as a half-precision initializer `realism_delta/W`. `load_graph` blends them and hands a plain model
to the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saropt.artifacts.card import Card, parse_card
from saropt.artifacts.weights import check_translator_path
from saropt.errors import InputError, counted
from saropt.files import atomic_file

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

CARD_KEY = "saropt"
_DELTA = "realism_delta/"
_ERRORS = "errors/"
_LOOPS = ("Loop", "Scan", "SequenceMap")
NO_RELIABILITY = "holds no reliability: `saropt reliability` makes a file that does"


def read_card(path: str | Path) -> Card:
    """The card of an `.onnx` translator file.

    Raises:
        InputError: as for `load_graph`.

    >>> from saropt.inference.bundled import find_translator
    >>> read_card(find_translator("s1-losangeles")).name
    's1-losangeles'
    """
    return _parse(Path(path))[0]


def load_graph(path: str | Path, realism: float | None = None, errors: bool = False) -> tuple[Card, bytes]:
    """Card and serialised ONNX model, weights blended at `realism` (the card's own value when None).

    Args:
        errors: whether the output has, behind the image, the errors that the file's network of errors predicts.

    Raises:
        InputError: the file is missing, truncated, a pickle, not a translator, of another version, refers to other
            files, holds loops, or no network of errors.

    >>> from saropt.inference.bundled import find_translator
    >>> card, model = load_graph(find_translator("s1-losangeles"), realism=0.0)
    >>> card.name, type(model).__name__
    ('s1-losangeles', 'bytes')
    """
    path = Path(path)
    card, model = _parse(path)
    share = card.realism if realism is None else realism
    if errors and len(model.graph.output) < 2:
        raise InputError(path, NO_RELIABILITY)
    _choose_outputs(model, errors)
    try:
        return card, _blended(model, share or 0.0).SerializeToString()
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise InputError(path, f"holds a damaged tensor: {' '.join(str(error).split())[:200]}") from error


def store_card(model: ModelProto, card: Card) -> None:
    """Put the card into the model's metadata, replacing an older one.

    >>> from saropt.inference.bundled import find_translator
    >>> import onnx
    >>> card, model = load_graph(find_translator("s1-losangeles"))
    >>> graph = onnx.load_model_from_string(model)
    >>> store_card(graph, card)
    >>> [entry.key for entry in graph.metadata_props]
    ['saropt']
    """
    kept = [entry for entry in model.metadata_props if entry.key != CARD_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card.model_dump_json()


def add_realism_end(model: ModelProto, realism: ModelProto) -> None:
    """Add to `model` (fidelity end) the differences to `realism`, a model of the same graph.

    Raises:
        ValueError: the graphs differ.
    """
    from onnx import numpy_helper

    for end in (model, realism):
        _untie(end)
    if len(model.graph.node) != len(realism.graph.node) or len(model.graph.initializer) != len(
        realism.graph.initializer
    ):
        raise ValueError("the two ends differ in their graph")
    ends = {tensor.name: numpy_helper.to_array(tensor) for tensor in realism.graph.initializer}
    deltas = []
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name not in ends or ends[tensor.name].shape != value.shape:
            raise ValueError(f"the two ends differ in their graph at {tensor.name}")
        if value.dtype == np.float32:
            difference = (ends[tensor.name] - value).astype(np.float16)
            deltas.append(numpy_helper.from_array(difference, _DELTA + tensor.name))
    model.graph.initializer.extend(deltas)


def drop_unused(model: ModelProto) -> None:
    """Drop the nodes that lead to no output of the graph: ONNX Runtime would run them.

    >>> from onnx import parser
    >>> graph = parser.parse_model('''<ir_version: 9, opset_import: ["": 18]>
    ... f (float[h, w] x) => (float[h, w] y) { y = Relu(x) z = Exp(y) }''')
    >>> drop_unused(graph)
    >>> [node.op_type for node in graph.graph.node]
    ['Relu']
    """
    needed, kept = {value.name for value in model.graph.output}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            within = [graph for held in node.attribute for graph in (held.g, *held.graphs)]
            needed.update(node.input, (value.name for graph in within for value in graph.output))
            needed.update(name for inner in _nodes(within) for name in inner.input)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))


def write_graph(path: str | Path, model: ModelProto, card: Card) -> None:
    """Write a graph and its card as a translator file; a file that is there is replaced.

    Raises:
        InputError: the file cannot be written.

    >>> import onnx
    >>> from saropt.inference.bundled import find_translator
    >>> path = find_translator("s1-losangeles")
    >>> write_graph("copy.onnx", onnx.load(path), read_card(path).model_copy(update={"name": "copy"}))
    >>> read_card("copy.onnx").name
    'copy'
    """
    store_card(model, card)
    with atomic_file(Path(path)) as part:
        part.write_bytes(model.SerializeToString())


def write_with_errors(path: str | Path, out: str | Path, card: Card, errors: ModelProto) -> None:
    """Write a translator file that holds a network of errors as well, as its second output.

    Args:
        path: the `.onnx` translator file; a network of errors that it holds already is replaced.
        card: of the new file.
        errors: its two inputs are the input and the output of the translator.

    Raises:
        InputError: as for `load_graph`, or the file cannot be written.

    >>> from saropt.artifacts.export import errors_graph
    >>> from saropt.inference.bundled import find_translator
    >>> from saropt.networks import ErrorNetwork
    >>> path = find_translator("s1-losangeles")
    >>> write_with_errors(path, "with_errors.onnx", read_card(path), errors_graph(ErrorNetwork(1, 3, 3), 1, 3))
    >>> read_card("with_errors.onnx").name
    's1-losangeles'
    """
    _, model = _parse(Path(path))
    _add_errors(model, errors)
    write_graph(out, model, card)


def _add_errors(model: ModelProto, errors: ModelProto) -> None:
    from onnx import compose

    del model.graph.output[1:]
    for held in (model.graph.node, model.graph.initializer):
        for one in [one for one in held if one.name.startswith(_ERRORS)]:
            held.remove(one)
    errors = compose.add_prefix(errors, _ERRORS)
    taken = dict(
        zip(
            (value.name for value in errors.graph.input),
            (model.graph.input[0].name, model.graph.output[0].name),
            strict=True,
        )
    )
    for node in errors.graph.node:
        node.input[:] = [taken.get(name, name) for name in node.input]
    model.graph.node.extend(errors.graph.node)
    model.graph.initializer.extend(errors.graph.initializer)
    model.graph.output.extend(errors.graph.output)


def _choose_outputs(model: ModelProto, errors: bool) -> None:
    """Leave one output, the image or the image and the errors behind it, and what leads to it."""
    from onnx import helper

    outputs = model.graph.output
    if not errors:
        del outputs[1:]
        drop_unused(model)
        return
    joined = "image_and_errors"
    model.graph.node.append(helper.make_node("Concat", [one.name for one in outputs], [joined], axis=1))
    del outputs[1:]
    outputs[0].name = joined
    outputs[0].type.tensor_type.shape.dim[1].Clear()


def _untie(model: ModelProto) -> None:
    """Give every weight a separate initializer.

    The exporter keeps one of several equal tensors and makes the others its Identity; in the other end they may differ.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    tied = [node for node in model.graph.node if node.op_type == "Identity" and node.input[0] in tensors]
    for node in tied:
        copy = model.graph.initializer.add()
        copy.CopyFrom(tensors[node.input[0]])
        copy.name = node.output[0]
        model.graph.node.remove(node)


def _parse(path: Path) -> tuple[Card, ModelProto]:
    import onnx
    from google.protobuf.message import DecodeError

    check_translator_path(path)
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError as error:
        raise InputError(path, "is damaged or no ONNX file") from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if CARD_KEY not in metadata:
        raise InputError(path, "is no saropt translator: it has no card (or the file is truncated)")
    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in _tensors(model)):
        raise InputError(path, "points to weights outside the file, which is refused")
    if any(node.op_type in _LOOPS for node in _nodes([model.graph, *model.functions])):
        raise InputError(path, "holds a loop, which may never end: refused")
    try:
        card = parse_card(metadata[CARD_KEY])
        _check_graph(card, model)
    except ValueError as error:
        raise InputError(path, str(error)) from error
    return card, model


def _check_graph(card: Card, model: ModelProto) -> None:
    """Check that a graph has the inputs and outputs of its card, as far as their bands can be told.

    Raises:
        ValueError: it has not.
    """
    if len(card.directions) > 1:
        raise ValueError(f"card: names {len(card.directions)} directions, its graph translates in one")
    (described,), graph = card.directions.values(), model.graph
    if not graph.input or not graph.output:
        raise ValueError("holds a graph without an input or an output")
    taken, given = described.channels
    noise = described.sampler.noise_bands if described.sampler is not None else 0
    if found := _other_bands(model, graph.input[0], taken + noise):
        raise ValueError(f"its graph takes {found}, its card names {taken + noise}")
    if found := _other_bands(model, graph.output[0], given):
        raise ValueError(f"its graph gives {found}, its card names {given}")
    scaled = len(described.reliability.scale) if described.reliability is not None else 0
    if scaled and len(graph.output) > 1 and (found := _other_bands(model, graph.output[1], scaled)):
        raise ValueError(f"its graph predicts errors of {found}, its card names {scaled}")


def _other_bands(model: ModelProto, value: ValueInfoProto, wanted: int) -> str | None:
    """How many bands a value of a graph has, in words, where they are not as many as wanted."""
    bands = _bands_of(value) or _bands_of(_inferred(model, value))
    return None if bands in (0, wanted) else counted(bands, "band")


def _bands_of(value: ValueInfoProto) -> int:
    shape = value.type.tensor_type.shape.dim
    return shape[1].dim_value if len(shape) == 4 else 0


def _inferred(model: ModelProto, value: ValueInfoProto) -> ValueInfoProto:
    """A value of a graph with the shape that its nodes give it, where that can be told."""
    from onnx import ModelProto, shape_inference

    bare = ModelProto()
    bare.CopyFrom(model)
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        graph = shape_inference.infer_shapes(bare).graph
    except (ValueError, RuntimeError, shape_inference.InferenceError):
        return value  # ONNX Runtime says what is wrong
    return next((one for one in graph.output if one.name == value.name), value)


def _nodes(parts: Iterable[GraphProto | FunctionProto]) -> Iterator[NodeProto]:
    """The nodes of graphs and functions, and of the graphs within them."""
    for part in parts:
        for node in part.node:
            yield node
            yield from _nodes(inner for held in node.attribute for inner in (held.g, *held.graphs))


def _tensors(model: ModelProto) -> list:
    from onnx.external_data_helper import _get_all_tensors

    return list(_get_all_tensors(model))


def _blended(model: ModelProto, realism: float) -> ModelProto:
    from onnx import numpy_helper

    deltas = {t.name.removeprefix(_DELTA): t for t in model.graph.initializer if t.name.startswith(_DELTA)}
    if not deltas:
        return model
    plain = [tensor for tensor in model.graph.initializer if not tensor.name.startswith(_DELTA)]
    if realism > 0.0:
        for tensor in plain:
            if tensor.name in deltas:
                delta = numpy_helper.to_array(deltas[tensor.name]).astype(np.float32)
                value = numpy_helper.to_array(tensor) + np.float32(realism) * delta
                tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    kept = [tensor.SerializeToString() for tensor in plain]
    del model.graph.initializer[:]
    for data in kept:
        model.graph.initializer.add().ParseFromString(data)
    return model
