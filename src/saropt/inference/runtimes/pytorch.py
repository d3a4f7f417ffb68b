"""torch: for .safetensors files, GPUs, and networks that take statistics from each scene."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card, SamplerCard, blend, load_translator_module, load_weights
from saropt.artifacts.export import has_static_graph
from saropt.domain import Direction
from saropt.errors import MissingExtraError, OptionError
from saropt.inference.requests import LoadOptions
from saropt.inference.runtimes.base import RUNTIMES, Backend, Runtime, chosen_direction, sampler_of

if TYPE_CHECKING:
    from torch import nn


_COMPILED = threading.Lock()
"""Compiled code runs in one thread at a time: its outputs lie in memory that the next run takes."""


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

    >>> from torch import nn
    >>> TorchBackend(nn.Conv2d(1, 3, 1), "cpu", "fp32")(np.zeros((1, 1, 8, 8), np.float32)).shape
    (1, 3, 8, 8)
    """

    def __init__(
        self, module: nn.Module, device: str, precision: str, needs_samples: bool = False, compiled: bool = False
    ) -> None:
        import torch

        if compiled:
            from saropt.networks import check_compiler

            check_compiler(device, "compile")
        self.name = f"torch {precision}{' compiled' if compiled else ''}"
        self._compiled = compiled
        self._shape: torch.Size | None = None
        self._torch = torch
        self._device = torch.device(device)
        self._type = torch.bfloat16 if precision == "bf16" else torch.float32
        self._module = module.eval().to(self._device)
        self._run: Callable[..., Any] = self._module
        self.needs_samples = needs_samples

    def freeze(self, samples: NDArray[np.float32]) -> TorchBackend:
        from saropt.networks import freeze_statistics

        frozen = copy.copy(self)
        values = self._torch.from_numpy(samples).to(self._device)
        frozen._module = frozen._run = freeze_statistics(copy.deepcopy(self._module), values)
        frozen._shape = None
        return frozen

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = self._torch
        values = torch.from_numpy(batch).to(self._device)
        mixed = torch.autocast(self._device.type, self._type, enabled=self._type != torch.float32)
        try:
            with _COMPILED if self._compiled else nullcontext(), torch.inference_mode(), mixed:
                if self._compiled and values.shape != self._shape:
                    if self._shape is not None:
                        torch.compiler.reset()  # what was made for other shapes counts against a limit
                    self._run = self._compile()
                    self._shape = values.shape
                output: Any = self._run(values)
                return output.float().cpu().numpy()
        except RuntimeError as error:  # torch has no error of its own for a processor without memory
            if isinstance(error, torch.OutOfMemoryError) or "allocate" in str(error):
                raise MemoryError from error
            raise

    def _compile(self) -> Callable[..., Any]:
        module, compiled = self._module, partial(self._torch.compile, fullgraph=True, dynamic=False)
        if has_static_graph(module):
            return compiled(module, mode="reduce-overhead" if self._device.type == "cuda" else "default")
        module.evaluate = compiled(MethodType(type(module).evaluate, module))  # type: ignore[attr-defined,assignment]
        return module


def torch_device(path: Path, kind: str, device: str, threads: int | None) -> str:
    """The torch device that "auto", "cpu" or "cuda" stands for; sets the number of CPU threads where given.

    Raises:
        InputError: CUDA is asked for and there is none.
        MissingExtraError: torch is not installed.

    >>> torch_device(Path("network.safetensors"), "translator", "cpu", threads=None)
    'cpu'
    """
    if find_spec("torch") is None:
        raise MissingExtraError(f"{path}: a .safetensors {kind}", "train")
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise OptionError("device", device, "torch sees no CUDA device here")
    if threads:
        torch.set_num_threads(threads)
    return device


def check_torch_precision(precision: str, device: str) -> None:
    """Check that the GPU supports bf16 and does not emulate it. On a CPU torch supports both precisions.

    Raises:
        InputError: the GPU has no bf16.

    >>> check_torch_precision("bf16", "cpu")
    """
    import torch

    if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise OptionError("precision", precision, f"{torch.cuda.get_device_name()} has no bf16 arithmetic: use fp32")


def _open(path: Path, options: LoadOptions, threads: int | None) -> tuple[Card, Direction, Backend]:
    card, weights = load_weights(path)
    direction, steps = chosen_direction(path, card, options.direction), options.steps
    device = torch_device(path, "translator", options.device, threads)
    check_torch_precision(options.precision, device)
    blended = blend(weights, card.realism if options.realism is None else options.realism)
    if steps is not None:
        sampler_of(path, card, direction, steps)
    module: Any = load_translator_module(path, card, direction, blended, steps)
    described = card.directions[direction]
    if steps is not None:
        changes = {"sampler": SamplerCard.of(module), "receptive_field": module.receptive_field}
        directions = card.directions | {direction: described.model_copy(update=changes)}
        card = card.model_copy(update={"directions": directions})
    needs_samples = described.statistics == "scene"
    return card, direction, TorchBackend(module, device, options.precision, needs_samples, options.compile)


RUNTIMES.add("torch", Runtime(".safetensors", ("fp32", "bf16"), ("cpu", "cuda"), _open, compiles=True))
