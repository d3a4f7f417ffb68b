"""Tasks that train one network with one optimizer by a sum of losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from saropt.artifacts import MatcherCard, SegmenterCard, save_weights
from saropt.errors import InputError
from saropt.methods.base import Update
from saropt.roots import DataRoot
from saropt.training.task import Outcome, Task

NETWORK = "network"


class _Holder(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class OneNetworkTask(Task):
    """Base of segmenters and matchers. A subclass opens its data, then calls `_setup`.

    Attributes:
        file: name of the result in the run folder.
        score_figure: the validation figure whose highest value chooses the weights.
    """

    file: ClassVar[str]
    score_figure: ClassVar[str]

    def __init__(self, config: Any, root: DataRoot, processes: int = 1) -> None:
        super().__init__(config, root, processes)
        if self.engine.patience and not self.engine.validate_every:
            raise InputError("engine.patience", "needs validation: set engine.validate_every")
        self.validates = self.engine.validate_every > 0
        if self.validates and "val" not in root.splits.values():
            reason = "has no val split to choose weights by; engine.validate_every=0 trains without"
            raise InputError(root.path / "splits.csv", reason)

    def _setup(self, network: nn.Module) -> None:
        self.module = _Holder(network)
        self.shipped = {NETWORK: network}

    @property
    def network(self) -> nn.Module:
        """The network to train: Fabric's wrapper once the loop has set it up."""
        network: nn.Module = self.module.network  # type: ignore[assignment]
        return network

    @abstractmethod
    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The terms of the loss, which are summed."""

    @abstractmethod
    def measure(self, network: nn.Module) -> dict[str, float]:
        """Validation figures named val/..., `score_figure` among them, of a network in evaluation mode."""

    @abstractmethod
    def card(self, folder: Path, outcome: Outcome) -> SegmenterCard | MatcherCard:
        """The card of the result."""

    def updates(self, batch: Any, progress: float) -> Iterator[Update]:
        yield NETWORK, self.losses(batch)

    def noise_seed(self, step: int, rank: int) -> int:
        return hash((self.engine.seed, step, rank)) & 0x7FFFFFFF

    def figures(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        terms = {name.replace(f"{NETWORK}/", "loss/"): float(value) for name, value in losses.items()}
        return {"loss": float(sum(losses.values())), **(terms if len(terms) > 1 else {})}

    def validate(self) -> dict[str, float]:
        network = self.shipped[NETWORK]
        network.eval()
        with torch.no_grad():
            figures = self.measure(network)
        network.train()
        return figures

    def score(self, figures: Mapping[str, float]) -> float:
        return -figures[self.score_figure]

    def export(self, folder: Path, outcome: Outcome) -> list[Path]:
        path = folder / self.file
        (states,) = outcome.states.values()
        weights = self.shipped_weights(states[NETWORK])
        save_weights(path, self.card(folder, outcome), {key: value.cpu().numpy() for key, value in weights.items()})
        return [path]

    def shipped_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The part of the network's state that the result holds."""
        return state


def quality(figures: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Validation figures as a card has them.

    >>> quality({"val/miou": 0.5})
    {'val': {'miou': 0.5}}
    """
    return {"val": {key.removeprefix("val/"): value for key, value in figures.items()}} if figures else {}
