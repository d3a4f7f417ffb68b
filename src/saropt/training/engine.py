"""The training engine: Fabric owns devices and precision, this loop owns stepping, averaging and saving."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from saropt.domain import Direction
from saropt.errors import InputError
from saropt.methods import Batch, Method, get_method
from saropt.methods.base import Update
from saropt.roots import Augmentation, DataRoot, Sample, WindowSampler, draw_batch
from saropt.training.averaging import States, WeightAverage
from saropt.training.checkpoint import load_checkpoint, save_checkpoint
from saropt.training.config import TrainingConfig, dump_config, validated
from saropt.training.devices import fuse_steps, in_any_process, launch_fabric
from saropt.training.export import write_translators
from saropt.training.generators import prepare_generators
from saropt.training.loop import CHECKPOINT, alone_in, claim_folder, interruptible, prefetched
from saropt.training.sharding import sharding_strategy, whole
from saropt.training.sides import describe_both
from saropt.training.tracking import Tracker
from saropt.training.validation import Validation

Progress = Callable[[int, dict[str, float]], None]
_SAMPLE_IMAGES = 4
_CALIBRATION_WINDOWS = 16


class Trainer:
    """One training run in one folder.

    Args:
        config: what to train.
        root: training data; splits train and val are used.
        folder: the run folder.
        devices: number of devices on each node; one process each.
        nodes: number of nodes; a launcher such as torchrun or srun starts the processes where there are several.
        accelerator: "auto", "cpu" or "cuda".
        resume: continue from the folder's checkpoint.

    Raises:
        InputError: the folder holds a run and `resume` is off, or holds none and it is on; unfit data or config.
    """

    def __init__(
        self,
        config: TrainingConfig,
        root: DataRoot,
        folder: Path,
        devices: int = 1,
        accelerator: str = "auto",
        resume: bool = False,
        nodes: int = 1,
    ) -> None:
        claim_folder(folder, resume)
        self.config = config
        self.root = root
        self.folder = folder
        try:
            self._method_class = get_method(config.method)
        except ValueError as error:
            raise InputError(config.method, str(error)) from error
        if devices * nodes > 1 and self._method_class.single_batch:
            raise InputError("--devices", f"{config.method} learns from one batch: it trains on one device")
        self.sharded = config.engine.strategy == "fsdp" and devices * nodes > 1
        if self.sharded and config.engine.precision == "16-mixed":
            raise InputError("engine.precision", "16-mixed does not go with engine.strategy=fsdp: take bf16-mixed")
        if self.sharded and config.engine.compile:
            raise InputError("engine.compile", "does not go with engine.strategy=fsdp")
        strategy = sharding_strategy(devices * nodes) if self.sharded else "auto"
        self.fabric = launch_fabric(
            accelerator=accelerator,
            strategy=strategy,
            devices=devices,
            num_nodes=nodes,
            precision=config.engine.precision,
            save_memory=self.sharded,
        )
        # in validating and saving: the first process alone, or all where each holds a part
        self.takes_part = self.fabric.is_global_zero or self.sharded
        unpaired = self._method_class.unpaired
        if not unpaired and root.borrowed:
            raise InputError(root.home_of("optical"), f"{config.method} needs pairs: both sides from one data root")
        if not unpaired and not root.paired:
            raise InputError(root.path, f"is unpaired (dataset.yaml), but {config.method} needs pairs")
        if not root.paired and config.engine.select == "best":
            raise InputError("engine.select", "best needs validation on pairs, and the data are unpaired: use last")
        data = config.data
        if not unpaired and data.sar_split != data.optical_split:
            raise InputError("data.optical_split", f"must be data.sar_split: {config.method} needs pairs")
        images = describe_both(root, config.data)
        self.sar_card, self.optical_card = images["sar"], images["optical"]
        augmentation = Augmentation(
            flips=data.flips,
            sar_gain_db=data.sar_gain_db,
            speckle_probability=data.speckle_probability,
            optical_gain=data.optical_gain,
        )
        self.sampler = WindowSampler(
            root,
            {"sar": data.sar_split, "optical": data.optical_split},
            data.crop,
            images,
            augmentation,
            unpaired=unpaired,
            balance_tag=data.balance_tag,
            balance=data.balance,
            labels="label" in self._method_class.roles,
        )
        engine = config.engine
        self.validation: Validation | None = None
        if engine.validate_every or engine.sample_every:
            self.validation = Validation(WindowSampler(root, "val", data.crop, images), engine.validation_windows)
        self._setup_method()
        if engine.patience and not engine.validate_every:
            raise InputError("engine.patience", "needs validation: set engine.validate_every")
        if engine.patience and not root.paired and len(self.generators) < 2:
            raise InputError("engine.patience", "needs pairs, or a method of both directions, to validate")
        self.average = WeightAverage(self.generators, engine.ema)
        self.kept: dict[str, States] = {}
        self.best: tuple[float, States] | None = None
        self.waited = 0
        self.step = 0
        self.seconds = 0.0
        if resume:
            load_checkpoint(self, folder / CHECKPOINT)
        fuse_steps(self.optimizers.values(), self.fabric.device)  # last: a checkpoint may come from another device

    def _setup_method(self) -> None:
        torch.manual_seed(self.config.engine.seed)
        cls = self._method_class
        config = validated(cls.config_type, self.config.arguments, f"arguments of {cls.name}")
        try:
            build = cast("Callable[..., Method]", cls)
            bands = {"sar": len(self.sar_card.bands), "optical": len(self.optical_card.bands)}
            if "label" in cls.roles:
                bands["label"] = len(self.sampler.classes.names)
            self.plain = build(config, bands)
        except (TypeError, ValueError) as error:
            raise InputError(f"arguments of {cls.name}", str(error).replace("\n", " ")) from error
        self._check_trained_inputs()
        self.generators: dict[Direction, nn.Module] = self.plain.generators()
        for generator in self.generators.values():
            if self.config.data.crop % cast("int", generator.stride):
                raise InputError("data.crop", f"must be a multiple of {generator.stride}, not {self.config.data.crop}")
        self.plain.to(self.fabric.device)
        prepare_generators(self.generators.values(), self.config.engine, self.fabric.device)
        for name, module in list(self.plain.named_children()):
            if any(True for _ in module.parameters()):
                setattr(self.plain, name, self.fabric.setup_module(module))
        self.optimizers = self.plain.optimizers()
        self._rates = {
            name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in self.optimizers.items()
        }
        for name, optimizer in self.optimizers.items():
            self.optimizers[name] = cast("Optimizer", self.fabric.setup_optimizers(optimizer))

    def _check_trained_inputs(self) -> None:
        for modality, trained in self.plain.trained_inputs().items():
            given = self.sar_card if modality == "sar" else self.optical_card
            for what in ("bands", "units", "recipe"):
                here, there = getattr(given, what), getattr(trained, what)
                if here != there:
                    reason = f"a frozen network was trained on {modality} {what} {there}, the data have {here}"
                    raise InputError(f"arguments of {self.config.method}", reason)

    def run(self, report: Progress | None = None) -> list[Path]:
        """Train to `max_steps`, or for `max_minutes`, and write the translator files.

        Args:
            report: called after every step with the step and the losses of the last logged step.

        Returns:
            The translator files.

        Raises:
            BusyError: another run trains in the folder.
            InputError: losses stopped being finite, or data cannot be read.
        """
        agreed = partial(in_any_process, self.fabric)
        config = dump_config(self.config) if self.fabric.is_global_zero else None
        with alone_in(self.folder, config, agreed):
            return self._run(report, agreed)

    def _run(self, report: Progress | None, agreed: Callable[[bool], bool]) -> list[Path]:
        engine = self.config.engine
        lead = self.fabric.is_global_zero
        tracker = Tracker(self.folder, self.step) if lead else None

        def log(figures: dict[str, float]) -> None:
            if tracker is not None:
                tracker.log(self.step, figures)

        milestones = self.plain.milestones()
        figures: dict[str, float] = {}
        has_truth = self.validation is not None and self.validation.has_truth
        measured = engine.validate_every and (has_truth or engine.patience)
        self.plain.train()
        started = time.perf_counter()
        try:
            for batches in interruptible(self._batches(self.step, engine.max_steps), self._save, agreed):
                progress = self._progress()
                if progress >= 1.0:
                    break
                if engine.patience and self.step % engine.validate_every == 0 and self._exhausted():
                    break
                for name, share in milestones.items():
                    if name not in self.kept and progress >= share - 1e-9:
                        self._keep(name)
                losses = self._train_step(batches)
                self.step += 1
                if engine.max_minutes is not None:
                    self.seconds += time.perf_counter() - started
                started = time.perf_counter()
                self.average.update(self.generators)
                if not self.takes_part:
                    continue
                if self.step % engine.log_every == 0 or self.step == engine.max_steps:
                    figures = {name: float(value) for name, value in losses.items()}
                    if not all(torch.isfinite(value) for value in losses.values()):
                        raise InputError(self.folder, f"losses stopped being finite at step {self.step}: {figures}")
                    log(figures)
                if measured and self.step % engine.validate_every == 0:
                    log(self._validate())
                if engine.sample_every and self.step % engine.sample_every == 0:
                    self._sample(tracker)
                if engine.checkpoint_every and self.step % engine.checkpoint_every == 0:
                    self._save()
                if report is not None and lead:
                    report(self.step, figures)
                started = time.perf_counter()
        finally:
            if tracker is not None:
                tracker.close()
        if not self.takes_part:
            return []
        self._save()
        states = whole(self.final_states(), lead)
        return write_translators(self, states) if lead else []

    def _progress(self) -> float:
        """Share of the training that is done, by steps or by time, whichever is more; the first process keeps time."""
        engine = self.config.engine
        done = self.step / engine.max_steps
        if engine.max_minutes is not None:
            done = max(done, self.fabric.broadcast(self.seconds) / (60.0 * engine.max_minutes))
        return done

    def _exhausted(self) -> bool:
        """Whether patience is at its end; the first process alone validates, and tells the others."""
        return bool(self.fabric.broadcast(self.waited >= self.config.engine.patience))

    def _save(self) -> None:
        if self.takes_part:
            save_checkpoint(self, self.folder / CHECKPOINT)

    def final_states(self) -> dict[str, States]:
        """Weights to ship by end: {"": ...} alone, or a milestone's name beside "realism"."""
        chosen = self.best[1] if self.best is not None and self.config.engine.select == "best" else self.average.states
        return {**self.kept, "realism": self.average.states} if self.kept else {"": chosen}

    def calibration_windows(self, direction: Direction) -> Tensor:
        """Undisturbed training inputs (N, C, crop, crop) to freeze instance statistics on."""
        sampler = copy.copy(self.sampler)
        sampler.augmentation = Augmentation(flips=False)
        drawn = draw_batch(sampler, _CALIBRATION_WINDOWS, [self.config.engine.seed])
        return torch.from_numpy(drawn[Direction.parse(direction).inputs[0]])

    def _keep(self, name: str) -> None:
        chosen = self.best[1] if self.best is not None and self.config.engine.select == "best" else self.average.states
        if self.sharded:
            self.kept[name] = {key: {k: v.clone() for k, v in state.items()} for key, state in chosen.items()}
        else:  # only the first process validates: all go on from what it holds for best
            self.kept[name] = self.fabric.broadcast(
                {key: {k: v.detach().cpu().clone() for k, v in state.items()} for key, state in chosen.items()}
            )
        for key, module in self.generators.items():
            module.load_state_dict(self.kept[name][key])
        self.average.restart(self.generators)

    def _train_step(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """One round of optimizer steps. The updates of all batches run side by side, so that each optimizer steps on
        the mean of their gradients, and every loss sees the networks as the step before has left them."""
        progress = self._progress()
        seeds = np.random.SeedSequence([self.config.engine.seed, self.step, self.fabric.global_rank])
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
        logged: dict[str, Tensor] = {}
        running = [self.plain.updates(batch, progress) for batch in batches]
        while (name := self._backward(running, logged)) is not None:
            optimizer = self.optimizers[name]
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * self.plain.learning_rate_factor(name, progress)
            if self.config.engine.clip > 0.0:
                self.fabric.clip_gradients(
                    self.plain, optimizer, max_norm=self.config.engine.clip, error_if_nonfinite=False
                )
            optimizer.step()
        return logged

    def _backward(self, running: Sequence[Iterator[Update]], logged: dict[str, Tensor]) -> str | None:
        """The mean gradient of the next losses of all updates; the optimizer that they are for, None at the end."""
        named: str | None = None
        for updates in running:
            name, losses = next(updates, (None, {}))
            if name is None:
                continue
            if named is None:
                self.optimizers[name].zero_grad()
            named = name
            self.fabric.backward(torch.stack(list(losses.values())).sum() / len(running))
            for key, value in losses.items():
                mean = value.detach() / len(running)
                logged[f"{name}/{key}"] = logged[f"{name}/{key}"] + mean if updates is not running[0] else mean
        return named

    def _batches(self, start: int, stop: int) -> Iterator[list[Batch]]:
        """This process's batches of steps start..stop-1. The windows of a step are numbered through all processes and
        accumulated batches, and each is a pure function of seed, step and its number."""
        seed, size = self.config.engine.seed, self.config.data.batch_size
        rank, world = self.fabric.global_rank, self.fabric.world_size
        single = self._method_class.single_batch

        def draw(step: int) -> list[Sample]:
            return [
                draw_batch(self.sampler, size, [seed, 0 if single else step, 0], (part * world + rank) * size)
                for part in range(self.config.engine.accumulate)
            ]

        for drawn in prefetched(draw, start, stop):
            yield [Batch({r: self.fabric.to_device(torch.from_numpy(a)) for r, a in p.items()}) for p in drawn]

    def _validate(self) -> dict[str, float]:
        assert self.validation is not None
        figures: dict[str, float] = {}
        with self._averaged():
            if self.validation.has_truth:
                for direction, generator in self.generators.items():
                    for key, value in self.validation.figures(generator, direction, self.fabric.device).items():
                        figures[f"val/{direction}/{key}"] = value
            else:
                for key, value in self.validation.cycle_figures(self.generators, self.fabric.device).items():
                    figures[f"val/cycle_{key}"] = value
        if self.sharded:  # all must choose alike
            figures = self.fabric.broadcast(figures)
        score = sum(value for key, value in figures.items() if key.endswith("/mae"))
        if not self.kept and (self.best is None or score < self.best[0]):
            states = {key: {k: v.clone() for k, v in s.items()} for key, s in self.average.states.items()}
            self.best = (score, states)
            self.waited = 0
        else:
            self.waited += not self.kept
        return figures

    def _sample(self, tracker: Tracker | None) -> None:
        assert self.validation is not None
        with self._averaged():
            for direction, generator in self.generators.items():
                source, target = (t[:_SAMPLE_IMAGES] for t in self.validation.batch.pair(direction))
                output = self.validation.translate(generator, source, self.fabric.device)
                columns = [source, output, target] if self.validation.has_truth else [source, output]
                if tracker is not None:
                    tracker.sample(self.step, direction, [column.numpy() for column in columns])

    def _averaged(self) -> _Swapped:
        return _Swapped(self.generators, self.average.states)


class _Swapped:
    """Modules hold other weights inside the block."""

    def __init__(self, modules: dict[Direction, nn.Module], states: States) -> None:
        self._modules, self._states = modules, states

    def __enter__(self) -> None:
        self._saved = {k: {n: v.clone() for n, v in m.state_dict().items()} for k, m in self._modules.items()}
        for key, module in self._modules.items():
            module.load_state_dict(self._states[key])

    def __exit__(self, *_: object) -> None:
        for key, module in self._modules.items():
            module.load_state_dict(self._saved[key])
