"""Runs that train one network with one optimizer: steps, figures, validation, checkpoints, the best weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from saropt.artifacts import MatcherCard, SegmenterCard, save_weights
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.training.config import Section, SupervisedEngineConfig, dump_config
from saropt.training.devices import in_any_process, launch_fabric
from saropt.training.loop import CHECKPOINT, alone_in, interruptible, read_state, write_state
from saropt.training.tracking import Tracker

Progress = Callable[[int, dict[str, float]], None]


def need_val(root: DataRoot) -> None:
    """Refuse data without the split that weights are chosen by.

    Raises:
        InputError: there is none.
    """
    if "val" not in root.splits.values():
        reason = "has no val split to choose weights by; engine.validate_every=0 trains without"
        raise InputError(root.path / "splits.csv", reason)


class SupervisedTrainer(ABC):
    """One training run in one folder. A subclass opens its data, then calls `_setup` and, to go on, `_load`.

    Attributes:
        kind: what the checkpoint is of, such as "segmenter unet".
        file: name of the result in the run folder.
        score: the validation figure whose highest value chooses the weights.
    """

    file: ClassVar[str]
    score: ClassVar[str]

    def __init__(
        self, config: Section, engine: SupervisedEngineConfig, kind: str, folder: Path, **devices: Any
    ) -> None:
        self.engine = engine
        self.kind = kind
        self.folder = folder
        self._config = config
        self.fabric = launch_fabric(precision=engine.precision, **devices)
        self.validates = False
        self.best: dict[str, Any] | None = None
        self.figures: dict[str, float] = {}
        self.step = 0

    def _setup(self, network: nn.Module, make_optimizer: Callable[[list[nn.Parameter]], Optimizer]) -> None:
        self.plain = network.to(self.fabric.device)
        optimizer = make_optimizer(list(self.plain.parameters()))
        self._rate = float(optimizer.param_groups[0]["lr"])
        self.network = self.fabric.setup_module(self.plain)
        self.optimizer = cast("Optimizer", self.fabric.setup_optimizers(optimizer))

    @abstractmethod
    def card(self) -> SegmenterCard | MatcherCard:
        """The card of the result."""

    @abstractmethod
    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        """Batches of the steps to go, on the device; each is a pure function of seed and step, and this process has its
        part of it."""

    @abstractmethod
    def _losses(self, *batch: Tensor) -> dict[str, Tensor]:
        """The terms of the loss, which are summed."""

    @abstractmethod
    def _validate(self) -> dict[str, float]:
        """Figures named val/..., `score` among them."""

    def _shipped(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """What of the network's state goes into the result."""
        return state

    def run(self, report: Progress | None = None) -> Path:
        """Train to `max_steps` and write the result.

        Args:
            report: called after every step with the step and the last logged figures.

        Raises:
            BusyError: another run trains in the folder.
            InputError: the loss stopped being finite, or data cannot be read.
        """
        agreed = partial(in_any_process, self.fabric)
        config = dump_config(self._config) if self.fabric.is_global_zero else None
        with alone_in(self.folder, config, agreed):
            return self._run(report, agreed)

    def _run(self, report: Progress | None, agreed: Callable[[bool], bool]) -> Path:
        engine, path = self.engine, self.folder / self.file
        lead = self.fabric.is_global_zero
        tracker = Tracker(self.folder, self.step) if lead else None
        shown: dict[str, float] = {}
        self.network.train()
        try:
            for batch in interruptible(self._batches(), self._save, agreed):
                losses = self._train_step(batch)
                self.step += 1
                if tracker is None:
                    continue
                last = self.step == engine.max_steps
                if self.step % engine.log_every == 0 or last:
                    shown = {"loss": float(sum(losses.values()))}
                    if not torch.isfinite(torch.tensor(shown["loss"])):
                        raise InputError(self.folder, f"the loss stopped being finite at step {self.step}")
                    terms = {f"loss/{name}": float(value) for name, value in losses.items()} if len(losses) > 1 else {}
                    tracker.log(self.step, shown | terms)
                if self.validates and (self.step % engine.validate_every == 0 or last):
                    tracker.log(self.step, self._judge())
                if engine.checkpoint_every and self.step % engine.checkpoint_every == 0:
                    self._save()
                if report is not None:
                    report(self.step, shown)
        finally:
            if tracker is not None:
                tracker.close()
        if lead:
            self._save()
            weights = self._shipped(self.final_state())
            save_weights(path, self.card(), {key: value.cpu().numpy() for key, value in weights.items()})
        return path

    @property
    def chosen(self) -> dict[str, float]:
        """Validation figures of the weights to ship."""
        return self.best["figures"] if self.best is not None and self.engine.select == "best" else self.figures

    @property
    def quality(self) -> dict[str, dict[str, float]]:
        """`chosen` as a card has it."""
        return {"val": {key.removeprefix("val/"): value for key, value in self.chosen.items()}} if self.chosen else {}

    def final_state(self) -> dict[str, Tensor]:
        """The weights to ship: of the best validation, or the last."""
        if self.best is not None and self.engine.select == "best":
            return self.best["state"]
        return self.plain.state_dict()

    def _train_step(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        torch.manual_seed(hash((self.engine.seed, self.step, self.fabric.global_rank)) & 0x7FFFFFFF)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate * self._rate_factor(self.step / self.engine.max_steps)
        self.optimizer.zero_grad()
        losses = self._losses(*batch)
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        if self.engine.clip > 0.0:
            clip = self.engine.clip
            self.fabric.clip_gradients(self.network, self.optimizer, max_norm=clip, error_if_nonfinite=False)
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _rate_factor(self, progress: float) -> float:
        """Share of the learning rate after a share of the steps."""
        return 1.0

    def _judge(self) -> dict[str, float]:
        self.plain.eval()
        with torch.no_grad():
            figures = self._validate()
        self.plain.train()
        self.figures = figures
        if self.best is None or figures[self.score] > self.best["figures"][self.score]:
            state = {key: value.clone() for key, value in self.plain.state_dict().items()}
            self.best = {"figures": figures, "state": state}
        return figures

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            state = {
                "method": self.kind,
                "step": self.step,
                "network": self.plain.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "best": self.best,
                "figures": self.figures,
            }
            write_state(self.folder / CHECKPOINT, state)

    def _load(self) -> None:
        path = self.folder / CHECKPOINT
        state = read_state(path, self.fabric.device)
        if state["method"] != self.kind:
            raise InputError(path, f"is of a {state['method']!r} run, not of {self.kind!r}")
        try:
            self.plain.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(path, "does not fit the configuration: resume with the run's own config") from error
        self.best, self.figures, self.step = state["best"], state["figures"], state["step"]
