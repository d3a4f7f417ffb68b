"""What runs the network: ONNX Runtime by default, OpenVINO for speed on Intel CPUs, torch for GPUs and where scene
statistics ask for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card, SamplerCard, blend, load_graph, load_translator_module, load_weights
from saropt.artifacts.export import has_static_graph
from saropt.domain import Direction
from saropt.errors import InputError, MissingExtraError, SaroptError

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["fp32", "bf16"]
_FIXED_PIXELS = 1 << 21


class Backend(Protocol):
    """A network of one direction, ready to run."""

    name: str
    """Runtime and precision: outputs under another name may differ in their last bits."""
    needs_samples: bool
    """Whether `freeze` must be called with samples of the scene before the first call."""
    tile_scale: float
    """How much wider windows it can take than the card says, in the same memory."""

    def freeze(self, samples: NDArray[np.float32]) -> None:
        """Freeze instance statistics on normalised samples (N, C, h, w) of the scene."""

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, h, w) -> (N, C', h, w), both float32 in about [-1, 1]."""


class OnnxBackend:
    """ONNX Runtime on the CPU (or CUDA, where the GPU build of the runtime is installed)."""

    name = "onnx fp32"
    needs_samples = False
    tile_scale = 1.0

    def __init__(self, model: bytes, device: str, threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle turns go to reader and writer
        if threads:
            options.intra_op_num_threads = threads
        provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise SaroptError("--device cuda with --backend onnx needs onnxruntime-gpu; or use --backend torch")
        self._session = onnxruntime.InferenceSession(model, options, providers=[provider])
        self._input = self._session.get_inputs()[0].name

    def freeze(self, samples: NDArray[np.float32]) -> None:
        raise RuntimeError("an ONNX graph holds its statistics already")

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._session.run(None, {self._input: batch})[0]


class OpenVinoBackend:
    """OpenVINO on the CPU. Its own default takes bf16 where the CPU has it; here the precision is set by name.

    Single large windows run in a network compiled for their very shape, a second's work: it plans its memory and fuses
    more, and is up to a quarter faster in four fifths of the memory. Which network runs depends on the shape alone, so
    that a resumed scene has the bytes of an uninterrupted one.
    """

    needs_samples = False
    tile_scale = 1.4

    def __init__(self, model: bytes, precision: Precision, threads: int | None) -> None:
        import openvino

        self._core = openvino.Core()
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError("--precision bf16", "this CPU has no bf16 arithmetic: use fp32")
        self._settings = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads or 0,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # a pinned thread waits for the reader or writer that runs on its core
        }
        self.name = f"openvino {precision}"
        self._model = self._core.read_model(model)
        _square_by_norm(self._model)
        self._compiled: Any = None
        self._shape: tuple[int, ...] | None = None

    def freeze(self, samples: NDArray[np.float32]) -> None:
        raise RuntimeError("an ONNX graph holds its statistics already")

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        count, _, height, width = batch.shape
        shape = batch.shape if count == 1 and height * width >= _FIXED_PIXELS else None
        if self._compiled is None or shape != self._shape:
            self._compiled = None  # its memory is free before the next one is taken
            model = self._model
            if shape is not None:
                model = model.clone()
                model.reshape(shape)
            self._compiled = self._core.compile_model(model, "CPU", self._settings)
            self._shape = shape
        return self._compiled(batch)[0]


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


class TorchBackend:
    """A torch network.

    Args:
        module: the network with its weights.
        device: "cpu" or "cuda".
        needs_samples: whether its instance statistics are to be frozen on samples of the scene.
        compiled: whether torch.compile makes code for the network, for every shape of its input anew; on a GPU with
            CUDA graphs.

    Raises:
        InputError: nothing can compile.
    """

    tile_scale = 1.0

    def __init__(
        self, module: nn.Module, device: str, precision: Precision, needs_samples: bool = False, compiled: bool = False
    ) -> None:
        import torch

        if compiled:
            from saropt.networks import check_compiler

            check_compiler(device, "--compile")
        self.name = f"torch {precision}{' compiled' if compiled else ''}"
        self._compiled = compiled
        self._shape: torch.Size | None = None
        self._torch = torch
        self._device = torch.device(device)
        self._type = torch.bfloat16 if precision == "bf16" else torch.float32
        self._module = module.eval().to(self._device)
        self._original = self._module
        self._run: Callable[..., Any] = self._module
        self.needs_samples = needs_samples

    def freeze(self, samples: NDArray[np.float32]) -> None:
        import copy

        from saropt.networks import freeze_statistics

        self._module = freeze_statistics(
            copy.deepcopy(self._original), self._torch.from_numpy(samples).to(self._device)
        )
        self._run, self._shape = self._module, None

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = self._torch
        values = torch.from_numpy(batch).to(self._device)
        if self._compiled and values.shape != self._shape:
            if self._shape is not None:
                torch.compiler.reset()  # what was made for other shapes counts against a limit
            self._run = self._compile()
            self._shape = values.shape
        mixed = torch.autocast(self._device.type, self._type, enabled=self._type != torch.float32)
        with torch.inference_mode(), mixed:
            output: Any = self._run(values)
        return output.float().cpu().numpy()

    def _compile(self) -> Callable[..., Any]:
        module, compiled = self._module, partial(self._torch.compile, fullgraph=True, dynamic=False)
        if has_static_graph(module):
            return compiled(module, mode="reduce-overhead" if self._device.type == "cuda" else "default")
        module.evaluate = compiled(MethodType(type(module).evaluate, module))  # type: ignore[attr-defined,assignment]
        return module


