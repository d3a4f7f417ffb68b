"""Training: configuration, engine, checkpoints, tracking (needs `saropt[train]`)."""

from saropt.training.config import TrainingConfig, dump_config, read_config
from saropt.training.engine import Trainer

__all__ = ["Trainer", "TrainingConfig", "dump_config", "read_config"]
