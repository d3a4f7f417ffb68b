"""Memory and time of training steps on two CPU processes: whole networks in each (ddp) against shards (fsdp).

    python benchmarks/sharding.py DATA [METHOD ...] [--steps 6] [--repeats 3] [--crop 256]

DATA is a data root. Each run has two processes of one thread. The memory is the first process's peak over what it held
before the method was built, of the last repeat; the time is the least of the steps from the third on of all repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUN = """
import json, sys, time
from pathlib import Path
import torch
from saropt.roots import DataRoot
from saropt.training import Loop, TranslatorTask, TrainingConfig

def held(name):
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024

torch.set_num_threads(1)
method, data, folder, strategy, steps, crop = sys.argv[1:7]
engine = {"max_steps": int(steps), "validate_every": 0, "sample_every": 0, "checkpoint_every": 0, "strategy": strategy}
config = TrainingConfig.model_validate({"method": method, "engine": engine, "data": {"crop": int(crop)}})
root = DataRoot.open(Path(data))
before = held("VmRSS")
loop = Loop(TranslatorTask, config, root, Path(folder), devices=2, accelerator="cpu")
times = []
loop.run(lambda step, total, what: times.append((time.perf_counter(), held("VmHWM") - before)))
if loop.fabric.is_global_zero:
    number = sum(p.numel() for module in set(loop.task.generators.values()) for p in module.parameters())
    steps = [later[0] - sooner[0] for sooner, later in zip(times[1:], times[2:])]
    print(json.dumps({"seconds": min(steps), "megabytes": times[-1][1], "parameters": number}))
"""


def measure(method: str, data: Path, strategy: str, steps: int, crop: int) -> dict[str, float]:
    """Figures of the first process of one run."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "run.py"  # the launcher starts the second process from a file
        script.write_text(RUN, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script, method, data, f"{folder}/run", strategy, str(steps), str(crop)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("methods", nargs="*", default=["pix2pix", "con-diffusion"])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--crop", type=int, default=256, help="window side in pixels")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for method in options.methods:
        best: dict[str, dict[str, float]] = {}
        for _ in range(options.repeats):
            for strategy in ("ddp", "fsdp"):
                new = measure(method, options.data, strategy, options.steps, options.crop)
                old = best.get(strategy, new)
                best[strategy] = {**new, "seconds": min(new["seconds"], old["seconds"])}
        whole, shards = best["ddp"], best["fsdp"]
        print(
            f"{method}: generators of {whole['parameters'] / 1e6:.1f} million weights; "
            f"ddp {whole['megabytes']:.0f} MB, fsdp {shards['megabytes'] / whole['megabytes']:.2f} of it; "
            f"a step takes {shards['seconds'] / whole['seconds']:.2f} times as long",
            flush=True,
        )


if __name__ == "__main__":
    main()
