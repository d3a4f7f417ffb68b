"""Losses: pure functions, one file per family."""

from saropt.losses.adversarial import (
    approximate_gradient_penalty,
    feature_matching,
    gan_loss,
    gradient_penalty,
    relativistic_loss,
)
from saropt.losses.augmentation import diff_augment
from saropt.losses.contrastive import patch_nce
from saropt.losses.keypoints import descriptor_loss, detector_loss, warp_points
from saropt.losses.pixel import block_minimum, charbonnier, match_colour, total_variation
from saropt.losses.segmentation import dice_loss, segmentation_cross_entropy
from saropt.losses.semantic import SMALLEST_TEMPERATURE, Weights, class_weights, semantic_nce, similarity_weights
from saropt.losses.wavelet import haar_bands, haar_l1

__all__ = [
    "SMALLEST_TEMPERATURE",
    "Weights",
    "approximate_gradient_penalty",
    "block_minimum",
    "charbonnier",
    "class_weights",
    "descriptor_loss",
    "detector_loss",
    "dice_loss",
    "diff_augment",
    "feature_matching",
    "gan_loss",
    "gradient_penalty",
    "haar_bands",
    "haar_l1",
    "match_colour",
    "patch_nce",
    "relativistic_loss",
    "segmentation_cross_entropy",
    "semantic_nce",
    "similarity_weights",
    "total_variation",
    "warp_points",
]
