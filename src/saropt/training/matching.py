"""The training of matchers on SAR-optical pairs, after XPoint (Yagmur et al., arXiv:2411.07430): one network for both
kinds of images, pseudo-labelled keypoints, pairs bent by random homographies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.artifacts import MatcherCard
from saropt.errors import InputError
from saropt.losses import descriptor_loss, detector_loss, warp_points
from saropt.matching.correspondence import mutual_matches
from saropt.matching.features import Image
from saropt.matching.learned import MATCHER_FILE, extract, standardised
from saropt.matching.rift import pseudo_labels
from saropt.networks import KeypointCNN, KeypointTraining
from saropt.roots import Augmentation, DataRoot, Sample, WindowSampler
from saropt.training.config import DataConfig
from saropt.training.matching_config import MatchingConfig
from saropt.training.one_network import NETWORK, OneNetworkTask, quality
from saropt.training.task import Outcome, training_card
from saropt.training.windows import describe_roles

_LIMIT, _CLOSE = 500, 3.0
_PAIR = ("sar", "optical")


@dataclass(frozen=True)
class BentPair:
    """A SAR and an optical image (h, w) of one place, one of them bent.

    Attributes:
        images: two standardised images; the first is as it was.
        keypoints, valid: two masks (h, w).
        matrix: (3, 3), maps pixels (column, row) of the first to the second.
        corners: (8,) shifts of the corners (column, row), upper left first, clockwise, as shares of the side.
    """

    images: NDArray[np.float32]
    keypoints: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    matrix: NDArray[np.float32]
    corners: NDArray[np.float32]


def bend_pair(sample: Sample, rng: np.random.Generator, warp: float, keypoints: int) -> BentPair:
    """A training pair from an aligned one: SAR or optical first by chance, the other bent by a random homography.

    Both images take the keypoints that the detector of the RIFT-like matcher finds in either of them.

    Args:
        warp: largest shift of a corner along an axis, as a share of the side.
        keypoints: per image, before they are joined.
    """
    import cv2

    greys = _greys(sample)
    points = np.unique(np.concatenate([pseudo_labels(grey, keypoints) for grey in greys]), axis=0)
    first, second = greys if rng.integers(2) else greys[::-1]
    side = first.shape[0]
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    shifts = rng.uniform(-warp, warp, (4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(square, square + shifts * side).astype(np.float64)
    middles = (
        np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]) @ matrix @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    )
    bent = cv2.warpPerspective(second, middles, (side, side), flags=cv2.INTER_LINEAR)
    seen = cv2.warpPerspective(np.ones_like(second), middles, (side, side), flags=cv2.INTER_LINEAR) > 0.999
    everywhere = np.ones_like(seen)
    moved = warp_points(torch.from_numpy(matrix)[None], torch.from_numpy(points + 0.5))[0].numpy()
    moved = np.floor(moved[((moved >= 0) & (moved < side)).all(1)]).astype(int)
    masks = np.zeros((2, side, side), bool)
    masks[0, points[:, 1], points[:, 0]] = True
    masks[1, moved[:, 1], moved[:, 0]] = True
    images = np.stack([standardised(first, everywhere), standardised(bent.astype(np.float32), seen)])
    return BentPair(images, masks, np.stack([everywhere, seen]), matrix.astype(np.float32), shifts.ravel())


class MatcherTask(OneNetworkTask):
    """Training of a matcher.

    Args:
        config: what to train.
        root: paired data; the splits train and, where validation is on, val are used.
        processes: number of processes that will train together.

    Raises:
        InputError: unfit data or configuration.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 0), size=256))
    >>> MatcherTask(MatchingConfig(width=8), root).name
    'matcher'
    """

    name = "matcher"
    file = MATCHER_FILE
    score_figure = "val/matching_score"
    config: MatchingConfig

    def __init__(self, config: MatchingConfig, root: DataRoot, processes: int = 1) -> None:
        super().__init__(config, root, processes)
        if not root.paired:
            raise InputError(root.path, "is unpaired: a matcher learns from pairs")
        data = config.data
        self.images = describe_roles(root, DataConfig(bands=data.bands), _PAIR)
        augmentation = Augmentation(flips=data.flips, speckle_probability=data.speckle_probability)
        self.sampler = WindowSampler(root, "train", data.crop, self.images, augmentation)
        self.validation: list[Sample] = []
        if self.validates:
            sampler = WindowSampler(root, "val", data.crop, self.images)
            drawn = range(self.engine.validation_windows)
            self.validation = [sampler.draw(np.random.default_rng([0, index])) for index in drawn]
        torch.manual_seed(self.engine.seed)
        self._setup(KeypointTraining(KeypointCNN(config.width), data.crop))

    def optimizers(self) -> dict[str, Optimizer]:
        return {NETWORK: Adam(list(self.network.parameters()), lr=self.config.learning_rate)}

    def draw(self, step: int, first: int) -> tuple[Tensor, ...]:
        data = self.config.data
        pairs = []
        for index in range(first, first + data.batch_size):
            rng = np.random.default_rng([self.engine.seed, step, 0, index])
            pairs.append(bend_pair(self.sampler.draw(rng), rng, data.warp, data.keypoints))
        columns: list[list[Any]] = [[getattr(pair, field.name) for pair in pairs] for field in fields(BentPair)]
        return tuple(torch.from_numpy(np.stack(column)) for column in columns)

    def losses(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        images, keypoints, valid, matrix, corners = batch
        config = self.config
        logits, descriptors, guessed = self.network(images[:, :1], images[:, 1:])
        first, second = descriptors.float().chunk(2)
        both = [torch.cat([masks[:, :1], masks[:, 1:]]) for masks in (keypoints, valid)]
        pulled = descriptor_loss(
            first,
            second,
            matrix,
            valid[:, 1:],
            config.positive_margin,
            config.negative_margin,
            config.positive_weight,
            config.near,
        )
        return {
            "detector": config.lambda_detector * detector_loss(logits.float(), *both),
            "descriptor": config.lambda_descriptor * pulled,
            "homography": config.lambda_homography * functional.mse_loss(guessed.float(), corners),
        }

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Putative and correct matches of the untouched val windows, SAR with optical."""
        keypoint_network: Any = network.network
        keypoints = putative = correct = 0
        for sample in self.validation:
            greys = _greys(sample)
            valid = np.ones(greys[0].shape, bool)
            one, two = (extract(keypoint_network, grey, valid, _LIMIT, str(self.device)) for grey in greys)
            pairs = mutual_matches(one, two)
            apart = np.linalg.norm(one.points[pairs[:, 0]] - two.points[pairs[:, 1]], axis=1)
            keypoints += min(len(one), len(two))
            putative += len(pairs)
            correct += int((apart < _CLOSE).sum())
        return {
            "val/pmr": putative / max(keypoints, 1),
            "val/ir_ed": correct / max(putative, 1),
            "val/matching_score": correct / max(keypoints, 1),
        }

    def shipped_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {key.removeprefix("network."): v for key, v in state.items() if key.startswith("network.")}

    def card(self, folder: Path, outcome: Outcome) -> MatcherCard:
        config = self.config
        return MatcherCard(
            name=config.card.name or folder.name,
            arguments={"width": config.width},
            receptive_field=KeypointCNN.receptive_field,
            gsd_m=self.root.gsd_m,
            training=training_card(config, self.root, "train", outcome.step),
            quality=quality(outcome.figures),
            licence=config.card.licence,
            notes=config.card.notes,
        )


def _greys(sample: Sample) -> list[Image]:
    """The SAR and the optical image of a window as one band in [0, 1]."""
    return [(image.mean(0) + 1.0) / 2.0 for image in (sample["sar"], sample["optical"])]
