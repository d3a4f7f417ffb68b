"""Checks what torch.compile needs."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

from saropt.errors import InputError


def check_compiler(device: str, option: str) -> None:
    """Check that a compiler for networks is installed.

    Args:
        device: kind of device that the code is for, "cpu" or "cuda".
        option: the option that asks for it, for the error message.

    Raises:
        InputError: no C++ compiler or, for GPUs, no Triton.

    >>> check_compiler("cpu", "--compile")
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise InputError(option, f"needs a C++ compiler: {compiler} is not found")
    if device == "cuda" and find_spec("triton") is None:
        raise InputError(option, "needs Triton on GPUs, and it is not installed")
