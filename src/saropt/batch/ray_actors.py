"""Many scenes on a Ray cluster: one actor for each worker, each with a translator of its own."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from saropt.batch.executors import Event, Outcomes, dispatch
from saropt.batch.jobs import Job, Work, attempt
from saropt.errors import MissingExtraError, SaroptError
from saropt.files.vrt import files_behind
from saropt.processors import usable_cpus
from saropt.progress import Progress, silent

_PATIENCE_S = 5.0


class RayActors:
    """Actors of a Ray cluster, whose nodes see the scenes, the translator and the outputs under the same paths.

    Args:
        workers: actors; one for each node when None, or for each GPU if the network runs on GPUs. They share the CPUs
            and GPUs of the cluster.
        address: of a running cluster; one is started on this machine when None, and ended after the run. A Ray that
            the calling program has initialised is used as it is.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, work: Work, workers: int | None = None, address: str | None = None) -> None:
        if find_spec("ray") is None:
            raise MissingExtraError("the Ray executor", "ray")
        self._work, self._workers, self._address = work, workers, address

    def run(self, jobs: Sequence[Job], progress: Progress = silent) -> Outcomes:
        """As `Executor.run`.

        Raises:
            SaroptError: the cluster cannot be reached, the translator cannot be loaded, or no actor can be started.
        """
        if not jobs:
            return
        ours = connect(self._address, self._workers)
        try:
            import ray

            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            workers, threads, gpus = share(nodes, self._workers, len(jobs), self._work.wants_gpu)
            yield from dispatch(ActorCrew(_work_from_here(self._work), threads, gpus), workers, jobs, progress)
        finally:
            if ours:
                ray.shutdown()


def share(
    nodes: Sequence[Mapping[str, float]], workers: int | None, jobs: int, on_gpus: bool
) -> tuple[int, int, float]:
    """The number of actors for a number of jobs, and the CPUs and GPUs that each asks for.

    Args:
        nodes: resources by Ray's names, "CPU" and "GPU".
        workers: actors wanted; one for each GPU or node when None.
        on_gpus: whether the network runs on GPUs where there are any.
    """
    sizes = [int(node.get("CPU", 0)) for node in nodes]
    sizes = [size for size in sizes if size > 0]
    gpus = int(sum(node.get("GPU", 0) for node in nodes)) if on_gpus else 0
    workers = min(workers or gpus or len(sizes), jobs)
    threads = max(1, min(max(sizes, default=1), sum(sizes) // max(1, workers)))
    return workers, threads, 1.0 / math.ceil(max(1, workers) / gpus) if gpus else 0.0


def connect(address: str | None, workers: int | None) -> bool:
    """Initialise Ray unless that is done; whether it was done here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is not None:
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # of 40 s each; Ray reads it when it is imported
    import ray

    if ray.is_initialized():
        return False
    if address is not None:
        _check_port(address)
    options: dict[str, Any] = {"address": address}
    if address is None:
        cpus = max(workers or 1, usable_cpus())
        options = {"address": "local", "include_dashboard": False, "num_cpus": cpus}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = address or "Ray"
        reason = f"{where}: cannot be used: {' '.join(str(error).split())}"
        if address is not None and "RAY_AUTH_MODE" not in os.environ:
            reason += " (a cluster with tokens wants RAY_AUTH_MODE=token)"
        raise SaroptError(reason) from error
    return True


def _from_here(raster: Any) -> Any:
    """A raster, or each date of one, as a worker with another working directory finds it: files get absolute paths,
    addresses stay as they are."""
    if isinstance(raster, tuple):
        return tuple(map(_from_here, raster))
    path = Path(raster)
    return type(raster)(path.absolute()) if path.exists() or files_behind(path) else raster


def _work_from_here(work: Work) -> Work:
    """The work with the files that it names as workers find them."""
    given = work.translate
    files = {name: _from_here(raster) for name, raster in given.companions.items()}
    if given.dem is not None:
        files["dem"] = _from_here(given.dem)
    inputs = {role: _from_here(raster) for role, raster in given.inputs.items()}
    return replace(work, model=_from_here(work.model), translate=replace(given, inputs=inputs, **files))


def _check_port(address: str) -> None:
    """Refuse the address of a head that nothing listens at, which Ray would wait for."""
    named = re.fullmatch(r"(?:ray://)?\[?([^/\[\]]+?)\]?:(\d{1,5})", address)
    if named is None:
        return
    host, port = named.group(1), int(named.group(2))
    hosts = [host]
    if host in ("localhost", "127.0.0.1", "::1"):  # Ray takes this machine's own address for it
        import ray.util

        hosts.append(ray.util.get_node_ip_address())
    reason = ""
    for one in hosts:
        try:
            with socket.create_connection((one, port), _PATIENCE_S):
                return
        except (OSError, OverflowError, UnicodeError) as error:
            reason = reason or getattr(error, "strerror", None) or str(error)
    raise SaroptError(f"{address}: no Ray cluster answers there: {reason}")


class _Actor:
    """A translator in a process of the cluster."""

    def __init__(self, work: Work, threads: int) -> None:
        self._work, self._threads = work, threads

    def open(self) -> Event:
        try:
            self._translator = self._work.open(self._threads)
        except SaroptError as error:
            return "refused", error
        return "ready", None

    def translate(self, job: Job, again: bool) -> Event:
        return "outcome", attempt(self._translator, self._work, job, again)


class ActorCrew:
    """A crew of actors in an initialised Ray, each with its number of CPUs and its share of a GPU."""

    def __init__(self, work: Work, threads: int, gpus: float = 0.0) -> None:
        import ray

        self._ray = ray
        self._actor: Any = ray.remote(num_cpus=threads, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Actor)
        self._arguments = work, threads
        self._team: list[Any] = []
        self._pending: dict[Any, int] = {}

    def hire(self) -> int:
        actor = self._actor.remote(*self._arguments)
        self._team.append(actor)
        number = len(self._team) - 1
        self._pending[actor.open.remote()] = number
        return number

    def give(self, worker: int, job: Job, again: bool) -> None:
        out = job.out.absolute() if isinstance(job.out, Path) else job.out
        companions = tuple((name, _from_here(raster)) for name, raster in job.companions)
        absolute = replace(job, scene=_from_here(job.scene), out=out, companions=companions)
        self._pending[self._team[worker].translate.remote(absolute, again)] = worker

    def events(self) -> list[tuple[int, Event]]:
        done, _ = self._ray.wait(list(self._pending), num_returns=1)
        told: list[tuple[int, Event]] = []
        for reference in done:
            worker = self._pending.pop(reference)
            try:
                told.append((worker, self._ray.get(reference)))
            except self._ray.exceptions.RayTaskError as error:
                print(error, file=sys.stderr)
                self._ray.kill(self._team[worker])
                told.append((worker, ("died", f"failed with {type(error.cause).__name__}")))
            except self._ray.exceptions.RayError as error:
                told.append((worker, ("died", f"died: {' '.join(str(error).split())}")))
        return told

    def dismiss(self) -> None:
        for actor in self._team:
            self._ray.kill(actor)
        self._team.clear()
        self._pending.clear()
