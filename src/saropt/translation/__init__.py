"""Translation and segmentation of arrays and whole scenes with a translator or segmenter file."""

from saropt.translation.bundled import card_of, find_translator, list_translators
from saropt.translation.exporting import export_translator
from saropt.translation.outputs import deviation_path
from saropt.translation.segmenter import Segmenter
from saropt.translation.translator import NOTICE, Translator

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
