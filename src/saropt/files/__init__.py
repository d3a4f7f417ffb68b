"""Files and folders that appear when they are complete, locks, and settings files."""

from saropt.files.atomic import atomic_file, atomic_folder, sync_folder, write_text
from saropt.files.lock import Lock
from saropt.files.settings import read_yaml, validated

__all__ = ["Lock", "atomic_file", "atomic_folder", "read_yaml", "sync_folder", "validated", "write_text"]
