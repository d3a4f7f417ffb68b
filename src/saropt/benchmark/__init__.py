"""Benchmark suites: train and evaluate several methods over seeds, one table at the end."""

from saropt.benchmark.by_data import RowReports
from saropt.benchmark.run import run_suite
from saropt.benchmark.suite import Suite, list_suites, load_suite
from saropt.benchmark.table import Table, build_table

__all__ = ["RowReports", "Suite", "Table", "build_table", "list_suites", "load_suite", "run_suite"]
