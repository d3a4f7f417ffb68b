"""Data roots, labels, random windows and their augmentation."""

from saropt.roots.augmentation import Augmentation
from saropt.roots.confusion import ConfusionMatrix
from saropt.roots.labelled import LabelledSampler, draw_labelled_batch
from saropt.roots.labels import IGNORED, Classes, class_weights, classes_of, count_labels
from saropt.roots.root import SPLITS, DataRoot, Modality, SideName
from saropt.roots.windows import Sample, Side, WindowSampler, draw_batch

__all__ = [
    "IGNORED",
    "SPLITS",
    "Augmentation",
    "Classes",
    "ConfusionMatrix",
    "DataRoot",
    "LabelledSampler",
    "Modality",
    "Sample",
    "Side",
    "SideName",
    "WindowSampler",
    "class_weights",
    "classes_of",
    "count_labels",
    "draw_batch",
    "draw_labelled_batch",
]
