"""Data roots, labels, random windows and their augmentation."""

from saropt.roots.augmentation import Augmentation
from saropt.roots.confusion import ConfusionMatrix
from saropt.roots.labelled import LabelledSampler, draw_labelled_batch
from saropt.roots.labels import IGNORED, Classes, class_weights, classes_of, count_labels
from saropt.roots.recipes import describe_images
from saropt.roots.root import DataRoot, ImageSpec
from saropt.roots.splits import SPLITS
from saropt.roots.windows import Sample, WindowSampler, draw_batch

__all__ = [
    "IGNORED",
    "SPLITS",
    "Augmentation",
    "Classes",
    "ConfusionMatrix",
    "DataRoot",
    "ImageSpec",
    "LabelledSampler",
    "Sample",
    "WindowSampler",
    "class_weights",
    "classes_of",
    "count_labels",
    "describe_images",
    "draw_batch",
    "draw_labelled_batch",
]
