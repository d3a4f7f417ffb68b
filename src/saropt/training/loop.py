"""What every training loop needs: its own folder, batches drawn ahead in threads, interrupts that wait for a step."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from saropt.errors import InputError

CHECKPOINT = "checkpoint.pt"
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
    """The items until an interrupt (Ctrl-C), which waits for the step under way, saves, and is raised then.

    Args:
        items: what to step through.
        save: called once after an interrupt.
        agreed: whether any process was interrupted, from whether this one was; called after every item.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from items
        return
    asked = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.set())
    try:
        for item in items:
            yield item
            if agreed(asked.is_set()):
                save()
                raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
