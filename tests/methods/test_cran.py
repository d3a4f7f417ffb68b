"""CRAN: its loss weights and separate discriminators; refinement of a translator file."""

from __future__ import annotations

import math

import pytest
import torch
from small_methods import batch, build, translator_file
from torch import nn
from torch.nn import functional

from saropt.artifacts import load_weights
from saropt.domain import SAR_TO_OPTICAL
from saropt.errors import InputError
from saropt.methods import Batch, get_method


class FixedLogit(nn.Module):
    """A discriminator that answers one logit."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, x):
        return [self.logit.expand(len(x), 1, 4, 4)]


class Constant(nn.Module):
    def __init__(self, value: float, bands: int) -> None:
        super().__init__()
        self.value, self.bands = nn.Parameter(torch.tensor(value)), bands

    def forward(self, x):
        return self.value.expand(len(x), self.bands, *x.shape[-2:])


def flat(sar: float, optical: float) -> Batch:
    return Batch({"sar": torch.full((2, 1, 64, 64), sar), "optical": torch.full((2, 3, 64, 64), optical)})


def on_constants(name: str, **changes):
    method = build(name, **changes)
    method.sar2opt, method.opt2sar = Constant(0.25, 3), Constant(-0.5, 1)
    method.optical_discriminator, method.sar_discriminator = FixedLogit(0.4), FixedLogit(-0.3)
    return list(method.updates(flat(0.0, -0.5), 0.0))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_loss_weights_on_constant_images():
    (first, losses), (second, optical), (third, sar) = on_constants("cran", lambda_cycle=0.0)
    assert (first, second, third) == ("translators", "optical_discriminator", "sar_discriminator")
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        {"gan_optical": softplus(-0.4), "gan_sar": softplus(0.3), "l1_optical": 20 * 0.75, "l1_sar": 20 * 0.5}
    )
    assert {key: v.item() for key, v in optical.items()} == pytest.approx(
        {"real": softplus(-0.4), "fake": softplus(0.4)}
    )
    assert {key: v.item() for key, v in sar.items()} == pytest.approx({"real": softplus(0.3), "fake": softplus(-0.3)})


def test_ablation_of_the_losses():
    """Figures 3 and 4: L1 alone, GAN alone, and both."""
    _, losses = on_constants("cran", lambda_cycle=0.0, lambda_gan=0.25)[0]
    assert losses["gan_optical"].item() == pytest.approx(0.25 * softplus(-0.4))
    method = build("cran", lambda_cycle=0.0, lambda_gan=0.0)
    assert method.optimizers().keys() == {"translators"}
    ((name, losses),) = method.updates(batch(), 0.0)
    assert (name, losses.keys()) == ("translators", {"l1_optical", "l1_sar"})
    steps = list(build("cran", lambda_cycle=0.0, lambda_l1=0.0).updates(batch(), 0.0))
    assert steps[0][1].keys() == {"gan_optical", "gan_sar"}
    with pytest.raises(ValueError, match="lambda_gan and lambda_l1 are both 0"):
        get_method("cran").config_type(lambda_gan=0.0, lambda_l1=0.0)


def test_refinement_has_no_paired_loss():
    _, losses = on_constants("cran-refine")[0]
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        {"gan_optical": softplus(-0.4), "gan_sar": softplus(0.3), "cycle_sar": 20 * 0.5, "cycle_optical": 20 * 0.75}
    )
    with pytest.raises(ValueError, match="lambda_l1"):
        get_method("cran-refine").config_type(start="x", lambda_l1=1.0)


def test_paper_defaults():
    config = get_method("cran").config_type()
    assert (config.lambda_l1, config.learning_rate, config.beta1, config.gan_mode) == (20.0, 2e-4, 0.5, "vanilla")
    method = build("cran")
    assert [method.learning_rate_factor("translators", p) for p in (0.0, 0.5, 0.99)] == [1.0, 1.0, 1.0]


def test_one_step_lowers_the_l1():
    method, images = build("cran", lambda_cycle=0.0), batch()
    optimizer = method.optimizers()["translators"]
    found = []
    for _ in range(8):
        for name, losses in method.updates(images, 0.0):
            if name == "translators":
                optimizer.zero_grad()
                torch.stack(list(losses.values())).sum().backward()
                optimizer.step()
        found.append(functional.l1_loss(method.sar2opt(images["sar"]), images["optical"]).item())
    assert found[-1] < found[0]


class TestRefineStart:
    def test_starts_from_the_file(self):
        path = translator_file(1, 3)
        method = build("cran-refine")
        _, weights = load_weights(path)
        state = {f"{d}.{k}": v for d, module in method.generators().items() for k, v in module.state_dict().items()}
        assert state.keys() == weights.keys()
        assert all(torch.equal(state[key], torch.from_numpy(value)) for key, value in weights.items())
        assert method.network_of(SAR_TO_OPTICAL) == ("cran", {"width": 2})
        assert {side: card.units for side, card in method.trained_inputs().items()} == {
            "sar": "amplitude",
            "optical": "uint8",
        }

    def test_refusals(self):
        cls = get_method("cran-refine")
        with pytest.raises(ValueError, match="start: name the translator file"):
            cls(cls.config_type(), {"sar": 1, "optical": 3})
        with pytest.raises(InputError, match="no such file"):
            cls(cls.config_type(start="/nowhere/t.safetensors"), {"sar": 1, "optical": 3})
        path = translator_file(1, 3)
        with pytest.raises(InputError, match="between 1 SAR and 3 optical bands, the data have 2 SAR and 3 optical"):
            cls(cls.config_type(start=path), {"sar": 2, "optical": 3})
        with pytest.raises(InputError, match="has network cran, the configuration resnet"):
            cls(cls.config_type(start=path, network="resnet"), {"sar": 1, "optical": 3})
        one_way = translator_file(1, 3, "sar2opt")
        with pytest.raises(InputError, match="translates sar2opt only; refinement needs both directions"):
            cls(cls.config_type(start=one_way), {"sar": 1, "optical": 3})
