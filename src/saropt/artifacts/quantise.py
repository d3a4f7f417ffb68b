"""ONNX graphs in 8-bit arithmetic: static quantisation of Nagel et al. 2021 ("A White Paper on Neural Network
Quantization", section 3), through ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto


def quantise(model: ModelProto, windows: NDArray[np.float32]) -> ModelProto:
    """Quantise convolutions: int8 weights with a scale for each output channel, uint8 activations with a scale for each
    tensor.

    Weights lie in -64..64: processors with AVX2 and without VNNI add two products of 8 bits in 16, which greater ones
    overflow.

    The range of an activation is from its least to its greatest value over `windows`. Everything between the
    convolutions stays in single precision. The graph describes this by pairs of QuantizeLinear and DequantizeLinear,
    which runtimes fuse into integer kernels. Constants are folded first: weights that the graph computes (a norm
    folded into them) would be taken for activations, with one scale for all channels.

    Args:
        model: a float32 graph with one input.
        windows: network inputs (N, C, h, w) like those that it will see.

    >>> import onnx
    >>> from saropt.artifacts import load_graph
    >>> from saropt.inference.bundled import find_translator
    >>> model = onnx.load_model_from_string(load_graph(find_translator("s1-losangeles"))[1])
    >>> small = quantise(model, np.zeros((1, 1, 32, 32), np.float32))
    >>> small.ByteSize() < 0.5 * model.ByteSize()
    True
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    name = model.graph.input[0].name

    class Windows(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(windows)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            window = next(self._left, None)
            return None if window is None else {name: window[None]}

    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it advises preprocessing that changes nothing here
        try:
            quantize_static(
                _folded(model, Path(folder) / "folded.onnx"),
                path,
                Windows(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
                extra_options={"CalibTensorRangeSymmetric": False},
            )
        finally:
            logging.disable(before)
        return onnx.load(path)


def _folded(model: ModelProto, path: Path) -> ModelProto:
    """The same graph with constant expressions computed, by the basic optimisation of the runtime."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)
