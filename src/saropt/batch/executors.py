"""Who translates many scenes: this process, several processes, or a cluster; none of them loses a scene."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal, Protocol

from saropt.batch.gpus import list_gpus
from saropt.batch.jobs import Job, Outcome, Work, attempt
from saropt.errors import InputError, OptionError, SaroptError
from saropt.processors import usable_cpus
from saropt.progress import Progress, silent
from saropt.registry import Registry

Event = tuple[Literal["ready", "refused", "tiles", "outcome", "died"], Any]
"""What a worker tells: nothing, a `SaroptError`, (done, total, "tiles"), an `Outcome`, how it died."""
Outcomes = Generator[Outcome, None, None]


class Executor(Protocol):
    """Runs jobs; closing the iterator early, as an interrupt does, ends the workers."""

    def run(self, jobs: Sequence[Job], progress: Progress = silent) -> Outcomes:
        """Outcomes in the order in which they come.

        Args:
            progress: called with (scenes done, scenes, what is being done).

        Raises:
            SaroptError: the translator cannot be loaded, or no worker can be started.
        """


class InProcess:
    """One scene after another in this process."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, jobs: Sequence[Job], progress: Progress = silent) -> Outcomes:
        translator = self._work.open()
        board = _Board(len(jobs), progress)
        waiting, put_off = deque(jobs), set[Job]()
        while waiting:
            job = waiting.popleft()
            outcome = attempt(translator, self._work, job, progress=partial(board.tiles, job))
            if outcome.busy and job not in put_off:
                put_off.add(job)
                waiting.append(job)
            else:
                yield board.count(outcome)


class Crew(Protocol):
    """Workers by number, each with a translator of its own and at most one job."""

    def hire(self) -> int:
        """Start a worker; its first event is "ready", "refused" or "died"."""

    def give(self, worker: int, job: Job, again: bool) -> None:
        """A job for a worker without one."""

    def events(self) -> list[tuple[int, Event]]:
        """What happened; waits until something does. Nothing comes from a worker after "died"."""

    def dismiss(self) -> None:
        """End all workers, whatever they do."""


def dispatch(crew: Crew, workers: int, jobs: Sequence[Job], progress: Progress) -> Outcomes:
    """Give jobs to a crew. The job of a worker that dies is tried once more by another one, from where it stopped; an
    output that another process writes is looked at once more after the others.

    Raises:
        SaroptError: the translator cannot be loaded, or no worker can be started.
    """
    waiting = deque((job, False) for job in jobs)
    busy: dict[int, tuple[Job, bool]] = {}
    idle: set[int] = set()
    starting: set[int] = set()
    put_off: set[Job] = set()
    board = _Board(len(jobs), progress)
    try:
        while waiting or busy:
            while len(starting) + len(idle) + len(busy) < min(workers, len(waiting) + len(busy)):
                starting.add(crew.hire())
            while waiting and idle:
                worker = idle.pop()
                busy[worker] = waiting.popleft()
                crew.give(worker, *busy[worker])
            for worker, (kind, told) in crew.events():
                if kind == "tiles":
                    board.tiles(busy[worker][0], *told)
                elif kind == "refused":
                    raise told
                elif kind == "ready":
                    starting.discard(worker)
                    idle.add(worker)
                elif kind == "outcome":
                    job, again = busy.pop(worker)
                    idle.add(worker)
                    if told.busy and job not in put_off:
                        put_off.add(job)
                        waiting.append((job, again))
                    else:
                        yield board.count(told)
                elif worker in starting:
                    starting.discard(worker)
                    workers -= 1
                    if workers == 0:
                        raise SaroptError(f"no worker could be started: it {told}")
                elif worker in idle:
                    idle.discard(worker)
                else:
                    job, again = busy.pop(worker)
                    if again:
                        yield board.count(Outcome(job, InputError(job.scene, f"given up, a second worker {told}")))
                    else:
                        waiting.append((job, True))
    finally:
        crew.dismiss()


