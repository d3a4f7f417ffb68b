"""Many scenes by one worker and by two: ratios of throughput, the workers' start apart, and identical bytes.

    python benchmarks/scaling.py local     processes of `saropt translate --workers`
    python benchmarks/scaling.py ray       actors of `saropt translate --executor ray`; needs `saropt[ray]`

Simulated uint8 VH amplitude. Every worker has one CPU thread, so that two of them do twice the work of one where two
cores are free. A run's clock starts when all of its workers have their translators. One worker and two alternate.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from saropt.batch import executors, ray_actors
from saropt.batch.executors import Crew, dispatch
from saropt.batch.jobs import Job, Work
from saropt.progress import silent
from translate import make_scene

MODEL = "s1-losangeles"


class Started:
    """A crew that was hired beforehand: `dispatch` finds its workers ready."""

    def __init__(self, crew: Any, workers: int) -> None:
        self._crew, self._idle = crew, [crew.hire() for _ in range(workers)]
        ready: set[int] = set()
        while len(ready) < workers:
            for worker, (kind, told) in crew.events():
                if kind != "ready":
                    raise SystemExit(f"worker {worker} {kind}: {told}")
                ready.add(worker)
        self._told = [(worker, ("ready", None)) for worker in self._idle]
        self.give, self.dismiss = crew.give, crew.dismiss

    def hire(self) -> int:
        return self._idle.pop(0)

    def events(self) -> Any:
        told, self._told = self._told, []
        return told or self._crew.events()


def seconds(crew: Crew, workers: int, scenes: list[Path], out: Path) -> float:
    out.mkdir()
    start = time.perf_counter()
    with closing(dispatch(crew, workers, [Job(str(scene), out / scene.name) for scene in scenes], silent)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise SystemExit(outcome.error)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executor", choices=["local", "ray"])
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.executor == "ray":
        ray_actors.connect(None, 2)
    make_crew = ray_actors.ActorCrew if arguments.executor == "ray" else executors.ProcessCrew
    work = Work(MODEL)
    times: dict[int, list[float]] = {1: [], 2: []}
    starts: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = [folder / f"{number}.tif" for number in range(arguments.scenes)]
        for scene in scenes:
            make_scene(scene, MODEL, arguments.side)
        outputs = []
        for repeat in range(arguments.repeats):
            for workers in (1, 2):
                begin = time.perf_counter()
                crew = Started(make_crew(work, 1), workers)
                starts[workers].append(time.perf_counter() - begin)
                outputs.append(folder / f"{workers}-{repeat}")
                times[workers].append(seconds(crew, workers, scenes, outputs[-1]))
                print(
                    f"{workers} workers: start {starts[workers][-1]:.1f} s, run {times[workers][-1]:.1f} s", flush=True
                )
        contents = [{path.name: path.read_bytes() for path in out.iterdir()} for out in outputs]
    one, two = min(times[1]), min(times[2])
    size = f"{arguments.scenes} scenes of {arguments.side}x{arguments.side}"
    print(f"{arguments.executor}: {size}, minima of {arguments.repeats}")
    print(f"one worker {one:.1f} s (its start {min(starts[1]):.1f} s), two {two:.1f} s ({min(starts[2]):.1f} s)")
    print(f"two do {one / two:.2f} times the work of one; identical bytes: {all(c == contents[0] for c in contents)}")


if __name__ == "__main__":
    main()
