"""con-diffusion and bridge: their losses by definition, what they start from, what they learn on a toy."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from small_methods import SMALL_DIFFUSION, batch, build, translator_file

from saropt.domain import SAR_TO_OPTICAL
from saropt.errors import InputError
from saropt.methods import get_method
from saropt.methods.pretrained import PretrainedTranslator


def losses_of(method, progress: float = 0.0, seed: int = 3):
    torch.manual_seed(seed)
    return dict(method.updates(batch(), progress))


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_diffusion_loss_by_definition(prediction):
    method = build("con-diffusion", network_arguments={**SMALL_DIFFUSION, "prediction": prediction})
    found = losses_of(method)["generator"]
    source, target = batch().pair(SAR_TO_OPTICAL)
    torch.manual_seed(3)
    time = torch.randint(20, (2,))
    noise = torch.randn_like(target)
    expected = 0.0
    for i in range(2):
        signal = float(torch.tensor(method.schedule.signal)[time[i]])
        noisy = signal**0.5 * target[i] + (1 - signal) ** 0.5 * noise[i]
        wanted = {
            "eps": noise[i],
            "x0": target[i],
            "v": signal**0.5 * noise[i] - (1 - signal) ** 0.5 * target[i],
        }[prediction]
        output = method.generator(torch.cat([noisy, source[i]])[None], time[i : i + 1])[0]
        expected += (output - wanted).square().mean().item() / 2
    assert list(found) == [prediction]
    assert found[prediction].item() == pytest.approx(expected, rel=1e-4)


def test_one_step_diffusion_learns_first_as_a_diffusion_model():
    """Phase 1 is the loss of con-diffusion on x_0, with all times and a last one that holds nothing of the image."""
    method = build("one-step-diffusion")
    found = losses_of(method, 0.2)["generator"]
    source, target = batch().pair(SAR_TO_OPTICAL)
    torch.manual_seed(3)
    time = torch.randint(20, (2,))
    noise = torch.randn_like(target)
    signal = torch.tensor(method.generator.schedule.signal).float()
    assert signal[-1] == 0.0
    expected = 0.0
    for i, t in enumerate(time.tolist()):
        noisy = signal[t] ** 0.5 * target[i] + (1 - signal[t]) ** 0.5 * noise[i]
        output = method.generator(torch.cat([noisy, source[i]])[None], time[i : i + 1])[0]
        expected += (output - target[i]).square().mean().item() / 2
    assert list(found) == ["x0"]
    assert found["x0"].item() == pytest.approx(expected, rel=1e-4)


def test_one_step_diffusion_is_judged_on_its_one_step_from_pure_noise():
    method = build("one-step-diffusion")
    for parameter in method.generator.exit.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    source, _ = batch().pair(SAR_TO_OPTICAL)
    torch.manual_seed(3)
    sample = method.attempt(batch()).output
    torch.manual_seed(3)
    noise = torch.randn(2, 3, 64, 64)
    last = torch.full((2,), 19)
    expected = method.generator(torch.cat([noise, source], dim=1), last).clamp(-1.0, 1.0)
    torch.testing.assert_close(sample, expected)
    losses = losses_of(method, 0.8)
    assert set(losses) == {"discriminator", "adversarial"}
    assert {"gan", "feature", "pixel"} <= set(losses["adversarial"])
    assert method.milestones() == {"fidelity": 0.5}


def test_schedule_without_signal_needs_another_prediction():
    arguments = {**SMALL_DIFFUSION, "zero_terminal_snr": True}
    with pytest.raises(ValueError, match="zero_terminal_snr needs prediction v or x0"):
        build("con-diffusion", network_arguments=arguments)
    losses = losses_of(build("con-diffusion", network_arguments={**arguments, "prediction": "v"}))
    assert torch.isfinite(losses["generator"]["v"])


def test_bridge_loss_by_definition():
    method = build("bridge")
    found = losses_of(method)["generator"]["velocity"].item()
    source, target = batch().pair(SAR_TO_OPTICAL)
    torch.manual_seed(3)
    time = (torch.arange(2) + torch.rand(2)) / 2
    noise = torch.randn_like(target)
    mean = (
        PretrainedTranslator(translator_file(1, 3), {"sar": 1, "optical": 3})
        .network("sar2opt")
        .eval()(source)
        .clamp(-1, 1)
    )
    expected = 0.0
    for i, t in enumerate(time.tolist()):
        state = (1 - t) * (mean[i] + 0.1 * noise[i]) + t * target[i]
        plane = torch.full_like(mean[i][:1], t)
        estimate = mean[i] + method.generator.refiner(torch.cat([state, mean[i], source[i], plane])[None])[0]
        expected += min((1 - t) ** -2, 25.0) * (estimate - target[i]).square().mean().item() / 2
    assert found == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_bridge_steps_by_definition():
    """Euler's rule on the velocity (estimate - z) / (1 - t), and the last step is the estimate itself."""
    network = build("bridge").generator.eval()
    source, noise = torch.rand(1, 1, 64, 64) * 2 - 1, torch.randn(1, 3, 64, 64)
    for steps in (1, 2, 4):
        network.steps = steps
        mean = network.regressor(source).clamp(-1, 1)
        state = mean + 0.1 * noise
        for step in range(steps):
            t = step / steps
            estimate = mean + network.refiner(torch.cat([state, mean, source, torch.full_like(mean[:, :1], t)], dim=1))
            state = state + (estimate - state) / (1 - t) / steps
        torch.testing.assert_close(network(torch.cat([source, noise], dim=1)), state)
        torch.testing.assert_close(state, estimate)