class Processes:
    """Several processes on this machine, which share its CPU threads."""

    def __init__(self, work: Work, workers: int) -> None:
        self._work, self._workers = work, workers

    def run(self, jobs: Sequence[Job], progress: Progress = silent) -> Outcomes:
        workers = min(self._workers, len(jobs))
        crew = ProcessCrew(self._work, max(1, usable_cpus() // max(1, workers)))
        return dispatch(crew, workers, jobs, progress)


class ProcessCrew:
    """A crew of processes. Each has a number of CPU threads and, where there are GPUs, the one that is used least."""

    def __init__(self, work: Work, threads: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work, self._threads = work, threads
        self._team: dict[int, tuple[multiprocessing.process.BaseProcess, Connection]] = {}
        self._gpus = {gpu: set[int]() for gpu in list_gpus()}
        self._hired = 0

    def hire(self) -> int:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work, self._threads))
        self._hired += 1
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for this process alone
        try:
            with _only_gpu(self._take_gpu(self._hired)):
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._team[self._hired] = process, ours
        return self._hired

    def _take_gpu(self, worker: int) -> str | None:
        if not self._gpus:
            return None
        gpu = min(self._gpus, key=lambda gpu: len(self._gpus[gpu] & self._team.keys()))
        self._gpus[gpu].add(worker)
        return gpu

    def give(self, worker: int, job: Job, again: bool) -> None:
        with suppress(OSError):  # it has died: `events` tells
            self._team[worker][1].send((job, again))

    def events(self) -> list[tuple[int, Event]]:
        numbers = {pipe: number for number, (_, pipe) in self._team.items()}
        told: list[tuple[int, Event]] = []
        for pipe in wait(list(numbers)):
            number = numbers[pipe]  # type: ignore[index]
            try:
                told.append((number, self._team[number][1].recv()))
            except (EOFError, OSError):
                process, pipe = self._team.pop(number)
                process.join()
                pipe.close()
                told.append((number, ("died", _ending(process.exitcode))))
        return told

    def dismiss(self) -> None:
        for process, _ in self._team.values():
            process.kill()
        for process, pipe in self._team.values():
            process.join()
            pipe.close()
        self._team.clear()


@contextmanager
def _only_gpu(gpu: str | None) -> Iterator[None]:
    """Processes that start inside see this GPU alone; where there is none, what this process sees."""
    if gpu is None:
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    try:
        yield
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by signal {-code}{' (out of memory?)' if code == -signal.SIGKILL else ''}"
    return f"ended with code {code}"


def _serve(pipe: Connection, work: Work, threads: int) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        translator = work.open(threads)
    except SaroptError as error:
        pipe.send(("refused", error))
        return
    pipe.send(("ready", None))
    while True:
        job, again = pipe.recv()
        outcome = attempt(translator, work, job, again, lambda *tiles: pipe.send(("tiles", tiles)))
        pipe.send(("outcome", outcome))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _Board:
    """Counts scenes, and tells it together with the tiles of the one heard of last."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._done = total, 0
        self._progress = progress

    def tiles(self, job: Job, done: int, total: int, what: str) -> None:
        self._progress(self._done, self._total, f"scenes ({Path(job.out).stem}: {done}/{total} {what})")

    def count(self, outcome: Outcome) -> Outcome:
        self._done += 1
        self._progress(self._done, self._total, "scenes")
        return outcome


OpenExecutor = Callable[[Work, int | None, str | None], Executor]
"""(work, workers, address) -> executor."""
EXECUTORS = Registry[OpenExecutor]("executor", "saropt.executors")


def _open_local(work: Work, workers: int | None, address: str | None) -> Executor:
    if address is not None:
        raise OptionError("address", address, "goes with executor ray")
    return InProcess(work) if (workers or 1) == 1 else Processes(work, workers or 1)


def _open_ray(work: Work, workers: int | None, address: str | None) -> Executor:
    from saropt.batch.ray_actors import RayActors

    return RayActors(work, workers, address)


EXECUTORS.add("local", _open_local)
EXECUTORS.add("ray", _open_ray)


def open_executor(kind: str, work: Work, workers: int | None = None, address: str | None = None) -> Executor:
    """The executor of a name. Other packages add one through the entry point group `saropt.executors`.

    Args:
        kind: "local", "ray" or another registered name.
        work: what is done with every scene.
        workers: scenes at a time; when None one locally, in a cluster one for each node, or for each GPU if the
            network runs on GPUs.
        address: of a running Ray cluster; one is started on this machine when None.

    Raises:
        OptionError: an unknown executor, or an address without "ray".
        MissingExtraError: Ray is not installed.

    >>> open_executor("slurm", Work("s1-losangeles"))
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: executor='slurm': must be local, ray
    """
    if kind not in EXECUTORS:
        raise OptionError("executor", kind, f"must be {', '.join(EXECUTORS)}")
    return EXECUTORS[kind](work, workers, address)
