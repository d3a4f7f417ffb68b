"""SGCL: weights, gradients and what reaches what."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from saropt.artifacts import ImageCard, SegmenterCard, TrainingCard, save_weights
from saropt.losses import patch_nce
from saropt.methods import SGCL, Batch
from saropt.methods.guidance import ClassGuide, Guide
from saropt.methods.sgcl import Contrast, SGCLConfig, l_sc
from saropt.networks import build_segmenter

SMALL = {
    "network_arguments": {"width": 4, "blocks": 5},
    "discriminator_width": 4,
    "projection_width": 8,
    "num_queries": 16,
    "classes": 3,
}
NETWORK = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1}


def batch(size: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        {r: torch.rand(2, c, size, size, generator=generator) * 2 - 1 for r, c in (("sar", 1), ("optical", 3))}
    )


def losses(**changes) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    method = SGCL(SGCLConfig(**{**SMALL, "guidance": "kmeans", **changes}), {"sar": 1, "optical": 3})
    return next(iter(method.updates(batch(), 0.0)))[1]


@pytest.fixture
def segmenters(tmp_path):
    """Segmenter files of both sides with random weights."""
    paths = {}
    for modality, bands in (("sar", ("VH",)), ("optical", ("B4", "B3", "B2"))):
        torch.manual_seed(3)
        network = build_segmenter("compact", len(bands), 3, **NETWORK)
        card = SegmenterCard(
            name=modality,
            network="compact",
            arguments=NETWORK,
            stride=network.stride,
            receptive_field=network.receptive_field,
            input=ImageCard(role=modality, bands=bands, units="uint8", dtype="uint8", recipe={"kind": "eight_bit"}),
            classes={0: "a", 1: "b", 2: "c"},
            gsd_m=10.0,
            training=TrainingCard(data=f"labelled {modality}", split="train", steps=0, seed=0, licence="none"),
        )
        paths[f"{modality}_segmenter"] = str(tmp_path / f"{modality}.safetensors")
        weights = {key: value.numpy() for key, value in network.state_dict().items()}
        save_weights(paths[f"{modality}_segmenter"], card, weights)
    return paths


def test_the_terms_of_equation_6():
    names = {
        *("gan_optical", "gan_sar", "cycle_optical", "cycle_sar", "identity_optical", "identity_sar"),
        *("seg_optical", "seg_sar", "sc_fake_optical", "sc_fake_sar", "sc_identity_optical", "sc_identity_sar"),
    }
    plain = losses()
    assert set(plain) == names
    doubled = losses(lambda_cycle=20.0, lambda_identity=1.0, lambda_gan=2.0, lambda_seg=2.0, lambda_sc=2.0)
    for name in names:
        assert doubled[name].item() == pytest.approx(2.0 * plain[name].item(), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"lambda_cycle": 0, "lambda_identity": 0, "lambda_seg": 0, "lambda_sc": 0}, {"gan"}),
        ({"lambda_seg": 0, "lambda_sc": 0}, {"gan", "cycle", "identity"}),
        ({"lambda_sc": 0}, {"gan", "cycle", "identity", "seg"}),
        ({"lambda_seg": 0}, {"gan", "cycle", "identity", "sc"}),
        ({"guidance": "none", "lambda_seg": 0}, {"gan", "cycle", "identity", "sc"}),
        ({"guidance": "soft", "lambda_seg": 0}, {"gan", "cycle", "identity", "sc"}),
    ],
)
def test_rows_of_table_4(changes, kinds):
    assert {name.split("_")[0] for name in losses(**changes)} == kinds


def test_one_class_leaves_nothing_to_contrast():
    found = losses(control="one_class")
    assert all(abs(value.item()) < 1e-5 for name, value in found.items() if name.startswith("sc_"))
    assert all(value.item() > 0.1 for name, value in losses().items() if name.startswith("sc_"))


def contrast(guide: Guide, **changes) -> float:
    torch.manual_seed(0)
    method = SGCL(SGCLConfig(**SMALL, guidance="none", lambda_seg=0, **changes), {"sar": 1, "optical": 3}).double()
    queries, keys = ([torch.randn(2, c, 16, 16, dtype=torch.float64) for c in (1, 8, 16, 16, 16)] for _ in range(2))
    torch.manual_seed(5)
    contrast = Contrast(method.sar2opt_projection, queries, keys, guide, torch.zeros(2, 1, 16, 16))
    return l_sc({"fake_optical": contrast}, method.config)["sc_fake_optical"].item()


def test_distinct_classes_are_no_guidance():
    assert contrast(ClassGuide(nn.Identity(), "distinct")) == contrast(Guide())


def test_no_guidance_with_sampled_keys_is_patch_nce():
    torch.manual_seed(0)
    method = SGCL(SGCLConfig(**SMALL, guidance="none", lambda_seg=0), {"sar": 1, "optical": 3}).double()
    queries, keys = ([torch.randn(2, c, 16, 16, dtype=torch.float64) for c in (1, 8, 16, 16, 16)] for _ in range(2))
    torch.manual_seed(5)
    places = [torch.randperm(256)[:16] for _ in keys]
    vectors = [method.sar2opt_projection(maps, places) for maps in (queries, keys)]
    terms = [patch_nce(q, k, 0.07).item() for q, k in zip(*vectors, strict=True)]
    assert contrast(Guide(), all_keys_up_to=0) == pytest.approx(sum(terms) / 5, rel=1e-9)


def test_labels_guide_both_generators_and_no_segmenter(segmenters):
    torch.manual_seed(0)
    method = SGCL(SGCLConfig(**SMALL, **segmenters), {"sar": 1, "optical": 3})
    assert {modality: side.bands for modality, side in method.trained_inputs().items()} == {
        "sar": ("VH",),
        "optical": ("B4", "B3", "B2"),
    }
    assert [one.data for one in method.earlier_trainings()] == ["labelled sar", "labelled optical"]
    assert not [key for key, _ in method.named_parameters() if "guide" in key]
    assert not [key for key in method.state_dict() if "guide" in key]
    before = {key: value.clone() for key, value in method.named_buffers() if "guide" in key}
    name, found = next(iter(method.updates(batch(), 0.0)))
    method.zero_grad(set_to_none=True)
    (found["seg_sar"] + found["seg_optical"]).backward()
    for generator in (method.sar2opt, method.opt2sar):
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in generator.parameters() if p.ndim == 4)
    assert name == "generators"
    assert before
    assert all(torch.equal(value, before[key]) for key, value in method.named_buffers() if key in before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "saropt segment train"),
        ({"guidance": "soft"}, "set lambda_seg to 0"),
        ({"guidance": "none", "lambda_seg": 0, "control": "permuted"}, "needs classes"),
    ],
)
def test_unfit_guidance_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SGCLConfig(**changes)


def test_exchanged_segmenters_are_refused(segmenters):
    exchanged = {"sar_segmenter": segmenters["optical_segmenter"], "optical_segmenter": segmenters["sar_segmenter"]}
    with pytest.raises(ValueError, match="segments optical images, not sar"):
        SGCL(SGCLConfig(**SMALL, **exchanged), {"sar": 1, "optical": 3})
