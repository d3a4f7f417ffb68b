"""What every training loop needs: a folder of its own, batches drawn ahead, interrupts that wait for a step."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from saropt.errors import BusyError, InputError

CHECKPOINT = "checkpoint.pt"
CONFIG = "config.yaml"
_AHEAD = 4
Item = TypeVar("Item")


def claim_folder(folder: Path, resume: bool) -> None:
    """Refuse a folder that holds a run when a new one shall begin, or holds none when one shall go on.

    Raises:
        InputError: either of these.
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


def write_state(path: Path, state: dict[str, Any]) -> None:
    """torch.save under a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """What `write_state` wrote; tensors and plain values only, no code runs.

    Raises:
        InputError: damaged, or no checkpoint.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise InputError(path, f"is damaged or no checkpoint ({type(error).__name__})") from error
    if not isinstance(state, dict) or "method" not in state:
        raise InputError(path, "is damaged or no checkpoint of saropt")
    return state


def prefetched(draw: Callable[[int], Item], start: int, stop: int, workers: int = 2) -> Iterator[Item]:
    """draw(start), ..., draw(stop - 1) in this order, up to four ahead in threads; an error in `draw` surfaces here."""
    upcoming = iter(range(start, stop))
    with ThreadPoolExecutor(workers, thread_name_prefix="windows") as pool:
        ahead = deque(pool.submit(draw, step) for step in islice(upcoming, _AHEAD))
        try:
            while ahead:
                item = ahead.popleft().result()
                ahead.extend(pool.submit(draw, step) for step in islice(upcoming, 1))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)


def interruptible(
    items: Iterable[Item], save: Callable[[], None], agreed: Callable[[bool], bool] = bool
) -> Iterator[Item]:
    """The items until an interrupt (Ctrl-C, or SIGTERM as job schedulers send it), which waits for the step under way,
    saves, and is raised then.

    Args:
        items: what to step through.
        save: called once after an interrupt.
        agreed: whether any process was interrupted, from whether this one was; called after every item.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from items
        return
    asked = threading.Event()
    before = {
        number: signal.signal(number, lambda number, frame: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        for item in items:
            yield item
            if agreed(asked.is_set()):
                save()
                raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
