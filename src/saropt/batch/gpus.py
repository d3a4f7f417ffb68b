"""The GPUs that workers on this machine share."""

from __future__ import annotations

import os
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/gpus")


def list_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls each NVIDIA GPU that this process may use; neither torch nor CUDA is loaded."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    return [str(number) for number in range(len(list(_DRIVER.glob("*"))))]
