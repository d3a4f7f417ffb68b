"""A small translator that takes an earlier optical image, for the tests of several rooms."""

from __future__ import annotations

from pathlib import Path

import torch

from saropt.artifacts import Card, DirectionCard, ImageCard, TrainingCard
from saropt.artifacts.export import export_graph
from saropt.domain import Direction
from saropt.networks import build_network
from saropt.radiometry import DbClip, EightBit, Reflectance

DIRECTION = Direction(["sar", "sar_reference", "optical_reference"], "optical")
BANDS = ("B4", "B3", "B2")


def reference_translator(folder: Path, fresh: bool, relative: bool = False, bands: tuple[str, ...] = BANDS) -> Path:
    """A small `reference_unet`: fresh, so that it copies, or one that decides at random; whether it works in multiples
    of the earlier image's medians."""
    torch.manual_seed(0)
    arguments = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "relative": relative}
    network = build_network("reference_unet", 1 + 2 + 4 + 3 * relative, 5, **arguments).eval()
    if not fresh:
        torch.nn.init.normal_(network.unet.exit.weight, 0.0, 0.3)
        network.unet.exit.bias.data.zero_()
    sar = {"bands": ("VH",), "units": "sigma0_db", "dtype": "float32", "recipe": DbClip().to_dict()}
    optical = {"bands": bands, "units": "uint8", "dtype": "uint8", "recipe": EightBit().to_dict()}
    percent = Reflectance(scale=1.0, high=100.0).to_dict()
    described = DirectionCard(
        inputs=(
            ImageCard(role="sar", **sar),
            ImageCard(role="sar_reference", optional=True, **sar),
            ImageCard(role="optical_reference", optional=True, scene_median=relative, **optical),
        ),
        outputs=(
            ImageCard(role="optical", **optical),
            ImageCard(
                role="origin",
                bands=("from radar", "change likelihood"),
                units="percent",
                dtype="uint8",
                recipe=percent,
                product="origin",
            ),
        ),
        network="reference_unet",
        arguments=arguments,
        stride=network.stride,
        receptive_field=network.receptive_field,
        tile=128,
    )
    card = Card(
        name="test",
        method="reference",
        directions={DIRECTION: described},
        gsd_m=10.0,
        training=TrainingCard(data="none", split="train", steps=0, seed=0, licence="none"),
    )
    path = folder / f"{'fresh' if fresh else 'decided'}{'-relative' if relative else ''}.onnx"
    export_graph(path, card, DIRECTION, [network])
    return path