def test_the_regression_stays_as_it_was():
    method = build("bridge")
    before = {key: value.clone() for key, value in method.generator.regressor.state_dict().items()}
    given = PretrainedTranslator(translator_file(1, 3), {"sar": 1, "optical": 3}).network("sar2opt").state_dict()
    assert all(torch.equal(before[key], value) for key, value in given.items())
    assert not list(method.generator.regressor.parameters())
    assert not method.generator.regressor.training
    for progress in (0.0, 0.8):
        optimizers = method.optimizers()
        for name, losses in method.updates(batch(), progress):
            optimizers[name].zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizers[name].step()
    after = method.generator.regressor.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_the_adversary_sees_rolled_out_steps(monkeypatch):
    method = build("bridge")
    seen = []
    forward = type(method.generator).forward
    monkeypatch.setattr(
        type(method.generator), "forward", lambda self, x, time=None: seen.append(time) or forward(self, x, time)
    )
    losses = losses_of(method, 0.8)
    assert seen == [None]
    assert set(losses) == {"discriminator", "adversarial"}
    assert {"gan", "feature", "pixel"} <= set(losses["adversarial"])
    losses_of(method, 0.2)
    assert seen[-1].shape == (2,)


def test_bridge_needs_a_fitting_start(tmp_path):
    with pytest.raises(ValueError, match="start: name the regression's translator file"):
        build("bridge", start=None)
    with pytest.raises(InputError, match="translates sar2opt, not opt2sar"):
        build("bridge", start=translator_file(1, 3, "sar2opt"), direction="opt2sar")
    with pytest.raises(InputError, match="between 2 SAR and 3 optical bands, the data have 1 SAR and 3 optical"):
        build("bridge", start=translator_file(2, 3))
    with pytest.raises(InputError, match="no such file"):
        build("bridge", start=str(tmp_path / "none.safetensors"))
    with pytest.raises(ValidationError):
        get_method("bridge").config_type(network="naf_unet")


@pytest.mark.parametrize("progress", [0.1, 0.8])
def test_windows_of_both_phases_of_a_bridge_lack_bands(monkeypatch, progress):
    start = translator_file(2, 3, partial=True)
    method = build("bridge", 2, start=start, no_band=1.0)
    seen = []
    forward = type(method.generator).forward
    monkeypatch.setattr(
        type(method.generator), "forward", lambda self, x, time=None: seen.append(x) or forward(self, x, time)
    )
    list(method.updates(batch(2), progress))
    for window in seen:
        assert bool((window[:, :2] == -1.0).all(dim=(2, 3)).any(dim=1).all())


@pytest.mark.parametrize(("name", "option"), [("bridge", "start"), ("regression", "teacher")])
def test_what_stays_as_it_is_must_know_windows_that_lack_bands(name, option):
    whole, partial = translator_file(2, 3), translator_file(2, 3, partial=True, band_difference=0.3)
    with pytest.raises(InputError, match="needs every SAR band, which no_band takes away"):
        build(name, 2, no_band=0.5, **{option: whole})
    with pytest.raises(InputError, match=r"has band_difference 0.3, the configuration None"):
        build(name, 2, no_band=0.5, **{option: partial})
    for more in ({"no_band": 0.5, "band_difference": 0.3}, {}):
        build(name, 2, **{option: partial}, **more)


def test_a_bridge_takes_no_scene_inputs():
    with pytest.raises(ValueError, match="scene_inputs: a bridge takes none"):
        build("bridge", scene_inputs=("month",))


def test_diffusion_learns_a_toy():
    """The target is the source: samples come to lie nearer to it than an untrained network's."""
    torch.manual_seed(0)
    method = build("con-diffusion", 1, 1, network_arguments={**SMALL_DIFFUSION, "steps": 4, "prediction": "x0"})
    images = batch(1, 1, 16)["sar"]
    toy = type(batch())({"sar": images, "optical": images})
    optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
    with torch.no_grad():
        before = (method.generator(images) - images).abs().mean()
    for _ in range(120):
        for _, losses in method.updates(toy, 0.0):
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
    with torch.no_grad():
        after = (method.eval().generator(images) - images).abs().mean()
    assert after < 0.4 * before
