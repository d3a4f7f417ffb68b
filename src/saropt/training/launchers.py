"""How the processes of a training are started: by torchrun, by srun, or by the first process."""

from __future__ import annotations

import os
import shutil

from lightning_fabric.plugins.environments import (
    LightningEnvironment,
    LSFEnvironment,
    MPIEnvironment,
    TorchElasticEnvironment,
)

from saropt.errors import InputError


def check_launcher(devices: int, nodes: int) -> None:
    """Check that the number of processes is the number that a launcher has started. This is for verbs that train one
    run; each process of a suite trains other parts.

    Raises:
        InputError: the numbers differ, or there are several nodes and no launcher.

    >>> check_launcher(devices=1, nodes=1)
    """
    asked, total = f"--devices {devices} --nodes {nodes}", devices * nodes
    started = _started()
    if started is None:
        elsewhere = "MASTER_ADDR" in os.environ or LSFEnvironment.detect() or MPIEnvironment.detect()
        if nodes > 1 and not elsewhere:
            raise InputError(asked, "needs a launcher that starts a process for every device: torchrun or srun")
        return
    launcher, there, processes = started
    if (there, processes) != (nodes, total):
        raise InputError(asked, f"{total} processes on {nodes} nodes, but {launcher} started {processes} on {there}")
    if launcher == "srun" and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise InputError("srun --ntasks", f"does not say where: take --ntasks-per-node={devices}")


def own_processes() -> LightningEnvironment | None:
    """Fabric's plugin for a process that starts the others itself on a machine with SLURM: in a job's script or shell
    without srun, or outside of any job. Fabric by itself would wait for processes that nobody has started."""
    slurm = shutil.which("srun") is not None or "SLURM_NTASKS" in os.environ
    return LightningEnvironment() if slurm and _started() is None else None


def _started() -> tuple[str, int, int] | None:
    """Launcher, nodes and processes, where a launcher has started this process and others."""
    environment = os.environ
    if TorchElasticEnvironment.detect():
        return "torchrun", int(environment["GROUP_WORLD_SIZE"]), int(environment["WORLD_SIZE"])
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return "srun", int(environment["SLURM_STEP_NUM_NODES"]), int(environment["SLURM_STEP_NUM_TASKS"])
    return None
