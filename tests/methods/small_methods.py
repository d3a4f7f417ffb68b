"""Small instances of every method, and batches for them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import torch

from saropt.artifacts import ImageCard, TrainingCard, save_weights
from saropt.methods import Batch, Method, get_method
from saropt.networks import build_network
from saropt.radiometry import EightBit, Q99Amplitude
from saropt.roots import IGNORED
from translator_files import make_translator_card

SMALL_NETWORK = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}
SMALL_CYCLE = {"network_arguments": {"width": 4, "blocks": 1}, "discriminator_width": 4}
SMALL_CUT = {"network_arguments": {"width": 4, "blocks": 5}, "discriminator_width": 4, "projection_width": 8}
SMALL_ATTENTION = {"width": 8, "depths": [2], "heads": [2], "window": 4, "squeeze": 4}
SMALL_DSD = {"semantic_arguments": {"width": 4}, "discriminator_width": 4, "lambda_gan": 1.0}
SMALL_CRAN = {"network_arguments": {"width": 2}, "discriminator_width": 4}
SMALL_DIFFUSION = {
    **{"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [2], "heads": 2},
    **{"times": 20, "steps": 2},
}
SMALL = {
    "con-diffusion": {"network_arguments": SMALL_DIFFUSION},
    "one-step-diffusion": {
        "network_arguments": {"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [], "times": 20},
        "discriminator_width": 4,
        "adversarial_start": 0.5,
    },
    "bridge": {
        "network_arguments": {"width": 8, "encoder": [1], "middle": 1, "decoder": [1]},
        "discriminator_width": 4,
        "adversarial_start": 0.5,
    },
    "unet-dsd": {**SMALL_DSD, "network": "naf_unet", "network_arguments": SMALL_NETWORK},
    "hat-dsd": {
        **SMALL_DSD,
        "network_arguments": SMALL_ATTENTION,
        "semantic_network": "compact",
        "semantic_arguments": {"width": 4},
    },
    "s2oformer-dsd": {**SMALL_DSD, "network_arguments": SMALL_ATTENTION},
    "cran": {**SMALL_CRAN, "lambda_cycle": 1.0},
    "cran-refine": {"discriminator_width": 4},
    "regression": {"network": "naf_unet", "network_arguments": SMALL_NETWORK},
    "compact": {
        "network": "naf_unet",
        "network_arguments": SMALL_NETWORK,
        "discriminator_width": 4,
        "adversarial_start": 0.5,
    },
    "reference": {"network_arguments": SMALL_NETWORK, "discriminator_width": 4, "adversarial_start": 0.5},
    "pix2pix": {"network": "naf_unet", "network_arguments": SMALL_NETWORK, "discriminator_width": 4},
    "cyclegan": SMALL_CYCLE,
    "shift-cyclegan": SMALL_CYCLE,
    "tuigan": {"scales": 3, "width": 4},
    "cut": SMALL_CUT,
    "fastcut": SMALL_CUT,
    "qs-attn": SMALL_CUT,
    "sgcl": {**SMALL_CUT, "guidance": "kmeans", "classes": 3, "num_queries": 16},
}
CLASSES = 3


@cache
def translator_file(sar_bands: int, optical_bands: int, direction: str | None = None, **of_sar: object) -> str:
    """A small CRAN of both directions, or of one, as a translator file; its card says `of_sar` of the SAR images."""
    torch.manual_seed(5)
    arguments = {"width": 2}
    channels = {"sar2opt": (sar_bands, optical_bands), "opt2sar": (optical_bands, sar_bands)}
    directions = [direction] if direction else list(channels)
    weights = {
        f"{name}.{key}": value.numpy()
        for name in directions
        for key, value in build_network("cran", *channels[name], **arguments).state_dict().items()
    }
    sides = {
        name: ImageCard(
            role=name,
            bands=tuple(f"{name}{band}" for band in range(count)),
            units=units,
            dtype="uint8",
            recipe=recipe,
            statistics=statistics,
            **(of_sar if name == "sar" else {}),
        )
        for name, count, units, recipe, statistics in (
            ("sar", sar_bands, "amplitude", Q99Amplitude().to_dict(), (255.0,) * sar_bands),
            ("optical", optical_bands, "uint8", EightBit().to_dict(), ()),
        )
    }
    network = {"network": "cran", "arguments": arguments, "stride": 32}
    card = make_translator_card(
        sides,
        dict.fromkeys(directions, network),
        name="start",
        method="cran",
        gsd_m=10.0,
        training=TrainingCard(data="toy", split="train", steps=1, seed=0, licence="CC0-1.0"),
    )
    path = Path(tempfile.mkdtemp()) / "start.safetensors"
    save_weights(path, card, weights)
    return str(path)


def build(name: str, sar_bands: int = 1, optical_bands: int = 3, **changes) -> Method:
    torch.manual_seed(0)
    cls = get_method(name)
    may_start = name == "reference" or getattr(cls, "goes_on", False)
    needs_start = "start" in cls.config_type.model_fields and not may_start
    start = {"start": translator_file(sar_bands, optical_bands)} if needs_start else {}
    config = cls.config_type(**{**SMALL.get(name, {}), **start, **changes})
    earlier = {"sar_reference": sar_bands + 1, "optical_reference": optical_bands + 1}
    return cls(config, {"sar": sar_bands, "optical": optical_bands, "label": CLASSES, **earlier}).train()


def batch(sar_bands: int = 1, optical_bands: int = 3, size: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(2, c, size, size, generator=generator) * 2 - 1 for c in (sar_bands, optical_bands)]
    label = torch.randint(CLASSES, (2, size, size), generator=generator)
    label[:, :4] = IGNORED
    valid = (torch.rand(2, 1, size, size, generator=generator) < 0.8).float()
    earlier = [torch.cat([image.roll(1, 0) * valid, valid], dim=1) for image in images]
    return Batch(
        {
            "sar": images[0],
            "optical": images[1],
            "sar_reference": earlier[0],
            "optical_reference": earlier[1],
            "label": label,
        }
    )
