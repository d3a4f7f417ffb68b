"""Workers that die, that cannot start, that are interrupted: no scene is lost, and the bytes are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from saropt.batch import gpus, ray_actors
from saropt.batch.executors import Event, InProcess, ProcessCrew, Processes, dispatch, open_executor
from saropt.batch.jobs import Job, Outcome, Work
from saropt.errors import InputError, MissingExtraError, SaroptError
from saropt.inference import TranslateOptions
from saropt.progress import silent
from saropt.scenes import write_array

Factory = Callable[..., Path]
JOBS = [Job(f"{name}.tif", Path(f"out/{name}.tif")) for name in "abcd"]


class Script:
    """A crew whose workers do what `acts` says of their number: "work", "refuse", "no start", or die at jobs."""

    def __init__(self, acts: dict[int, object]) -> None:
        self.acts, self.hired, self.told, self.given = acts, 0, [], []
        self.dismissed = False
        self.busy: Counter[str] = Counter()

    def hire(self) -> int:
        act, number = self.acts.get(self.hired, "work"), self.hired
        self.hired += 1
        kinds: dict[object, Event] = {
            "no start": ("died", "ended with code 1"),
            "refuse": ("refused", InputError("m", "damaged")),
        }
        self.told.append((number, kinds.get(act, ("ready", None))))
        return number

    def give(self, worker: int, job: Job, again: bool) -> None:
        self.given.append((worker, job.out.stem, again))
        deadly = self.acts.get(worker, "")
        self.told.append((worker, ("tiles", (1, 2, "tiles"))))
        died = job.out.stem in str(deadly) and deadly != "work"
        self.busy[job.out.stem] -= 1
        outcome = Outcome(job, busy=self.busy[job.out.stem] >= 0)
        self.told.append((worker, ("died", "was killed") if died else ("outcome", outcome)))

    def events(self) -> list[tuple[int, Event]]:
        assert self.told, "the dispatcher waits for ever"
        return [self.told.pop(0)]

    def dismiss(self) -> None:
        self.dismissed = True


def test_every_job_is_done_once() -> None:
    crew, seen = Script({}), []
    outcomes = list(dispatch(crew, 2, JOBS, lambda *progress: seen.append(progress)))
    assert sorted(outcome.job.out.stem for outcome in outcomes) == list("abcd")
    assert [again for _, _, again in crew.given] == [False] * 4
    assert (crew.hired, crew.dismissed) == (2, True)
    assert seen[0] == (0, 4, "scenes (a: 1/2 tiles)")
    assert seen[-1] == (4, 4, "scenes")


def test_a_job_outlives_one_worker_but_not_two() -> None:
    crew = Script({0: "a", 2: "b", 3: "b"})
    outcomes = {outcome.job.out.stem: outcome.error for outcome in dispatch(crew, 1, JOBS, silent)}
    assert crew.given[:2] == [(0, "a", False), (1, "b", False)]
    assert (1, "a", True) in crew.given
    assert outcomes == dict.fromkeys("abcd")
    crew = Script({0: "a", 1: "a"})
    outcomes = {outcome.job.out.stem: outcome.error for outcome in dispatch(crew, 1, JOBS[:1], silent)}
    assert {stem: str(error) for stem, error in outcomes.items()} == {
        "a": "a.tif: given up, a second worker was killed"
    }


def test_busy_outputs_are_looked_at_once_more_at_the_end() -> None:
    crew = Script({})
    crew.busy.update({"a": 1, "c": 9})
    outcomes = list(dispatch(crew, 1, JOBS, silent))
    assert [name for _, name, _ in crew.given] == list("abcdac")
    assert {outcome.job.out.stem: outcome.busy for outcome in outcomes} == {
        "a": False,
        "b": False,
        "c": True,
        "d": False,
    }
    assert len(outcomes) == 4


def test_workers_that_cannot_start() -> None:
    crew = Script({0: "no start"})
    assert len(list(dispatch(crew, 2, JOBS, silent))) == 4
    assert {worker for worker, _, _ in crew.given} == {1}
    with pytest.raises(SaroptError, match="no worker could be started: it ended with code 1"):
        list(dispatch(Script({0: "no start", 1: "no start"}), 2, JOBS, silent))
    crew = Script({0: "refuse"})
    with pytest.raises(SaroptError, match="m: damaged"):
        list(dispatch(crew, 2, JOBS, silent))
    assert crew.dismissed


def test_an_early_end_dismisses() -> None:
    crew = Script({})
    with closing(dispatch(crew, 2, JOBS, silent)) as outcomes:
        next(outcomes)
    assert crew.dismissed


@pytest.fixture
def many(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> tuple[Work, list[str]]:
    """A translator, three scenes of different sizes, and one that is none."""
    scenes = [make_scene(300, 200 + 50 * number, name=f"s{number}.tif") for number in range(3)]
    (tmp_path / "bad.tif").write_text("no raster")
    return Work(str(make_translator()), translate=TranslateOptions(tile=64)), [
        *map(str, scenes),
        str(tmp_path / "bad.tif"),
    ]


def jobs_in(folder: Path, scenes: list[str]) -> list[Job]:
    folder.mkdir()
    return [Job(scene, folder / Path(scene).name) for scene in scenes]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_processes_write_the_bytes_of_one(many: tuple[Work, list[str]], tmp_path: Path) -> None:
    work, scenes = many
    alone, seen = list(InProcess(work).run(jobs_in(tmp_path / "alone", scenes))), []
    together = list(Processes(work, 2).run(jobs_in(tmp_path / "both", scenes), lambda *told: seen.append(told)))
    assert files(tmp_path / "alone") == files(tmp_path / "both")
    assert sorted(files(tmp_path / "both")) == ["s0.tif", "s1.tif", "s2.tif"]
    for outcomes in (alone, together):
        assert [Path(o.job.scene).name for o in outcomes if o.error is not None] == ["bad.tif"]
    assert seen[-1] == (4, 4, "scenes")
    assert any("tiles" in what for _, _, what in seen)
    assert not multiprocessing.active_children()


def test_workers_share_the_gpus(make_translator: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new worker gets the GPU that fewest have; this process keeps its own view."""

    def has(worker: int) -> str:
        environment = Path(f"/proc/{crew._team[worker][0].pid}/environ").read_bytes().split(b"\0")
        return next(
            line.decode().partition("=")[2] for line in environment if line.startswith(b"CUDA_VISIBLE_DEVICES=")
        )

    def wait_for(kind: str, count: int) -> None:
        while count:
            count -= sum(told == kind for _, (told, _) in crew.events())

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5")
    crew = ProcessCrew(Work(str(make_translator())), 1)
    try:
        workers = [crew.hire() for _ in range(3)]
        wait_for("ready", 3)
        assert [has(worker) for worker in workers] == ["3", "GPU-5", "3"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3, GPU-5"
        for worker in workers[:2]:
            crew._team[worker][0].kill()
        wait_for("died", 2)
        late = crew.hire()
        wait_for("ready", 1)
        assert has(late) == "GPU-5"
    finally:
        crew.dismiss()


def test_gpus_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_DRIVER", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.list_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus.list_gpus() == []
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / bus).mkdir()
    assert gpus.list_gpus() == ["0", "1"]


