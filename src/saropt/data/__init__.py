"""Data roots, labels, random windows and their augmentation."""

from saropt.data.augmentation import Augmentation
from saropt.data.confusion import ConfusionMatrix
from saropt.data.labelled import LabelledSampler, draw_labelled_batch
from saropt.data.labels import IGNORED, Classes, class_weights, classes_of, count_labels
from saropt.data.root import SPLITS, DataRoot, Modality, SideName
from saropt.data.windows import Sample, Side, WindowSampler, draw_batch

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
