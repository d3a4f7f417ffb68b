"""Translator files that a method starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saropt.artifacts import (
    Card,
    DirectionCard,
    ImageCard,
    TrainingCard,
    blend,
    load_graph,
    load_translator_module,
    load_weights,
    read_card,
)
from saropt.artifacts.weights import Weights
from saropt.domain import Direction, Role, describe_role
from saropt.errors import InputError
from saropt.methods.guidance import freeze


def images_of_file(path: str | None) -> Mapping[Role, ImageCard]:
    """The images of a translator file by role; none without a file.

    Raises:
        InputError: no such file, or not a translator file.

    >>> images_of_file(None)
    {}
    """
    if path is None:
        return {}
    return _card_of(path).images


def scene_inputs_of_file(path: str, direction: Direction) -> tuple[str, ...]:
    """The scene inputs that a translator file takes in a direction; none where it lacks the direction.

    Raises:
        InputError: no such file, or not a translator file.

    >>> from saropt.inference.bundled import find_translator
    >>> scene_inputs_of_file(str(find_translator("s1-losangeles")), Direction.parse("sar2opt"))
    ()
    """
    card = _card_of(path)
    return card.directions[direction].scene_inputs if direction in card.directions else ()


def trainings_of_files(config: Any) -> list[TrainingCard]:
    """The trainings of the translator files that a method's configuration starts from or is taught by.

    Raises:
        InputError: no such file, or not a translator file.

    >>> from saropt.inference.bundled import find_translator
    >>> from saropt.methods.regression import RegressionConfig
    >>> [one.data for one in trainings_of_files(RegressionConfig(start=str(find_translator("s1-losangeles"))))]
    ['s1s2-losangeles']
    """
    paths = [getattr(config, name, None) for name in ("start", "teacher")]
    return [_card_of(path).training for path in paths if path is not None]


def _card_of(path: str) -> Card:
    return read_card(path) if Path(path).suffix.lower() == ".onnx" else load_weights(path)[0]


class PretrainedTranslator:
    """A translator file, `.safetensors` or `.onnx`, whose networks a method takes over.

    Args:
        path: the file.
        bands: number of bands of each role in the data.
        realism: blend of the file's two ends; the card's own when None.
        scene_inputs: those of the method; a file may have the same ones or none.

    Raises:
        InputError: no such file, or other band counts or scene inputs.
    """

    def __init__(
        self,
        path: str,
        bands: Mapping[Role, int],
        realism: float | None = None,
        scene_inputs: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        graph = Path(path).suffix.lower() == ".onnx"
        self.card, weights = _graph_weights(path, realism) if graph else load_weights(path)
        in_file = {role: len(image.bands) for role, image in self.card.images.items()}
        if any(bands.get(role) != count for role, count in in_file.items()):
            there, here = (_in_words({role: counts.get(role, 0) for role in in_file}) for counts in (in_file, bands))
            raise InputError(path, f"translates between {there} bands, the data have {here}")
        for described in self.card.directions.values():
            if described.scene_inputs not in ((), scene_inputs):
                there, here = ", ".join(described.scene_inputs), ", ".join(scene_inputs) or "none"
                raise InputError(path, f"takes the scene inputs {there}, the configuration names {here}")
        self._weights = weights if graph else blend(weights, self.card.realism if realism is None else realism)

    def described(self, direction: Direction) -> DirectionCard:
        """What the card says of a direction.

        Raises:
            InputError: the file lacks it.
        """
        if direction not in self.card.directions:
            raise InputError(self.path, f"translates {', '.join(self.card.directions)}, not {direction}")
        return self.card.directions[direction]

    def network(self, direction: Direction) -> nn.Module:
        """The network of a direction with its weights.

        Raises:
            InputError: the file lacks the direction, or its weights do not fit its card.
        """
        self.described(direction)
        return load_translator_module(self.path, self.card, direction, self._weights)


class FrozenTranslator(nn.Module):
    """A network that is only asked: no optimizer, gradient or checkpoint has its weights; always in evaluation mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        freeze(self.network)

    def train(self, mode: bool = True) -> FrozenTranslator:
        """It stays in evaluation mode."""
        return self

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.network(image)
        return output


def _graph_weights(path: str, realism: float | None) -> tuple[Card, Weights]:
    """Card and weights of an `.onnx` file, blended; its initializers have the names of the network's own weights."""
    import onnx
    from onnx import numpy_helper

    card, content = load_graph(path, realism)
    (direction,) = card.directions
    tensors = onnx.load_model_from_string(content).graph.initializer
    return card, {
        f"{direction}.{one.name}": numpy_helper.to_array(one).copy()
        for one in tensors
        if not one.name.startswith("errors/")
    }


def _in_words(bands: Mapping[Role, int]) -> str:
    return " and ".join(f"{count} {describe_role(role).title}" for role, count in bands.items())