@pytest.mark.parametrize(
    ("nodes", "wanted", "on_gpus", "expected"),
    [
        ([{"CPU": 8}, {"CPU": 8}, {}], None, False, (2, 8, 0.0)),
        ([{"CPU": 8}, {"CPU": 8}], 4, True, (4, 4, 0.0)),
        ([{"CPU": 8, "GPU": 4}], None, False, (1, 8, 0.0)),
        ([{"CPU": 8, "GPU": 4}], None, True, (4, 2, 1.0)),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}], 3, True, (3, 5, 0.5)),
        ([{"CPU": 2, "GPU": 4}], 9, True, (6, 1, 0.5)),
    ],
)
def test_shares_of_a_cluster(
    nodes: list[dict[str, float]], wanted: int | None, on_gpus: bool, expected: object
) -> None:
    assert ray_actors.share(nodes, wanted, 6, on_gpus) == expected


def test_a_killed_worker_loses_nothing(many: tuple[Work, list[str]], tmp_path: Path) -> None:
    work, scenes = many
    list(InProcess(work).run(jobs_in(tmp_path / "alone", scenes[:2])))
    kills = []

    def kill_first(done: int, total: int, what: str) -> None:
        if "tiles" in what and not kills:
            kills.append(multiprocessing.active_children()[0])
            kills[0].kill()
            kills[0].join()

    outcomes = list(Processes(work, 1).run(jobs_in(tmp_path / "out", scenes[:2]), kill_first))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(kills) == 1
    assert files(tmp_path / "alone") == files(tmp_path / "out")