def open_backend(
    path: Path,
    direction: Direction | None,
    backend: str,
    precision: str,
    device: str,
    realism: float | None,
    threads: int | None,
    steps: int | None = None,
    compiled: bool = False,
) -> tuple[Card, Direction, Backend]:
    """Load a translator file into a backend; a sampler's card then says what `steps` ask for.

    Raises:
        InputError: the file cannot be used, lacks the direction, or does not go with backend, precision, steps or
            `compiled`.
        MissingExtraError: torch or OpenVINO is asked for and not installed.
    """
    if precision not in ("fp32", "bf16"):
        raise InputError(f"--precision {precision}", "must be fp32 or bf16")
    suffixes = {"onnx": ".onnx", "openvino": ".onnx", "torch": ".safetensors"}
    chosen = backend
    if backend == "auto":
        chosen = "torch" if path.suffix == ".safetensors" else "onnx"
    if chosen not in suffixes:
        raise InputError(f"--backend {backend}", "must be auto, onnx, openvino or torch")
    if path.suffix in suffixes.values() and path.suffix != suffixes[chosen]:
        raise InputError(path, f"is {path.suffix}; backend {chosen} runs {suffixes[chosen]} files")
    if chosen != "torch":
        if compiled:
            raise InputError("--compile", f"is for backend torch (.safetensors files); {chosen} compiles by itself")
        _check_graph_options(chosen, precision, device)
        card, graph = load_graph(path, realism)
        direction = chosen_direction(path, card, direction)
        if steps is not None and steps != _sampler(path, card, direction).steps:
            held = _sampler(path, card, direction).steps
            raise InputError(path, f"holds a graph of {held} steps: other --steps need its .safetensors file")
        if chosen == "openvino":
            return card, direction, OpenVinoBackend(graph, precision, threads)  # type: ignore[arg-type]
        return card, direction, OnnxBackend(graph, "cpu" if device == "auto" else device, threads)
    card, weights = load_weights(path)
    direction = chosen_direction(path, card, direction)
    device = torch_device(path, "translator", device, threads)
    check_torch_precision(precision, device)
    blended = blend(weights, card.realism if realism is None else realism)
    if steps is not None:
        _sampler(path, card, direction)
    module = load_translator_module(path, card, direction, blended, steps)
    described = card.directions[direction]
    if steps is not None:
        changes = {"sampler": SamplerCard.of(module), "receptive_field": module.receptive_field}
        directions = card.directions | {direction: described.model_copy(update=changes)}
        card = card.model_copy(update={"directions": directions})
    needs_samples = described.statistics == "scene"
    return card, direction, TorchBackend(module, device, precision, needs_samples, compiled)  # type: ignore[arg-type]


def _sampler(path: Path, card: Card, direction: Direction) -> SamplerCard:
    sampler = card.directions[direction].sampler
    if sampler is None:
        raise InputError("--steps", f"{path} translates in one pass: it is no sampler")
    return sampler


def _check_graph_options(backend: str, precision: str, device: str) -> None:
    if backend == "onnx" and precision != "fp32":
        raise InputError(f"--precision {precision}", "backend onnx runs fp32; bf16 needs --backend openvino or torch")
    if backend == "openvino" and device == "cuda":
        raise InputError("--device cuda", "backend openvino runs on the CPU")
    if backend == "openvino" and find_spec("openvino") is None:
        raise MissingExtraError("--backend openvino", "openvino")


def torch_device(path: Path, kind: str, device: str, threads: int | None) -> str:
    """The torch device that "auto", "cpu" or "cuda" stands for; sets the number of CPU threads where given.

    Raises:
        InputError: CUDA is asked for and there is none.
        MissingExtraError: torch is not installed.
    """
    if find_spec("torch") is None:
        raise MissingExtraError(f"{path}: a .safetensors {kind}", "train")
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda", "torch sees no CUDA device here")
    if threads:
        torch.set_num_threads(threads)
    return device


def check_torch_precision(precision: str, device: str) -> None:
    """Refuse bf16 on a GPU that only emulates it; torch's CPU kernels have both precisions.

    Raises:
        InputError: the GPU has no bf16.
    """
    import torch

    if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError("--precision bf16", f"{torch.cuda.get_device_name()} has no bf16 arithmetic: use fp32")


def chosen_direction(path: Path, card: Card, wanted: Direction | None) -> Direction:
    """The direction asked for, or the only one.

    Raises:
        InputError: the file lacks it, or holds two and none is named.
    """
    if wanted is None:
        if len(card.directions) > 1:
            raise InputError(path, f"translates both ways: say --to optical or --to sar ({', '.join(card.directions)})")
        return next(iter(card.directions))
    if wanted not in card.directions:
        raise InputError(path, f"translates {', '.join(card.directions)}, not {wanted}")
    return wanted
