"""A new runtime and a new executor are one module each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio

from saropt.artifacts import load_graph
from saropt.batch.executors import EXECUTORS, open_executor
from saropt.batch.jobs import Job, Outcome, Work
from saropt.cli import main
from saropt.inference import Translator
from saropt.inference.runtimes import RUNTIMES, Runtime

Factory = Callable[..., Path]


class Constant:
    """Gives 0 in three bands."""

    name, needs_samples = "constant", False

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return np.zeros((len(batch), 3, *batch.shape[2:]), np.float32)


@pytest.fixture
def constant(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_constant(path: Path, options: object, threads: int | None) -> tuple:
        card = load_graph(path)[0]
        return card, next(iter(card.directions)), Constant()

    monkeypatch.setitem(RUNTIMES._items, "constant", Runtime(".onnx", ("fp32",), ("cpu",), open_constant))


def test_a_runtime(
    constant: None, make_translator: Factory, make_scene: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library and the command line find it by name, and refuse what it cannot do."""
    model, scene, out = str(make_translator()), str(make_scene(64, 64)), str(tmp_path / "out.tif")
    assert Translator.load(model, backend="constant")._backend.name == "constant"
    assert main(["translate", scene, out, "--model", model, "--backend", "constant"]) == 0
    with rasterio.open(out) as made:
        assert made.read().std() == 0
    command = ["translate", scene, out, "--model", model, "--overwrite"]
    for options, words in (
        (("--backend", "constant", "--precision", "bf16"), "--precision bf16: backend constant runs fp32"),
        (("--backend", "constant", "--device", "cuda"), "--device cuda: backend constant runs on cpu"),
        (("--backend", "magic"), "--backend magic: must be auto, onnx, openvino, torch, constant"),
        (("--executor", "magic"), "apply to several scenes"),
    ):
        capsys.readouterr()
        assert main([*command, *options]) == 2
        assert words in capsys.readouterr().err


def test_an_executor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Pretending:
        def __init__(self, work: Work, workers: int | None, address: str | None) -> None:
            self.workers = workers

        def run(self, jobs: Sequence[Job], progress: object = None) -> list[Outcome]:
            return [Outcome(job, found=True) for job in jobs]

    monkeypatch.setitem(EXECUTORS._items, "pretending", Pretending)
    assert open_executor("pretending", Work("m"), 3).workers == 3
