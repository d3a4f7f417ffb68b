"""Runtimes, and the choice of the one that runs a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card, DirectionCard, SamplerCard, load_graph
from saropt.domain import Direction
from saropt.errors import InputError, MissingExtraError, OptionError
from saropt.inference.reliability import with_errors
from saropt.inference.requests import LoadOptions
from saropt.inference.runtimes.mean_channel import carry_means
from saropt.inference.runtimes.reach import reach_of, sees_beyond
from saropt.inference.runtimes.trimming import trim_graph
from saropt.inference.tiling import halo_of
from saropt.registry import Registry

if TYPE_CHECKING:
    from onnx import ModelProto


_MEASURED = 512
"""Pixels of a halo that are too many to try them out."""


class Backend(Protocol):
    """A network of one direction, ready to run; several threads may call it at once."""

    name: str
    """Runtime and precision: outputs under another name may differ in their last bits."""
    needs_samples: bool
    """Whether a scene is run by what `freeze` gives for it."""

    def freeze(self, samples: NDArray[np.float32]) -> Backend:
        """A backend whose instance statistics are frozen on normalised samples (N, C, h, w) of a scene; this one stays
        as it is."""

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, h, w) -> (N, C', h, w), both float32 in about [-1, 1].

        Of a network of finite receptive field, the pixels of the halo may have any value, or be absent from the output
        (as many at each side).
        """


@dataclass(frozen=True)
class Runtime:
    """A library that can run translator files.

    Attributes:
        suffix: of the files that it runs; "auto" takes the first registered runtime of a file's suffix.
        precisions: "fp32", "bf16".
        devices: "cpu", "cuda".
        open: (path, options, threads) -> card, direction and backend.
        compiles: whether it takes `LoadOptions.compile`.
        package: what must be installed, and the extra that brings it.

    >>> RUNTIMES["onnx"].suffix, RUNTIMES["onnx"].precisions
    ('.onnx', ('fp32',))
    """

    suffix: str
    precisions: tuple[str, ...]
    devices: tuple[str, ...]
    open: Callable[[Path, LoadOptions, int | None], tuple[Card, Direction, Backend]]
    compiles: bool = False
    package: tuple[str, str] | None = None


RUNTIMES = Registry[Runtime]("runtime", "saropt.runtimes")


def runtime_of(path: Path, options: LoadOptions) -> str:
    """The runtime that runs a file with these options.

    Raises:
        InputError: there is no such runtime, or it does not run the file or the options.
        MissingExtraError: it is not installed.

    >>> runtime_of(Path("translator.onnx"), LoadOptions())
    'onnx'
    """
    suffixes = {name: runtime.suffix for name, runtime in RUNTIMES.items()}
    if options.backend != "auto" and options.backend not in suffixes:
        raise OptionError("backend", options.backend, f"must be auto, {', '.join(suffixes)}")
    usual = next((name for name, suffix in suffixes.items() if suffix == path.suffix), next(iter(suffixes)))
    name = usual if options.backend == "auto" else options.backend
    runtime = RUNTIMES[name]
    if path.suffix in suffixes.values() and path.suffix != runtime.suffix:
        raise InputError(path, f"is {path.suffix}; backend {name} runs {runtime.suffix} files")
    if options.compile and not runtime.compiles:
        able = " or ".join(key for key, other in RUNTIMES.items() if other.compiles)
        raise OptionError("compile", True, f"is for backend {able}; {name} compiles by itself")
    if options.precision not in runtime.precisions:
        able = " or ".join(key for key, other in RUNTIMES.items() if options.precision in other.precisions)
        here = " and ".join(runtime.precisions)
        raise OptionError("precision", options.precision, f"backend {name} runs {here}; this needs backend {able}")
    if options.device != "auto" and options.device not in runtime.devices:
        raise OptionError("device", options.device, f"backend {name} runs on {' and '.join(runtime.devices)}")
    if runtime.package is not None and find_spec(runtime.package[0]) is None:
        raise MissingExtraError(f"backend {name}", runtime.package[1])
    return name


