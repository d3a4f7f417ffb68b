"""What holds for every verb: help without heavy imports, interrupts, pipes, missing extras."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from saropt import Translator, __version__
from saropt.cli import extras, main, progress
from saropt.errors import install_words

VERBS = [
    "demo",
    "models",
    "methods",
    "translate",
    "train",
    "evaluate",
    "match",
    "match scenes",
    "match train",
    "data",
    "data inspect",
    "data simulate",
    "serve",
]
HEAVY = "cv2 fastapi uvicorn rio_tiler torch rasterio onnxruntime onnx lightning_fabric skimage scipy numpy rich"


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_imports_nothing_heavy(verb: str) -> None:
    code = (
        "import sys; from saropt.cli import main; code = main([*sys.argv[1:], '--help']); "
        f"print(sorted(set('{HEAVY}'.split()) & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *verb.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "Usage: saropt" in done.stdout


def test_version_and_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"saropt {__version__}\n"
    assert main([]) == 0
    assert "Translate and look:" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["translate", "train"])
def test_interrupt(
    verb: str,
    run_folder: Path,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    scene = str(data_root / "sar" / "test_000.tif")
    if verb == "translate":
        monkeypatch.setattr(Translator, "run", interrupted)
        arguments = [verb, scene, str(tmp_path / "out.tif"), "--model", str(run_folder)]
    else:
        from saropt.training import Loop

        monkeypatch.setattr(Loop, "run", interrupted)
        arguments = [verb, "regression", str(data_root), "--out", str(tmp_path / "run"), "--set", "data.crop=64"]
    assert main(arguments) == 130
    assert "--resume" in capsys.readouterr().err


def test_progress_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a minute with what is left, counted from where a resumed run went on; training says more early."""
    now = 1000.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    with progress.progress_bar("compact", first_seconds=10.0) as report:
        for done in range(500, 800):
            now += 1.0
            report(done, 1000, "loss 0.5")
    assert capsys.readouterr().err.splitlines() == [
        f"saropt: compact: {done} of 1000 loss 0.5, {left} min left"
        for done, left in [(509, 8), (569, 7), (629, 6), (689, 5), (749, 4)]
    ]


def test_sigterm_is_an_interrupt_that_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "saropt", "data", "simulate", "root", "--scenes", "200,0,0", "--size", "256"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not (tmp_path / ".root.part").exists() and time.monotonic() < end:
            time.sleep(0.02)
        process.terminate()
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.endswith("saropt: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_broken_pipe_is_quiet() -> None:
    done = subprocess.run(
        f'{sys.executable} -c \'from saropt.cli import main; raise SystemExit(main(["methods", "compact"]))\' | true',
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [["methods", "cut"], ["train", "pix2pix", "d", "--out", "r"], ["evaluate", "m", "--data", "d", "--out", "o"]],
)
def test_missing_extra(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f"saropt: error: saropt {arguments[0]} needs an optional part: pip install {install_words('train')}\n"
    )


def test_errors_speak_of_options_here_and_of_arguments_in_python() -> None:
    from saropt.errors import InputError, OptionError

    assert OptionError("seed", 1, "no").command_line_text() == "--seed 1: no"
    assert OptionError("compile", True, "no").command_line_text() == "--compile: no"
    assert OptionError("settings", "a=1", "no").command_line_text() == "--set a=1: no"
    assert str(OptionError("max_days", 1.5, "no")) == "max_days=1.5: no"
    assert InputError("a", "b", remedy="resume").command_line_text() == "a: b (--resume goes on with it)"
