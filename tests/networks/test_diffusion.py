"""Schedules and samplers, step by step against `diffusers`, and what follows from their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saropt.networks import build_network, diffuse, regression_target
from saropt.networks.diffusion_schedule import Schedule, ancestral_step, ddim_step, image_of, sample, time_features

KINDS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
PAPER = (2000, 5e-5, 0.01)


def oracle(kind: str, **options):
    schedulers = pytest.importorskip("diffusers.schedulers")
    length, first, last = PAPER
    betas = {"num_train_timesteps": length, "beta_start": first, "beta_end": last, "beta_schedule": "linear"}
    return getattr(schedulers, kind)(**betas, clip_sample=True, **options)


def images(count: int, side: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(2, 3, side, side, generator=generator) for _ in range(count)]


def toy(prediction: str, schedule: Schedule, truth: torch.Tensor):
    """A network that knows the truth, roughly: what it gives depends on x_t and t."""

    def predict(noisy: torch.Tensor, time: int) -> torch.Tensor:
        return 0.3 * torch.tanh(noisy) + 0.5 * truth + 0.1 * time / 2000

    return predict


@pytest.mark.parametrize("zero", [False, True])
def test_schedule(zero):
    schedule = Schedule.linear(*PAPER, zero_terminal_snr=zero)
    expected = oracle("DDPMScheduler", rescale_betas_zero_snr=zero).alphas_cumprod.numpy()
    # the oracle goes back and forth between betas and their products in single precision
    np.testing.assert_allclose(schedule.signal, expected, rtol=2e-3 if not zero else 2e-2, atol=1e-6)
    assert schedule.signal[0] == pytest.approx(1 - 5e-5)
    assert schedule.signal[-1] == (0.0 if zero else pytest.approx(4.18e-5, rel=2e-3))


def test_respacing_keeps_both_ends_and_the_signal_between():
    times = Schedule.linear(*PAPER).times(250)
    assert times[::-1][:5] == [0, 8, 16, 24, 32]
    assert times[:3] == [1999, 1991, 1983]
    assert times == [round(i * 1999 / 249) for i in reversed(range(250))]
    schedule = oracle("DDPMScheduler", timestep_spacing="linspace")
    schedule.set_timesteps(250)
    assert times == schedule.timesteps.tolist()
    with pytest.raises(ValueError, match="between 1 and 2000, not 0"):
        Schedule.linear(*PAPER).times(0)


@pytest.mark.parametrize("prediction", KINDS)
def test_ancestral_steps(prediction, monkeypatch):
    reference = oracle(
        "DDPMScheduler", prediction_type=KINDS[prediction], variance_type="fixed_large", timestep_spacing="linspace"
    )
    reference.set_timesteps(25)
    start, truth, *noises = images(28)
    drawn = iter(noises)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, **__: next(drawn))
    schedule = Schedule.linear(*PAPER)
    predict = toy(prediction, schedule, truth)
    ours = sample(predict, prediction, schedule, schedule.times(25), lambda i: start if i == 0 else noises[i - 1], True)
    expected = start
    for time, image in zip(reference.timesteps, ours, strict=True):
        expected = reference.step(predict(expected, int(time)), time, expected).prev_sample
        torch.testing.assert_close(image, expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("prediction", KINDS)
def test_ddim_steps(prediction):
    reference = oracle("DDIMScheduler", prediction_type=KINDS[prediction], timestep_spacing="leading")
    reference.set_timesteps(25)
    start, truth = images(2)
    schedule = Schedule.linear(*PAPER)
    predict = toy(prediction, schedule, truth)
    ours = sample(predict, prediction, schedule, reference.timesteps.tolist(), lambda _: start, False)
    expected = start
    for time, image in zip(reference.timesteps, ours, strict=True):
        step = reference.step(predict(expected, int(time)), int(time), expected, use_clipped_model_output=True)
        expected = step.prev_sample
        torch.testing.assert_close(image, expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_ddim_from_a_start_without_signal(prediction):
    reference = oracle(
        "DDIMScheduler",
        prediction_type=KINDS[prediction],
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )
    reference.set_timesteps(25)
    start, truth = images(2)
    schedule = Schedule.linear(*PAPER, zero_terminal_snr=True)
    predict = toy(prediction, schedule, truth)
    ours = list(sample(predict, prediction, schedule, reference.timesteps.tolist(), lambda _: start, False))
    expected = start
    for time, image in zip(reference.timesteps, ours, strict=True):
        step = reference.step(predict(expected, int(time)), int(time), expected, use_clipped_model_output=True)
        expected = step.prev_sample
        torch.testing.assert_close(image, expected, atol=2e-3, rtol=2e-3)


def test_diffusing_and_its_targets():
    reference = oracle("DDPMScheduler")
    image, noise = images(2)
    time = torch.tensor([3, 1500])
    signal = torch.from_numpy(Schedule.linear(*PAPER).signal).float()[time, None, None, None]
    noisy = diffuse(image, noise, signal)
    torch.testing.assert_close(noisy, reference.add_noise(image, noise, time), atol=1e-4, rtol=1e-4)
    velocity = reference.get_velocity(image, noise, time)
    torch.testing.assert_close(regression_target("v", image, noise, signal), velocity, atol=1e-4, rtol=1e-4)
    for prediction in KINDS:
        target = regression_target(prediction, image, noise, signal)
        for row in range(2):
            found = image_of(prediction, target[row], noisy[row], float(signal[row]))
            torch.testing.assert_close(found, image[row], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("prediction", KINDS)
def test_a_network_that_knows_gives_the_image_back(prediction, stochastic):
    schedule = Schedule.linear(*PAPER)
    image, start, *noises = images(12)
    image = image.clamp(-1, 1).double()

    def predict(noisy: torch.Tensor, time: int) -> torch.Tensor:
        signal = torch.tensor(schedule.signal[time])
        noise = (noisy - signal.sqrt() * image) / (1 - signal).sqrt()
        return regression_target(prediction, image, noise, signal)

    def noise_of(number: int) -> torch.Tensor:
        return [start, *noises][number].double()

    *_, found = sample(predict, prediction, schedule, schedule.times(10), noise_of, stochastic)
    torch.testing.assert_close(found, image)


def test_steps_keep_the_marginal_distribution():
    """From x_t at its own mean and variance, both steps arrive at those of x_s."""
    generator = torch.Generator().manual_seed(0)
    image, signal, before = 0.4, 0.3, 0.7
    noise, fresh = (torch.randn(200_000, generator=generator, dtype=torch.float64) for _ in range(2))
    noisy = signal**0.5 * image + (1 - signal) ** 0.5 * noise
    known = torch.full_like(noisy, image)
    arrived = ddim_step(noisy, known, signal, before)
    assert arrived.mean().item() == pytest.approx(before**0.5 * image, abs=5e-3)
    assert arrived.var().item() == pytest.approx(1 - before, rel=1e-2)
    kept = signal / before
    small = ((1 - before) / (1 - signal) * (1 - kept)) ** 0.5  # of the true posterior; the large one is (1 - kept)^.5
    arrived = ancestral_step(noisy, known, signal, before, fresh * small / (1 - kept) ** 0.5)
    assert arrived.mean().item() == pytest.approx(before**0.5 * image, abs=5e-3)
    assert arrived.var().item() == pytest.approx(1 - before, rel=1e-2)


def test_time_features_by_their_definition():
    features = time_features(torch.tensor([0, 7, 1999]), 8)
    for row, time in enumerate((0, 7, 1999)):
        rates = [10_000 ** (-i / 4) for i in range(4)]
        expected = [np.cos(time * r) for r in rates] + [np.sin(time * r) for r in rates]
        np.testing.assert_allclose(features[row], expected, atol=1e-4)


SMALL = {"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [2], "heads": 2, "times": 50, "steps": 4}


def alive(**changes) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_network("diffusion_unet", 2, 3, **{**SMALL, **changes}).eval()
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    return network


def test_published_size():
    with torch.device("meta"):
        network = build_network("diffusion_unet", 3, 3)
    assert sum(p.numel() for p in network.parameters()) == 164_309_379
    assert network.stride == 32
    assert network.noise_channels == 750


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
@torch.no_grad()
def test_the_source_is_seen_at_every_step(sampler, monkeypatch):
    network = alive(sampler=sampler)
    source = torch.rand(1, 2, 16, 16) * 2 - 1
    noise = torch.randn(1, network.noise_channels, 16, 16)
    seen = []
    predict = network.evaluate
    monkeypatch.setattr(network, "evaluate", lambda x, time: seen.append((x, int(time))) or predict(x, time))
    output = network(torch.cat([source, noise], dim=1))
    assert [time for _, time in seen] == network.schedule.times(4)
    assert all(torch.equal(x[:, 3:], source) for x, _ in seen)
    assert torch.equal(seen[0][0][:, :3], noise[:, :3])
    assert output.abs().max() <= 1
    moved = noise.clone()
    moved[:, -3:] += 1.0
    assert not torch.equal(network(torch.cat([source, moved], dim=1)), output)
    assert network.noise_channels == (3 if sampler == "ddim" else 12)


def test_the_time_reaches_the_output():
    network = alive()
    x = torch.randn(2, 5, 16, 16)
    early, late = (network(x, torch.tensor([time, time])) for time in (0, 49))
    assert (early - late).abs().mean() > 1e-3


def test_refusals():
    with pytest.raises(ValueError, match="zero_terminal_snr needs prediction v or x0"):
        alive(zero_terminal_snr=True)
    with pytest.raises(ValueError, match="prediction must be eps, v or x0, not 'score'"):
        alive(prediction="score")
    with pytest.raises(ValueError, match="between 1 and 50, not 51"):
        alive(steps=51)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        build_network("bridge", 1, 3, steps=0)
