"""Training: configuration, engine, checkpoints, tracking (needs `saropt[train]`)."""

from saropt.training.config import TrainingConfig, dump_config, read_config
from saropt.training.engine import Trainer
from saropt.training.launchers import check_launcher
from saropt.training.matching import MatcherTrainer
from saropt.training.matching_config import MatchingConfig, read_matching_config
from saropt.training.segmentation import SegmenterTrainer
from saropt.training.segmentation_config import SegmentationConfig, read_segmentation_config

__all__ = [
    "MatcherTrainer",
    "MatchingConfig",
    "SegmentationConfig",
    "SegmenterTrainer",
    "Trainer",
    "TrainingConfig",
    "check_launcher",
    "dump_config",
    "read_config",
    "read_matching_config",
    "read_segmentation_config",
]
