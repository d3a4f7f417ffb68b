"""From a finished run to translator files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from saropt.artifacts import Card, DirectionCard, SamplerCard, TrainingCard, save_weights
from saropt.artifacts.export import export_graph, has_static_graph
from saropt.networks import build_network, has_instance_statistics

if TYPE_CHECKING:
    from saropt.training.averaging import States
    from saropt.training.engine import Trainer


def write_translators(trainer: Trainer, states: dict[str, States]) -> list[Path]:
    """translator.safetensors and, where a static graph holds the network, one .onnx per direction: into the run.

    Args:
        states: whole weights by end, as `Trainer.final_states` gives them.
    """
    if trainer.config.card.retreat:
        retreat(states, trainer.config.card.retreat)
    images = {image.role: image for image in (trainer.sar_card, trainer.optical_card)}
    directions = {}
    for direction, generator in trainer.generators.items():
        module: Any = generator
        network, arguments = trainer.plain.network_of(direction)
        directions[direction] = DirectionCard(
            inputs=[images[role] for role in direction.inputs],
            outputs=[images[direction.output]],
            network=network,
            arguments=arguments,
            stride=module.stride,
            receptive_field=module.receptive_field,
            statistics="scene" if has_instance_statistics(module) else "none",
            tile=trainer.config.card.tile or module.tile,
            sampler=SamplerCard.of(module),
        )
    config = trainer.config
    card = Card(
        name=config.card.name or trainer.folder.name,
        method=config.method,
        directions=directions,
        gsd_m=trainer.root.gsd_m,
        training=TrainingCard(
            data=trainer.root.name,
            split=config.data.split,
            steps=trainer.step,
            seed=config.engine.seed,
            licence=trainer.root.licence,
            attribution=config.card.attribution,
            config=config.model_dump(mode="json"),
        ),
        realism=config.card.realism if len(states) > 1 else None,
        licence=config.card.licence,
        notes=config.card.notes,
    )
    weights = {
        f"{end}/{direction}.{key}" if end else f"{direction}.{key}": value.cpu().numpy()
        for end, state in states.items()
        for direction, tensors in state.items()
        for key, value in tensors.items()
    }
    paths = [trainer.folder / "translator.safetensors"]
    save_weights(paths[0], card, weights)
    for direction, generator in trainer.generators.items():
        if not has_static_graph(generator):
            continue
        suffix = "" if len(directions) == 1 else f"-{direction}"
        path = trainer.folder / f"translator{suffix}.onnx"
        ends = []
        for state in states.values():
            network, arguments = trainer.plain.network_of(direction)
            module = build_network(network, *trainer.plain.channels(direction), **arguments)
            module.load_state_dict(state[direction])
            ends.append(module.eval())
        windows = trainer.calibration_windows(direction) if directions[direction].statistics == "scene" else None
        export_graph(path, card, direction, ends, windows)
        paths.append(path)
    return paths


def retreat(states: dict[str, States], share: float) -> None:
    """Move the fidelity end away from the realism end by a share of their difference; nothing where there is one end.

    What the adversarial phase adds to the weights costs fidelity from its first step; the way back gains some.
    """
    if len(states) < 2:
        return
    states["fidelity"] = {
        direction: {
            key: torch.lerp(value, states["realism"][direction][key].to(value), -share)
            if value.is_floating_point()
            else value
            for key, value in tensors.items()
        }
        for direction, tensors in states["fidelity"].items()
    }
