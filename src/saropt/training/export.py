"""From trained weights to translator files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from saropt.artifacts import Card, save_weights
from saropt.artifacts.export import export_graph, has_static_graph
from saropt.domain import Direction
from saropt.methods import Method
from saropt.networks import build_network
from saropt.training.averaging import States


def write_translators(
    folder: Path,
    card: Card,
    method: Method,
    states: dict[str, States],
    calibration: Callable[[Direction], Tensor],
) -> list[Path]:
    """translator.safetensors and, where a static graph holds the network, one .onnx per direction: into the run.

    Args:
        folder: the run folder.
        card: the card of the translator.
        method: says which network each direction has.
        states: whole weights by end; one end's name is empty.
        calibration: inputs (N, C, h, w) of a direction to freeze instance statistics on.
    """
    weights = {
        f"{end}/{direction}.{key}" if end else f"{direction}.{key}": value.cpu().numpy()
        for end, state in states.items()
        for direction, tensors in state.items()
        for key, value in tensors.items()
    }
    paths = [folder / "translator.safetensors"]
    save_weights(paths[0], card, weights)
    for direction, described in card.directions.items():
        suffix = "" if len(card.directions) == 1 else f"-{direction}"
        path = folder / f"translator{suffix}.onnx"
        network, arguments = method.network_of(direction)
        ends = []
        for state in states.values():
            module = build_network(network, *method.channels(direction), **arguments)
            module.load_state_dict(state[direction])
            ends.append(module.eval())
        if not has_static_graph(ends[0]):
            continue
        windows = calibration(direction) if described.statistics == "scene" else None
        export_graph(path, card, direction, ends, windows)
        paths.append(path)
    return paths


def move_fidelity_end(states: dict[str, States], share: float) -> dict[str, States]:
    """Weights by end with the fidelity end moved away from the realism end by a share of their difference; as they are
    where there is one end.

    What the adversarial phase adds to the weights costs fidelity from its first step; the way back gains some.
    """
    if len(states) < 2 or not share:
        return states
    realism = states["realism"]
    moved = {
        direction: {
            key: torch.lerp(value, realism[direction][key].to(value), -share) if value.is_floating_point() else value
            for key, value in tensors.items()
        }
        for direction, tensors in states["fidelity"].items()
    }
    return {**states, "fidelity": moved}
