"""Devices that are there or not; optimizers that step in one pass."""

from __future__ import annotations

import pytest
import torch
from torch.optim import SGD, Adam, AdamW
from training_runs import train

from saropt.errors import InputError
from saropt.training import Loop, TranslatorTask
from saropt.training.devices import fuse_steps, launch_fabric


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_fused_steps_are_the_same_to_rounding(kind):
    torch.manual_seed(0)
    start, gradients = torch.randn(50, 40), torch.randn(6, 50, 40)
    ends = []
    for fused in (False, True):
        weight = torch.nn.Parameter(start.clone())
        optimizer = kind([weight], lr=0.1, betas=(0.5, 0.999), weight_decay=0.01)
        if fused:
            fuse_steps([optimizer], torch.device("cpu"))
            assert optimizer.param_groups[0]["fused"]
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        ends.append(weight.detach())
    assert (ends[0] - start).abs().min() > 0.0
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-5, atol=1e-6)


def test_only_adam_on_the_cpu_is_fused():
    weights = [torch.nn.Parameter(torch.zeros(3))]
    plain, adam = SGD(weights, lr=0.1), Adam(weights)
    fuse_steps([plain, adam], torch.device("cuda"))
    assert not adam.param_groups[0]["fused"]
    fuse_steps([plain, adam], torch.device("cpu"))
    assert adam.param_groups[0]["fused"]
    assert "fused" not in plain.param_groups[0] or not plain.param_groups[0]["fused"]


def test_checkpoints_do_not_say_how_to_step(new_config, root, tmp_path):
    """One that was written where steps are not fused goes on where they are."""
    run = tmp_path / "run"
    train(new_config("regression"), root, run, stop=4)
    path = run / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    for optimizer in state["optimizers"].values():
        for group in optimizer["param_groups"]:
            group["fused"] = None
    torch.save(state, path)
    resumed = train(new_config("regression"), root, run, resume=True)
    groups = [group for optimizer in resumed.optimizers.values() for group in optimizer.param_groups]
    assert groups
    assert all(group["fused"] for group in groups)


def test_devices_that_are_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match=r"device, devices, nodes: .*can not run on your system"):
        launch_fabric(accelerator="cuda", devices=1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("lightning_fabric.accelerators.cuda.num_cuda_devices", lambda: 1)
    with pytest.raises(InputError, match=r"device, devices, nodes: .*your machine only has: \[0\]"):
        launch_fabric(accelerator="cuda", devices=2)


@pytest.mark.parametrize("device", ["tpu", "cuda:0", "CPU", ""])
def test_other_kinds_of_devices_are_refused(device, root, new_config, tmp_path):
    with pytest.raises(InputError, match=f"^device='{device}': must be auto, cpu or cuda$"):
        Loop(TranslatorTask, new_config(), root, tmp_path / "run", accelerator=device)
    assert not (tmp_path / "run").exists()
