"""Known public sets, one planner each, and the builder that turns a plan into a data root."""

from saropt.curation.sets import pictures, products, sen12jhl, sen12ms, uavsar, whu_opt_sar
from saropt.curation.sets.base import CATALOGUE, Entry, Known, Options, Plan, Source, known
from saropt.curation.sets.builder import build, prepare

__all__ = [
    "CATALOGUE",
    "Entry",
    "Known",
    "Options",
    "Plan",
    "Source",
    "build",
    "known",
    "pictures",
    "prepare",
    "products",
    "sen12jhl",
    "sen12ms",
    "uavsar",
    "whu_opt_sar",
]
