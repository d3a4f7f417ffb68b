"""Public data sets, one module each, and the builder that turns a plan into a data root."""

from importlib import import_module
from pkgutil import iter_modules

from saropt.curation.sets.base import SETS, DataSet, Entry, Options, Plan, Source, register_set
from saropt.curation.sets.builder import build, prepare

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["SETS", "DataSet", "Entry", "Options", "Plan", "Source", "build", "prepare", "register_set"]
