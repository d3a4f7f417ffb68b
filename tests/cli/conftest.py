from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from saropt.cli import main

TINY = "arguments.network_arguments={width: 8, encoder: [1], middle: 1, decoder: [1], unshuffle: 2}"


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated data root: VH in dB, 2 + 1 + 1 scenes of 128 pixels."""
    root = tmp_path_factory.mktemp("data") / "root"
    arguments = ["data", "simulate", str(root), "--scenes", "2", "--size", "128", "--bands", "VH"]
    assert main([*arguments, "--units", "sigma0_db"]) == 0
    return root


@pytest.fixture(scope="session")
def run_folder(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a tiny network after six steps."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    settings = [TINY, "data.crop=64", "engine.validation_windows=2"]
    options = [part for setting in settings for part in ("--set", setting)]
    assert (
        main(
            ["train", "regression", str(data_root), "--out", str(run), "--max-steps", "6", "--device", "cpu", *options]
        )
        == 0
    )
    return run


@pytest.fixture
def run(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of `saropt translate` with the tiny translator."""

    def translate(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["translate", *map(str, arguments), "--model", str(run_folder)])
        return code, *capsys.readouterr()

    return translate


@pytest.fixture
def scenes(data_root: Path) -> Path:
    return data_root / "sar"
