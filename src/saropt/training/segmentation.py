"""Training of segmenters on labelled data: cross entropy, validation by pixel accuracy, a segmenter file at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from saropt.artifacts import SegmenterCard, TrainingCard
from saropt.errors import InputError
from saropt.losses import segmentation_cross_entropy
from saropt.networks import build_segmenter
from saropt.roots import (
    Augmentation,
    ConfusionMatrix,
    DataRoot,
    LabelledSampler,
    class_weights,
    count_labels,
    describe_images,
    draw_labelled_batch,
)
from saropt.training.loop import claim_folder, prefetched
from saropt.training.segmentation_config import SegmentationConfig
from saropt.training.supervised import SupervisedTrainer, need_val

SEGMENTER = "segmenter.safetensors"
_CHUNK = 8
_RATES = {"adam": 1e-4, "sgd": 1e-2}


class SegmenterTrainer(SupervisedTrainer):
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

    file = SEGMENTER
    score = "val/pixel_accuracy"

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
        kind = f"segmenter {config.network}"
        super().__init__(config, config.engine, kind, folder, devices=devices, accelerator=accelerator)
        self.config = config
        self.root = root
        data = config.data
        self.input_card = describe_images(root, config.modality, data.bands, data.recipe)
        augmentation = Augmentation(
            flips=data.flips,
            sar_gain_db=data.sar_gain_db,
            speckle_probability=data.speckle_probability,
            optical_gain=data.optical_gain,
        )
        self.sampler = LabelledSampler(root, "train", data.crop, self.input_card, augmentation)
        self.classes = self.sampler.classes
        self.validation: tuple[Tensor, np.ndarray] | None = None
        if config.engine.validate_every:
            need_val(root)
            sampler = LabelledSampler(root, "val", data.crop, self.input_card)
            images, labels = draw_labelled_batch(sampler, config.engine.validation_windows, [0])
            self.validation = torch.from_numpy(images), labels
        counts = count_labels(self.sampler.label_paths, self.classes)
        weights = torch.from_numpy(class_weights(counts, config.class_weights)).float()
        self.weights = self.fabric.to_device(weights) if config.class_weights != "none" else None
        self.validates = self.validation is not None
        self._setup_network()
        if resume:
            self._load()

    def _setup_network(self) -> None:
        torch.manual_seed(self.config.engine.seed)
        config = self.config
        try:
            plain = build_segmenter(
                config.network, len(self.input_card.bands), len(self.classes.names), **config.arguments
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"segmenter {config.network}", str(error).replace("\n", " ")) from error
        stride, smallest = cast("int", plain.stride), cast("int", plain.smallest_batch)
        if config.data.crop % stride:
            raise InputError("data.crop", f"must be a multiple of {stride}, not {config.data.crop}")
        if config.data.batch_size < smallest:
            raise InputError("data.batch_size", f"must be at least {smallest} to train {config.network}")
        rate = config.learning_rate or _RATES[config.optimizer]

        def optimizer(parameters: list[nn.Parameter]) -> Optimizer:
            if config.optimizer == "sgd":
                return SGD(parameters, lr=rate, momentum=0.9, weight_decay=config.weight_decay)
            return Adam(parameters, lr=rate, weight_decay=config.weight_decay)

        self._setup(plain, optimizer)

    def card(self) -> SegmenterCard:
        """The card of the segmenter file."""
        config = self.config
        return SegmenterCard(
            name=config.card.name or self.folder.name,
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
            quality=self.quality,
            licence=config.card.licence,
            notes=config.card.notes,
        )

    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        """Batches of the steps to go; each is a pure function of seed and step, and this process has its part of it."""
        seed, rank, size = self.config.engine.seed, self.fabric.global_rank, self.config.data.batch_size
        drawn = prefetched(
            lambda step: draw_labelled_batch(self.sampler, size, [seed, step, 0], rank * size),
            self.step,
            self.config.engine.max_steps,
        )
        for images, labels in drawn:
            yield self.fabric.to_device(torch.from_numpy(images)), self.fabric.to_device(torch.from_numpy(labels))

    def _rate_factor(self, progress: float) -> float:
        return (1.0 - progress) ** 0.9 if self.config.optimizer == "sgd" else 1.0

    def _losses(self, *batch: Tensor) -> dict[str, Tensor]:
        images, labels = batch
        return {"cross_entropy": segmentation_cross_entropy(self.network(images).float(), labels, self.weights)}

    def _validate(self) -> dict[str, float]:
        assert self.validation is not None
        images, labels = self.validation
        matrix = ConfusionMatrix(self.classes.titles)
        for start in range(0, len(images), _CHUNK):
            logits = self.plain(self.fabric.to_device(images[start : start + _CHUNK]))
            matrix.add(labels[start : start + _CHUNK], logits.argmax(dim=1).cpu().numpy())
        scores = matrix.summary()
        figures = {f"val/{key}": scores[key] for key in ("pixel_accuracy", "mean_class_accuracy", "miou")}
        for title, value in scores["class_accuracy"].items():
            if value is not None:
                figures[f"val/accuracy/{title}"] = value
        return figures
