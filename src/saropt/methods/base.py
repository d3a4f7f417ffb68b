"""What a method is: a config, networks, optimizers, and a generator of named losses.

A method never touches devices, files or loggers. The training loop calls `updates(batch, progress)`; after each
yield it back-propagates the sum of the yielded losses and steps the named optimizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.optim import Optimizer

from saropt.artifacts import ImageCard, TrainingCard
from saropt.domain import Direction, Role, list_roles, scene_bands
from saropt.methods.pretrained import trainings_of_files

Update = tuple[str, dict[str, Tensor]]


class Batch(Mapping[Role, Tensor]):
    """Windows by role.

    Images (N, C, h, w) are normalised to [-1, 1]. The role "label" (N, h, w), dtype long, holds class indices, 255
    where there is none; only methods that ask for labels get it. "scene_inputs" (N, K) are those of
    `Method.scene_inputs_of`, encoded by `saropt.domain.encode_scene_inputs`. An image that may be missing has one band
    more, 1 where it is valid and 0 where it is not.

    Args:
        tensors: role -> windows.

    >>> batch = Batch({"sar": torch.zeros(1, 2, 8, 8), "optical": torch.zeros(1, 3, 8, 8)})
    >>> source, target = batch.pair(Direction(["sar"], "optical"))
    >>> source.shape[1], target.shape[1], batch.label is None
    (2, 3, True)
    """

    def __init__(self, tensors: Mapping[Role, Tensor]) -> None:
        self._tensors = dict(tensors)

    def __getitem__(self, role: Role) -> Tensor:
        return self._tensors[role]

    def __iter__(self) -> Iterator[Role]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def label(self) -> Tensor | None:
        """Class indices (N, h, w), or None."""
        return self._tensors.get("label")

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch({role: tensor.to(device) for role, tensor in self._tensors.items()})

    def pair(self, direction: Direction) -> tuple[Tensor, Tensor]:
        """Input and target of a direction; several inputs are joined in its order, and scene inputs stand behind them
        as bands that are constant over the window."""
        inputs = [self[role] for role in direction.inputs]
        if "scene_inputs" in self:
            inputs.append(self["scene_inputs"][:, :, None, None].expand(-1, -1, *inputs[0].shape[-2:]))
        return inputs[0] if len(inputs) == 1 else torch.cat(inputs, dim=1), self[direction.output]


class MethodConfig(BaseModel):
    """Base of all method configs; unknown keys are refused.

    >>> from saropt.methods import get_method
    >>> get_method("pix2pix").config_type().lambda_l1
    100.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Method(nn.Module, ABC):
    """Base of all methods.

    Args:
        config: an instance of `config_type`.
        bands: role -> number of bands, with the band of validity of an image that may be missing; of the role "label"
            the number of classes. All `roles_of(config)`.

    >>> from saropt.methods import get_method
    >>> method = get_method("regression")(get_method("regression").config_type(), {"sar": 2, "optical": 3})
    >>> [str(direction) for direction in method.generators()]
    ['sar2opt']
    """

    config_type: ClassVar[type[MethodConfig]]
    name: ClassVar[str]
    paper: ClassVar[str]
    roles: ClassVar[tuple[Role, ...]] = ("sar", "optical")
    """Roles that its batches hold. With "label" among them, the data root must be paired and name classes."""
    unpaired: ClassVar[bool] = False
    """Whether the images of a batch's roles are drawn independently."""
    unsupervised: ClassVar[bool] = False
    """Whether validation looks at no pairs, even where the data have some."""
    single_batch: ClassVar[bool] = False
    """Whether every step gets the batch of the first, as methods that learn from single images do; on one device."""

    smallest_batch: int = 1
    """The fewest windows that its networks can be trained on at a time."""

    def __init__(self, config: MethodConfig, bands: Mapping[Role, int]) -> None:
        super().__init__()
        self.bands = dict(bands)
        self.scene_inputs = self.scene_inputs_of(config)

    @classmethod
    def roles_of(cls, config: Any) -> tuple[Role, ...]:
        """The roles that a run with this config draws, in the order of `saropt.domain.list_roles`."""
        return cls.roles

    @classmethod
    def images_of(cls, config: Any) -> Mapping[Role, ImageCard]:
        """The images of a file that the config names: where a run names no bands or no recipe, it takes theirs."""
        return {}

    @classmethod
    def scene_inputs_of(cls, config: Any) -> tuple[str, ...]:
        """The scene inputs (`saropt.domain.SCENE_INPUTS`) that the batches of a run with this config hold, in the order
        in which its networks take them."""
        return ()

    @classmethod
    def scene_medians_of(cls, config: Any) -> tuple[Role, ...]:
        """The inputs of which the networks of a run with this config are told the scene's medians
        (`ImageCard.scene_median`)."""
        return ()

    @abstractmethod
    def generators(self) -> dict[Direction, nn.Module]:
        """The translating network of each direction; these end up in the translator file."""

    @abstractmethod
    def network_of(self, direction: Direction) -> tuple[str, dict]:
        """Registered name and arguments of the generator of a direction."""

    def describe_input(self, image: ImageCard) -> ImageCard:
        """The card of an input as files of this method carry it."""
        return image

    def further_outputs(self, direction: Direction) -> tuple[ImageCard, ...]:
        """What the network of a direction gives behind its image, each part with a `product` of its own."""
        return ()

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

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        """Networks that look at whole windows, which may be too small for them: what each is, and its bands."""
        return []

    def figures(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """Figures to log beside a step's losses, which are named OPTIMIZER/LOSS: such as a paper's own sums."""
        return {}

    def milestones(self) -> Mapping[str, float]:
        """Name -> progress at which the averaged generator weights are kept under that name and training goes on
        from them."""
        return {}

    def trained_inputs(self) -> Mapping[Role, ImageCard]:
        """The images that a network which the method takes from a file was trained on; data that are normalised
        otherwise are refused."""
        return {}

    def earlier_trainings(self) -> list[TrainingCard]:
        """The trainings of the files that the method learns from, for the card.

        Raises:
            InputError: no such file.
        """
        return trainings_of_files(self.config)

    def same_bands(self) -> Mapping[Role, Role]:
        """Role -> the role whose bands its images must have, in the same order."""
        return {}

    def channels(self, direction: Direction) -> tuple[int, int]:
        """Bands that the network of a direction takes and gives."""
        further = sum(len(image.bands) for image in self.further_outputs(direction))
        taken = sum(self.bands[role] for role in direction.inputs) + scene_bands(self.scene_inputs)
        return taken, self.bands[direction.output] + further


class OneDirection(Method):
    """Base of methods whose config names one `direction`, and a `network` with its `network_arguments`; their generator
    is `generator`."""

    config: Any
    generator: nn.Module

    @classmethod
    def roles_of(cls, config: Any) -> tuple[Role, ...]:
        """Those of the direction, and labels where the method needs them."""
        direction: Direction = config.direction
        needed = {*direction.inputs, direction.output, *({"label"} & set(cls.roles))}
        return tuple(role for role in list_roles() if role in needed)

    def generators(self) -> dict[Direction, nn.Module]:
        return {self.config.direction: self.generator}

    def network_of(self, direction: Direction) -> tuple[str, dict]:
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
