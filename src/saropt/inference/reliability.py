"""The map of reliability: within how much of each pixel's value the truth lies, as the card states it."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import DirectionCard, ImageCard, ReliabilityCard
from saropt.artifacts.graph import NO_RELIABILITY
from saropt.domain import Role, describe_role
from saropt.errors import InputError, OptionError
from saropt.inference.products import Product, suffix_of
from saropt.radiometry import Normaliser
from saropt.scenes import Scene

RELIABLE = "reliable"
_STRIDE, _MARGIN = 4, 30


def with_errors(described: DirectionCard) -> DirectionCard:
    """How a network is tiled together with its network of errors (`saropt.networks.ErrorNetwork`).

    >>> from saropt.inference.bundled import card_of, find_translator
    >>> described = next(iter(card_of(find_translator("s1-losangeles")).directions.values()))
    >>> with_errors(described).receptive_field - described.receptive_field
    30
    """
    field = described.receptive_field
    stride = math.lcm(described.stride, _STRIDE)
    return described.model_copy(
        update={"stride": stride, "receptive_field": None if field is None else field + _MARGIN}
    )


def check_reliability(path: Path, described: DirectionCard, realism: float | None) -> ReliabilityCard:
    """The calibration of a file's network of errors.

    Raises:
        InputError: the file has none.
        OptionError: it holds for another realism.

    >>> from saropt.inference.bundled import card_of, find_translator
    >>> described = next(iter(card_of(find_translator("s1-world")).directions.values()))
    >>> check_reliability(Path("s1-world.onnx"), described, realism=0.0).alpha
    0.1
    """
    card = described.reliability
    if card is None:
        raise InputError(path, NO_RELIABILITY)
    if card.realism != realism:
        reason = f"the reliability of this file was calibrated at realism {card.realism:g}"
        raise OptionError("realism", realism, reason)
    return card


def uncalibrated(card: ReliabilityCard, given: Collection[Role]) -> list[str]:
    """A line where a scene lacks an input that all scenes of the calibration had.

    >>> fields = {"scale": (2.0,), "budget": 12.0, "data": ("a",), "scenes": 20, "coverage": 0.91}
    >>> card = ReliabilityCard(alpha=0.1, least_coverage=0.8, inputs=("sar", "sar_reference"), **fields)
    >>> uncalibrated(card, {"sar"})
    ['the half-widths were calibrated with earlier SAR: without it they may hold fewer of the true values']
    """
    names = [describe_role(role).title for role in card.inputs if role not in given]
    if not names:
        return []
    what, it = " and ".join(names), "it" if len(names) == 1 else "them"
    return [f"the half-widths were calibrated with {what}: without {it} they may hold fewer of the true values"]


def reliability_in_words(path: str | Path, card: ReliabilityCard) -> str:
    """What share of the pixels of a written map lies within the error budget, and how far the map held before.

    Args:
        path: the map; of a large one a million pixels from all over it are looked at.

    >>> from saropt.scenes import write_array
    >>> path = write_array("a_reliability.tif", np.repeat([400.0, 1.0], 4).reshape(2, 2, 2).astype(np.float32))
    >>> fields = {"scale": (2.0,), "budget": 500.0, "data": ("a",), "scenes": 20, "coverage": 0.91}
    >>> reliability_in_words(path, ReliabilityCard(alpha=0.1, least_coverage=0.8, **fields))[:55]
    '100.0% of its pixels lie within the error budget of 500'
    """
    with Scene.open(path) as written:
        share = float(written.sample()[-1].mean())
    return (
        f"{share:.1%} of its pixels lie within the error budget of {card.budget:g}; of left-out scenes it held "
        f"{card.coverage:.1%} of the pixels on average, {card.least_coverage:.1%} in the worst"
    )


def reach_to_truth(
    normaliser: Normaliser, network: NDArray[np.float32], truth: NDArray[np.floating]
) -> NDArray[np.float32]:
    """The least reach in network values whose half-width (`reliability_product`) holds the truth.

    A half-width is in the units of the image and symmetric, so a truth beyond the range of the recipe is held where
    the output lies as far from the other end. It is infinite where no reach holds the truth.

    Args:
        network: (B, h, w) the network's output.
        truth: (B, h, w) in the units of the image, finite.

    >>> from saropt.radiometry import Reflectance
    >>> normaliser = Reflectance(scale=10000.0, high=0.4).fit(np.zeros((1, 1, 1)), "reflectance x 10000", "uint16")
    >>> network = np.array([0.0, 0.5, 1.0, -1.0], np.float32).reshape(1, 2, 2)
    >>> truth = np.array([2200.0, 5000.0, 4000.0, 5000.0]).reshape(1, 2, 2)
    >>> reach_to_truth(normaliser, network, truth).ravel().round(3).astype(str).tolist()
    ['0.1', '1.0', '0.0', 'inf']
    """
    ends = (network, np.full_like(network, -1.0), np.full_like(network, 1.0))
    value, bottom, top = (normaliser.inverse(part).astype(np.float64) for part in ends)
    distance = np.abs(truth.astype(np.float64) - value)
    slack = 1e-6 * (top - bottom)
    up, down = value + distance, value - distance
    above = np.where(up <= top + slack, normaliser.forward(np.minimum(up, top)) - network, np.inf)
    below = np.where(down >= bottom - slack, network - normaliser.forward(np.maximum(down, bottom)), np.inf)
    return np.minimum(above, below).clip(0.0).astype(np.float32)


def reliability_product(outputs: tuple[ImageCard, ...], card: ReliabilityCard) -> Product:
    """Half-width of every band, in the units of the image, and a band that is 1 where their mean is in the budget.

    Where the units are no linear function of the network's values, the half-width is the longer side of the interval.

    Args:
        outputs: of the network; its errors stand behind them.

    >>> from saropt.radiometry import Reflectance
    >>> recipe = Reflectance(scale=10000.0, high=0.4).to_dict()
    >>> image = ImageCard(role="optical", bands=("B4",), units="reflectance x 10000", dtype="uint16", recipe=recipe)
    >>> fields = {"scale": (2.0,), "budget": 500.0, "data": ("a",), "scenes": 20, "coverage": 0.91}
    >>> card = ReliabilityCard(alpha=0.1, least_coverage=0.8, **fields)
    >>> network = np.array([0.0, 0.1], np.float32).reshape(2, 1, 1)
    >>> np.round(reliability_product((image,), card).decode(network).ravel(), 3).tolist()
    [400.0, 1.0]
    """
    image = outputs[0]
    bands, behind = len(image.bands), sum(len(one.bands) for one in outputs)
    inverse = image.normaliser().inverse
    scale = np.array(card.scale, np.float32)[:, None, None]

    def decode(network: NDArray[np.float32]) -> NDArray[np.float32]:
        middle, reach = network[:bands], scale * network[behind : behind + bands]
        low, value, high = (inverse(part).astype(np.float32) for part in (middle - reach, middle, middle + reach))
        half_width = np.maximum(high - value, value - low)
        reliable = half_width.mean(axis=0, keepdims=True) <= card.budget
        return np.concatenate([half_width, reliable.astype(np.float32)])

    names = (*(f"half-width {band}" for band in image.bands), RELIABLE)
    content = f"half-width within which {1.0 - card.alpha:.0%} of the true values lie, in {image.units}"
    said = {
        "SAROPT_CONTENT": content,
        "SAROPT_COVERAGE": f"{card.coverage:.3f} on average over {card.scenes} scenes, {card.least_coverage:.3f} least",
        "SAROPT_CALIBRATED_ON": ", ".join(card.data),
        "SAROPT_ERROR_BUDGET": f"{card.budget:g}",
    }
    return Product("reliability", names, "float32", math.nan, decode, suffix_of("reliability"), said)
