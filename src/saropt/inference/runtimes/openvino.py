"""OpenVINO: for speed on Intel CPUs."""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card
from saropt.domain import Direction
from saropt.errors import InputError, OptionError
from saropt.inference.requests import LoadOptions
from saropt.inference.runtimes.base import RUNTIMES, Backend, Runtime, open_graph

_FIXED_PIXELS = 1 << 21


def _import_openvino() -> ModuleType:
    """OpenVINO without its telemetry, which would ask for an address of Google Analytics when the program ends."""
    absent = "openvino_telemetry" not in sys.modules
    if absent:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # its import fails, as without the package
    try:
        import openvino
    finally:
        if absent:
            del sys.modules["openvino_telemetry"]
    return openvino


class OpenVinoBackend:
    """OpenVINO on the CPU. By default OpenVINO uses bf16 where the CPU supports it; here the precision is always set
    explicitly.

    A large window runs in a network that is compiled for its shape, which takes a second. OpenVINO then plans memory
    and fuses operations better: it is up to a quarter faster and needs four fifths of the memory. The choice depends on
    the shape alone, so a resumed scene has the same bytes as an uninterrupted one. Calls of several threads take turns:
    OpenVINO's object holds the arrays of the call in progress.

    >>> from saropt.artifacts import load_graph
    >>> from saropt.inference.bundled import find_translator
    >>> backend = OpenVinoBackend(load_graph(find_translator("s1-losangeles"))[1], "fp32", threads=1)
    >>> backend(np.zeros((1, 1, 32, 32), np.float32)).shape
    (1, 3, 32, 32)
    """

    needs_samples = False

    def __init__(self, model: bytes, precision: str, threads: int | None, path: str | Path = "the model") -> None:
        self._core = _import_openvino().Core()
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise OptionError("precision", precision, "this CPU has no bf16 arithmetic: use fp32")
        self._settings = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads or 0,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # a pinned thread waits for the reader or writer that runs on its core
        }
        self.name = f"openvino {precision}"
        self._path = path
        try:
            self._model = self._core.read_model(model)
            _square_by_norm(self._model)
        except RuntimeError as error:
            raise InputError(path, f"holds no graph that OpenVINO runs: {_reason(error)}") from error
        self._compiled: Any = None
        self._shape: tuple[int, ...] | None = None
        self._turn = threading.Lock()

    def freeze(self, samples: NDArray[np.float32]) -> Backend:
        raise RuntimeError("an ONNX graph holds its statistics already")

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        count, _, height, width = batch.shape
        shape = batch.shape if count == 1 and height * width >= _FIXED_PIXELS else None
        try:
            with self._turn:
                if self._compiled is None or shape != self._shape:
                    self._compile(shape)
                output = self._compiled(batch)[0]
        except RuntimeError as error:
            raise InputError(self._path, f"its graph cannot be run: {_reason(error)}") from error
        if output.size == 0:  # on one thread OpenVINO gives nothing where sizes do not agree
            raise InputError(self._path, "its graph cannot be run: it gives an image without pixels")
        return output

    def _compile(self, shape: tuple[int, ...] | None) -> None:
        self._compiled = None  # its memory is free before the next one is taken
        model = self._model
        if shape is not None:
            model = model.clone()
            model.reshape(shape)
        self._compiled = self._core.compile_model(model, "CPU", self._settings)
        self._shape = shape


def _reason(error: RuntimeError) -> str:
    """What OpenVINO says, without the places in its own source that it begins with."""
    lines = str(error).strip().splitlines()
    return next((line for line in lines if not line.startswith(("Exception from", "Check "))), lines[0])[:200]


def _square_by_norm(model: Any) -> None:
    """Replace mean(x * x) by its L2 norm, squared and divided: OpenVINO has no kernel that squares while it sums."""
    from openvino import opset13 as operations

    for mean in model.get_ordered_ops():
        if mean.get_type_name() != "ReduceMean":
            continue
        square = mean.input(0).get_source_output().get_node()
        axes = mean.input(1).get_source_output()
        if square.get_type_name() != "Multiply" or axes.get_node().get_type_name() != "Constant":
            continue
        factors = [factor.get_source_output() for factor in square.inputs()]
        places = [int(axis) for axis in axes.get_node().get_data().ravel()]
        sizes = [factors[0].get_partial_shape()[place] for place in places]
        if factors[0] != factors[1] or any(size.is_dynamic for size in sizes):
            continue
        norm = operations.reduce_l2(factors[0], axes, mean.get_attributes()["keep_dims"])
        share = np.float32(1.0 / math.prod(size.get_length() for size in sizes))
        replaced = operations.multiply(operations.multiply(norm, norm), share).output(0)
        for user in mean.output(0).get_target_inputs():
            user.replace_source_output(replaced)


def _open(path: Path, options: LoadOptions, threads: int | None) -> tuple[Card, Direction, Backend]:
    card, direction, graph = open_graph(path, options)
    return card, direction, OpenVinoBackend(graph, options.precision, threads, path)


RUNTIMES.add("openvino", Runtime(".onnx", ("fp32", "bf16"), ("cpu",), _open, package=("openvino", "openvino")))
