"""CycleGAN and its shift-insensitive form: loss weights, schedule, passes, pair loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from saropt.methods import Batch, Method, get_method
from saropt.methods.bands import adapt_bands
from saropt.methods.learning_rates import epoch_decay

SMALL = {"network_arguments": {"width": 4, "blocks": 1}, "discriminator_width": 4}


def build(name: str, sar_bands: int = 1, optical_bands: int = 3, **changes: Any) -> Any:
    torch.manual_seed(0)
    cls = get_method(name)
    return cls(cls.config_type(**{**SMALL, **changes}), {"sar": sar_bands, "optical": optical_bands})


def smooth(bands: int, count: int = 2, size: int = 64, seed: int = 1) -> torch.Tensor:
    """Random fields without detail below four pixels, in [-1, 1]."""
    coarse = torch.rand(count, bands, size // 4, size // 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(-1, 1)


class Affine(nn.Module):
    """gain * mean of bands + offset in `bands` bands; remembers what it saw."""

    def __init__(self, bands: int, gain: float, offset: float) -> None:
        super().__init__()
        self.gain, self.offset = (nn.Parameter(torch.tensor(v)) for v in (gain, offset))
        self.bands, self.seen = bands, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.detach())
        return (self.gain * x.mean(dim=1, keepdim=True) + self.offset).expand(-1, self.bands, -1, -1)


class MeanLogit(nn.Module):
    """The image's mean is its logit."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.0))
        self.calls = 0

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        self.calls += 1
        return [x.mean(dim=(1, 2, 3), keepdim=True) + self.shift]


def flat(sar: float, optical: float) -> Batch:
    return Batch({"sar": torch.full((2, 1, 8, 8), sar), "optical": torch.full((2, 3, 8, 8), optical)})


def affine_method(**changes: Any) -> Any:
    """sar2opt(x) = x / 2 + 0.1, opt2sar(x) = 0.25 x - 0.2."""
    method = build("cyclegan", **changes)
    method.sar2opt, method.opt2sar = Affine(3, 0.5, 0.1), Affine(1, 0.25, -0.2)
    method.optical_discriminator, method.sar_discriminator = MeanLogit(), MeanLogit()
    return method


class TestCycleGAN:
    @pytest.mark.parametrize("weights", [{}, {"lambda_cycle": 3.0, "lambda_identity": 2.0}])
    def test_loss_weights_on_constant_images(self, weights):
        (first, g), (second, d) = affine_method(**weights).updates(flat(0.4, -0.6), 0.0)
        assert (first, second) == ("generators", "discriminators")
        cycle, identity = weights.get("lambda_cycle", 10.0), weights.get("lambda_identity", 5.0)
        fake_optical, fake_sar = 0.5 * 0.4 + 0.1, 0.25 * -0.6 - 0.2
        expected = {
            "gan_optical": (fake_optical - 1) ** 2,
            "gan_sar": (fake_sar - 1) ** 2,
            "cycle_sar": cycle * abs(0.25 * fake_optical - 0.2 - 0.4),
            "cycle_optical": cycle * abs(0.5 * fake_sar + 0.1 + 0.6),
            "identity_optical": identity * abs(0.5 * -0.6 + 0.1 + 0.6),
            "identity_sar": identity * abs(0.25 * 0.4 - 0.2 - 0.4),
        }
        assert {k: v.item() for k, v in g.items()} == pytest.approx(expected)
        expected = {
            "real_optical": 0.5 * (-0.6 - 1) ** 2,
            "fake_optical": 0.5 * fake_optical**2,
            "real_sar": 0.5 * (0.4 - 1) ** 2,
            "fake_sar": 0.5 * fake_sar**2,
        }
        assert {k: v.item() for k, v in d.items()} == pytest.approx(expected)

    def test_vanilla_form(self):
        (_, g), (_, d) = affine_method(gan_mode="vanilla").updates(flat(0.4, -0.6), 0.0)
        assert g["gan_optical"].item() == pytest.approx(functional.softplus(torch.tensor(-0.3)).item())
        assert d["real_sar"].item() == pytest.approx(0.5 * functional.softplus(torch.tensor(-0.4)).item())

    def test_identity_can_be_left_out(self):
        method = affine_method(lambda_identity=0.0)
        losses = dict(method.updates(flat(0.4, -0.6), 0.0))["generators"]
        assert not any(name.startswith("identity") for name in losses)
        assert [len(x) for x in method.sar2opt.seen] == [2, 2]

    def test_nothing_is_computed_twice(self):
        """Each generator: its images with the identity images, and the cycle; each discriminator: G's step, its own."""
        method = affine_method()
        list(method.updates(flat(0.4, -0.6), 0.0))
        for generator in (method.sar2opt, method.opt2sar):
            assert [len(x) for x in generator.seen] == [4, 2]
        assert (method.optical_discriminator.calls, method.sar_discriminator.calls) == (2, 2)

    def test_discriminators_see_pooled_fakes(self):
        method = affine_method(pool_size=1)
        method.optical_pool.images = [torch.full((3, 8, 8), 0.9)]
        torch.manual_seed(0)
        seen = set()
        for _ in range(20):
            losses = dict(method.updates(flat(0.4, -0.6), 0.0))["discriminators"]
            seen.add(round(losses["fake_optical"].item(), 4))
        fresh, history = 0.5 * 0.3**2, 0.5 * (0.3**2 + 0.9**2) / 2
        assert {round(fresh, 4), round(history, 4)} == seen

    def test_published_defaults(self):
        config = get_method("cyclegan").config_type()
        assert (config.network, config.network_arguments, config.gan_mode) == ("resnet", {}, "lsgan")
        assert (config.lambda_cycle, config.lambda_identity, config.pool_size) == (10.0, 5.0, 50)
        method = build("cyclegan")
        for optimizer in method.optimizers().values():
            assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (2e-4, (0.5, 0.999))
        assert set(method.generators()) == {"sar2opt", "opt2sar"}
        assert method.unpaired


