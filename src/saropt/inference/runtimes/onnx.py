"""ONNX Runtime: the default for .onnx files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card
from saropt.domain import Direction
from saropt.errors import InputError, OptionError
from saropt.inference.requests import LoadOptions
from saropt.inference.runtimes.base import RUNTIMES, Backend, Runtime, open_graph
from saropt.inference.runtimes.rewriting import sum_squares

_FIXED_PIXELS = 1 << 20


class OnnxBackend:
    """ONNX Runtime on the CPU (or CUDA, where the GPU build of the runtime is installed).

    A large window runs in a session that is made for its shape, which takes a tenth of a second: ONNX Runtime then
    plans its memory beforehand. The choice depends on the shape alone, so a resumed scene has the same bytes as an
    uninterrupted one.

    >>> from saropt.artifacts import load_graph
    >>> from saropt.inference.bundled import find_translator
    >>> backend = OnnxBackend(load_graph(find_translator("s1-losangeles"))[1], "cpu", threads=1)
    >>> backend(np.zeros((1, 1, 32, 32), np.float32)).shape
    (1, 3, 32, 32)
    """

    name = "onnx fp32"
    needs_samples = False
    tile_scale = 1.0

    def __init__(self, model: bytes, device: str, threads: int | None, path: str | Path = "the model") -> None:
        import onnx
        import onnxruntime

        self._provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
        if self._provider not in onnxruntime.get_available_providers():
            raise OptionError("device", device, "backend onnx needs onnxruntime-gpu for it; or use backend torch")
        self._path, self._threads = path, threads
        try:
            graph = sum_squares(onnx.load_model_from_string(model))
            self._axes = [axis.dim_param for axis in graph.graph.input[0].type.tensor_type.shape.dim]
            self._model = graph.SerializeToString()
            self._shape: tuple[int, ...] | None = None
            self._session = self._made_for(None)
        except Exception as error:  # its errors have no common base
            raise InputError(path, f"holds no graph that ONNX Runtime runs: {_first_line(error)}") from error

    def freeze(self, samples: NDArray[np.float32]) -> None:
        raise RuntimeError("an ONNX graph holds its statistics already")

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = batch.shape if math.prod(batch.shape[2:]) >= _FIXED_PIXELS else None
        try:
            if shape != self._shape:
                self._session = None  # its memory is free before the next one is taken
                self._session, self._shape = self._made_for(shape), shape
            return self._session.run(None, {self._session.get_inputs()[0].name: batch})[0]
        except MemoryError:
            raise
        except Exception as error:
            raise InputError(self._path, f"its graph cannot be run: {_first_line(error)}") from error

    def _made_for(self, shape: tuple[int, ...] | None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised as well
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle turns go to reader and writer
        if self._threads:
            options.intra_op_num_threads = self._threads
        for axis, size in zip(self._axes, shape or (), strict=False):
            if axis:
                options.add_free_dimension_override_by_name(axis, size)
        return onnxruntime.InferenceSession(self._model, options, providers=[self._provider])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _open(path: Path, options: LoadOptions, threads: int | None) -> tuple[Card, Direction, Backend]:
    card, direction, graph = open_graph(path, options)
    return card, direction, OnnxBackend(graph, "cpu" if options.device == "auto" else options.device, threads, path)


RUNTIMES.add("onnx", Runtime(".onnx", ("fp32",), ("cpu", "cuda"), _open))
