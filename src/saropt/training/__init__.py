"""Training: configuration, engine, checkpoints, tracking (needs `saropt[train]`)."""

from saropt.training.config import TrainingConfig, dump_config, read_config
from saropt.training.engine import Trainer
from saropt.training.segmentation import SegmenterTrainer
from saropt.training.segmentation_config import SegmentationConfig, read_segmentation_config

__all__ = [
    "SegmentationConfig",
    "SegmenterTrainer",
    "Trainer",
    "TrainingConfig",
    "dump_config",
    "read_config",
    "read_segmentation_config",
]
