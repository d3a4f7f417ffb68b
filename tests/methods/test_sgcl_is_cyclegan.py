"""SGCL without L_seg and L_sc is CycleGAN."""

from __future__ import annotations

import torch

from saropt.methods import Batch, get_method

SMALL = {"discriminator_width": 4, "lambda_identity": 0.5}


def losses(name: str, **changes) -> list[tuple[str, dict[str, float]]]:
    torch.manual_seed(0)
    cls = get_method(name)
    arguments = {"width": 4, "blocks": 1, "antialias": True}
    method = cls(cls.config_type(**SMALL, network_arguments=arguments, **changes), {"sar": 1, "optical": 3})
    torch.manual_seed(1)
    batch = Batch({"sar": torch.rand(2, 1, 32, 32) * 2 - 1, "optical": torch.rand(2, 3, 32, 32) * 2 - 1})
    return [(step, {key: value.item() for key, value in terms.items()}) for step, terms in method.updates(batch, 0.0)]


def test_l_gan_and_l_cyc_alone_are_cyclegan_to_the_bit():
    assert losses("sgcl", lambda_seg=0.0, lambda_sc=0.0) == losses("cyclegan")
