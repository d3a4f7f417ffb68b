"""saropt asks no name server, opens no connection and writes nothing into the home folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from saropt.scenes import write_array

CODE = "import sys; from saropt.cli import main; sys.exit(main())"
STRACE = shutil.which("strace")
TRACES = STRACE is not None and subprocess.run([STRACE, "-o", os.devnull, "true"], capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not TRACES, reason="strace is not installed or not allowed to trace")


def traced(tmp_path: Path, command: list[str], given: str = "") -> str:
    """The network calls of a command and its processes, under a home folder of its own that must stay empty."""
    home, log = tmp_path / "home", tmp_path / "calls.log"
    home.mkdir()
    unset = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    environment = {key: value for key, value in os.environ.items() if key not in unset} | {"HOME": str(home)}
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    with subprocess.Popen(
        ["strace", "-f", "-qq", "-e", calls, "-o", str(log), *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given)
        process.stdin.flush()
        said = process.stdout.read()  # the viewer's worker ends with its input, so that stays open
        assert process.wait(300) == 0, said
    assert list(home.rglob("*")) == []
    return log.read_text()


def scene(path: Path) -> Path:
    values = np.random.default_rng(0).normal(-15, 3, (1, 96, 96)).astype(np.float32)
    return write_array(path, values, band_names=["VH"])


@pytest.mark.parametrize(("workers", "backend"), [(1, "onnx"), (2, "onnx"), (1, "openvino")])
def test_a_translation_is_quiet(tmp_path: Path, workers: int, backend: str) -> None:
    pytest.importorskip("openvino" if backend == "openvino" else "onnxruntime")
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a", "b"):
        scene(folder / f"{name}.tif")
    arguments = [
        "translate",
        str(folder),
        str(tmp_path / "out"),
        "--units",
        "sigma0_db",
        "--workers",
        str(workers),
        "--backend",
        backend,
    ]
    calls = traced(tmp_path, [sys.executable, "-c", CODE, *arguments])
    assert not re.search(r"AF_INET", calls), calls[-2000:]


def test_a_job_of_the_viewer_is_quiet(tmp_path: Path) -> None:
    request = {
        **{"translator": "s1-losangeles", "direction": None, "realism": None, "threads": 1, "bands": None},
        **{"units": "sigma0_db", "tile": None, "companions": {}, "scene": str(scene(tmp_path / "a.tif"))},
        "out": str(tmp_path / "out.tif"),
    }
    calls = traced(tmp_path, [sys.executable, "-P", "-m", "saropt.viewer.worker"], json.dumps(request) + "\n")
    assert not re.search(r"AF_INET", calls), calls[-2000:]
