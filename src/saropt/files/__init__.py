"""Files and folders that appear when they are complete, locks, and settings files."""

from saropt.files.atomic import atomic_file, atomic_folder, sync_folder, write_text
from saropt.files.identity import digest_file, digest_files, shown_files
from saropt.files.lock import BUSY, Lock
from saropt.files.places import check_not_input, place_of, same_place
from saropt.files.settings import read_yaml, validated
from saropt.files.structured import load_json, load_xml, load_yaml

__all__ = [
    "BUSY",
    "Lock",
    "atomic_file",
    "atomic_folder",
    "check_not_input",
    "digest_file",
    "digest_files",
    "load_json",
    "load_xml",
    "load_yaml",
    "place_of",
    "read_yaml",
    "same_place",
    "shown_files",
    "sync_folder",
    "validated",
    "write_text",
]
