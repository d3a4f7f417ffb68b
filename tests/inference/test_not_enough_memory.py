"""A window that does not fit into memory ends in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saropt.cli.app import main
from saropt.inference import Translator
from saropt.inference.runtimes import TorchBackend


class Large(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.empty(1 << 60)


def test_what_torch_cannot_allocate_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        TorchBackend(Large(), "cpu", "fp32")(np.zeros((1, 1, 8, 8), np.float32))


def test_the_command_line_says_so(make_scene, tmp_path, monkeypatch, capsys) -> None:
    def no_memory(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Translator, "run", no_memory)
    assert main(["translate", str(make_scene(64, 64)), str(tmp_path / "out.tif")]) == 2
    assert capsys.readouterr().err.startswith("saropt: error: there is not enough memory; smaller windows need less")
