"""The method `reference`: its losses from naive loops, what counts as changed, and references that lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_methods import SMALL, SMALL_NETWORK, batch, build
from torch import Tensor

from saropt.methods import Batch, false_references, get_method
from saropt.methods.false_references import (
    References,
    cast_clouds,
    cloud_field,
    mask,
    random_field,
    random_shapes,
    replace_places,
)

TRUTHFUL = {"other_place": 0.0, "clouds": 0.0, "holes": 0.0, "no_reference": 0.0, "no_sar_reference": 0.0}


def references(count: int = 6, size: int = 64) -> References:
    torch.manual_seed(0)
    optical = torch.rand(count, 3, size, size) * 2 - 1
    sar = torch.rand(count, 2, size, size) * 2 - 1
    ones = torch.ones(count, 1, size, size)
    return References(optical, ones, optical[:, :0], sar, ones.clone(), torch.zeros_like(ones, dtype=torch.bool))


def naive_losses(
    candidate: np.ndarray, gate: np.ndarray, change: np.ndarray, given: Batch, changed: set[int]
) -> dict[str, float]:
    """The losses of a step with truthful references, pixel by pixel in double precision."""
    target, label = given["optical"].double().numpy(), given["label"].numpy()
    valid = given["optical_reference"][:, -1].numpy() > 0.5
    reference = given["optical_reference"][:, :-1].double().numpy()
    count, bands, height, width = target.shape
    pixel = weights = entropy = known = moved = seen = 0.0
    difference = np.abs(reference - target).mean(axis=1)
    for n in range(count):
        for i in range(height):
            for j in range(width):
                is_changed = int(label[n, i, j]) in changed
                weight = 1.0 + 3.0 * (is_changed or not valid[n, i, j])
                error = sum(np.sqrt((candidate[n, c, i, j] - target[n, c, i, j]) ** 2 + 1e-4) for c in range(bands))
                pixel += weight * error / bands
                weights += weight
                if valid[n, i, j] and label[n, i, j] != 255:
                    p = 1.0 / (1.0 + np.exp(-gate[n, 0, i, j]))
                    entropy -= np.log(p if is_changed else 1.0 - p)
                    known += 1
                if valid[n, i, j]:
                    around = difference[n, max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5]
                    p = 1.0 / (1.0 + np.exp(-change[n, 0, i, j]))
                    moved -= np.log(p if around.mean() > 0.6 else 1.0 - p)
                    seen += 1
    return {"pixel": pixel / weights, "gate": 0.7 * entropy / known, "change": 0.3 * moved / seen}


@pytest.mark.parametrize("changed", [(1,), (0, 2)])
def test_losses_are_those_of_naive_loops(changed):
    loss = {"epsilon": 0.01, "haar": 0.0}
    method = build(
        "reference",
        loss=loss,
        changed=changed,
        change_weight=3.0,
        lambda_gate=0.7,
        lambda_change=0.3,
        threshold=0.6,
        **TRUTHFUL,
    ).double()
    given = Batch({role: t.double() if t.is_floating_point() else t for role, t in batch(size=16).items()})
    with torch.no_grad():
        for parameter in method.generator.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        decided = [part.numpy() for part in method.generator.decide(given.pair(method.config.direction)[0])]
        attempt = method.attempt(given)
    expected = naive_losses(*decided, given, set(changed))
    for name, value in expected.items():
        assert attempt.losses[name].item() == pytest.approx(value, rel=1e-9)


def test_without_labels_ground_is_changed_where_the_candidate_is_closer_to_the_truth():
    method = build("reference", margin=0.1, **TRUTHFUL)
    assert "label" not in method.roles_of(method.config)
    truth = torch.zeros(1, 3, 32, 32)
    earlier = truth.clone()
    earlier[..., :16] = 0.5
    held = References(
        earlier, torch.ones(1, 1, 32, 32), earlier[:, :0], None, None, torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    )
    changed, known = method._changed(Batch({"sar": truth}), held, truth + 0.05, truth)
    assert known.all()
    assert changed[..., :12].all()
    assert not changed[..., 20:].any()
    useless, _ = method._changed(Batch({"sar": truth}), held, truth + 0.6, truth)
    assert not useless.any()


def test_the_discriminator_sees_the_truth_where_nothing_changed():
    method = build("reference", changed=(1,), **TRUTHFUL)
    given = batch()
    with torch.no_grad():
        attempt = method.attempt(given)
    ground = (given["label"] == 1)[:, None] | (given["optical_reference"][:, -1:] < 0.5)
    outside = ~ground.expand_as(attempt.output)
    assert torch.equal(attempt.output[outside], given["optical"][outside])
    assert not torch.equal(attempt.output[~outside], given["optical"][~outside])


def test_parts_of_another_place_are_false_in_both_earlier_images():
    before = references()
    after = replace_places(before, 1.0)
    swapped = after.false.expand_as(after.optical)
    assert 0.04 < after.false.float().mean() < 0.52
    assert torch.equal(after.optical[~swapped], before.optical[~swapped])
    assert torch.equal(after.optical[swapped], before.optical.roll(1, 0).flip(-1)[swapped])
    assert after.sar is not None
    assert before.sar is not None
    assert torch.equal(after.sar != before.sar, after.false.expand_as(after.sar))
    assert torch.equal(replace_places(before, 0.0).optical, before.optical)


def test_clouds_brighten_and_shadows_darken_what_they_hide():
    before = references()
    after = cast_clouds(before, 1.0)
    change = (after.optical - before.optical).abs().amax(dim=1, keepdim=True)
    assert after.false.any()
    assert change[~after.false].max() < 0.7
    assert change[after.false].mean() > 3 * change[~after.false].mean()
    assert (after.optical >= -1.0).all()
    assert (after.optical <= 1.0).all()
    assert torch.equal(cast_clouds(before, 0.0).optical, before.optical)


def test_bright_ground_is_bright_at_both_dates():
    """Target and earlier image get the same gain, clouds and windows without an earlier image none."""
    given = batch()
    there = given["optical_reference"][:, -1:] > 0.5
    plain, bright = (build("reference", changed=(1,), bright=share, **TRUTHFUL) for share in (0.0, 1.0))
    torch.manual_seed(3)
    one, other = plain.attempt(given), bright.attempt(given)
    assert torch.equal(one.target, given["optical"])
    gain = (other.target + 1) / (one.target + 1)
    dark = (other.target < 1) & (one.target > -0.9)
    for window, (inside, where) in enumerate(zip(gain, dark, strict=True)):
        for band, seen in zip(inside, where, strict=True):
            assert band[seen].std() < 1e-3, window
            assert 0.85 <= band[seen].mean() <= 2.6 * 1.15
    bands = given["optical"].shape[1]
    was, now = (attempt.source[:, -bands - 1 : -1] for attempt in (one, other))
    seen = there.expand_as(was) & (now < 1) & (was > -0.9)
    per_window = gain.where(dark, torch.nan).nanmean(dim=(2, 3), keepdim=True).expand_as(was)
    assert torch.allclose(((now + 1) / (was + 1))[seen], per_window[seen], atol=1e-3)
    assert torch.equal(now[~there.expand_as(now)], was[~there.expand_as(was)])
    alone = build("reference", changed=(1,), bright=1.0, **{**TRUTHFUL, "no_reference": 1.0})
    assert torch.equal(alone.attempt(given).target, given["optical"])
    with pytest.raises(ValueError, match="bright: not where relative is true"):
        build("reference", changed=(1,), bright=0.5, relative=True)


def test_clouds_have_detail_of_every_size(monkeypatch):
    """Neighbours differ, as in a field of small cells, and pixels far apart are alike, as in one of large cells."""

    def rough_and_wide(field):
        drawn = torch.cat([field(torch.zeros(64, 1, 128, 128)) for _ in range(6)])
        assert 0.6 < drawn.std() < 1.1
        power = drawn.square().mean()
        step, far = drawn[..., 1:] - drawn[..., :-1], drawn[..., 24:] * drawn[..., :-24]
        return bool(step.square().mean() > 0.01 * power), bool(far.mean() > 0.1 * power)

    torch.manual_seed(0)
    assert rough_and_wide(cloud_field) == (True, True)
    for cell, expected in ((8, (True, False)), (48, (False, True))):
        monkeypatch.setattr(false_references, "CELLS", (cell,))
        assert rough_and_wide(random_field) == expected


def test_a_closed_deck_hides_the_whole_image():
    before = references()
    after = cast_clouds(before, 0.0, overcast=1.0)
    seen = (before.optical_valid > 0.5).expand_as(before.optical)
    assert after.false.all()
    deck, ground = after.optical[seen], before.optical[seen]
    assert (deck > -0.4).all()
    assert (deck <= 1.0).all()
    assert abs(torch.corrcoef(torch.stack([deck, ground]))[0, 1]) < 0.3
    assert torch.equal(after.optical[~seen], before.optical[~seen])


def test_the_ground_shows_through_a_thin_veil():
    before = references()
    after = cast_clouds(before, 0.0, haze=1.0)
    seen = (before.optical_valid > 0.5).expand_as(before.optical)
    moved, ground = (after.optical - before.optical)[seen], before.optical[seen]
    assert (moved.abs() > 0).float().mean() > 0.9
    for one, other, known in zip(after.optical, before.optical, seen, strict=True):
        assert torch.corrcoef(torch.stack([one[known], other[known]]))[0, 1] > 0.5
    assert torch.corrcoef(torch.stack([moved, ground]))[0, 1] < -0.5
    assert 0 < after.false.float().mean() < 1
    assert torch.equal(after.optical[~seen], before.optical[~seen])


def test_masked_pixels_are_zero_and_said_to_be_missing():
    before = references()
    after = mask(before, holes=1.0, optical=0.0, sar=1.0)
    assert set(after.optical_valid.unique().tolist()) == {0.0, 1.0}
    assert (after.optical[after.optical_valid.expand_as(after.optical) < 0.5] == 0.0).all()
    assert after.sar_valid is not None
    assert after.sar is not None
    assert not after.sar_valid.any()
    assert not after.sar.any()
    assert not mask(before, holes=0.0, optical=1.0, sar=0.0).optical_valid.any()


@pytest.mark.parametrize("largest", [0.2, 0.9])
def test_shapes_cover_what_they_say(largest: float):
    torch.manual_seed(0)
    shares = torch.stack([random_shapes(torch.zeros(8, 1, 64, 64), largest).float().mean((1, 2, 3)) for _ in range(8)])
    assert shares.min() > 0.04
    assert shares.max() < largest + 0.01
    assert shares.std() > largest / 10


def bands(**changes: int) -> dict[str, int]:
    return {"sar": 1, "optical": 3, "sar_reference": 2, "optical_reference": 4} | changes


@pytest.mark.parametrize(
    ("direction", "changes", "message"),
    [
        ("sar2opt", {}, "must begin with sar and end with optref2opt"),
        ("optref+sar2opt", {}, "must begin with sar and end with optref2opt"),
        (
            "sar+optref2opt",
            {"optical_reference": 3},
            "optical_reference must have the bands of optical and be optional",
        ),
        ("sar+sarref+optref2opt", {"sar_reference": 1}, "sar_reference must have the bands of sar and be optional"),
    ],
)
def test_unfit_inputs_are_refused(direction: str, changes: dict[str, int], message: str):
    from saropt.methods import get_method

    cls = get_method("reference")
    with pytest.raises(ValueError, match=message):
        cls(cls.config_type(direction=direction, network_arguments=SMALL_NETWORK), bands(**changes))


def test_a_start_gives_the_candidate_of_sar_alone(tmp_path):
    from saropt.artifacts import ImageCard, TrainingCard, save_weights
    from saropt.networks import build_network
    from saropt.radiometry import EightBit
    from translator_files import make_translator_card

    torch.manual_seed(4)
    alone = build_network("naf_unet", 1, 3, **SMALL_NETWORK).eval()
    images = {
        role: ImageCard(role=role, bands=names, units="uint8", dtype="uint8", recipe=EightBit().to_dict())
        for role, names in (("sar", ("VV",)), ("optical", ("B4", "B3", "B2")))
    }
    network = {"network": "naf_unet", "arguments": SMALL_NETWORK, "stride": alone.stride}
    training = TrainingCard(data="toy", split="train", steps=1, seed=0, licence="CC0-1.0")
    card = make_translator_card(
        images, {"sar2opt": network}, name="alone", method="regression", gsd_m=10.0, training=training
    )
    path = tmp_path / "alone.safetensors"
    save_weights(path, card, {f"sar2opt.{key}": value.numpy() for key, value in alone.state_dict().items()})
    method = build("reference", start=str(path))
    source: Tensor = batch().pair(method.config.direction)[0]
    with torch.no_grad():
        candidate, *_ = method.generator.eval().decide(source)
        assert torch.allclose(candidate, alone(source[:, :1]), atol=1e-6)


def relative_batch(size: int = 16) -> Batch:
    torch.manual_seed(6)
    given = batch(size=size)
    medians = torch.rand(len(given["optical"]), 3, 1, 1).add(0.2).expand(-1, -1, size, size)
    return Batch({**given, "optical_reference": torch.cat([given["optical_reference"], medians], dim=1)})


def test_medians_reach_the_network_and_go_with_a_missing_reference():
    bands = {"sar": 1, "optical": 3, "sar_reference": 2, "optical_reference": 7, "label": 3}
    config = {**SMALL["reference"], "relative": True, "changed": (1,)}
    method = get_method("reference")(get_method("reference").config_type(**config | TRUTHFUL), bands)
    assert method.network_of(method.config.direction)[1]["relative"]
    given = relative_batch()
    source = method.attempt(given).source
    assert torch.equal(source[:, -3:], given["optical_reference"][:, -3:])
    assert torch.equal(source, given.pair(method.config.direction)[0])
    gone = get_method("reference").config_type(**config | TRUTHFUL | {"no_reference": 1.0})
    source = get_method("reference")(gone, bands).attempt(given).source
    assert not source[:, -7:].any()


def test_a_hole_keeps_the_medians_and_another_place_too():
    held = References(**{**vars(references()), "medians": torch.full((6, 3, 64, 64), 0.7)})
    assert torch.equal(mask(held, 1.0, 0.0, 0.0).medians, held.medians)
    assert torch.equal(replace_places(held, 1.0).medians, held.medians)
