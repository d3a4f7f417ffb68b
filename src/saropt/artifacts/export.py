"""Exports torch networks as `.onnx` translator files (needs `saropt[train]`)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from saropt.artifacts.card import Card, Direction
from saropt.artifacts.graph import add_realism_end, write_graph
from saropt.errors import InputError

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

OPSET = 18
INPUT, OUTPUT = "input", "output"


def export_graph(
    path: str | Path,
    card: Card,
    direction: Direction,
    ends: Sequence[nn.Module],
    calibration: Tensor | None = None,
) -> None:
    """Write one direction as ONNX with dynamic batch, height and width. The file appears when it is complete.

    Args:
        path: the `.onnx` file.
        card: the card, of whose directions only `direction` is written.
        ends: one network, or fidelity and realism end of the same network, in eval mode.
        calibration: inputs (N, C, h, w) on which instance statistics are frozen into the weights; needed when the
            network has any.

    Raises:
        InputError: the network is a sampler with too many steps for a static graph.

    >>> from saropt.artifacts import read_card
    >>> from saropt.inference.exporting import export_translator
    >>> direction = read_card(export_translator("s1-losangeles", "fixed.onnx", realism=0.5)).directions
    >>> list(direction)
    [Direction('sar2opt')]
    """
    from saropt.networks import freeze_statistics, has_instance_statistics

    described = card.directions[direction]
    if not has_static_graph(ends[0]):
        raise InputError(card.name, "draws samples in steps that no static graph holds: it runs as .safetensors only")
    if has_instance_statistics(ends[0]):
        if calibration is None:
            raise ValueError("a network with instance statistics needs calibration inputs to be exported")
        ends = [freeze_statistics(end, calibration) for end in ends]
        described = described.model_copy(update={"statistics": "training"})
    bands = described.channels[0] + (described.sampler.noise_bands if described.sampler else 0)
    models = [_to_onnx(end, bands, described.stride) for end in ends]
    if len(models) == 2:
        add_realism_end(*models)
    training = card.training.model_copy(update={"seen": card.seen_by(direction)})
    described_card = card.model_copy(update={"directions": {direction: described}, "training": training})
    write_graph(path, models[0], described_card)


def errors_graph(network: nn.Module, inputs: int, outputs: int) -> ModelProto:
    """A network of errors (`saropt.networks.ErrorNetwork`) as ONNX, for `saropt.artifacts.graph.write_with_errors`.

    Args:
        inputs, outputs: bands of the translator's input and output.

    >>> from saropt.networks import ErrorNetwork
    >>> [one.name for one in errors_graph(ErrorNetwork(2, 4, 4), 2, 4).graph.input]
    ['source', 'translation']
    """
    import torch

    example = torch.zeros(1, inputs, 64, 64), torch.zeros(1, outputs, 64, 64)
    return _exported(network, example, ["source", "translation"], "errors")


def has_static_graph(network: nn.Module) -> bool:
    """Whether a network can be written as ONNX; all can but samplers of many steps.

    >>> from saropt.networks import build_network
    >>> sampler = build_network("diffusion_unet", 1, 3, width=8)
    >>> has_static_graph(build_network("bridge", 1, 3)), has_static_graph(sampler)
    (True, False)
    """
    return bool(getattr(network, "has_static_graph", True))


def _to_onnx(module: nn.Module, channels: int, stride: int) -> ModelProto:
    import torch

    side = max(stride * 2, 64) if stride < 256 else stride
    return _exported(module, (torch.zeros(1, channels, side, side),), [INPUT], OUTPUT)


def _exported(module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], output: str) -> ModelProto:
    import onnx
    import torch

    axes = {0: "batch", 2: "height", 3: "width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            buffer,  # type: ignore[arg-type]
            input_names=inputs,
            output_names=[output],
            dynamic_axes=dict.fromkeys([*inputs, output], axes),
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    return onnx.load_model_from_string(buffer.getvalue())
