"""The Deep Semantic Discriminator: its losses, what it leaves alone, its options."""

from __future__ import annotations

import pytest
import torch
from small_methods import batch, build
from torch import nn
from torch.nn import functional

from saropt.losses import dice_loss
from saropt.methods import Batch, get_method


class Truth(nn.Module):
    """A translator that knows the answer."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.answer + self.offset


def losses_of(method, images) -> dict[str, dict[str, float]]:
    return {name: {k: v.item() for k, v in losses.items()} for name, losses in method.updates(images, 0.0)}


@pytest.mark.parametrize("feature", ["deepest", "fused"])
def test_a_true_image_has_no_feature_loss(feature):
    method = build("s2oformer-dsd", feature=feature, lambda_gan=0.0)
    images = batch()
    worse = losses_of(method, images)["generator"]
    method.generator = Truth(images["optical"])
    losses = losses_of(method, images)["generator"]
    assert losses["feature"] == losses["l1"] == 0.0
    assert losses["semantic"] > 0.0
    assert worse["feature"] > 0.0


def test_statistics_of_the_judge():
    """Judged by "running" statistics, translations leave no trace in them."""
    images = batch()
    for kind in ("batch", "running"):
        method = build("s2oformer-dsd", semantic_statistics=kind, lambda_gan=0.0)
        steps = method.updates(images, 0.0)
        next(steps)
        before = {key: value.clone() for key, value in method.semantic.named_buffers() if "mean" in key}
        (name, _) = next(steps)
        assert name == "generator"
        moved = any(not torch.equal(before[key], dict(method.semantic.named_buffers())[key]) for key in before)
        assert moved == (kind == "batch")
        assert method.semantic.training


def test_losses_are_the_stated_ones():
    weights = {"lambda_l1": 50.0, "lambda_feature": 3.0, "lambda_semantic": 0.5, "lambda_dice": 2.0, "lambda_gan": 0.0}
    method = build("s2oformer-dsd", **weights)
    images = batch()
    torch.manual_seed(0)
    found = losses_of(method, images)
    torch.manual_seed(0)
    with torch.no_grad():
        fake = method.generator(images["sar"])
        known = images.label != 255

        def cross_entropy(logits):
            return functional.cross_entropy(logits.movedim(1, -1)[known], images.label[known]).item()

        real_logits, real = method.semantic(images["sar"], images["optical"])
        fake_logits, generated = method.semantic(images["sar"], fake)
    assert found["semantic"]["cross_entropy"] == pytest.approx(cross_entropy(real_logits), rel=1e-5)
    assert found["semantic"]["dice"] == pytest.approx(2 * dice_loss(real_logits, images.label).item(), rel=1e-5)
    assert found["generator"] == pytest.approx(
        {
            "l1": 50 * (fake - images["optical"]).abs().mean().item(),
            "semantic": 0.5 * cross_entropy(fake_logits),
            "feature": 3 * (generated["deepest"] - real["deepest"]).square().mean().item(),
        },
        rel=1e-4,
    )


def test_the_adversary_is_optional():
    plain, adversarial = build("unet-dsd", lambda_gan=0.0), build("unet-dsd", lambda_gan=2.0)
    assert set(plain.optimizers()) == {"semantic", "generator"}
    assert not hasattr(plain, "discriminator")
    found = losses_of(adversarial, batch())
    assert list(found) == ["semantic", "discriminator", "generator"]
    assert "gan" in found["generator"]


def test_without_its_terms_there_is_no_judge_and_no_label():
    weights = {"lambda_feature": 0.0, "lambda_semantic": 0.0}
    plain, adversarial = (build("unet-dsd", **weights, lambda_gan=gan) for gan in (0.0, 2.0))
    assert plain.roles_of(plain.config) == ("sar", "optical")
    half = build("unet-dsd", lambda_semantic=0.0)
    assert half.roles_of(half.config) == ("sar", "optical", "label")
    images = batch()
    pair = Batch({"sar": images["sar"], "optical": images["optical"]})
    assert set(plain.optimizers()) == {"generator"}
    assert losses_of(plain, pair) == {"generator": {"l1": pytest.approx(l1_of(plain, pair), rel=1e-5)}}
    assert set(losses_of(adversarial, pair)["generator"]) == {"l1", "gan"}


def l1_of(method, pair) -> float:
    with torch.no_grad():
        return 100.0 * (method.generator(pair["sar"]) - pair["optical"]).abs().mean().item()


def test_slides_parameters():
    for name, network in (("unet-dsd", "unet_256"), ("hat-dsd", "hat"), ("s2oformer-dsd", "s2oformer")):
        config = get_method(name).config_type()
        assert (config.network, config.learning_rate, config.semantic_network) == (network, 3e-4, "snunet")
        method = build(name)
        assert all(o.defaults["betas"] == (0.9, 0.999) for o in method.optimizers().values())
        assert method.learning_rate_factor("generator", 0.9) == 1.0


def test_labels_are_needed_to_train_only():
    method, images = build("hat-dsd"), batch()
    with pytest.raises(ValueError, match="hat-dsd needs labels"):
        next(method.updates(Batch({"sar": images["sar"], "optical": images["optical"]}), 0.0))
    with torch.no_grad():
        assert method.generators()["sar2opt"].eval()(images["sar"]).shape == images["optical"].shape


def test_unlabelled_windows_teach_colours_only():
    method, images = build("unet-dsd", lambda_gan=0.0), batch()
    found = losses_of(method, Batch({**images, "label": torch.full_like(images.label, 255)}))
    assert found["semantic"] == {"cross_entropy": 0.0, "dice": 0.0}
    assert found["generator"]["semantic"] == 0.0
    assert found["generator"]["l1"] > 0.0


def test_the_smallest_batch_is_that_of_the_segmenter():
    judge = {"semantic_network": "deeplabv3plus", "semantic_arguments": {"encoder": "resnet18"}}
    assert build("hat-dsd", **judge).smallest_batch == 2
    assert build("hat-dsd").smallest_batch == 1
