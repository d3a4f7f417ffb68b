"""ONNX Runtime: the default for .onnx files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card
from saropt.domain import Direction
from saropt.errors import InputError, OptionError
from saropt.inference.requests import LoadOptions
from saropt.inference.runtimes.base import RUNTIMES, Backend, Runtime, first_line, open_graph
from saropt.inference.runtimes.rewriting import rewrite


class OnnxBackend:
    """ONNX Runtime on the CPU (or CUDA, where the GPU build of the runtime is installed).

    Args:
        stride: windows are multiples of it; see `name_axes`.

    >>> from saropt.artifacts import load_graph
    >>> from saropt.inference.bundled import find_translator
    >>> backend = OnnxBackend(load_graph(find_translator("s1-losangeles"))[1], "cpu", threads=1)
    >>> backend(np.zeros((1, 1, 32, 32), np.float32)).shape
    (1, 3, 32, 32)
    """

    name = "onnx fp32"
    needs_samples = False

    def __init__(
        self, model: bytes, device: str, threads: int | None, path: str | Path = "the model", stride: int | None = None
    ) -> None:
        import onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised as well
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle turns go to reader and writer
        if threads:
            options.intra_op_num_threads = threads
        provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise OptionError("device", device, "backend onnx needs onnxruntime-gpu for it; or use backend torch")
        try:
            graph = rewrite(onnx.load_model_from_string(model), device, stride)
            self._session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=[provider])
            self._input = self._session.get_inputs()[0].name
        except Exception as error:  # its errors have no common base
            raise InputError(path, f"holds no graph that ONNX Runtime runs: {first_line(error)}") from error
        self._path = path

    def freeze(self, samples: NDArray[np.float32]) -> Backend:
        raise RuntimeError("an ONNX graph holds its statistics already")

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return self._session.run(None, {self._input: batch})[0]
        except MemoryError:
            raise
        except Exception as error:
            raise InputError(self._path, f"its graph cannot be run: {first_line(error)}") from error


def _open(path: Path, options: LoadOptions, threads: int | None) -> tuple[Card, Direction, Backend]:
    card, direction, graph = open_graph(path, options)
    device = "cpu" if options.device == "auto" else options.device
    return card, direction, OnnxBackend(graph, device, threads, path, card.directions[direction].stride)


RUNTIMES.add("onnx", Runtime(".onnx", ("fp32",), ("cpu", "cuda"), _open))