def test_learning_rates_of_the_published_epochs():
    """lambda e: 1 - max(0, e + 1 - constant) / (decay + 1), epoch by epoch, at every step of the epoch."""
    for constant, decay, steps in ((100, 100, 7), (150, 50, 3), (200, 200, 1), (3, 2, 13)):
        total = (constant + decay) * steps
        for epoch in range(constant + decay):
            expected = 1.0 if epoch < constant else 1.0 - (epoch - constant + 1) / (decay + 1)
            for step in (epoch * steps, epoch * steps + steps - 1):
                assert epoch_decay(step / total, constant, decay) == pytest.approx(expected, abs=1e-12)
        assert epoch_decay((total - 1) / total, constant, decay) == pytest.approx(1 / (decay + 1))


@pytest.mark.parametrize("name", ["cyclegan", "shift-cyclegan", "sgcl", "cut", "fastcut", "qs-attn"])
def test_a_schedule_of_no_epochs(name):
    config = get_method(name).config_type
    guidance = {"guidance": "kmeans"} if name == "sgcl" else {}
    for constant, decay in ((0, 1), (1, 0)):
        assert config(constant_epochs=constant, decay_epochs=decay, **guidance)
        assert epoch_decay(0.0, constant, decay) > 0.0
    with pytest.raises(ValueError, match="constant_epochs and decay_epochs are both 0"):
        config(constant_epochs=0, decay_epochs=0, **guidance)


@pytest.mark.parametrize(
    ("name", "constant", "decay"), [("cyclegan", 100, 100), ("cut", 200, 200), ("fastcut", 150, 50)]
)
def test_schedules_of_the_methods(name, constant, decay):
    changes = {"network_arguments": {"width": 4, "blocks": 5}} if "cut" in name else {}
    method = build(name, **changes)
    for optimizer in method.optimizers():
        for progress in (0.0, 0.3, 0.51, 0.74, 0.76, 0.999):
            assert method.learning_rate_factor(optimizer, progress) == epoch_decay(progress, constant, decay)


@pytest.mark.parametrize(
    ("count", "bands", "groups"),
    [
        (3, 1, [[0, 1, 2]]),
        (1, 3, [[0], [0], [0]]),
        (4, 2, [[0, 1], [2, 3]]),
        (2, 3, [[0], [0, 1], [1]]),
        (3, 2, [[0, 1], [1, 2]]),
        (13, 4, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [9, 10, 11, 12]]),
    ],
)
def test_adapted_bands_are_means_of_groups(count, bands, groups):
    image = torch.randn(2, count, 3, 3, dtype=torch.float64)
    adapted = adapt_bands(image, bands)
    pooled = functional.adaptive_avg_pool1d(image.flatten(2).transpose(1, 2), bands).transpose(1, 2)
    assert torch.allclose(adapted, pooled.unflatten(2, (3, 3)), atol=1e-12)
    for band, group in enumerate(groups):
        assert torch.allclose(adapted[:, band], image[:, group].mean(dim=1), atol=1e-12)
    assert adapt_bands(image, count) is image


