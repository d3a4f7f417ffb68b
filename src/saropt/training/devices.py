"""What networks train on: Fabric's devices, and on a CPU a C library that keeps its memory."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

from lightning_fabric import Fabric

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # names and numbers of glibc's malloc.h


def launch_fabric(**settings: Any) -> Fabric:
    """A launched Fabric of these settings; on a CPU this process keeps its memory from here on."""
    fabric = Fabric(**settings)
    fabric.launch()
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return fabric


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, for the rest of this process.

    By itself it returns every large tensor to the system and takes it back page by page, which is a third of the time
    of a training step of CUT (docs/benchmarks.md). Without glibc nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, -1)