def open_backend(path: Path, options: LoadOptions, threads: int | None) -> tuple[Card, Direction, Backend]:
    """Load a translator file into a backend; a sampler's card then says what `options.steps` asks for.

    Raises:
        InputError: the file cannot be used, lacks the direction, or does not go with the options.
        MissingExtraError: a runtime is asked for and not installed.

    >>> from saropt.inference.bundled import find_translator
    >>> card, direction, backend = open_backend(find_translator("s1-losangeles"), LoadOptions(), threads=1)
    >>> direction, backend.name
    (Direction('sar2opt'), 'onnx fp32')
    """
    return RUNTIMES[runtime_of(path, options)].open(path, options, threads)


def chosen_direction(path: Path, card: Card, asked: Direction | None) -> Direction:
    """The direction asked for, or the only one.

    Raises:
        InputError: the file lacks it, or holds two and none is named.

    >>> from saropt.inference.bundled import card_of, find_translator
    >>> path = find_translator("s1-losangeles")
    >>> chosen_direction(path, card_of(path), None)
    Direction('sar2opt')
    """
    if asked is None:
        if len(card.directions) > 1:
            reason = f"translates in several directions, {', '.join(card.directions)}"
            raise InputError(path, reason, remedy="to=optical|sar")
        return next(iter(card.directions))
    if asked not in card.directions:
        raise InputError(path, f"translates {', '.join(card.directions)}, not {asked}")
    return asked


def open_graph(path: Path, options: LoadOptions) -> tuple[Card, Direction, bytes]:
    """Card, direction and serialised model of an `.onnx` translator file: its two ends are blended, and what only the
    halo of a window needs is left out.

    Raises:
        InputError: the file cannot be used, lacks the direction or the reliability, or holds another number of steps.
    """
    from onnx import load_model_from_string

    card, graph = load_graph(path, options.realism, options.reliability)
    direction = chosen_direction(path, card, options.direction)
    if options.steps is not None and options.steps != (held := sampler_of(path, card, direction, options.steps).steps):
        raise InputError(path, f"holds a graph of {held} steps: other numbers of steps need its .safetensors file")
    described = card.directions[direction]
    if described.receptive_field is not None:
        halo = halo_of(described.receptive_field, described.stride)
        try:
            model = load_model_from_string(graph)
            _check_reach(path, described, model, errors=options.reliability)
            graph = trim_graph(carry_means(model), halo, described.stride).SerializeToString()
        except InputError:
            raise
        except Exception as error:  # of a file that is damaged in one of many ways
            raise InputError(path, f"holds a damaged graph: {first_line(error)}") from error
    return card, direction, graph


def _check_reach(path: Path, described: DirectionCard, model: ModelProto, *, errors: bool) -> None:
    """Refuse a graph that looks further than the halo with which its windows are read: pictures would differ with the
    tiles."""
    tiled = with_errors(described) if errors else described
    assert tiled.receptive_field is not None
    stride, halo = tiled.stride, halo_of(tiled.receptive_field, tiled.stride)
    reach = reach_of(model, stride)
    if reach is not None and reach > halo and (halo > _MEASURED or sees_beyond(model, halo, stride)):
        sees = "all of a window" if math.isinf(reach) else f"{reach:g} pixels on each side"
        raise InputError(path, f"card: receptive_field {described.receptive_field} is too small: its graph sees {sees}")


def first_line(error: Exception) -> str:
    """The first words of a runtime's error, which may be pages."""
    return str(error).strip().partition("\n")[0][:200]


def sampler_of(path: Path, card: Card, direction: Direction, steps: int) -> SamplerCard:
    """The sampler of a direction.

    Raises:
        OptionError: it has none, so that `steps` mean nothing.
    """
    sampler = card.directions[direction].sampler
    if sampler is None:
        raise OptionError("steps", steps, f"{path} translates in one pass: it is no sampler")
    return sampler
