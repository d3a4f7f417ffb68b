"""Small data roots and translators for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from saropt.artifacts import Card, ImageCard, TrainingCard
from saropt.domain import Direction
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import LoadOptions, Translator
from saropt.scenes import write_array
from translator_files import make_translator_card


def make_root(
    folder: Path, splits: dict[str, str], shape: tuple[int, int] = (64, 64), *, invalid_rows: int = 0, extra: str = ""
) -> Path:
    """A root of VH amplitude and RGB, 8 bits, red = half the SAR + noise; the upper `invalid_rows` of the SAR are
    nodata.
    """
    root = folder / "root"
    random = np.random.default_rng(0)
    for name in splits:
        sar = random.integers(1, 256, (1, *shape)).astype(np.uint8)
        red = np.clip(sar // 2 + random.integers(0, 9, sar.shape), 1, 255)
        optical = np.concatenate([red, random.integers(1, 256, (2, *shape))]).astype(np.uint8)
        sar[:, :invalid_rows] = 0
        (root / "sar").mkdir(parents=True, exist_ok=True)
        (root / "optical").mkdir(exist_ok=True)
        write_array(root / "sar" / f"{name}.tif", sar, nodata=0 if invalid_rows else None, overwrite=True)
        write_array(root / "optical" / f"{name}.tif", optical, overwrite=True)
    (root / "splits.csv").write_text("name,split\n" + "".join(f"{n},{s}\n" for n, s in splits.items()))
    (root / "dataset.yaml").write_text(
        "name: toy\ngsd_m: 10\nsar: {bands: [VH], units: amplitude}\noptical: {bands: [R, G, B], units: uint8}\n"
        f"licence: none <at all>\n{extra}"
    )
    return root


class FunctionBackend:
    """A network that is a function of raw 8-bit values (C, h, w), pixel by pixel or of whole rasters."""

    name = "function"
    needs_samples = False

    def __init__(self, translate: Callable[[np.ndarray], np.ndarray]) -> None:
        self.translate = translate

    def freeze(self, samples: np.ndarray) -> None:
        raise AssertionError("needs no samples")

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        outputs = []
        for network in batch:
            raw = np.rint((network + 1.0) * 127.5).astype(np.uint8)
            outputs.append(np.asarray(self.translate(raw), np.float32) / 127.5 - 1.0)
        return np.stack(outputs)


def make_card(
    name: str,
    direction: str = "sar2opt",
    sar_bands: tuple[str, ...] = ("VH",),
    optical_bands: tuple[str, ...] = ("B4", "B3", "B2"),
    optical_units: str = "uint8",
    dtype: str = "uint8",
    training: str = "toy data",
    optional: bool = True,
) -> Card:
    """The card of a toy translator; `dtype` is that of its output, `optional` says whether an
    earlier optical image may be missing."""
    eight_bit = {"kind": "eight_bit"}
    images = {
        "optical_reference": ImageCard(
            role="optical_reference",
            bands=optical_bands,
            units="uint8",
            dtype="uint8",
            recipe=eight_bit,
            optional=optional and direction != "optref2opt",
        ),
        "sar": ImageCard(role="sar", bands=sar_bands, units="amplitude", dtype=dtype, recipe=eight_bit),
        "optical": ImageCard(role="optical", bands=optical_bands, units=optical_units, dtype=dtype, recipe=eight_bit),
    }
    return make_translator_card(
        images,
        {direction: {"network": "function", "stride": 1, "receptive_field": 1}},
        name=name,
        method="toy",
        gsd_m=10.0,
        training=TrainingCard(data=training, split="train", steps=0, seed=0, licence="none"),
    )


def make_model(
    name: str,
    translate: Callable[[np.ndarray], np.ndarray],
    direction: str = "sar2opt",
    kind: type[Translator] = Translator,
    **card: Any,
) -> Translator:
    """A translator around a function of the raw values (C, H, W); the rasters of these tests fit into one window."""
    described = make_card(name, direction, **card)
    return kind(Path(f"{name}.onnx"), described, Direction.parse(direction), FunctionBackend(translate), LoadOptions())


def run(models: list[Translator], data: Any, out: Path, **options: Any) -> dict[str, Any]:
    """What report.json of an evaluation holds."""
    return evaluate(EvaluationSpec(data, models, **options), out).report
