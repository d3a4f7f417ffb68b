"""The training of segmenters on labelled data: cross entropy, validation by pixel accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from saropt.artifacts import SEGMENTER_FILE as SEGMENTER
from saropt.artifacts import SegmenterCard
from saropt.domain import Role
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
from saropt.training.one_network import NETWORK, OneNetworkTask, quality
from saropt.training.segmentation_config import SegmentationConfig
from saropt.training.task import Outcome, check_batches, check_stride, training_card

_CHUNK = 8
_RATES = {"adam": 1e-4, "sgd": 1e-2}
LabelledBatch = tuple[Tensor, Tensor]


class SegmenterTask(OneNetworkTask):
    """Training of a segmenter.

    Args:
        config: what to train.
        root: labelled data; the splits train and, where validation is on, val are used.
        processes: number of processes that will train together.

    Raises:
        InputError: unfit data or configuration.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 0), size=256))
    >>> SegmenterTask(SegmentationConfig(modality="sar", network="compact"), root).name
    'segmenter compact'
    """

    file = SEGMENTER
    score_figure = "val/pixel_accuracy"
    config: SegmentationConfig

    def __init__(self, config: SegmentationConfig, root: DataRoot, processes: int = 1) -> None:
        super().__init__(config, root, processes)
        self.name = f"segmenter {config.network}"
        data = config.data
        self.input_card = describe_images(root, config.modality, data.bands, data.recipe)
        self.images = {config.modality: self.input_card}
        augmentation = Augmentation(
            flips=data.flips,
            sar_gain_db=data.sar_gain_db,
            speckle_probability=data.speckle_probability,
            optical_gain=data.optical_gain,
        )
        more = None if data.oversample is None else (data.oversample, data.oversample_share)
        self.sampler = LabelledSampler(root, "train", data.crop, self.input_card, augmentation, more)
        self.classes = self.sampler.classes
        self.validation: tuple[Tensor, np.ndarray] | None = None
        if self.validates:
            sampler = LabelledSampler(root, "val", data.crop, self.input_card)
            images, labels = draw_labelled_batch(sampler, self.engine.validation_windows, [0])
            self.validation = torch.from_numpy(images), labels
        counts = count_labels(self.sampler.label_paths, self.classes)
        if absent := [title for title, count in zip(self.classes.titles, counts.sum(axis=0), strict=True) if not count]:
            self.remarks = [f"{root.path}: no pixel of the split train is {' or '.join(absent)}: it cannot be learned"]
        weights = torch.from_numpy(class_weights(counts, config.class_weights)).float()
        self.weights = weights if config.class_weights != "none" else None
        self._build()

    def _build(self) -> None:
        config = self.config
        torch.manual_seed(self.engine.seed)
        try:
            network = build_segmenter(
                config.network, len(self.input_card.bands), len(self.classes.names), **config.arguments
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"segmenter {config.network}", str(error).replace("\n", " ")) from error
        smallest = cast("int", network.smallest_batch)
        check_stride({NETWORK: network}, config.data.crop)
        if config.data.batch_size < smallest:
            raise InputError("data.batch_size", f"must be at least {smallest} to train {config.network}")
        networks = [(config.network, network, len(self.input_card.bands))]
        check_batches(networks, config.data.crop, config.data.batch_size)
        self._setup(network)

    @property
    def data_roles(self) -> tuple[Role, ...]:
        return (self.config.modality, "label")

    def place(self, device: torch.device) -> None:
        super().place(device)
        if self.weights is not None:
            self.weights = self.weights.to(device)

    def optimizers(self) -> dict[str, Optimizer]:
        config, parameters = self.config, list(self.network.parameters())
        rate = config.learning_rate or _RATES[config.optimizer]
        if config.optimizer == "sgd":
            return {NETWORK: SGD(parameters, lr=rate, momentum=0.9, weight_decay=config.weight_decay)}
        return {NETWORK: Adam(parameters, lr=rate, weight_decay=config.weight_decay)}

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        return (1.0 - progress) ** 0.9 if self.config.optimizer == "sgd" else 1.0

    def draw(self, step: int, first: int) -> LabelledBatch:
        size, seed = self.config.data.batch_size, [self.engine.seed, step, 0]
        images, labels = draw_labelled_batch(self.sampler, size, seed, first)
        return torch.from_numpy(images), torch.from_numpy(labels)

    def losses(self, batch: LabelledBatch) -> dict[str, Tensor]:
        images, labels = batch
        return {"cross_entropy": segmentation_cross_entropy(self.network(images).float(), labels, self.weights)}

    def measure(self, network: nn.Module) -> dict[str, float]:
        assert self.validation is not None
        images, labels = self.validation
        matrix = ConfusionMatrix(self.classes.titles)
        for start in range(0, len(images), _CHUNK):
            logits = network(images[start : start + _CHUNK].to(self.device))
            matrix.add(labels[start : start + _CHUNK], logits.argmax(dim=1).cpu().numpy())
        scores = matrix.summary()
        figures = {f"val/{key}": scores[key] for key in ("pixel_accuracy", "mean_class_accuracy", "miou")}
        for title, value in scores["class_accuracy"].items():
            if value is not None:
                figures[f"val/accuracy/{title}"] = value
        return figures

    def card(self, folder: Path, outcome: Outcome) -> SegmenterCard:
        config, network = self.config, self.shipped[NETWORK]
        return SegmenterCard(
            name=config.card.name or folder.name,
            network=config.network,
            arguments=config.arguments,
            stride=cast("int", network.stride),
            receptive_field=cast("int | None", network.receptive_field),
            tile=cast("int", network.tile),
            input=self.input_card,
            classes=dict(self.classes.names),
            ignore_index=self.classes.ignore_index,
            gsd_m=self.root.gsd_m,
            training=training_card(config, self.root, "train", outcome.step),
            quality=quality(outcome.figures),
            licence=config.card.licence,
            notes=config.card.notes,
        )
