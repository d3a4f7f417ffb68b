"""What a method is: a config, networks, optimizers, and a generator of named losses.

A method never touches devices, files or loggers. The training engine calls `updates(batch, progress)`; after each
yield it back-propagates the sum of the yielded losses and steps the named optimizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.optim import Optimizer

from saropt.artifacts import ImageCard
from saropt.domain import SAR_TO_OPTICAL, Direction

Update = tuple[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Batch:
    """Normalised windows in [-1, 1]: `sar` (N, Cs, h, w), `optical` (N, Co, h, w).

    `label` (N, h, w), dtype long, holds class indices, 255 where there is none; methods that need labels get it.
    """

    sar: Tensor
    optical: Tensor
    label: Tensor | None = None

    def pair(self, direction: Direction) -> tuple[Tensor, Tensor]:
        """Input and target of a direction."""
        return (self.sar, self.optical) if direction == SAR_TO_OPTICAL else (self.optical, self.sar)


class MethodConfig(BaseModel):
    """Base of all method configs; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(nn.Module, ABC):
    """Base of all methods.

    Args:
        config: an instance of `config_type`.
        sar_bands, optical_bands: channel counts of the two sides.

    A method with `needs_labels` gets the number of classes as a further keyword argument, `classes`.
    """

    config_type: ClassVar[type[MethodConfig]]
    name: ClassVar[str]
    paper: ClassVar[str]
    unpaired: ClassVar[bool] = False
    """Whether the two sides of a batch are drawn independently."""
    needs_labels: ClassVar[bool] = False
    """Whether its batches have labels; the data root must be paired and name classes."""
    single_batch: ClassVar[bool] = False
    """Whether every step gets the batch of the first, as methods that learn from single images do; on one device."""

    def __init__(self, config: MethodConfig, sar_bands: int, optical_bands: int) -> None:
        super().__init__()
        self.bands = {"sar": sar_bands, "optical": optical_bands}

    @abstractmethod
    def generators(self) -> dict[Direction, nn.Module]:
        """The translating network of each direction; these end up in the translator file."""

    @abstractmethod
    def network_choice(self) -> tuple[str, dict]:
        """Registered name and arguments of the generators."""

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """Named optimizers over the method's parameters."""

    @abstractmethod
    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        """Yield (optimizer name, weighted losses) once per optimizer step.

        How often it calls each network must follow from the config and the progress alone: networks in shards compute
        in all processes together (`engine.strategy`).

        Args:
            batch: normalised windows.
            progress: share of the training that is done, in [0, 1).
        """

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        """Factor on the optimizer's initial learning rate at `progress`."""
        return 1.0

    def milestones(self) -> Mapping[str, float]:
        """Name -> progress at which the averaged generator weights are kept under that name and training goes on
        from them."""
        return {}

    def trained_inputs(self) -> Mapping[str, ImageCard]:
        """ "sar" or "optical" -> the side that a frozen network of the method was trained on; data that are normalised
        otherwise are refused."""
        return {}

    def channels(self, direction: Direction) -> tuple[int, int]:
        """Input and output bands of a direction."""
        sar, optical = self.bands["sar"], self.bands["optical"]
        return (sar, optical) if direction == SAR_TO_OPTICAL else (optical, sar)


class OneDirection(Method):
    """Base of methods whose config names one `direction`, and a `network` with its `network_arguments`; their generator
    is `generator`."""

    config: Any
    generator: nn.Module

    def generators(self) -> dict[Direction, nn.Module]:
        return {self.config.direction: self.generator}

    def network_choice(self) -> tuple[str, dict]:
        return self.config.network, self.config.network_arguments


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """No gradient reaches the parameters of these modules inside the block; it still flows through them."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
