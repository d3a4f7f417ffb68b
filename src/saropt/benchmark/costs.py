"""What the networks of a method cost, counted as in CRAN's Table 5: both directions together, and discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saropt.benchmark.suite import RunSpec, Suite, row_values
from saropt.domain import Role
from saropt.methods import get_method

DISCRIMINATORS = "discriminators"
SIDE = 256


@dataclass(frozen=True)
class Cost:
    """Parameters in millions, and billions of operations over 256x256 pixels: products and additions of biases of
    convolutions, those of transposed ones on their output grid."""

    parameters_m: float
    operations_g: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.parameters_m + other.parameters_m, self.operations_g + other.operations_g)


def cost_of(network: nn.Module, bands: int) -> Cost:
    """The cost of a network on the meta device.

    >>> with torch.device("meta"):
    ...     found = cost_of(nn.Conv2d(3, 2, 1), bands=3)
    >>> round(found.operations_g * 1e9) == (3 * 2 + 2) * 256 * 256
    True
    """
    counted: list[int] = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        numbers = sum(parameter.numel() for parameter in layer.parameters())
        counted.append(numbers * (output.shape[-1] // 2 * 2) ** 2)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network(torch.empty(1, bands, SIDE, SIDE, device="meta"))
    for hook in hooks:
        hook.remove()
    return Cost(sum(parameter.numel() for parameter in network.parameters()) / 1e6, sum(counted) / 1e9)


def lines_of_costs(suite: Suite, images: Mapping[Role, Mapping[str, Any]]) -> list[str]:
    """A line for each row that the suite has published costs of, and for the discriminators; none without images.

    Args:
        images: role -> what report.json says of its images, its `bands` among it.
    """
    lines, judges = [], None
    bands = {role: len(image["bands"]) for role, image in images.items()}
    for run in suite.runs:
        if bands and run.name in suite.costs:
            translators, judges = _costs(suite, run, bands)
            lines.append(_line(run.name, translators, suite.costs[run.name]))
    if judges is not None and DISCRIMINATORS in suite.costs:
        lines.append(_line(DISCRIMINATORS, judges, suite.costs[DISCRIMINATORS]))
    return lines


def _costs(suite: Suite, run: RunSpec, bands: Mapping[Role, int]) -> tuple[Cost, Cost]:
    cls = get_method(run.method)
    config = cls.config_type(**row_values(suite, run).get("arguments", {}))
    with torch.device("meta"):
        method = cls(config, dict(bands))
    found = {"translator": Cost(0.0, 0.0), "discriminator": Cost(0.0, 0.0)}
    for name, network, channels in method.window_networks():
        found[name] += cost_of(network, channels)
    passes = 2 if getattr(config, "lambda_cycle", 0.0) else 1
    translators = found["translator"]
    return Cost(translators.parameters_m, passes * translators.operations_g), found["discriminator"]


def _line(name: str, cost: Cost, published: tuple[float, float]) -> str:
    return (
        f"{name}: {cost.parameters_m:.2f} M parameters (published {published[0]:g}), "
        f"{cost.operations_g:.2f} G operations (published {published[1]:g})"
    )
