"""Files and folders that appear when they are whole, and locks."""

from saropt.files.atomic import atomic_file, atomic_folder, sync_folder, write_text
from saropt.files.lock import Lock

__all__ = ["Lock", "atomic_file", "atomic_folder", "sync_folder", "write_text"]
