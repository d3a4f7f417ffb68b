"""Translation of arrays and whole scenes with a translator file."""

from saropt.translation.bundled import card_of, find_translator, list_translators
from saropt.translation.translator import NOTICE, Translator

__all__ = ["NOTICE", "Translator", "card_of", "find_translator", "list_translators"]
