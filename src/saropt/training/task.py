"""What the training loop trains: a `Task` has networks, losses, validation figures, and files to write at the end."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from saropt.artifacts import EarlierTraining, ImageCard, TrainingCard
from saropt.domain import Role
from saropt.errors import InputError
from saropt.methods.base import Update
from saropt.roots import DataRoot
from saropt.training.averaging import States
from saropt.training.config import LoopConfig, Section
from saropt.training.tracking import Tracker


@dataclass(frozen=True)
class Outcome:
    """The result of a finished run.

    Attributes:
        step: steps done.
        states: whole weights by end: {"": weights} alone, or the name of a milestone and "realism".
        figures: validation figures of the weights.

    >>> Outcome(step=100, states={"": {}}, figures={"val/psnr": 17.2}).figures
    {'val/psnr': 17.2}
    """

    step: int
    states: dict[str, States]
    figures: dict[str, float]


class Task(ABC):
    """A validated plan of a run. The constructor opens the data, builds the networks on the CPU and checks everything
    that can be checked without a device. It launches and writes nothing.

    Args:
        config: what to train; it has the sections data, engine and card.
        root: training data.
        processes: number of processes that will train together.

    Raises:
        InputError: unfit data or configuration.

    Attributes:
        name: what the checkpoint is of, such as "segmenter unet".
        images: role -> card of its images.
        module: holds all networks, each as a child; buffers of its own are saved with them.
        shipped: networks by name whose weights are averaged, chosen and shipped.
        validates: whether there are validation figures, of every `engine.validate_every` steps and of the last one.
        sample_every: steps between sample pictures; 0 for none.
        sharded: whether each process holds a part of the networks.
        remarks: what a person should know of the data before the training begins.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> from saropt.training import TranslatorTask, read_config
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 0), size=256))
    >>> task = TranslatorTask(read_config("regression", None, []), root)
    >>> task.name, isinstance(task, Task)
    ('regression', True)
    """

    name: str
    images: Mapping[Role, ImageCard]
    module: nn.Module
    shipped: Mapping[str, nn.Module]
    validates = False
    sample_every = 0
    sharded = False
    remarks: Sequence[str] = ()
    fuses_steps: ClassVar[bool] = False
    """Whether Adam updates each weight in one pass on a CPU."""

    def __init__(self, config: Any, root: DataRoot, processes: int = 1) -> None:
        self.config = config
        self.root = root
        self.engine: LoopConfig = config.engine
        self.device = torch.device("cpu")

    def place(self, device: torch.device) -> None:
        """Move to the device that this process trains on.

        Raises:
            InputError: the device cannot do what the configuration asks for.
        """
        self.device = device
        self.module.to(device)

    @property
    def data_roles(self) -> tuple[Role, ...]:
        """The roles that are learnt from."""
        return (*self.root.images, "label")

    @property
    def data_splits(self) -> tuple[str, ...]:
        """The splits that are learnt from and validated on."""
        return ("train", "val")

    @property
    def data_use(self) -> dict[str, str]:
        """How the run takes its data, in plain texts by what they are of. A run is not resumed in another way: the card
        would not say what the weights have seen."""
        found = {"seed": str(self.engine.seed)}
        for role, image in self.images.items():
            recipe = ", ".join(f"{key} {value}" for key, value in image.recipe.items())
            found |= {f"bands taken of {role}": ", ".join(image.bands), f"recipe of {role}": recipe}
        return found

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """Named optimizers over the parameters of `module`."""

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        """Factor on the optimizer's initial learning rate at a share of the training."""
        return 1.0

    def milestones(self) -> Mapping[str, float]:
        """Name -> progress at which the averaged weights are kept and training goes on from them."""
        return {}

    @abstractmethod
    def draw(self, step: int, first: int) -> Any:
        """A batch of `config.data.batch_size` windows on the CPU, a pure function of the step and of `first`, the
        number of its first window. Called in threads."""

    @abstractmethod
    def updates(self, batch: Any, progress: float) -> Iterator[Update]:
        """Yield (optimizer name, losses) once per optimizer step; see `saropt.methods.Method`."""

    @abstractmethod
    def noise_seed(self, step: int, rank: int) -> int:
        """Seed of torch's random numbers in a step of a process."""

    @abstractmethod
    def figures(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """What is logged of a step's losses, which are named OPTIMIZER/LOSS."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Figures named val/... of the networks as they are; leaves them in training mode."""

    @abstractmethod
    def score(self, figures: Mapping[str, float]) -> float:
        """The validation figure that weights are chosen by; lower is better."""

    def sample(self, tracker: Tracker | None, step: int) -> None:  # noqa: B027
        """Compute sample pictures, and write them where there is a tracker."""

    @abstractmethod
    def export(self, folder: Path, outcome: Outcome) -> list[Path]:
        """Write the files that a finished run ships."""


def training_card(
    config: Any,
    root: DataRoot,
    split: str,
    step: int,
    before: Sequence[TrainingCard] = (),
    splits: Mapping[Role, str] | None = None,
) -> TrainingCard:
    """Where the weights of a run come from.

    Args:
        split: in words.
        before: the trainings of the files that it learns from.
        splits: role -> split that its windows come from; those of `split` when None.
    """
    section: Section = config
    fields = set(EarlierTraining.model_fields)
    earlier = [(EarlierTraining(**one.model_dump(include=fields)), *one.earlier) for one in before]
    sets: dict[str, tuple[str, ...]] = {}
    for role, own in (dict.fromkeys(root.images, split) if splits is None else splits).items():
        for name in root.borrowed.get(role, root).data_names:
            sets[name] = tuple(dict.fromkeys((*sets.get(name, ()), own)))
    return TrainingCard(
        data=root.name,
        split=split,
        steps=step,
        seed=config.engine.seed,
        licence=_joined([root.licence, *(one.licence for one in before)]),
        attribution=_joined([config.card.attribution, *(one.attribution for one in before)]),
        config=section.model_dump(mode="json"),
        sets=sets,
        earlier=tuple(one for those in earlier for one in those),
    )


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, texts)))


def check_stride(networks: Mapping[str, nn.Module], crop: int) -> None:
    """Refuse windows that a network cannot take.

    Raises:
        InputError: the side of the windows is no multiple of a network's stride.
    """
    for network in networks.values():
        stride: Any = network.stride
        if crop % stride:
            raise InputError("data.crop", f"must be a multiple of {stride}, not {crop}")


def check_batches(networks: Sequence[tuple[str, nn.Module, int]], crop: int, size: int) -> None:
    """Refuse batches of windows that are too small for a network, or of a side that it cannot take; nothing is
    computed.

    Args:
        networks: what each is, the network, and the bands that it takes.
        crop: the side of the windows.
        size: windows of a batch.

    Raises:
        InputError: the side of the windows does not fit.

    >>> check_batches([("blur", nn.ReflectionPad2d(9), 1)], crop=8, size=1)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: data.crop: 8 does not fit the blur; the smallest that does is 16
    """
    for what, network, bands in networks:
        without_values = copy.deepcopy(network).to("meta")

        def fits(side: int, network: nn.Module = without_values, bands: int = bands) -> bool:
            try:
                with torch.no_grad():
                    network(torch.empty(size, bands, side, side, device="meta"))
            except (RuntimeError, ValueError):
                return False
            return True

        if not fits(crop):
            smallest = next((side for side in range(8, 513, 8) if fits(side)), None)
            hint = "" if smallest is None else f"; the smallest that does is {smallest}"
            raise InputError("data.crop", f"{crop} does not fit the {what}{hint}")
