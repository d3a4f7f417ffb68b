"""Training: configuration, the loop and its tasks, checkpoints, tracking (needs `saropt[train]`)."""

from saropt.training.config import TrainingConfig, dump_config, read_config
from saropt.training.launchers import check_launcher
from saropt.training.loop import Loop
from saropt.training.matching import MatcherTask
from saropt.training.matching_config import MatchingConfig, read_matching_config
from saropt.training.run_folder import CHECKPOINT
from saropt.training.segmentation import SEGMENTER, SegmenterTask
from saropt.training.segmentation_config import SegmentationConfig, read_segmentation_config
from saropt.training.task import Outcome, Task
from saropt.training.translation import TranslatorTask

__all__ = [
    "CHECKPOINT",
    "SEGMENTER",
    "Loop",
    "MatcherTask",
    "MatchingConfig",
    "Outcome",
    "SegmentationConfig",
    "SegmenterTask",
    "Task",
    "TrainingConfig",
    "TranslatorTask",
    "check_launcher",
    "dump_config",
    "read_config",
    "read_matching_config",
    "read_segmentation_config",
]
