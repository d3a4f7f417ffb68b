"""Where the time of `saropt evaluate` goes, on one thread; and its peak memory by the number of tiles.

    python benchmarks/evaluation.py [--data ROOT] [--tiles N ...] [--model NAME]

The split is the test rasters of ROOT (simulated scenes of 1024x1024 without it), linked under new names until there
are N tiles; baselines are fitted on two train rasters. Each N runs in a process of its own. Seconds are processor
seconds of the process and, behind the stroke, of the clock. "metrics" are the model's row (image quality, distances
between sets, and what all rows need of the truth), "baselines" the four other rows with their predictions; the images
of the report are in "other".
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTS = ("translation", "metrics", "baselines", "reading", "fitting", "report", "other")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def extended(source: Path, folder: Path, tiles: int) -> Path:
    """A data root at `folder` with at least `tiles` test tiles of 256, links to the rasters of `source`."""
    from saropt.evaluation import tile_windows
    from saropt.roots import DataRoot
    from saropt.scenes import Scene

    root = DataRoot.open(source)
    splits = [f"{name},train" for name in root.names("train")[:2]]
    made = 0
    (folder / "sar").mkdir(parents=True)
    (folder / "optical").mkdir()
    shutil.copy(source / "dataset.yaml", folder)
    for name in root.names("train")[:2]:
        _link(root, name, folder, name)
    names = root.names("test")
    while made < tiles:
        copy, name = divmod(len(splits) - 2, len(names))
        new = f"{names[name]}-{copy}"
        _link(root, names[name], folder, new)
        with Scene.open(root.raster("sar", names[name])) as scene:
            made += len(tile_windows(scene.height, scene.width))
        splits.append(f"{new},test")
    (folder / "splits.csv").write_text("name,split\n" + "\n".join(splits) + "\n", encoding="utf-8")
    return folder


def _link(root: Any, name: str, folder: Path, new: str) -> None:
    for side, path in (("sar", root.raster("sar", name)), ("optical", root.raster("optical", name))):
        (folder / side / f"{new}{path.suffix}").symlink_to(path.resolve())


class Clock:
    """Processor and clock seconds by part; a part within another counts for itself alone."""

    def __init__(self) -> None:
        self.spent = {part: [0.0, 0.0] for part in PARTS}
        self._running = ["other"]
        self._since = self._now()

    def _now(self) -> tuple[float, float]:
        return time.process_time(), time.perf_counter()

    def _charge(self) -> None:
        now = self._now()
        for place, (later, earlier) in enumerate(zip(now, self._since, strict=True)):
            self.spent[self._running[-1]][place] += later - earlier
        self._since = now

    def of(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self._charge()
            self._running.append("baselines" if "baselines" in self._running else part)
            try:
                return function(*arguments, **options)
            finally:
                self._charge()
                self._running.pop()

        return timed

    def stop(self) -> None:
        self._charge()


def measure(data: Path, model: str) -> None:
    """Evaluate and print the shares."""
    import cv2

    cv2.setNumThreads(1)
    from saropt.evaluation import EvaluationSpec, ImageQuality, report_html
    from saropt.evaluation import evaluate as run
    from saropt.evaluation.tiles import Rasters
    from saropt.inference import Translator

    module, measuring = (sys.modules[f"saropt.evaluation.{name}"] for name in ("evaluate", "measure"))
    translators = Translator.load_all(model, threads=1)
    clock = Clock()
    ImageQuality.add = clock.of("metrics", ImageQuality.add)  # type: ignore[method-assign]
    for place, name, part in (
        (measuring, "translate_rasters", "translation"),
        (measuring, "measure_baseline", "baselines"),
        (Rasters, "read", "reading"),
        (module, "_fit", "fitting"),
        (report_html, "render", "report"),
    ):
        setattr(place, name, clock.of(part, getattr(place, name)))
    with tempfile.TemporaryDirectory() as out:
        found = run(EvaluationSpec(data, translators), out).report
    clock.stop()
    total = [sum(spent[place] for spent in clock.spent.values()) for place in (0, 1)]
    print(f"{found['n']} tiles: {total[0]:.1f} s | {total[1]:.1f} s")
    for part, (processor, wall) in clock.spent.items():
        print(f"  {part:12s}{processor:7.2f} s | {wall:7.2f} s  {processor / total[0]:6.1%} | {wall / total[1]:6.1%}")
    metrics, translation = clock.spent["metrics"][0], clock.spent["translation"][0]
    print(f"  metrics of the model's row: {metrics / (metrics + translation):.1%} of them and translation")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tiles", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--model", default="s1-losangeles")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.model)
        return
    with tempfile.TemporaryDirectory() as place:
        source = arguments.data
        if source is None:
            from saropt.roots.simulated import write_simulated_root

            source = Path(place) / "simulated"
            write_simulated_root(source, scenes=(2, 1, 4), size=1024, bands=("VH",), units="amplitude")
        for tiles in arguments.tiles:
            root = extended(source, Path(place) / str(tiles), tiles)
            command = [sys.executable, __file__, "--measure", str(root), "--model", arguments.model]
            subprocess.run(command, check=True, env=os.environ | dict.fromkeys(THREADS, "1"))


if __name__ == "__main__":
    main()
