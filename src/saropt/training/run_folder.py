"""The folder of a run: one run at a time trains in it, and a new run never begins in one that holds another."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from saropt.errors import BusyError, InputError

CHECKPOINT = "checkpoint.pt"
CONFIG = "config.yaml"


def check_folder(folder: Path, resume: bool) -> None:
    """Refuse to begin a run in a folder that holds one, and to resume in a folder that holds none.

    Raises:
        InputError: one of these.
    """
    if resume and not (folder / CHECKPOINT).is_file():
        raise InputError(folder, f"cannot resume: it holds no {CHECKPOINT}")
    if not resume and folder.exists() and any(folder.iterdir()):
        raise InputError(folder, "holds a run already: choose another folder, or continue it with --resume")


@contextmanager
def alone_in(folder: Path, config: str | None, agreed: Callable[[bool], bool] = bool) -> Iterator[None]:
    """The folder is this run's until the block ends.

    Args:
        folder: of the run; made if it is not there.
        config: what to write into its config.yaml; None in processes other than the first of the run.
        agreed: whether something is so in any process of the run.

    Raises:
        BusyError: another run trains there, in all processes of this one.
    """
    busy = False
    with ExitStack() as held:
        if config is not None:
            folder.mkdir(parents=True, exist_ok=True)
            file = held.enter_context((folder / CONFIG).open("a", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy = True
        if agreed(busy):
            raise BusyError(folder, "another run is training in it")
        if config is not None:
            file.truncate(0)
            file.write(config)
            file.flush()
        yield
