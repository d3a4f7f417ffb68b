"""Translation and segmentation of arrays and whole scenes with a translator or segmenter file."""

from saropt.inference.bundled import card_of, find_translator, list_translators
from saropt.inference.default_model import default_model
from saropt.inference.exporting import export_translator
from saropt.inference.products import Block, Product
from saropt.inference.requests import LoadOptions, SceneResult, TranslateOptions
from saropt.inference.segmenter import Segmenter
from saropt.inference.shortcuts import DIRECTIONS, list_models, translate
from saropt.inference.sources import ArraySource, ScratchRaster, Source
from saropt.inference.translator import NOTICE, Translator

__all__ = [
    "DIRECTIONS",
    "NOTICE",
    "ArraySource",
    "Block",
    "LoadOptions",
    "Product",
    "SceneResult",
    "ScratchRaster",
    "Segmenter",
    "Source",
    "TranslateOptions",
    "Translator",
    "card_of",
    "default_model",
    "export_translator",
    "find_translator",
    "list_models",
    "list_translators",
    "translate",
]
