"""Data roots, random windows and their augmentation."""

from saropt.data.augmentation import Augmentation
from saropt.data.root import SPLITS, DataRoot, Modality, SideName
from saropt.data.windows import Sample, Side, WindowSampler, draw_batch

__all__ = [
    "SPLITS",
    "Augmentation",
    "DataRoot",
    "Modality",
    "Sample",
    "Side",
    "SideName",
    "WindowSampler",
    "draw_batch",
]
