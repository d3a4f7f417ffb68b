"""Numbers of processes that launchers have started, and runs that start their own on machines with SLURM."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment

from saropt.errors import InputError
from saropt.training import check_launcher, dump_config
from saropt.training.launchers import own_processes

JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2"}
STEP = {**JOB, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}
SHELL = {**JOB, "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"}
TORCHRUN = {**STEP, "TORCHELASTIC_RUN_ID": "x", "GROUP_WORLD_SIZE": "2", "WORLD_SIZE": "6"}


@pytest.fixture
def started_by(monkeypatch, tmp_path):
    """Sets the variables of a launcher, in place of all that stand; without srun on the PATH."""

    def start(variables):
        for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_"))]:
            monkeypatch.delenv(name)
        for name in ("MASTER_ADDR", "WORLD_SIZE", "GROUP_WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


@pytest.mark.parametrize(
    ("variables", "devices", "nodes"),
    [({}, 3, 1), (JOB, 3, 1), (SHELL, 3, 1), (STEP, 2, 2), (TORCHRUN, 3, 2), ({"MASTER_ADDR": "node1"}, 3, 2)],
)
def test_as_many_as_started(variables, devices, nodes, started_by):
    started_by(variables)
    check_launcher(devices, nodes)


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "said"),
    [
        ({}, 1, 2, "needs a launcher"),
        (SHELL, 1, 2, "needs a launcher"),
        (STEP, 1, 1, "1 processes on 1 nodes, but srun started 4 on 2"),
        (STEP, 4, 1, "4 processes on 1 nodes, but srun started 4 on 2"),
        (TORCHRUN, 2, 2, "4 processes on 2 nodes, but torchrun started 6 on 2"),
        ({k: v for k, v in STEP.items() if k != "SLURM_NTASKS_PER_NODE"}, 2, 2, "take --ntasks-per-node=2"),
    ],
)
def test_other_numbers_are_refused(variables, devices, nodes, said, started_by):
    started_by(variables)
    with pytest.raises(InputError, match=said):
        check_launcher(devices, nodes)


def test_who_starts_the_processes(started_by, tmp_path):
    """Without srun in a SLURM job, or with srun on the PATH only, the run does; nothing is decided elsewhere."""
    for variables, own in [({}, False), (JOB, True), (SHELL, True), (STEP, False), (TORCHRUN, False)]:
        started_by(variables)
        assert isinstance(own_processes(), LightningEnvironment) == own, variables
    (tmp_path / "srun").touch(mode=0o755)
    started_by({})
    assert isinstance(own_processes(), LightningEnvironment)


@pytest.mark.slow
def test_two_tasks_of_srun_on_two_nodes(new_config, db_root, tmp_path):
    """With the variables that srun sets, as seen in a job on two nodes, both on this machine."""
    config = new_config(engine={"max_steps": 2, "sample_every": 0, "validate_every": 0})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "SLURM_JOB_ID": "7", "SLURM_NODELIST": "127.0.0.1"}
    shared |= {f"SLURM_{name}": "2" for name in ("NTASKS", "NNODES", "STEP_NUM_TASKS", "STEP_NUM_NODES")}
    shared |= {"SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0", "MASTER_PORT": str(port)}
    verb = ["train", "regression", str(db_root), "--out", str(tmp_path / "run"), "--nodes", "2", "--device", "cpu"]
    command = [sys.executable, "-c", "import sys; from saropt.cli import main; sys.exit(main())", *verb]
    tasks = [
        subprocess.Popen(
            [*command, "--config", str(tmp_path / "config.yaml")],
            env={**shared, "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [task.communicate(timeout=300) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert [out.count("translator.safetensors") for out, _ in said] == [1, 0]
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2]
