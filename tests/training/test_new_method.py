"""A method of yours that yields no losses, or names another network than it trains, gets one line that says so."""

from __future__ import annotations

import pytest
import torch
from training_runs import NETWORK, train

from saropt.errors import InputError
from saropt.methods import get_method
from saropt.networks.registry import NETWORKS
from saropt.roots import DataRoot
from saropt.training import TranslatorTask
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


class TestNetworks:
    def task(self, monkeypatch, changes, db_root, new_config):
        for name, what in changes.items():
            monkeypatch.setattr(get_method("pix2pix"), name, what)
        return TranslatorTask(new_config("pix2pix"), DataRoot.open(db_root))

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            (("naf_unet", {**NETWORK, "width": 4}), r"says another network, naf_unet, .*: \S+ is \(4, .* and \(8, "),
            (("resnet", {}), "says another network, resnet, .* is not there and "),
            (("resnet", {"wide": 4}), "network 'resnet' has no argument wide"),
            (("none", {}), "unknown network 'none'"),
        ],
    )
    def test_another_network_than_is_trained_is_refused(self, said, message, monkeypatch, db_root, new_config):
        with pytest.raises(InputError, match=r"pix2pix: network_of\(sar2opt\).*" + message):
            self.task(monkeypatch, {"network_of": lambda self, direction: said}, db_root, new_config)

    def test_a_generator_that_is_no_generator(self, monkeypatch, db_root, new_config):
        bare = {"generators": lambda self: {self.config.direction: torch.nn.Conv2d(2, 3, 3)}}
        with pytest.raises(InputError, match=r"says another network, naf_unet, than generators\(\) holds"):
            self.task(monkeypatch, bare, db_root, new_config)

    def test_a_generator_without_a_stride(self, monkeypatch, db_root, new_config):
        monkeypatch.setitem(NETWORKS._items, "bare", lambda given, made: torch.nn.Linear(given, made))
        bare = {
            "generators": lambda self: {self.config.direction: torch.nn.Linear(2, 3)},
            "network_of": lambda self, direction: ("bare", {}),
        }
        with pytest.raises(InputError, match="pix2pix: the network of sar2opt lacks stride, receptive_field, tile"):
            self.task(monkeypatch, bare, db_root, new_config)

    def test_the_check_draws_nothing(self, db_root, new_config):
        task = TranslatorTask(new_config(), DataRoot.open(db_root))
        after = torch.rand(())
        torch.manual_seed(task.engine.seed)
        get_method("regression")(task.method_class.config_type(network_arguments=NETWORK), task.module.bands)
        assert torch.rand(()) == after
