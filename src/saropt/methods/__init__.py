"""Translation methods: one file per method."""

from saropt.methods.base import Batch, Direction, Method, MethodConfig
from saropt.methods.compact import Compact
from saropt.methods.pix2pix import Pix2Pix
from saropt.methods.registry import get_method, list_methods, register
from saropt.methods.regression import Regression

__all__ = [
    "Batch",
    "Compact",
    "Direction",
    "Method",
    "MethodConfig",
    "Pix2Pix",
    "Regression",
    "get_method",
    "list_methods",
    "register",
]
