"""The training loop: Fabric owns devices and precision, a task the networks; the loop steps, averages and saves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

from saropt.errors import InputError
from saropt.methods.base import Update
from saropt.processors import map_ahead
from saropt.progress import Progress, Tell, log_line, silent
from saropt.roots import DataRoot
from saropt.roots.identity import describe_data
from saropt.roots.values import sized_otherwise
from saropt.scenes import Scene
from saropt.training.averaging import States, WeightAverage, copy_states
from saropt.training.config import dump_config
from saropt.training.devices import check_device, fuse_steps, in_any_process, launch_fabric
from saropt.training.pace import write_pace
from saropt.training.run_folder import CHECKPOINT, check_folder, lock_folder
from saropt.training.sharding import are_finite, gather_shards, shard_like, sharding_strategy
from saropt.training.state import (
    Best,
    RunState,
    check_same_data,
    load_modules,
    load_optimizer,
    read_state,
    write_values,
)
from saropt.training.stepping import until_interrupted
from saropt.training.task import Outcome, Task
from saropt.training.tracking import Tracker
from saropt.training.updates import checked_updates

_ROUNDING = 1e-9


class Loop:
    """One training run in one folder.

    Configuration and data are checked before processes are launched. `run` creates the folder.

    Args:
        task: what kind of run: `TranslatorTask`, `SegmenterTask` or `MatcherTask`.
        config: what to train.
        root: training data; the splits train and, where validation is on, val are used.
        folder: the run folder.
        devices: number of devices on each node; one process each.
        nodes: number of nodes; a launcher such as torchrun or srun starts the processes where there are several.
        accelerator: "auto", "cpu" or "cuda".
        resume: continue from the folder's checkpoint, or from the start where the run was killed before its first one.
        tell: gets a line where a run is resumed without a checkpoint, with one that does not say what data it is of, to
            another length, or with all of its minutes over, where `engine.patience` ends it, and where the first raster
            has other pixels than the root says.

    Raises:
        InputError: the folder holds a run and `resume` is off, or holds none and it is on; a run on other data, of
            other bands or another seed, or of more steps; unfit data, config or device.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> from saropt.training import TranslatorTask, read_config
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 0), size=64))
    >>> settings = ["engine.max_steps=2", "data.crop=32", "data.batch_size=1", "arguments.network_arguments={width: 4}"]
    >>> loop = Loop(TranslatorTask, read_config("regression", None, settings), root, Path("run"), accelerator="cpu")
    >>> [path.name for path in loop.run()]
    ['translator.safetensors', 'translator.onnx']
    """

    def __init__(
        self,
        task: type[Task],
        config: Any,
        root: DataRoot,
        folder: Path,
        *,
        devices: int = 1,
        nodes: int = 1,
        accelerator: str = "auto",
        resume: bool = False,
        tell: Tell = log_line,
    ) -> None:
        check_device(accelerator)
        goes_on = check_folder(folder, resume)
        self.folder = folder
        self.task = task(config, root, devices * nodes)
        self._data = describe_data(root, self.task.data_roles, self.task.data_splits)
        self.engine = self.task.engine
        sharded = self.task.sharded
        self.fabric = launch_fabric(
            accelerator=accelerator,
            strategy=sharding_strategy(devices * nodes) if sharded else "auto",
            devices=devices,
            num_nodes=nodes,
            precision=self.engine.precision,
            save_memory=sharded,
        )
        self._tell: Tell = tell if self.fabric.is_global_zero else lambda line: None
        # in validating and saving: rank 0 alone, or all ranks where each holds a part of the weights
        self.takes_part = self.fabric.is_global_zero or sharded
        self._setup()
        self.average = WeightAverage(self.task.shipped, self.engine.ema)
        self.kept: dict[str, States] = {}
        self.best: Best | None = None
        self.waited = 0
        self.step = 0
        self.seconds = 0.0
        self.figures: dict[str, float] = {}
        self._logged: dict[str, float] = {}
        for remark in self.task.remarks:
            self._tell(remark)
        if self.fabric.is_global_zero:
            name, path = next(iter(root.rasters(self.task.data_roles[0]).items()))
            with Scene.open(path, palette="index") as scene:
                if line := sized_otherwise(scene, root.gsd_m):
                    self._tell(f"{self.task.data_roles[0]}/{name}: {line}")
        if goes_on:
            self._restore(root)
        elif resume:
            self._tell(f"{folder}: the run has no {CHECKPOINT} yet: it begins at step 0")
        if self.task.fuses_steps:  # last: a checkpoint may come from another device
            fuse_steps(self.optimizers.values(), self.fabric.device)

    def _setup(self) -> None:
        task = self.task
        task.place(self.fabric.device)
        for name, module in list(task.module.named_children()):
            if any(True for _ in module.parameters()):
                setattr(task.module, name, self.fabric.setup_module(module))
        self.optimizers = task.optimizers()
        self._rates = {
            name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in self.optimizers.items()
        }
        for name, optimizer in self.optimizers.items():
            self.optimizers[name] = cast("Optimizer", self.fabric.setup_optimizers(optimizer))

    def run(self, progress: Progress = silent) -> list[Path]:
        """Train to `max_steps`, or for `max_minutes`, and write what the run ships.

        Args:
            progress: called after every step on rank 0, with what was last logged in words.

        Returns:
            The files; none on other ranks.

        Raises:
            BusyError: another run trains in the folder.
            InputError: losses, figures or weights stopped being finite, losses are none, or data cannot be read.
        """
        lead, agreed = self.fabric.is_global_zero, partial(in_any_process, self.fabric)
        config = dump_config(self.task.config) if lead else None
        with lock_folder(self.folder, config, agreed):
            self._train(progress, agreed)
            if not self.takes_part:
                return []
            self._save()
            states = gather_shards(self._shipped_states(), lead)
            figures = self.chosen_figures
            if lead:
                write_pace(self.folder, self.step, self.step * self._images_per_step, self.seconds)
            return self.task.export(self.folder, Outcome(self.step, states, figures)) if lead else []

    def _train(self, progress: Progress, agreed: Callable[[bool], bool]) -> None:
        tracker = Tracker(self.folder, self.step) if self.fabric.is_global_zero else None
        self.task.module.train()
        started = time.perf_counter()
        try:
            share = self._share_done()
            for batches in until_interrupted(self._batches(), self._save, agreed):
                if share >= 1.0:
                    break
                if self._out_of_patience():
                    stopped = f"{self.folder}: stopped after {self.step} of {self.engine.max_steps} steps"
                    self._tell(f"{stopped}: no better figure in {self.engine.patience} validations (engine.patience)")
                    break
                for name, at in self.task.milestones().items():
                    if name not in self.kept and share >= at - _ROUNDING:
                        self._keep(name)
                losses = self._train_step(batches, share)
                self.step += 1
                self.seconds += time.perf_counter() - started
                self.average.update()
                share = self._share_done()
                if self.takes_part:
                    self._after_step(losses, tracker, last=share >= 1.0)
                if tracker is not None:
                    words = "  ".join(f"{name} {value:.3g}" for name, value in self._logged.items())
                    progress(self.step, self.engine.max_steps, words)
                started = time.perf_counter()
        finally:
            if tracker is not None:
                tracker.close()

    def _batches(self) -> Iterator[list[Any]]:
        """This process's batches of the steps to go, on its device. The windows of a step are numbered through all
        processes and accumulated batches, so that each is a pure function of seed, step and its number."""
        size, rank, world = self.task.config.data.batch_size, self.fabric.global_rank, self.fabric.world_size

        def draw(step: int) -> list[Any]:
            return [self.task.draw(step, (part * world + rank) * size) for part in range(self.engine.accumulate)]

        steps = range(self.step, self.engine.max_steps)
        for drawn in map_ahead(draw, steps, workers=2, ahead=4, name="windows"):
            yield [self.fabric.to_device(batch) for batch in drawn]

    @property
    def _images_per_step(self) -> int:
        """Windows of one role in a step, over all processes."""
        return int(self.task.config.data.batch_size * self.fabric.world_size * self.engine.accumulate)

    def _share_done(self) -> float:
        """Share of the training that is done, by steps or by time, whichever is more; rank 0 keeps the time."""
        return self._share_at(self.seconds if self.engine.max_minutes is None else self.fabric.broadcast(self.seconds))

    def _share_at(self, seconds: float) -> float:
        done, minutes = self.step / self.engine.max_steps, self.engine.max_minutes
        return done if minutes is None else max(done, seconds / (60.0 * minutes))

    def _out_of_patience(self) -> bool:
        """Whether early stopping ends the run; only rank 0 validates, and tells the others."""
        patience = self.engine.patience
        if not patience or self.step % self.engine.validate_every:
            return False
        return bool(self.fabric.broadcast(self.waited >= patience))

    def _train_step(self, batches: Sequence[Any], share: float) -> dict[str, Tensor]:
        """One round of optimizer steps. The updates of all batches run side by side, so that each optimizer steps on
        the mean of their gradients, and every loss sees the networks as the step before has left them."""
        torch.manual_seed(self.task.noise_seed(self.step, self.fabric.global_rank))
        losses: dict[str, Tensor] = {}
        updates = [self.task.updates(batch, share) for batch in batches]
        running = [checked_updates(one, self.task.name, self.optimizers) for one in updates]
        while (name := self._backward(running, losses)) is not None:
            optimizer, factor = self.optimizers[name], self.task.learning_rate_factor(name, share)
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor
            if self.engine.clip > 0.0:
                self.fabric.clip_gradients(
                    self.task.module, optimizer, max_norm=self.engine.clip, error_if_nonfinite=False
                )
            optimizer.step()
        return losses

    def _backward(self, running: Sequence[Iterator[Update]], found: dict[str, Tensor]) -> str | None:
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
                found[f"{name}/{key}"] = found[f"{name}/{key}"] + mean if updates is not running[0] else mean
        return named

    def _after_step(self, losses: dict[str, Tensor], tracker: Tracker | None, last: bool) -> None:
        engine, task, step = self.engine, self.task, self.step
        if step % engine.log_every == 0 or last:
            self._logged = task.figures(losses)
            if not all(math.isfinite(value) for value in self._logged.values()):
                raise InputError(self.folder, f"losses stopped being finite at step {step}: {self._logged}")
            if tracker is not None:
                tracker.log(step, self._logged)
        if task.validates and (step % engine.validate_every == 0 or last):
            self._validate()
            if tracker is not None:
                tracker.log(step, self.figures)
        if task.sample_every and step % task.sample_every == 0:
            with self.average.in_networks():
                task.sample(tracker, step)
        if engine.checkpoint_every and step % engine.checkpoint_every == 0:
            self._save()

    def _validate(self) -> None:
        with self.average.in_networks():
            figures = self.task.validate()
        self.figures = self.fabric.broadcast(figures) if self.task.sharded else figures  # all must choose alike
        score = self.task.score(self.figures)
        if not math.isfinite(score):
            raise InputError(self.folder, f"figures stopped being finite by step {self.step}: {self.figures}")
        if not self.kept and (self.best is None or score < self.best.score):
            self.best = Best(score, copy_states(self.average.states), self.figures)
            self.waited = 0
        else:
            self.waited += 1

    @property
    def _has_best(self) -> bool:
        return self.best is not None and self.engine.select == "best"

    @property
    def chosen_figures(self) -> dict[str, float]:
        """Validation figures of the weights that the run ships; of the realism end where it ships two."""
        if self.kept:
            return self.figures
        return self.best.figures if self.best is not None and self._has_best else self.figures

    def _chosen_states(self) -> States:
        return self.best.states if self.best is not None and self._has_best else self.average.states

    def _shipped_states(self) -> dict[str, States]:
        """Weights by end, as `Outcome` has them."""
        return {**self.kept, "realism": self.average.states} if self.kept else {"": self._chosen_states()}

    def _keep(self, name: str) -> None:
        """Store the chosen weights as those of a milestone, and continue training from them."""
        states = copy_states(self._chosen_states())
        if not self.task.sharded:  # only rank 0 validates: all go on from its best weights
            states = self.fabric.broadcast(
                {key: {k: value.cpu() for k, value in state.items()} for key, state in states.items()}
            )
        self.kept[name] = states
        for key, module in self.task.shipped.items():
            module.load_state_dict(states[str(key)])
        self.average.restart()

    def _save(self) -> None:
        if not self.takes_part:
            return
        spoilt = not are_finite(self.optimizers.values())
        if in_any_process(self.fabric, spoilt) if self.task.sharded else spoilt:
            raise InputError(self.folder, f"weights stopped being finite by step {self.step}: they are not saved")
        state = RunState(
            method=self.task.name,
            step=self.step,
            seconds=self.seconds,
            modules=self.task.module.state_dict(),
            optimizers={name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            average=self.average.states,
            average_steps=self.average.steps,
            kept=self.kept,
            best=self.best,
            waited=self.waited,
            figures=self.figures,
            data=self._data,
            data_use=self.task.data_use,
            share=self._share_at(self.seconds),
        )
        lead = self.fabric.is_global_zero
        values = gather_shards(state.to_values(), lead)
        if lead:
            write_values(self.folder / CHECKPOINT, values)

    def _restore(self, root: DataRoot) -> None:
        task, path = self.task, self.folder / CHECKPOINT
        # the weights are whole here: with shards they may not fit on a device
        device = torch.device("cpu") if task.sharded else self.fabric.device
        state = read_state(path, task.name, device, task.score)
        check_same_data(path, state, root.path, self._data, task.data_use, self._tell)
        if state.step > self.engine.max_steps:
            raise InputError(path, f"has {state.step} steps already, more than max_steps {self.engine.max_steps}")

        def place(states: States) -> States:
            return {str(key): shard_like(states[key], module.state_dict()) for key, module in task.shipped.items()}

        try:
            load_modules(task.module, state.modules)
            for name, optimizer in self.optimizers.items():
                load_optimizer(optimizer, state.optimizers[name])
            self.average.restart(place(state.average), state.average_steps)
            self.kept = {name: place(states) for name, states in state.kept.items()}
            if state.best is not None:
                self.best = Best(state.best.score, place(state.best.states), state.best.figures)
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(path, "does not fit the configuration: resume with the run's own config") from error
        self.figures, self.waited = state.figures, state.waited
        self.seconds, self.step = state.seconds, state.step
        self._take_length(state.share)

    def _take_length(self, before: float | None) -> None:
        """Take anew what depends on the length of the run, where it is another than that of the checkpoint.

        Args:
            before: share of the training that was done by the length of the checkpoint.
        """
        now, milestones = self._share_at(self.seconds), self.task.milestones()
        anew = [name for name in self.kept if now < milestones.get(name, 0.0) - _ROUNDING]
        for name in anew:
            del self.kept[name]
        if self.engine.max_minutes is not None and self.seconds >= 60.0 * self.engine.max_minutes:
            self._tell(
                f"{self.folder}: has {self.seconds / 60.0:.3g} minutes of training already: it trains no further"
            )
        elif anew or before not in (None, now):
            earlier = "" if before is None else f", not {before:.0%}"
            again = f"; the {' and '.join(anew)} end is made anew, from weights of a later phase" if anew else ""
            done = f"{self.folder}: {now:.0%} of the training is done by its new length{earlier}"
            self._tell(f"{done}: learning rates and phases go on from there{again}")
