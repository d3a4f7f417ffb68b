"""Translation and segmentation of arrays and whole scenes with a translator or segmenter file."""

from saropt.inference.bundled import card_of, find_translator, list_translators
from saropt.inference.exporting import export_translator
from saropt.inference.outputs import deviation_path
from saropt.inference.segmenter import Segmenter
from saropt.inference.translator import NOTICE, Translator

__all__ = [
    "NOTICE",
    "Segmenter",
    "Translator",
    "card_of",
    "deviation_path",
    "export_translator",
    "find_translator",
    "list_translators",
]
