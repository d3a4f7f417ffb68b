"""Devices for training: Fabric's devices and, on a CPU, faster optimizer steps and allocation of memory."""

from __future__ import annotations

import atexit
import ctypes
import platform
from collections.abc import Iterable
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch.optim import Adam, Optimizer

from saropt.errors import InputError, OptionError
from saropt.training.launchers import own_processes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # names and numbers of glibc's malloc.h


DEVICES = ("auto", "cpu", "cuda")


def check_device(device: str) -> None:
    """Check the kind of device.

    Raises:
        OptionError: it is not "auto", "cpu" or "cuda".

    >>> check_device("tpu")
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: device='tpu': must be auto, cpu or cuda
    """
    if device not in DEVICES:
        raise OptionError("device", device, "must be auto, cpu or cuda")


def launch_fabric(save_memory: bool = False, **settings: Any) -> Fabric:
    """A launched Fabric of these settings; on a CPU this process keeps freed memory or, to save it, returns it.

    Raises:
        InputError: there are no such devices, or the processes of a launcher cannot connect.
    """
    try:
        fabric = Fabric(plugins=own_processes(), **settings)
        fabric.launch()
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise InputError("device, devices, nodes", " ".join(str(error).split())) from error
    if fabric.device.type == "cpu":
        if fabric.world_size > 1:
            atexit.register(_leave_processes)  # Fabric does so on GPUs alone
        if save_memory:
            return_freed_memory()
        else:
            keep_freed_memory()
    return fabric


def _leave_processes() -> None:
    """End the connection to the other processes of a run: a process whose threads of it still run can be aborted at its
    end, and the launcher then ends the others before they have written what they made."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def in_any_process(fabric: Fabric, here: bool) -> bool:
    """Whether something is so in any process of a run; all must ask together."""
    if fabric.world_size == 1:
        return here
    told = torch.tensor(float(here), device=fabric.device)
    torch.distributed.all_reduce(told)  # without the barrier of Fabric's own
    return bool(told)


def fuse_steps(optimizers: Iterable[Optimizer], device: torch.device) -> None:
    """Have Adam and AdamW update each weight in one pass on a CPU: the same to rounding in a third of the time.

    On a GPU they stay as they are: fused ones there do not let gradients be clipped under `16-mixed`.
    """
    for optimizer in optimizers:
        if isinstance(optimizer, Adam):
            for group in optimizer.param_groups:
                group["fused"] = True if device.type == "cpu" else None


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, for the rest of this process.

    By itself it returns every large tensor to the system and takes it back page by page, which is a third of the time
    of a training step of CUT (docs/benchmarks.md). Without glibc nothing is done.
    """
    _tune({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1})


def return_freed_memory() -> None:
    """Have glibc return every large tensor to the system at once, for the rest of this process.

    By itself it begins to keep what is as large as something freed before. Weights in shards come and go all the time,
    and the holes they leave grow larger than what the shards save (docs/benchmarks.md). Without glibc nothing is done.
    """
    _tune({_M_MMAP_THRESHOLD: 128 << 10})  # the value that it starts with


def _tune(settings: dict[int, int]) -> None:
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for name, value in settings.items():
            libc.mallopt(name, value)
