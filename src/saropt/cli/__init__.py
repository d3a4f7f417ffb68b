"""The command line: one verb per file; parses, calls, prints."""

from saropt.cli.app import main

__all__ = ["main"]
