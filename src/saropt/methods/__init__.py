"""Translation methods: one file per method."""

from saropt.methods.base import Batch, Method, MethodConfig
from saropt.methods.bridge import Bridge
from saropt.methods.compact import Compact
from saropt.methods.con_diffusion import ConDiffusion
from saropt.methods.cran import CRAN, CRANRefine
from saropt.methods.cut import CUT, FastCUT
from saropt.methods.cyclegan import CycleGAN
from saropt.methods.dsd import HATDSD, S2OFormerDSD, UNetDSD
from saropt.methods.one_step_diffusion import OneStepDiffusion
from saropt.methods.pix2pix import Pix2Pix
from saropt.methods.qs_attn import QSAttn
from saropt.methods.reference import Reference
from saropt.methods.registry import get_method, list_methods, register
from saropt.methods.regression import Regression
from saropt.methods.sgcl import SGCL
from saropt.methods.shift_cyclegan import ShiftCycleGAN
from saropt.methods.tuigan import TuiGAN

__all__ = [
    "CRAN",
    "CUT",
    "HATDSD",
    "SGCL",
    "Batch",
    "Bridge",
    "CRANRefine",
    "Compact",
    "ConDiffusion",
    "CycleGAN",
    "FastCUT",
    "Method",
    "MethodConfig",
    "OneStepDiffusion",
    "Pix2Pix",
    "QSAttn",
    "Reference",
    "Regression",
    "S2OFormerDSD",
    "ShiftCycleGAN",
    "TuiGAN",
    "UNetDSD",
    "get_method",
    "list_methods",
    "register",
]
