"""Reads and writes translator, segmenter and matcher files: weights and card."""

from saropt.artifacts.card import (
    FORMAT_VERSION,
    Card,
    DirectionCard,
    EarlierTraining,
    MatcherCard,
    SamplerCard,
    SegmenterCard,
    TrainingCard,
    parse_card,
    parse_segmenter_card,
)
from saropt.artifacts.graph import load_graph, read_card
from saropt.artifacts.image_card import ImageCard
from saropt.artifacts.modules import load_matcher_module, load_segmenter_module, load_translator_module
from saropt.artifacts.trust import ReliabilityCard, SeenCard
from saropt.artifacts.weights import (
    SEGMENTER_FILE,
    blend,
    count_parameters,
    load_matcher,
    load_segmenter,
    load_weights,
    save_weights,
    segmenter_file,
)

__all__ = [
    "FORMAT_VERSION",
    "SEGMENTER_FILE",
    "Card",
    "DirectionCard",
    "EarlierTraining",
    "ImageCard",
    "MatcherCard",
    "ReliabilityCard",
    "SamplerCard",
    "SeenCard",
    "SegmenterCard",
    "TrainingCard",
    "blend",
    "count_parameters",
    "load_graph",
    "load_matcher",
    "load_matcher_module",
    "load_segmenter",
    "load_segmenter_module",
    "load_translator_module",
    "load_weights",
    "parse_card",
    "parse_segmenter_card",
    "read_card",
    "save_weights",
    "segmenter_file",
]
