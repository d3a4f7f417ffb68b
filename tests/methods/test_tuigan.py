"""TuiGAN: one scale at a time, warm starts, statistics of translated images only, losses that fall."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from saropt.losses import total_variation
from saropt.methods import Batch, Method, get_method


def build(**changes: Any) -> Method:
    torch.manual_seed(0)
    cls = get_method("tuigan")
    return cls(cls.config_type(**{"scales": 3, "width": 4, **changes}), {"sar": 1, "optical": 3}).train()


def smooth(size: int = 64) -> Batch:
    """A SAR and an optical image of the same gentle hills."""
    rows, columns = torch.meshgrid(*[torch.linspace(0, 6.0, size)] * 2, indexing="ij")
    field = torch.sin(rows) * torch.cos(0.7 * columns)
    optical = torch.stack([0.5 * field, -0.3 * field, 0.2 + 0.4 * field])[None]
    return Batch({"sar": 0.8 * field[None, None], "optical": optical})


def step(method: Method, optimizers: dict, batch: Batch, progress: float) -> dict[str, float]:
    logged = {}
    for name, losses in method.updates(batch, progress):
        optimizers[name].zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizers[name].step()
        logged |= {f"{name}/{key}": value.item() for key, value in losses.items()}
    return logged


@pytest.mark.parametrize(
    ("progress", "scale", "factor"),
    [(0.0, 0, 1.0), (0.13, 0, 1.0), (0.14, 0, 0.1), (0.33, 0, 0.1), (1 / 3, 1, 1.0), (2 / 3, 2, 1.0), (0.99, 2, 0.1)],
)
def test_scale_after_scale(progress, scale, factor):
    """Three steps of each in turn; the rates fall to a tenth at 40 % of each scale."""
    method = build()
    names = [name for name, _ in method.updates(smooth(), progress)]
    assert names == [f"critics_{scale}"] * 3 + [f"generators_{scale}"] * 3
    assert method.learning_rate_factor(names[0], progress) == factor
    assert method.sar2opt.active == scale + 1


def test_published_defaults():
    config = get_method("tuigan").config_type()
    weights = (config.lambda_cycle, config.lambda_identity, config.lambda_tv, config.lambda_penalty, config.noise)
    assert weights == (1.0, 1.0, 0.1, 0.1, 0.1)
    for optimizer in build().optimizers().values():
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (5e-4, (0.5, 0.999))


def test_a_new_scale_starts_from_the_one_below():
    """Where both are equally wide: the fifth is twice as wide as the fourth."""
    method = build(scales=5, width=2)
    networks = (method.sar2opt, method.opt2sar, method.optical_critics, method.sar_critics)

    def weights(scale: int) -> list[torch.Tensor]:
        return [p.detach().clone() for network in networks for p in network.scales[scale].parameters()]

    batch, fifth = smooth(256), weights(4)
    step(method, method.optimizers(), batch, 0.0)
    trained = weights(0)
    for progress in (0.2, 0.8):
        next(method.updates(batch, progress))
        assert int(method.scale) == round(5 * progress)
    for scale in (1, 2, 3):
        assert all(torch.equal(new, old) for new, old in zip(weights(scale), trained, strict=True))
    assert all(torch.equal(new, old) for new, old in zip(weights(4), fifth, strict=True))


def test_scales_below_are_left_as_they_are():
    """No weight, no running statistic; and finer scales wait."""
    method = build()
    optimizers = method.optimizers()
    step(method, optimizers, smooth(), 0.0)
    below = {k: v.clone() for k, v in method.state_dict().items() if ".scales.0." in k}
    step(method, optimizers, smooth(), 0.4)
    finest = {k: v.clone() for k, v in method.state_dict().items() if ".scales.2." in k}
    step(method, optimizers, smooth(), 0.5)
    state = method.state_dict()
    assert all(torch.equal(state[k], v) for k, v in {**below, **finest}.items())
    assert len(below) > 40


def test_running_statistics_are_those_of_translated_images():
    """The first convolution's running mean after many steps is its mean over the noisy input, not over the others."""
    method = build(scales=1, inner_steps=60, learning_rate=1e-9)
    batch = Batch({"sar": torch.full((1, 1, 32, 32), 0.9), "optical": torch.full((1, 3, 32, 32), -0.9)})
    step(method, method.optimizers(), batch, 0.0)
    convolution, norm = method.sar2opt.scales[0].main[0][:2]
    with torch.no_grad():
        expected = convolution(batch["sar"]).mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected, atol=2e-3, rtol=0)
    assert norm.momentum == 0.1


def test_loss_weights():
    """With generators and critics that know nothing, every term by hand."""
    method = build(scales=1, lambda_cycle=2.0, lambda_identity=3.0, lambda_tv=0.5, noise=0.0)

    class Copy(nn.Module):
        def __init__(self, bands: int, gain: float) -> None:
            super().__init__()
            self.gain, self.bands = nn.Parameter(torch.tensor(gain)), bands
            self.active, self.scales = 1, nn.ModuleList([nn.Identity()])

        def forward(self, x: torch.Tensor, previous: torch.Tensor | None, scale: int) -> torch.Tensor:
            return self.gain * x.mean(1, keepdim=True).expand(-1, self.bands, -1, -1)

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(4.0))
            self.scales = nn.ModuleList([_Times(self.weight)])

        def forward(self, x: torch.Tensor, scale: int) -> torch.Tensor:
            return self.scales[scale](x)

    method.sar2opt, method.opt2sar = Copy(3, 0.5), Copy(1, 0.25)
    method.optical_critics, method.sar_critics = Mean(), Mean()
    batch = smooth(16)
    updates = list(method.updates(batch, 0.0))
    critics, generators = updates[0][1], updates[3][1]
    fake = 0.5 * batch["sar"].expand(-1, 3, -1, -1)
    assert critics["real_optical"].item() == pytest.approx(-4 * batch["optical"].mean().item(), abs=1e-6)
    assert critics["fake_optical"].item() == pytest.approx(4 * fake.mean().item(), abs=1e-6)
    assert critics["penalty_optical"].item() == pytest.approx(0.1 * (4 * 3**0.5 / 3 - 1) ** 2, abs=1e-5)
    assert critics["penalty_sar"].item() == pytest.approx(0.1 * 9.0, abs=1e-5)
    assert generators["gan_optical"].item() == pytest.approx(-4 * fake.mean().item(), abs=1e-6)
    assert generators["cycle_sar2opt"].item() == pytest.approx(2 * 0.875 * batch["sar"].abs().mean().item(), abs=1e-6)
    same = 0.5 * batch["optical"].mean(1, keepdim=True)
    assert generators["identity_optical"].item() == pytest.approx(3 * (same - batch["optical"]).abs().mean().item())
    assert generators["tv_optical"].item() == pytest.approx(0.5 * total_variation(fake).item())


class _Times(nn.Module):
    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.mean(1, keepdim=True)


def test_a_short_run_lowers_its_losses():
    method = build(scales=2, width=8, learning_rate=2e-3)
    optimizers, batch = method.optimizers(), smooth(32)
    histories: dict[int, list[float]] = {0: [], 1: []}
    for number in range(60):
        losses = step(method, optimizers, batch, number / 60)
        scale = number // 30
        names = ("cycle_sar2opt", "cycle_opt2sar", "identity_sar", "identity_optical")
        histories[scale].append(sum(losses[f"generators_{scale}/{name}"] for name in names))
    for history in histories.values():
        assert sum(history[-5:]) < 0.75 * sum(history[:5])
    assert histories[1][0] < histories[0][0], "the finer scale begins where the coarser ended"
