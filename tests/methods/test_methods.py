"""Facts of single methods: loss weights, schedules, phases; and the registry."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
import torch
from small_methods import SMALL_NETWORK
from torch import nn
from torch.nn import functional

from saropt.domain import Direction
from saropt.losses import haar_l1
from saropt.methods import Batch, Method, Regression, get_method, list_methods, register
from saropt.methods.registry import METHODS
from saropt.training.config import read_config
from saropt.training.presets import list_presets


def build(name: str, sar_bands: int = 1, optical_bands: int = 3, **changes: Any) -> Method:
    torch.manual_seed(0)
    cls = get_method(name)
    arguments = {"network": "naf_unet", "network_arguments": SMALL_NETWORK, **changes}
    return cls(cls.config_type(**arguments), {"sar": sar_bands, "optical": optical_bands})


class Constant(nn.Module):
    """Answers with one value in `bands` bands, whatever it sees."""

    def __init__(self, value: float, bands: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.bands = bands

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value.expand(x.shape[0], self.bands, *x.shape[-2:])


def flat(sar: float, optical: float, size: int = 64) -> Batch:
    return Batch({"sar": torch.full((2, 1, size, size), sar), "optical": torch.full((2, 3, size, size), optical)})


class TestPix2Pix:
    def test_loss_weights_on_constant_images(self):
        """D knows only its logit: BCE terms are softplus of it, halved for D, and L1 counts a hundredfold."""
        method = build("pix2pix", discriminator_width=4)
        method.generator = Constant(0.25, 3)
        method.discriminator = _FixedLogit(0.4)
        (first, d_losses), (second, g_losses) = method.updates(flat(0.0, -0.5), 0.0)
        assert (first, second) == ("discriminator", "generator")
        assert d_losses["real"].item() == pytest.approx(0.5 * math.log1p(math.exp(-0.4)))
        assert d_losses["fake"].item() == pytest.approx(0.5 * math.log1p(math.exp(0.4)))
        assert g_losses["gan"].item() == pytest.approx(math.log1p(math.exp(-0.4)))
        assert g_losses["l1"].item() == pytest.approx(100 * 0.75)

    def test_lsgan_and_weight_are_options(self):
        method = build("pix2pix", discriminator_width=4, gan_mode="lsgan", lambda_l1=10.0)
        method.generator = Constant(0.25, 3)
        method.discriminator = _FixedLogit(0.4)
        (_, d_losses), (_, g_losses) = method.updates(flat(0.0, -0.5), 0.0)
        assert d_losses["real"].item() == pytest.approx(0.5 * 0.36)
        assert d_losses["fake"].item() == pytest.approx(0.5 * 0.16)
        assert g_losses["gan"].item() == pytest.approx(0.36)
        assert g_losses["l1"].item() == pytest.approx(7.5)

    def test_the_condition_comes_before_the_image(self):
        method = build("pix2pix", discriminator_width=4)
        method.generator = Constant(0.25, 3)
        method.discriminator = _FixedLogit(0.0)
        list(method.updates(flat(0.1, -0.5), 0.0))
        judged, again = method.discriminator.seen
        assert judged[0, :, 0, 0].tolist() == pytest.approx([0.1, -0.5, -0.5, -0.5])
        assert judged[2, :, 0, 0].tolist() == pytest.approx([0.1, 0.25, 0.25, 0.25])
        assert torch.equal(again, judged[2:])

    @pytest.mark.parametrize(
        ("progress", "factor"), [(0.0, 1.0), (0.25, 1.0), (0.499, 1.0), (0.5, 1.0), (0.75, 0.5), (0.9, 0.2), (1.0, 0)]
    )
    def test_learning_rate_is_constant_then_linear_to_zero(self, progress, factor):
        method = build("pix2pix")
        for optimizer in ("generator", "discriminator"):
            assert method.learning_rate_factor(optimizer, progress) == pytest.approx(factor)

    def test_published_defaults(self):
        config = get_method("pix2pix").config_type()
        assert (config.network, config.gan_mode, config.lambda_l1) == ("unet_256", "vanilla", 100.0)
        for optimizer in build("pix2pix").optimizers().values():
            assert optimizer.defaults["lr"] == 2e-4
            assert optimizer.defaults["betas"] == (0.5, 0.999)

    def test_one_step_with_its_own_unet(self):
        method = build("pix2pix", network="unet_256", network_arguments={"width": 4}, discriminator_width=4).train()
        optimizers = method.optimizers()
        before = {key: p.detach().clone() for key, p in method.named_parameters()}
        images = Batch({"sar": torch.rand(2, 1, 256, 256), "optical": torch.rand(2, 3, 256, 256)})
        for name, losses in method.updates(images, 0.0):
            optimizers[name].zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizers[name].step()
        assert all(not torch.equal(p, before[key]) for key, p in method.named_parameters())


class TestPix2PixHD:
    """Eq. 3 to 5 of the paper: losses of all discriminators summed, features of truth and translation matched."""

    CHANGES: ClassVar = {
        "discriminator_scales": 3,
        "discriminator_norm": "instance",
        "gan_mode": "lsgan",
        "lambda_l1": 0.0,
    }

    def test_losses_by_definition(self):
        method = build("pix2pix", discriminator_width=4, lambda_feature=40.0, **self.CHANGES).double()
        images = Batch({"sar": torch.rand(2, 1, 96, 96).double(), "optical": torch.rand(2, 3, 96, 96).double()})
        (_, judged), (_, made) = method.updates(images, 0.0)
        fake = method.generator(images["sar"])
        true, false = (torch.cat([images["sar"], image], dim=1) for image in (images["optical"], fake))
        expected = {"real": 0.0, "fake": 0.0, "gan": 0.0, "feature": 0.0}
        for discriminator in method.discriminator.scales:
            features = {"true": [], "false": []}
            for name, x in (("true", true), ("false", false)):
                for stage in discriminator.stages:
                    x = stage(x)
                    features[name].append(x)
            logits = {name: discriminator.head(found[-1]) for name, found in features.items()}
            expected["real"] += 0.5 * ((logits["true"] - 1) ** 2).mean().item()
            expected["fake"] += 0.5 * (logits["false"] ** 2).mean().item()
            expected["gan"] += ((logits["false"] - 1) ** 2).mean().item()
            # the published code: lambda 10, four layers of weight 4 / 4, three scales of weight 1 / 3
            for one, other in zip(features["true"], features["false"], strict=True):
                expected["feature"] += 10.0 * (one - other).abs().mean().item() / 3
            true, false = (
                functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False) for x in (true, false)
            )
        found = {name: value.item() for name, value in {**judged, **made}.items()}
        assert found.pop("l1") == 0.0
        assert found == pytest.approx(expected, rel=1e-6)

    def test_the_preset_has_the_published_settings(self):
        config = read_config("pix2pix", list_presets()["pix2pixhd"], []).arguments
        assert {name: config[name] for name in self.CHANGES} == self.CHANGES
        assert config["lambda_feature"] == 4 * 10

    def test_no_gradient_of_the_generator_step_reaches_the_discriminators(self):
        method = build("pix2pix", discriminator_width=4, lambda_feature=40.0, **self.CHANGES)
        _, (_, losses) = method.updates(flat(0.0, -0.5, 96), 0.0)
        losses["feature"].backward()
        assert all(parameter.grad is None for parameter in method.discriminator.parameters())
        assert any(parameter.grad is not None for parameter in method.generator.parameters())


class _FixedLogit(nn.Module):
    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> list[list[torch.Tensor]]:
        self.seen.append(x.detach())
        return [[self.logit.expand(x.shape[0], 1, 2, 2)]]


class TestRegression:
    def test_plain_l1(self):
        method = build("regression", loss={"shift": 0, "colour": 0, "haar": 0})
        batch = Batch({"sar": torch.rand(2, 1, 32, 32), "optical": torch.rand(2, 3, 32, 32)})
        ((name, losses),) = method.updates(batch, 0.0)
        assert name == "generator"
        assert list(losses) == ["pixel"]
        assert torch.equal(losses["pixel"], functional.l1_loss(method.generator(batch["sar"]), batch["optical"]))

    def test_weights(self):
        batch = Batch({"sar": torch.rand(2, 1, 32, 32), "optical": torch.rand(2, 3, 32, 32)})
        plain = dict(build("regression", loss={"shift": 0, "colour": 0, "haar": 0}).updates(batch, 0.0))["generator"]
        method = build("regression", loss={"shift": 0, "colour": 0.3, "haar": 2.0})
        losses = dict(method.updates(batch, 0.0))["generator"]
        assert losses["pixel"].item() == pytest.approx(0.7 * plain["pixel"].item())
        output = method.generator(batch["sar"])
        assert losses["haar"].item() == pytest.approx(2.0 * haar_l1(output, batch["optical"]).item())
        assert set(losses) == {"pixel", "colour_free", "haar"}

    def test_colour_free_term_forgives_brightness(self):
        method = build("regression", loss={"shift": 0, "colour": 0.5, "haar": 0})
        method.generator = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False))
        nn.init.ones_(method.generator[0].weight)
        sar = torch.rand(1, 1, 32, 32)
        losses = dict(method.updates(Batch({"sar": sar, "optical": (1.1 * sar + 0.2).expand(-1, 3, -1, -1)}), 0.0))[
            "generator"
        ]
        assert losses["pixel"].item() > 0.1
        assert losses["colour_free"].item() < 1e-3

    @pytest.mark.parametrize("progress", [0.0, 0.25, 0.5, 1.0])
    def test_cosine(self, progress):
        method = build("regression", learning_rate=1e-3, final_learning_rate=1e-5)
        expected = 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2
        assert method.learning_rate_factor("generator", progress) == pytest.approx(expected)

    def test_stretched_cosine_stops_before_its_end(self):
        method = build("regression", learning_rate=1e-3, final_learning_rate=1e-5, decay_stretch=1.25)
        expected = 0.01 + 0.99 * (1 + math.cos(math.pi * 0.8)) / 2
        assert method.learning_rate_factor("generator", 1.0) == pytest.approx(expected)


class TestCompact:
    @staticmethod
    def make(**changes: Any) -> Method:
        return build("compact", discriminator_width=4, adversarial_start=0.5, **changes)

    def test_phases(self):
        method = self.make()
        batch = Batch({"sar": torch.rand(2, 1, 64, 64), "optical": torch.rand(2, 3, 64, 64)})
        assert [name for name, _ in method.updates(batch, 0.499)] == ["generator"]
        assert [name for name, _ in method.updates(batch, 0.5)] == ["discriminator", "adversarial"]
        assert method.milestones() == {"fidelity": 0.5}
        assert build("compact", adversarial_start=1.0).milestones() == {}

    def test_penalty_comes_every_few_steps(self):
        method = self.make(penalty_every=3)
        batch = Batch({"sar": torch.rand(2, 1, 64, 64), "optical": torch.rand(2, 3, 64, 64)})
        seen = ["penalty" in dict(method.updates(batch, 0.6))["discriminator"] for _ in range(7)]
        assert seen == [True, False, False, True, False, False, True]

    def test_adversarial_weight_ramps_up(self):
        batch = Batch({"sar": torch.rand(2, 1, 64, 64), "optical": torch.rand(2, 3, 64, 64)})
        values = {}
        for progress in (0.5, 0.55, 0.6, 0.9):
            method = self.make(ramp=0.2, lambda_gan=1.0)
            torch.manual_seed(4)
            values[progress] = dict(method.updates(batch, progress))["adversarial"]["gan"].item()
        assert values[0.5] == 0.0
        assert values[0.55] == pytest.approx(0.5 * values[0.6], rel=1e-5)
        assert values[0.9] == pytest.approx(values[0.6], rel=1e-5)

    @pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0)])
    def test_regression_rate_runs_out_at_the_start_of_phase_a(self, progress, share):
        method = self.make(learning_rate=1e-3, final_learning_rate=1e-5)
        expected = 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2
        assert method.learning_rate_factor("generator", progress) == pytest.approx(expected)

    @pytest.mark.parametrize(("progress", "factor"), [(0.5, 1.0), (0.75, 0.55), (1.0, 0.1)])
    def test_adversarial_rate_falls_to_a_tenth(self, progress, factor):
        method = self.make()
        for optimizer in ("adversarial", "discriminator"):
            assert method.learning_rate_factor(optimizer, progress) == pytest.approx(factor)


class TestRegistry:
    def test_patterns(self):
        assert list_methods() == sorted(list_methods())
        assert list_methods("pix2*") == ["pix2pix"]
        assert list_methods("nothing*") == []

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"unknown method 'sgcl9'; known: .*pix2pix"):
            get_method("sgcl9")

    def test_twice(self):
        with pytest.raises(ValueError, match="registered twice"):
            register("pix2pix", paper="another")(Regression)
        assert get_method("pix2pix") is not Regression

    def test_plugins_have_an_entry_point_group(self):
        assert METHODS.group == "saropt.methods"


class TestRoles:
    def test_inputs_of_a_direction_are_joined_in_its_order(self):
        images = {role: torch.rand(2, count, 4, 4) for role, count in (("sar", 2), ("optical_reference", 3))}
        batch = Batch({**images, "optical": torch.rand(2, 3, 4, 4)})
        source, target = batch.pair(Direction(["sar", "optical_reference"], "optical"))
        assert torch.equal(source, torch.cat([images["sar"], images["optical_reference"]], dim=1))
        assert target is batch["optical"]
        assert batch.label is None

    def test_a_third_role_is_a_direction_of_any_method_of_one_direction(self):
        config = get_method("pix2pix").config_type(
            direction="sar+optref2opt", network="resnet", network_arguments={"width": 4, "blocks": 1}
        )
        bands = {"sar": 2, "optical": 3, "optical_reference": 4}
        method = get_method("pix2pix")(config, bands)
        assert method.roles_of(config) == ("sar", "optical", "optical_reference")
        assert method.channels(config.direction) == (6, 3)
        batch = Batch({role: torch.rand(1, count, 32, 32) for role, count in bands.items()})
        assert [name for name, _ in method.updates(batch, 0.0)] == ["discriminator", "generator"]
