"""How long training waits for its windows: the compact generator under the losses of s1-losangeles, two workers.

    python benchmarks/waiting.py [DATA] [--steps N]

DATA is a paired root with VH amplitude; without it 8 simulated scenes of 1024x1024. The share is time spent in asking
for the next batch over the time of all steps, the first five left out. "alone" draws batches with no training beside.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import saropt.training.loop as loop_module
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.training import Loop, TrainingConfig, TranslatorTask

WARM_UP = 5
CONFIG: dict[str, Any] = {
    "method": "compact",
    "arguments": {
        "network_arguments": {"width": 24, "encoder": [0, 2, 3], "middle": 4, "decoder": [1, 2, 3], "unshuffle": 2},
        "loss": {"shift": 2, "block": 64, "epsilon": 0.2, "colour": 0.3, "haar": 0.5},
    },
    "data": {"crop": 192, "batch_size": 4, "sar_gain_db": 4.5, "speckle_probability": 0.5},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    if options.steps < WARM_UP + 2:
        parser.error(f"--steps must be at least {WARM_UP + 2}")
    plain = loop_module.map_ahead
    waits: list[float] = []

    def timed(draw: Callable, steps: Iterable[int], workers: int, ahead: int, name: str) -> Iterator:
        batches = plain(draw, steps, workers, ahead, name)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            waits.append(time.perf_counter() - began)
            if batch is None:
                return
            yield batch

    with tempfile.TemporaryDirectory() as place:
        data = options.data
        if data is None:
            data = write_simulated_root(Path(place) / "data", scenes=(8, 0, 0), size=1024, bands=("VH",))
        settings = {"max_steps": options.steps, "validate_every": 0, "sample_every": 0, "checkpoint_every": 0}
        config = TrainingConfig.model_validate({**CONFIG, "engine": settings})
        loop = Loop(TranslatorTask, config, DataRoot.open(data), Path(place) / "run", accelerator="cpu")
        loop_module.map_ahead = timed
        ends: list[float] = []
        loop.run(lambda step, total, what: ends.append(time.perf_counter()))
        loop_module.map_ahead = plain
        whole = ends[-1] - ends[WARM_UP]
        steps = len(ends) - 1 - WARM_UP
        waited = sum(waits[WARM_UP + 1 : len(ends)])
        began = time.perf_counter()
        for step in range(steps):
            loop.task.draw(step, 0)
        alone = time.perf_counter() - began
    print(f"{steps} steps of {whole / steps:.3f} s; waiting for windows {waited / whole:.2%} of the time")
    print(f"drawing a batch alone: {alone / steps:.3f} s in one thread, {alone / whole:.1%} of a step")


if __name__ == "__main__":
    main()
