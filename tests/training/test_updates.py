"""A method that yields something else than losses of its optimizers is named in one line."""

from __future__ import annotations

import pytest
import torch
from training_runs import train

from saropt.errors import InputError
from saropt.methods import get_method
from saropt.roots import DataRoot
from saropt.training.updates import checked_updates

LOSS = torch.ones((), requires_grad=True)


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        (LOSS, r"mine: updates\(\) must yield \(optimizer, losses\), not return Tensor"),
        (iter([LOSS]), r"must yield \(optimizer, losses by name\), not tensor"),
        (iter([("generator", LOSS)]), "losses by name"),
        (iter([("generator", {})]), "losses by name"),
        (iter([("gen", {"pixel": LOSS})]), r"yields the optimizer 'gen'; optimizers\(\) names generator, critic"),
        (iter([("generator", {"pixel": 1.0})]), "the loss 'pixel' must be a tensor of one number, not of type float"),
        (iter([("generator", {"pixel": LOSS.expand(2, 3)})]), r"of one number, not of shape \(2, 3\)"),
        (iter([("generator", {"pixel": LOSS.detach()})]), "losses of 'generator' depend on nothing that is trained"),
    ],
)
def test_no_updates(updates, message):
    with pytest.raises(InputError, match=message):
        list(checked_updates(updates, "mine", ["generator", "critic"]))


def test_losses_of_one_number():
    ((name, losses),) = checked_updates(iter([("generator", {"a": LOSS, "b": LOSS[None]})]), "mine", ["generator"])
    assert name == "generator"
    assert [loss.shape for loss in losses.values()] == [(), ()]


def test_a_run_says_it(db_root, new_config, tmp_path, monkeypatch):
    updates = get_method("regression").updates

    def misnamed(self, batch, progress):
        for _, losses in updates(self, batch, progress):
            yield "gen", losses

    monkeypatch.setattr(get_method("regression"), "updates", misnamed)
    with pytest.raises(InputError, match=r"regression: updates\(\) yields the optimizer 'gen'"):
        train(new_config(), DataRoot.open(db_root), tmp_path / "run")