def test_a_worker_killed_twice_is_told(many: tuple[Work, list[str]], tmp_path: Path) -> None:
    work, scenes = many

    def kill(done: int, total: int, what: str) -> None:
        if "s0" in what:
            for child in multiprocessing.active_children():
                child.kill()

    outcomes = list(Processes(work, 1).run(jobs_in(tmp_path / "out", scenes[:2]), kill))
    errors = {Path(outcome.job.scene).stem: outcome.error for outcome in outcomes}
    assert errors["s1"] is None
    assert str(errors["s0"]).endswith("given up, a second worker was killed by signal 9 (out of memory?)")
    assert not (tmp_path / "out" / "s0.tif").exists()


def test_a_translator_that_cannot_be_loaded_ends_it(tmp_path: Path) -> None:
    with pytest.raises(SaroptError, match="neither a file nor a bundled"):
        list(Processes(Work("nothing"), 2).run(jobs_in(tmp_path / "out", ["a.tif", "b.tif"])))


def group_ends(group: int, deadline: float) -> bool:
    """Whether all processes of a group end in time; the last is multiprocessing's own tracker."""
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_interrupt_leaves_nothing_half_written(make_translator: Factory, tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal; a second run with --resume gives the bytes of a plain one."""
    values = np.random.default_rng(0).normal(-12, 3, (1, 900, 700)).astype(np.float32)
    (tmp_path / "scenes").mkdir()
    for name in ("a", "b", "c", "d"):
        write_array(tmp_path / "scenes" / f"{name}.tif", values, band_names=["VH"])
    model, code = str(make_translator()), "import sys; from saropt.cli import main; sys.exit(main())"

    def command(out: str, *options: str) -> list[str]:
        places = [str(tmp_path / "scenes"), str(tmp_path / out), "--model", model, "--tile", "32"]
        return [sys.executable, "-c", code, "translate", *places, *options]

    assert subprocess.run(command("plain"), capture_output=True, check=False).returncode == 0
    process = subprocess.Popen(
        command("out", "--workers", "2"), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list((tmp_path / "out").glob(".*.part")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert "saropt: interrupted; the same command with --resume goes on" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert group_ends(process.pid, deadline)
    whole, plain = files(tmp_path / "out"), files(tmp_path / "plain")
    assert all(content == plain[name] for name, content in whole.items() if not name.startswith("."))
    assert len(list((tmp_path / "out").glob("?.tif"))) < 4
    done = subprocess.run(command("out", "--workers", "2", "--resume"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path / "out") == plain


def test_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_executor("local", Work("m")), InProcess)
    assert isinstance(open_executor("local", Work("m"), 3), Processes)
    with pytest.raises(InputError, match="goes with executor ray"):
        open_executor("local", Work("m"), 3, "host:6379")
    monkeypatch.setattr(ray_actors, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[ray\]"):
        open_executor("ray", Work("m"))


def test_sigterm_says_what_an_interrupt_says(make_translator: Factory, tmp_path: Path) -> None:
    """As job schedulers send it: to the process alone, which resumes to the bytes of a plain run."""
    values = np.random.default_rng(0).normal(-12, 3, (1, 1500, 1500)).astype(np.float32)
    scene = write_array(tmp_path / "scene.tif", values, band_names=["VH"])
    model, code = str(make_translator()), "import sys; from saropt.cli import main; sys.exit(main())"

    def command(out: str, *options: str) -> list[str]:
        places = [str(scene), str(tmp_path / out), "--model", model, "--tile", "32"]
        return [sys.executable, "-c", code, "translate", *places, *options]

    process = subprocess.Popen(command("out.tif"), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.glob(".out*")):
        time.sleep(0.01)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "saropt: interrupted; the same command with --resume goes on from there" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out.tif").exists()
    assert subprocess.run(command("out.tif", "--resume"), check=False, capture_output=True).returncode == 0
    assert subprocess.run(command("plain.tif"), check=False, capture_output=True).returncode == 0
    assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "plain.tif").read_bytes()
