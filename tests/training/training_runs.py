"""Tiny runs of trainers, in this process or in several."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from saropt.training import Loop, TrainingConfig, TranslatorTask, dump_config

NETWORK = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}
CYCLE = {"network_arguments": {"width": 4, "blocks": 1}, "discriminator_width": 4}
CONTRAST = {"network_arguments": {"width": 4, "blocks": 5}, "discriminator_width": 4, "projection_width": 8}
METHODS = {
    "con-diffusion": {
        "network_arguments": {
            **{"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [], "heads": 2},
            **{"times": 20, "steps": 2, "sampler": "ddim"},
        }
    },
    "bridge": {
        "network_arguments": {"width": 8, "encoder": [1], "middle": 1, "decoder": [1]},
        "discriminator_width": 4,
        "adversarial_start": 0.5,
    },
    "regression": {"network_arguments": NETWORK},
    "compact": {"network_arguments": NETWORK, "discriminator_width": 4, "adversarial_start": 0.5, "penalty_every": 2},
    "pix2pix": {"network": "naf_unet", "network_arguments": NETWORK, "discriminator_width": 4},
    "cyclegan": {**CYCLE, "pool_size": 5},
    "sgcl": {**CONTRAST, "pool_size": 5, "guidance": "kmeans", "classes": 3},
    "shift-cyclegan": {**CYCLE, "pool_size": 5},
    "tuigan": {"scales": 3, "width": 4, "inner_steps": 1},
    "cut": CONTRAST,
    "fastcut": CONTRAST,
    "qs-attn": CONTRAST,
    "unet-dsd": {"network": "naf_unet", "network_arguments": NETWORK, "semantic_arguments": {"width": 4}},
    "cran": {"network_arguments": {"width": 2}, "discriminator_width": 4},
    "cran-refine": {"discriminator_width": 4},
}

LOST_PEER = "Connection closed by peer"
"""Of gloo, seen once on a loaded machine in some hundred runs, without an error of ours."""

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import torch
from saropt.roots import DataRoot
from saropt.training import Loop, TranslatorTask, read_config

torch.set_num_threads(1)
method, root, folder, kill_at, resume, devices, interrupt_at = sys.argv[1:8]
folder = Path(folder)
trainer = Loop(
    TranslatorTask, read_config(method, folder / "config.yaml", []), DataRoot.open(root), folder / "run",
    devices=int(devices), accelerator="cpu", resume=resume == "resume",
)
update = trainer.average.update
def averaged():
    if trainer.step == int(interrupt_at) and trainer.fabric.global_rank == 1:
        signal.raise_signal(signal.SIGINT)
    update()
trainer.average.update = averaged
trainer.run(lambda step, total, what: os._exit(7) if step == int(kill_at) else None)
state = {"parameters": dict(trainer.task.module.state_dict()), "average": dict(trainer.average.states)}
state["kept"] = trainer.kept
if trainer.task.sharded:
    parts = [parameter for generator in trainer.task.generators.values() for parameter in generator.parameters()]
    shares = sum(part.to_local().numel() for part in parts), sum(part.numel() for part in parts)
    (folder / f"shares{trainer.fabric.global_rank}.json").write_text(json.dumps(shares))
    sys.exit()
torch.save({"world": trainer.fabric.world_size, **state}, folder / f"rank{trainer.fabric.global_rank}.pt")
"""


def train(
    config: Any, root: Any, folder: Any, stop: int | None = None, task: Any = TranslatorTask, **options: Any
) -> Any:
    """Run on the CPU; `stop` kills the run in the middle of the report of that step."""
    made = Loop(task, config, root, folder, accelerator="cpu", **options)

    def report(step: int, total: int, what: str) -> None:
        if step == stop:
            raise KeyboardInterrupt

    try:
        made.run(report)
    except KeyboardInterrupt:
        assert stop is not None
    return made


def launch(
    config: TrainingConfig,
    root: Path,
    folder: Path,
    kill_at: int = 0,
    resume: bool = False,
    devices: int = 2,
    interrupt_at: int = 0,
) -> None:
    """Run in processes of its own, on the CPU, in folder/run.

    `kill_at` kills the first process in the report of that step; `interrupt_at` is Ctrl-C in the second one alone.
    Whole networks leave what each process held at the end in rank*.pt, shards their sizes in shares*.json.
    """
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "config.yaml").write_text(dump_config(config))
    arguments = [config.method, root, folder, kill_at, "resume" if resume else "start", devices, interrupt_at]
    done = _launched(folder, arguments)
    if done.returncode not in (0, 7) and LOST_PEER in done.stderr and not (resume or interrupt_at):
        warnings.warn(f"gloo lost a peer, the run is repeated once: {done.stderr}", stacklevel=2)
        shutil.rmtree(folder / "run")
        done = _launched(folder, arguments)
    if interrupt_at:
        assert done.returncode not in (0, 7)
        assert "KeyboardInterrupt" in done.stderr, done.stderr
    else:
        assert done.returncode == (7 if kill_at else 0), done.stderr  # whole: the first error is the cause


def _launched(folder: Path, arguments: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "script.py", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )


def flatten(value, place=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{place}.{key}")
    else:
        yield place, value
