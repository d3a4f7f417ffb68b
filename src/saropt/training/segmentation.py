"""Training of segmenters on labelled data: cross entropy, validation by pixel accuracy, a segmenter file at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from saropt.artifacts import SegmenterCard, TrainingCard, save_weights
from saropt.data import (
    Augmentation,
    ConfusionMatrix,
    DataRoot,
    LabelledSampler,
    class_weights,
    count_labels,
    draw_labelled_batch,
)
from saropt.errors import InputError
from saropt.losses import segmentation_cross_entropy
from saropt.networks import build_segmenter
from saropt.training.config import dump_config
from saropt.training.loop import CHECKPOINT, claim_folder, interruptible, prefetched, read_state, write_state
from saropt.training.segmentation_config import SegmentationConfig
from saropt.training.sides import make_side
from saropt.training.tracking import Tracker

SEGMENTER = "segmenter.safetensors"
Progress = Callable[[int, dict[str, float]], None]
_CHUNK = 8
_RATES = {"adam": 1e-4, "sgd": 1e-2}


class SegmenterTrainer:
    """One training run of a segmenter in one folder.

    Args:
        config: what to train.
        root: labelled data; the splits train and, where validation is on, val are used.
        folder: the run folder.
        devices: number of devices; one process each.
        accelerator: "auto", "cpu" or "cuda".
        resume: continue from the folder's checkpoint.

    Raises:
        InputError: the folder holds a run and `resume` is off, or holds none and it is on; unfit data or config.
    """

    def __init__(
        self,
        config: SegmentationConfig,
        root: DataRoot,
        folder: Path,
        devices: int = 1,
        accelerator: str = "auto",
        resume: bool = False,
    ) -> None:
        claim_folder(folder, resume)
        self.config = config
        self.root = root
        self.folder = folder
        self.fabric = Fabric(accelerator=accelerator, devices=devices, precision=config.engine.precision)
        self.fabric.launch()
        data = config.data
        side, self.input_card = make_side(root, config.modality, data.bands, data.recipe)
        augmentation = Augmentation(
            flips=data.flips,
            sar_gain_db=data.sar_gain_db,
            speckle_probability=data.speckle_probability,
            optical_gain=data.optical_gain,
        )
        self.sampler = LabelledSampler(root, "train", data.crop, config.modality, side, augmentation)
        self.classes = self.sampler.classes
        self.validation: tuple[Tensor, np.ndarray] | None = None
        if config.engine.validate_every:
            if "val" not in root.splits.values():
                reason = "has no val split to choose weights by; engine.validate_every=0 trains without"
                raise InputError(root.path / "splits.csv", reason)
            sampler = LabelledSampler(root, "val", data.crop, config.modality, side)
            images, labels = draw_labelled_batch(sampler, config.engine.validation_windows, [0])
            self.validation = torch.from_numpy(images), labels
        counts = count_labels(self.sampler.label_paths, self.classes)
        weights = torch.from_numpy(class_weights(counts, config.class_weights)).float()
        self.weights = self.fabric.to_device(weights) if config.class_weights != "none" else None
        self._setup_network()
        self.best: dict[str, Any] | None = None
        self.figures: dict[str, float] = {}
        self.step = 0
        if resume:
            self._load(folder / CHECKPOINT)

    def _setup_network(self) -> None:
        torch.manual_seed(self.config.engine.seed)
        config = self.config
        try:
            self.plain = build_segmenter(
                config.network, len(self.input_card.bands), len(self.classes.names), **config.arguments
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"segmenter {config.network}", str(error).replace("\n", " ")) from error
        stride, smallest = cast("int", self.plain.stride), cast("int", self.plain.smallest_batch)
        if config.data.crop % stride:
            raise InputError("data.crop", f"must be a multiple of {stride}, not {config.data.crop}")
        if config.data.batch_size < smallest:
            raise InputError("data.batch_size", f"must be at least {smallest} to train {config.network}")
        rate = config.learning_rate or _RATES[config.optimizer]
        self.plain.to(self.fabric.device)
        parameters = list(self.plain.parameters())
        plain_optimizer: Optimizer
        if config.optimizer == "sgd":
            plain_optimizer = SGD(parameters, lr=rate, momentum=0.9, weight_decay=config.weight_decay)
        else:
            plain_optimizer = Adam(parameters, lr=rate, weight_decay=config.weight_decay)
        self._rate = rate
        self.network = self.fabric.setup_module(self.plain)
        self.optimizer = cast("Optimizer", self.fabric.setup_optimizers(plain_optimizer))

    def run(self, report: Progress | None = None) -> Path:
        """Train to `max_steps` and write the segmenter file.

        Args:
            report: called after every step with the step and the last logged figures.

        Returns:
            The segmenter file.

        Raises:
            InputError: the loss stopped being finite, or data cannot be read.
        """
        engine, path = self.config.engine, self.folder / SEGMENTER
        lead = self.fabric.is_global_zero
        if lead:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "config.yaml").write_text(dump_config(self.config), encoding="utf-8")
        tracker = Tracker(self.folder, self.step) if lead else None
        shown: dict[str, float] = {}
        self.network.train()
        try:
            for images, labels in interruptible(self._batches(), self._save):
                loss = self._train_step(images, labels)
                self.step += 1
                if tracker is None:
                    continue
                last = self.step == engine.max_steps
                if self.step % engine.log_every == 0 or last:
                    shown = {"loss": float(loss)}
                    if not torch.isfinite(loss):
                        raise InputError(self.folder, f"the loss stopped being finite at step {self.step}")
                    tracker.log(self.step, shown)
                if self.validation is not None and (self.step % engine.validate_every == 0 or last):
                    tracker.log(self.step, self._validate())
                if engine.checkpoint_every and self.step % engine.checkpoint_every == 0:
                    self._save()
                if report is not None:
                    report(self.step, shown)
        finally:
            if tracker is not None:
                tracker.close()
        if lead:
            self._save()
            save_weights(path, self.card(), {key: value.cpu().numpy() for key, value in self.final_state().items()})
        return path

    def final_state(self) -> dict[str, Tensor]:
        """The weights to ship: of the best validation, or the last."""
        if self.best is not None and self.config.engine.select == "best":
            return self.best["state"]
        return self.plain.state_dict()

    def card(self) -> SegmenterCard:
        """The card of the segmenter file."""
        config = self.config
        chosen = self.best["figures"] if self.best is not None and config.engine.select == "best" else self.figures
        return SegmenterCard(
            name=config.card.name or self.folder.name,
            modality=config.modality,
            network=config.network,
            arguments=config.arguments,
            stride=cast("int", self.plain.stride),
            receptive_field=cast("int | None", self.plain.receptive_field),
            tile=cast("int", self.plain.tile),
            input=self.input_card,
            classes=dict(self.classes.names),
            ignore_index=self.classes.ignore_index,
            gsd_m=self.root.gsd_m,
            training=TrainingCard(
                data=self.root.name,
                split="train",
                steps=self.step,
                seed=config.engine.seed,
                licence=self.root.licence,
                attribution=config.card.attribution,
                config=config.model_dump(mode="json"),
            ),
            quality={"val": {key.removeprefix("val/"): value for key, value in chosen.items()}} if chosen else {},
            licence=config.card.licence,
            notes=config.card.notes,
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the steps to go; each is a pure function of seed, step and rank."""
        seed, rank, size = self.config.engine.seed, self.fabric.global_rank, self.config.data.batch_size
        drawn = prefetched(
            lambda step: draw_labelled_batch(self.sampler, size, [seed, step, rank]),
            self.step,
            self.config.engine.max_steps,
        )
        for images, labels in drawn:
            yield self.fabric.to_device(torch.from_numpy(images)), self.fabric.to_device(torch.from_numpy(labels))

    def _train_step(self, images: Tensor, labels: Tensor) -> Tensor:
        engine = self.config.engine
        progress = self.step / engine.max_steps
        torch.manual_seed(hash((engine.seed, self.step, self.fabric.global_rank)) & 0x7FFFFFFF)
        if self.config.optimizer == "sgd":
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate * (1.0 - progress) ** 0.9
        self.optimizer.zero_grad()
        loss = segmentation_cross_entropy(self.network(images).float(), labels, self.weights)
        self.fabric.backward(loss)
        if engine.clip > 0.0:
            self.fabric.clip_gradients(self.network, self.optimizer, max_norm=engine.clip, error_if_nonfinite=False)
        self.optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        assert self.validation is not None
        images, labels = self.validation
        matrix = ConfusionMatrix(self.classes.titles)
        self.plain.eval()
        for start in range(0, len(images), _CHUNK):
            logits = self.plain(self.fabric.to_device(images[start : start + _CHUNK]))
            matrix.add(labels[start : start + _CHUNK], logits.argmax(dim=1).cpu().numpy())
        self.plain.train()
        scores = matrix.summary()
        figures = {f"val/{key}": scores[key] for key in ("pixel_accuracy", "mean_class_accuracy", "miou")}
        for title, value in scores["class_accuracy"].items():
            if value is not None:
                figures[f"val/accuracy/{title}"] = value
        self.figures = figures
        if self.best is None or figures["val/pixel_accuracy"] > self.best["figures"]["val/pixel_accuracy"]:
            state = {key: value.clone() for key, value in self.plain.state_dict().items()}
            self.best = {"figures": figures, "state": state}
        return figures

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            state = {
                "method": f"segmenter {self.config.network}",
                "step": self.step,
                "network": self.plain.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "best": self.best,
                "figures": self.figures,
            }
            write_state(self.folder / CHECKPOINT, state)

    def _load(self, path: Path) -> None:
        state = read_state(path, self.fabric.device)
        if state["method"] != f"segmenter {self.config.network}":
            raise InputError(path, f"is of a {state['method']!r} run, not of a segmenter {self.config.network!r}")
        try:
            self.plain.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(path, "does not fit the configuration: resume with the run's own config") from error
        self.best, self.figures, self.step = state["best"], state["figures"], state["step"]
