"""Translation jobs: kept in SQLite, run one after another in a process of their own, taken up again after a restart."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from saropt.errors import InputError

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
MOST_ATTEMPTS = 3
_LOG = logging.getLogger(__name__)
_RETRY_S = 2.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', seam REAL, attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, finished REAL
)
"""


@dataclass(frozen=True)
class Job:
    """A translation that was asked for.

    Attributes:
        request: scene (the scene's id), layer (id), source (the layer's name), translator, direction, bands, units,
            tile, realism, reliability, out (name of the output), contents (as of `saropt.viewer.catalogue.Result`).
        done, total: tiles; 0 before the first.
        message: why it failed.
        seam: of blended translations, as of `saropt.inference.SceneResult`.
        attempts: how often it was begun.
        created, started, finished: seconds since 1970.
    """

    id: str
    request: dict[str, Any]
    state: State
    done: int
    total: int
    message: str
    seam: float | None
    attempts: int
    created: float
    started: float | None
    finished: float | None


class Jobs:
    """The queue and its one worker.

    Args:
        folder: of the data base and the outputs; each job has its own folder in it.
        source: the file of a layer's id, None when it is gone.
        translator: the file of a translator's name, None when it is gone.
        finished: called when a job has brought its output, before the job is said to be done.
        threads: CPU threads of the network, all when None.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source: Callable[[str], Path | None],
        translator: Callable[[str], Path | None],
        finished: Callable[[], None],
        threads: int | None = None,
    ) -> None:
        self.folder = folder
        self._source, self._translator, self._finished, self._threads = source, translator, finished, threads
        self._wake = threading.Condition()
        self._process: tuple[str, subprocess.Popen[str]] | None = None
        self._stopping = False
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._begin()
        except sqlite3.OperationalError as error:  # no room, or no rights: the list itself is whole
            raise InputError(self.folder / "jobs.sqlite", f"cannot be written: {error}") from error
        except sqlite3.DatabaseError:
            aside = self.folder / f"jobs.sqlite.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
            (self.folder / "jobs.sqlite").rename(aside)
            for name in ("jobs.sqlite-wal", "jobs.sqlite-shm"):
                (self.folder / name).unlink(missing_ok=True)
            _LOG.warning("the list of jobs is damaged: it was put aside as %s and begun anew", aside)
            self._begin()
        self._runner = threading.Thread(target=self._run_all, name="jobs", daemon=True)

    def _begin(self) -> None:
        with closing(self._connect()) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_SCHEMA)
        self._recover()

    def start(self) -> None:
        self._runner.start()

    def stop(self) -> None:
        """End the worker; its job goes on at the next start."""
        with self._wake:
            self._stopping = True
            if self._process is not None:
                self._process[1].kill()
            self._wake.notify_all()
        self._runner.join(timeout=10)

    def submit(self, request: dict[str, Any]) -> Job:
        key = secrets.token_hex(8)
        insert = "INSERT INTO jobs (id, request, state, created) VALUES (?, ?, 'queued', ?)"
        self._write(insert, key, _dump(request), time.time())
        with self._wake:
            self._wake.notify_all()
        return self.get(key)

    def all(self) -> list[Job]:
        """All jobs, newest first."""
        return self._read("SELECT * FROM jobs ORDER BY created DESC, rowid DESC")

    def waiting(self) -> list[Job]:
        """Jobs that wait or run."""
        return self._read("SELECT * FROM jobs WHERE state IN ('queued', 'running')")

    def outputs(self) -> list[Job]:
        """Jobs whose output is there, oldest first; an output appears only when it is whole."""
        held = [job for job in reversed(self.all()) if job.state in ("running", "done")]
        return [job for job in held if self.output(job).is_file()]

    def get(self, key: str) -> Job:
        """Raises: KeyError: no such job."""
        found = self._read("SELECT * FROM jobs WHERE id = ?", key)
        if not found:
            raise KeyError(key)
        return found[0]

    def output(self, job: Job) -> Path:
        """The output's place, whether it is there or not."""
        return self.folder / job.id / str(job.request["out"])

    def cancel(self, key: str) -> Job:
        """End a job that waits or runs; one that has ended stays as it is.

        Raises:
            KeyError: no such job.
        """
        self.get(key)
        with self._wake:
            self._write(
                "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state IN ('queued', 'running')",
                time.time(),
                key,
            )
            if self._process is not None and self._process[0] == key:
                self._process[1].kill()
            elif self.get(key).state == "cancelled":
                shutil.rmtree(self.folder / key, ignore_errors=True)
        return self.get(key)

    def delete(self, key: str) -> None:
        """Forget an ended job and remove its output.

        Raises:
            KeyError: no such job.
            InputError: it has not ended.
        """
        with self._wake:
            if self.get(key).state not in ENDED or (self._process is not None and self._process[0] == key):
                raise InputError(f"job {key}", "has not ended: cancel it first")
            self._write("DELETE FROM jobs WHERE id = ?", key)
            shutil.rmtree(self.folder / key, ignore_errors=True)

    def _recover(self) -> None:
        """Jobs that ran when the server ended wait again, or fail when they have ended it too often."""
        for job in self._read("SELECT * FROM jobs WHERE state = 'running'"):
            if self.output(job).is_file():
                self._end(job.id, "done")
            elif job.attempts >= MOST_ATTEMPTS:
                self._end(job.id, "failed", f"the server ended {job.attempts} times while it ran")
            else:
                self._write("UPDATE jobs SET state = 'queued' WHERE id = ?", job.id)

    def _run_all(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and not (
                    queued := self._read("SELECT * FROM jobs WHERE state = 'queued' ORDER BY created, rowid LIMIT 1")
                ):
                    self._wake.wait()
                if self._stopping:
                    return
            try:
                self._run(queued[0])
            except Exception:
                _LOG.exception("job %s", queued[0].id)
                self._give_up(queued[0].id)

    def _give_up(self, key: str) -> None:
        """End a job after an error of the server, as soon as that can be written: the disk may be full."""
        while not self._stopping:
            try:
                self._end(key, "failed", "internal error of the server")
                return
            except sqlite3.OperationalError:
                with self._wake:
                    self._wake.wait(_RETRY_S)

    def _run(self, job: Job) -> None:
        scene, translator = self._source(job.request["layer"]), self._translator(job.request["translator"])
        if scene is None or translator is None:
            gone = job.request["source"] if scene is None else job.request["translator"]
            self._end(job.id, "failed", f"{gone} is no longer there")
            return
        companions = {name: self._source(layer) for name, layer in job.request.get("companions", {}).items()}
        if None in companions.values():
            self._end(
                job.id, "failed", f"the layer for {', '.join(n for n, p in companions.items() if p is None)} is gone"
            )
            return
        place = self.folder / job.id
        place.mkdir(exist_ok=True)
        options = {key: job.request[key] for key in ("direction", "bands", "units", "tile", "realism")}
        if options["bands"] is not None:
            options["bands"] = [band for band in options["bands"] if band is not None]
        options["reliability"] = job.request.get("reliability", False)
        options["companions"] = {name: str(path) for name, path in companions.items()}
        files = {"scene": str(scene), "translator": str(translator), "out": str(self.output(job))}
        with (place / "log.txt").open("ab") as log:
            with self._wake:
                if self._stopping or self.get(job.id).state != "queued":
                    return
                self._write(
                    "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ? WHERE id = ?",
                    time.time(),
                    job.id,
                )
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "saropt.viewer.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,
                )
                self._process = (job.id, process)
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(OSError):  # a worker that is gone already is told by its exit code
                process.stdin.write(_dump({**options, **files, "threads": self._threads}) + "\n")
                process.stdin.flush()
            last = self._follow(job.id, process.stdout)
            code = process.wait()
            process.stdin.close()
        self._conclude(job.id, last, code)

    def _follow(self, key: str, events: IO[str]) -> dict[str, Any]:
        """Note the progress until the events end; the last of them."""
        last: dict[str, Any] = {}
        for line in events:
            last = json.loads(line)
            if last["event"] == "progress":
                self._write("UPDATE jobs SET done = ?, total = ? WHERE id = ?", last["done"], last["total"], key)
        return last

    def _conclude(self, key: str, last: dict[str, Any], code: int) -> None:
        event = last.get("event")
        if event == "done":
            self._finished()  # who reads that the job is done must find its layer
        with self._wake:
            self._process = None
            cancelled = self.get(key).state == "cancelled"
            if cancelled:
                shutil.rmtree(self.folder / key, ignore_errors=True)
            elif event == "done":
                self._end(key, "done", "; ".join(last["warnings"]), seam=last["seam"])
            elif event == "failed":
                self._end(key, "failed", last["reason"])
            elif not self._stopping:
                killed = f"the translating process was killed by signal {-code}"
                ended = f"the translating process ended with code {code}"
                self._end(key, "failed", (killed if code < 0 else ended) + (" (out of memory?)" if code == -9 else ""))
        if cancelled and event == "done":
            self._finished()

    def _end(self, key: str, state: State, message: str = "", seam: float | None = None) -> None:
        assert state in get_args(State)
        text = " ".join(message.split())
        self._write(
            "UPDATE jobs SET state = ?, message = ?, seam = ?, finished = ? WHERE id = ?",
            state,
            text,
            seam,
            time.time(),
            key,
        )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.folder / "jobs.sqlite", timeout=30)
        connection.row_factory = sqlite3.Row
        return connection

    def _write(self, statement: str, *values: object) -> None:
        with closing(self._connect()) as database, database:
            database.execute(statement, values)

    def _read(self, statement: str, *values: object) -> list[Job]:
        with closing(self._connect()) as database:
            rows = database.execute(statement, values).fetchall()
        return [Job(**{**dict(row), "request": json.loads(row["request"])}) for row in rows]


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True)
