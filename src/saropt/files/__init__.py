"""Files and folders that appear when they are whole, and locks."""

from saropt.files.atomic import atomic_file, atomic_folder, sync_folder, write_text
from saropt.files.lock import Lock
from saropt.files.places import check_not_input, same_place

__all__ = ["Lock", "atomic_file", "atomic_folder", "check_not_input", "same_place", "sync_folder", "write_text"]
