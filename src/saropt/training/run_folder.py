"""The folder of a run: one run at a time trains in it, and a new run never begins in one that holds another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from saropt.errors import BusyError, InputError
from saropt.files import Lock, write_text

CHECKPOINT = "checkpoint.pt"
CONFIG = "config.yaml"
LOCK = ".lock"
_RESULTS = (".safetensors", ".onnx")
_BUSY = "another run is training in it"


def check_folder(folder: Path, resume: bool) -> bool:
    """Whether a run goes on from the folder's checkpoint. One that was killed before its first checkpoint is
    resumed from its start.

    Raises:
        InputError: the folder holds a run and `resume` is off, or holds none that could be resumed and it is on.

    >>> check_folder(Path("run"), resume=False)
    False
    """
    if not resume:
        if folder.exists() and not all(_is_left(path) for path in folder.iterdir()):
            raise InputError(folder, "holds a run already", remedy="resume")
        return False
    if (folder / CHECKPOINT).is_file():
        return True
    if not (folder / CONFIG).is_file() or any(path.suffix in _RESULTS for path in folder.iterdir()):
        raise InputError(folder, f"cannot resume: it holds no {CHECKPOINT}")
    return False


def _is_left(path: Path) -> bool:
    """Whether a file is what a run leaves that is killed before it has written anything."""
    return path.name == LOCK or (path.name.startswith(".") and path.name.endswith(".part"))


@contextmanager
def lock_folder(folder: Path, config: str | None, agreed: Callable[[bool], bool] = bool) -> Iterator[None]:
    """A context manager that holds the lock of a run folder.

    Args:
        folder: the run folder; made if it does not exist.
        config: content of config.yaml; None on other ranks than 0, which only wait for the outcome.
        agreed: tells from what holds in this process whether it holds in any process of the run.

    Raises:
        BusyError: another run trains there, in all processes of this one.
    """
    busy = False
    with ExitStack() as held:
        if config is not None:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(Lock(folder / LOCK, folder, _BUSY).acquire())
            except BusyError:
                busy = True
        if agreed(busy):
            raise BusyError(folder, _BUSY)
        if config is not None:
            write_text(folder / CONFIG, config)
        yield