def pair_losses(method: Method, batch: Batch) -> dict[str, torch.Tensor]:
    losses = dict(method.updates(batch, 0.0))["generators"]
    return {key: value for key, value in losses.items() if key.startswith("pair")}


class TestShiftCycleGAN:
    @pytest.mark.parametrize("extractor", ["frozen", "joint"])
    @pytest.mark.parametrize("stages", [1, 2, 3])
    def test_is_l1_between_the_first_stages(self, extractor, stages):
        method = build("shift-cyclegan", extractor=extractor, stages=stages, lambda_pair=4.0, lambda_identity=0.0)
        batch = Batch({"sar": smooth(1, seed=1), "optical": smooth(3, seed=2)})
        losses = pair_losses(method, batch)
        layers = {1: 4, 2: 7, 3: 10}[stages]
        with torch.no_grad():
            for name, encoder, other, real, source in (
                ("pair_sar", method.sar2opt, method.opt2sar, batch["sar"], batch["optical"]),
                ("pair_optical", method.opt2sar, method.sar2opt, batch["optical"], batch["sar"]),
            ):
                h = encoder.layers[:layers]
                expected = 4.0 * (h(real) - h(other(source))).abs().mean()
                assert losses[name].item() == pytest.approx(expected.item(), rel=1e-5)

    def test_trains_the_generator_of_the_fake_alone_unless_joint(self):
        batch = Batch({"sar": smooth(1, seed=1), "optical": smooth(3, seed=2)})
        for extractor, alone in (("frozen", True), ("joint", False)):
            method = build("shift-cyclegan", extractor=extractor)
            pair_losses(method, batch)["pair_sar"].backward()
            reached = {key.split(".")[0] for key, p in method.named_parameters() if p.grad is not None}
            assert reached == ({"opt2sar"} if alone else {"opt2sar", "sar2opt"})

    def test_zero_for_a_perfect_fake(self):
        method = build("shift-cyclegan", lambda_identity=0.0)
        batch = Batch({"sar": smooth(1), "optical": smooth(1).expand(-1, 3, -1, -1)})
        method.opt2sar.forward = lambda x, taps=None, stop=False: (x[:, :1], [x]) if not stop else [x]
        assert pair_losses(method, batch)["pair_sar"].item() == 0.0
        moved = Batch({"sar": batch["sar"].roll(8, dims=-1), "optical": batch["optical"]})
        assert pair_losses(method, moved)["pair_sar"].item() > 0.01

    @pytest.mark.parametrize("shift", [1, 2, 3])
    def test_features_forgive_shifts_that_pixels_do_not(self, shift):
        """The same scene moved, relative to another scene, with the spectrum of natural images (1 / frequency) and an
        extractor whose filters average; filters of random signs forgive nothing."""
        method = build("shift-cyclegan", network_arguments={"width": 16, "blocks": 1})
        h = method.sar2opt.double().layers[:10]
        for layer in h:
            if isinstance(layer, nn.Conv2d):
                nn.init.uniform_(layer.weight, 0.0, 0.1)
        frequency = torch.fft.fftfreq(96, dtype=torch.float64)
        white = torch.randn(4, 1, 96, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        scene = torch.fft.ifft2(torch.fft.fft2(white) / (torch.hypot(frequency[:, None], frequency) + 1 / 96)).real
        scene = 0.4 * scene / scene.std()
        still, moved = scene[..., 8:72, 8:72], scene[..., 8:72, 8 + shift : 72 + shift]

        def relative(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
            near = (function(still) - function(moved)).abs().mean()
            return float(near / (function(still) - function(still.roll(1, dims=0))).abs().mean())

        with torch.no_grad():
            assert relative(h) < {1: 0.3, 2: 0.4, 3: 0.55}[shift] * relative(lambda x: x)

    def test_needs_pairs_and_stages(self):
        assert not get_method("shift-cyclegan").unpaired
        with pytest.raises(ValueError, match="'unet_256' has no stages"):
            build("shift-cyclegan", network="unet_256", network_arguments={"width": 2})
