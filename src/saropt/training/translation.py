"""The training of translators by a method (`saropt.methods`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from saropt.artifacts import Card, DirectionCard, SamplerCard
from saropt.artifacts.checks import check_output
from saropt.domain import Direction, Role, match_bands
from saropt.errors import InputError, OptionError
from saropt.files import validated
from saropt.inference.familiarity import scene_inputs_in_training, seen_in_training
from saropt.methods import Batch, Method, get_method
from saropt.methods.base import Update
from saropt.networks import check_compiler, has_instance_statistics
from saropt.roots import Augmentation, DataRoot, WindowSampler, classes_of
from saropt.training.config import EngineConfig, TrainingConfig
from saropt.training.export import move_fidelity_end, write_translators
from saropt.training.generators import check_networks, has_blocks, prepare_generators
from saropt.training.task import Outcome, Task, check_batches, check_stride, training_card
from saropt.training.tracking import Tracker
from saropt.training.validation import SOME_WINDOWS, Validation
from saropt.training.windows import describe_roles, draw_windows

_SAMPLE_IMAGES = 4
_CALIBRATION_WINDOWS = 16


class TranslatorTask(Task):
    """Training by a method.

    Args:
        config: what to train.
        root: data; the splits that the config names and, for validation, val are used.
        processes: number of processes that will train together.

    Raises:
        InputError: unfit data or configuration.

    Attributes:
        generators: the translating network of each direction.
        validation: None where nothing is validated or sampled.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> from saropt.training import read_config
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 0), size=256))
    >>> sorted(TranslatorTask(read_config("regression", None, []), root).images)
    ['optical', 'sar']
    """

    fuses_steps = True
    config: TrainingConfig
    module: Method

    def __init__(self, config: TrainingConfig, root: DataRoot, processes: int = 1) -> None:
        super().__init__(config, root, processes)
        self.engine: EngineConfig = config.engine
        self.name = config.method
        try:
            self.method_class = get_method(config.method)
        except ValueError as error:
            raise InputError(config.method, str(error)) from error
        self.sharded = self.engine.strategy == "fsdp" and processes > 1
        self._check_engine(processes)
        cls = self.method_class
        arguments = validated(cls.config_type, config.arguments, f"arguments of {cls.name}")
        self.roles = cls.roles_of(arguments)
        self._check_pairs()
        if (count := config.data.max_rasters) is not None:
            for split in dict.fromkeys(self._splits.values()):
                self.root = self.root.with_fewer(split, count, config.data.rasters_seed)
        self._open_data(arguments, root)
        self._build(arguments)
        self.sample_every = self.engine.sample_every
        has_truth = self.validation is not None and self.validation.has_truth
        self.validates = bool(self.engine.validate_every and (has_truth or self.engine.patience))
        if self.engine.patience and self.milestones():
            raise InputError("engine.patience", f"must be 0: {self.name} trains in phases, and would end in the first")
        if self.engine.patience and not root.paired and len(self.generators) < 2:
            raise InputError("engine.patience", "needs pairs, or a method of both directions, to validate")

    def _check_engine(self, processes: int) -> None:
        engine, method = self.engine, self.config.method
        if processes > 1 and self.method_class.single_batch:
            raise OptionError("devices", processes, f"{method} learns from one batch: it trains on one device")
        if self.sharded and engine.precision == "16-mixed":
            raise InputError("engine.precision", "16-mixed does not go with engine.strategy=fsdp: take bf16-mixed")
        if self.sharded and engine.compile:
            raise InputError("engine.compile", "does not go with engine.strategy=fsdp")
        if engine.compile:
            check_compiler("cpu", "engine.compile")
        if not engine.validate_every and (engine.patience or engine.select == "best"):
            setting = "engine.patience" if engine.patience else "engine.select"
            raise InputError(setting, "needs validation: set engine.validate_every")

    def _check_pairs(self) -> None:
        root, data, method = self.root, self.config.data, self.config.method
        if not self.method_class.unpaired:
            if root.borrowed:
                place = root.home_of(next(iter(root.borrowed)))
                raise InputError(place, f"{method} needs pairs: all images from one data root")
            if not root.paired:
                raise InputError(root.path, f"is unpaired (dataset.yaml), but {method} needs pairs")
            if len({data.split(role) for role in self.image_roles}) > 1:
                raise InputError("data.splits", f"must be the same for all roles: {method} needs pairs")
        if not root.paired and self.engine.select == "best":
            raise InputError("engine.select", "best needs validation on pairs, and the data are unpaired: use last")
        if self.method_class.unsupervised and self.engine.select == "best":
            raise InputError("engine.select", f"best needs validation on pairs, and {method} looks at none: use last")

    @property
    def image_roles(self) -> tuple[Role, ...]:
        """The roles without labels."""
        return tuple(role for role in self.roles if role != "label")

    @property
    def _splits(self) -> dict[Role, str]:
        return {role: self.config.data.split(role) for role in self.image_roles}

    @property
    def data_roles(self) -> tuple[Role, ...]:
        return tuple(self.roles)

    @property
    def data_splits(self) -> tuple[str, ...]:
        return (*self._splits.values(), "val")

    @property
    def data_use(self) -> dict[str, str]:
        data = self.config.data
        count = "all" if data.max_rasters is None else f"{data.max_rasters} by seed {data.rasters_seed}"
        return {
            **super().data_use,
            **{f"split of {role}": split for role, split in self._splits.items()},
            "rasters": count,
            "directions": ", ".join(map(str, self.generators)),
            "scene inputs": ", ".join(self.module.scene_inputs) or "none",
        }

    def _check_outputs(self) -> None:
        for direction in self.generators:
            if self.images[direction.output].optional:
                reason = f"{direction.output} is optional there: nothing can be trained to make it"
                raise InputError(self.root.path / "dataset.yaml", reason)
            image = self.images[direction.output]
            try:
                check_output(image.dtype, image.units, len(image.bands), image.recipe, image.statistics)
            except ValueError as error:
                raise InputError(self.root.home_of(direction.output), f"{direction.output}: {error}") from error

    def _open_data(self, arguments: Any, whole: DataRoot) -> None:
        """Make the samplers: of training from this run's rasters, of validation from the whole root."""
        root, data, labels = self.root, self.config.data, "label" in self.roles
        if labels:
            classes_of(root)
        given = self.method_class.images_of(arguments)
        own = {role: image for role, image in given.items() if role in self.image_roles}
        bands = {role: image.bands for role, image in own.items()} | data.bands
        recipes = {role: image.recipe for role, image in own.items()} | data.recipes
        data = data.model_copy(update={"bands": bands, "recipes": recipes})
        told = self.method_class.scene_medians_of(arguments)
        described = describe_roles(root, data, self.image_roles)
        self.images = {
            role: image.model_copy(update={"scene_median": role in told}) for role, image in described.items()
        }
        augmentation = Augmentation(
            flips=data.flips,
            sar_gain_db=data.sar_gain_db,
            sar_contrast=data.sar_contrast,
            speckle_probability=data.speckle_probability,
            optical_gain=data.optical_gain,
        )
        scene_inputs = self.method_class.scene_inputs_of(arguments)
        self.sampler = WindowSampler(
            root,
            self._splits,
            data.crop,
            self.images,
            augmentation,
            unpaired=self.method_class.unpaired,
            balance_tag=data.balance_tag,
            balance=data.balance,
            labels=labels,
            scene_inputs=scene_inputs,
        )
        self.validation: Validation | None = None
        if self.engine.validate_every or self.engine.sample_every:
            sampler = WindowSampler(whole, "val", data.crop, self.images, scene_inputs=scene_inputs)
            count = self.engine.validation_windows or (None if self.engine.patience else SOME_WINDOWS)
            self.validation = Validation(sampler, count, truth=not self.method_class.unsupervised)

    def _build(self, arguments: Any) -> None:
        cls = self.method_class
        bands = {role: card.channels for role, card in self.images.items()}
        if "label" in self.roles:
            bands["label"] = len(classes_of(self.root).names)
        torch.manual_seed(self.engine.seed)
        try:
            self.module = cast("Callable[..., Method]", cls)(arguments, bands)
        except (TypeError, ValueError) as error:
            raise InputError(f"arguments of {cls.name}", str(error).replace("\n", " ")) from error
        self._before = self.module.earlier_trainings()
        self._check_trained_inputs()
        self.generators = self.module.generators()
        check_networks(self.module, self.generators, cls.name)
        self._check_outputs()
        self.shipped = {str(direction): generator for direction, generator in self.generators.items()}
        check_stride(self.shipped, self.config.data.crop)
        size, smallest = self.config.data.batch_size, self.module.smallest_batch
        if size < smallest:
            raise InputError("data.batch_size", f"must be at least {smallest} to train {cls.name}")
        own = [
            ("network", generator, self.module.channels(direction)[0])
            for direction, generator in self.generators.items()
            if has_instance_statistics(generator)
        ]
        check_batches([*self.module.window_networks(), *own], self.config.data.crop, size)
        if self.engine.checkpoint_activations and not all(map(has_blocks, self.generators.values())):
            raise InputError("engine.checkpoint_activations", "the generator has no blocks")

    def _check_trained_inputs(self) -> None:
        for role, like in self.module.same_bands().items():
            here, there = self.images[role].bands, self.images[like].bands
            try:
                alike = match_bands(there, here) == list(range(len(here)))
            except ValueError:
                alike = False
            if not alike:
                reason = f"{self.config.method} needs those of {like} in the same order, {', '.join(there)}"
                raise InputError(f"data.bands.{role}", f"{', '.join(here)}: {reason}")
        for role, trained in self.module.trained_inputs().items():
            for what in ("bands", "units", "recipe"):
                here, there = getattr(self.images[role], what), getattr(trained, what)
                if here != there:
                    reason = f"the network of its file was trained on {role} {what} {there}, the data have {here}"
                    raise InputError(f"arguments of {self.config.method}", reason)

    def place(self, device: torch.device) -> None:
        super().place(device)
        prepare_generators(self.generators.values(), self.engine, device)

    def optimizers(self) -> dict[str, Optimizer]:
        return self.module.optimizers()

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        return self.module.learning_rate_factor(optimizer, progress)

    def milestones(self) -> Mapping[str, float]:
        return self.module.milestones()

    def draw(self, step: int, first: int) -> Batch:
        seed = [self.engine.seed, 0 if self.method_class.single_batch else step, 0]
        return draw_windows(self.sampler, self.config.data.batch_size, seed, first)

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        return self.module.updates(batch, progress)

    def noise_seed(self, step: int, rank: int) -> int:
        return int(np.random.SeedSequence([self.engine.seed, step, rank]).generate_state(1, np.uint64)[0])

    def figures(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        return {name: float(value) for name, value in losses.items()} | self.module.figures(losses)

    def validate(self) -> dict[str, float]:
        assert self.validation is not None
        if not self.validation.has_truth:
            figures = self.validation.cycle_figures(self.generators, self.device)
            return {f"val/cycle_{key}": value for key, value in figures.items()}
        return {
            f"val/{direction}/{key}": value
            for direction, generator in self.generators.items()
            for key, value in self.validation.figures(generator, direction, self.device).items()
        }

    def score(self, figures: Mapping[str, float]) -> float:
        return sum(value for key, value in figures.items() if key.endswith("/mae"))

    def sample(self, tracker: Tracker | None, step: int) -> None:
        assert self.validation is not None
        for direction, generator in self.generators.items():
            source, target = (images[:_SAMPLE_IMAGES] for images in self.validation.batch.pair(direction))
            output = self.validation.translate(generator, source, self.device)[:, : target.shape[1]]
            columns = [source, output, target] if self.validation.has_truth else [source, output]
            if tracker is not None:
                tracker.sample(step, direction, [column.numpy() for column in columns])

    def export(self, folder: Path, outcome: Outcome) -> list[Path]:
        states = move_fidelity_end(outcome.states, self.config.card.retreat)
        card = self._card(folder, outcome.step, len(states) > 1)
        return write_translators(folder, card, self.module, states, self.calibration_windows)

    def _card(self, folder: Path, step: int, two_ends: bool) -> Card:
        config, root = self.config, self.root
        first = next(iter(self.generators)).inputs[0]
        seen = seen_in_training(root, self.module.describe_input(self.images[first]), config.data.split(first))
        scene_inputs = scene_inputs_in_training(root, first, config.data.split(first))
        training = training_card(config, root, self._describe_splits(), step, self._before, self._splits)
        return Card(
            name=config.card.name or folder.name,
            method=config.method,
            directions={direction: self._describe(direction) for direction in self.generators},
            gsd_m=root.gsd_m,
            training=training.model_copy(update={"seen": seen, "scene_inputs": scene_inputs}),
            realism=config.card.realism if two_ends else None,
            licence=config.card.licence,
            notes=config.card.notes,
        )

    def _describe_splits(self) -> str:
        """Where the windows come from, in words for the card."""
        words = self.config.data.describe_splits(self.image_roles)
        if self.config.data.max_rasters is None:
            return words
        names = (self.root.borrowed.get(role, self.root).names(split) for role, split in self._splits.items())
        counts = dict.fromkeys(str(len(those)) for those in names)
        return f"{words}: {' and '.join(counts)} random rasters, seed {self.config.data.rasters_seed}"

    def _describe(self, direction: Direction) -> DirectionCard:
        module: Any = self.generators[direction]
        network, arguments = self.module.network_of(direction)
        return DirectionCard(
            inputs=tuple(self.module.describe_input(self.images[role]) for role in direction.inputs),
            outputs=(self.images[direction.output], *self.module.further_outputs(direction)),
            scene_inputs=self.module.scene_inputs,
            network=network,
            arguments=arguments,
            stride=module.stride,
            receptive_field=module.receptive_field,
            statistics="scene" if has_instance_statistics(module) else "none",
            tile=self.config.card.tile or module.tile,
            sampler=SamplerCard.of(module),
        )

    def calibration_windows(self, direction: Direction) -> Tensor:
        """Undisturbed training inputs (N, C, crop, crop) to freeze instance statistics on."""
        sampler = copy.copy(self.sampler)
        sampler.augmentation = Augmentation(flips=False)
        return draw_windows(sampler, _CALIBRATION_WINDOWS, [self.engine.seed]).pair(direction)[0]
