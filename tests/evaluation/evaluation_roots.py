"""Small data roots and translators for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from saropt.scenes import write_scene


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
        red = np.clip(sar // 2 + random.integers(0, 9, sar.shape), 0, 255)
        optical = np.concatenate([red, random.integers(0, 256, (2, *shape))]).astype(np.uint8)
        sar[:, :invalid_rows] = 0
        (root / "sar").mkdir(parents=True, exist_ok=True)
        (root / "optical").mkdir(exist_ok=True)
        write_scene(root / "sar" / f"{name}.tif", sar, nodata=0 if invalid_rows else None, overwrite=True)
        write_scene(root / "optical" / f"{name}.tif", optical, overwrite=True)
    (root / "splits.csv").write_text("name,split\n" + "".join(f"{n},{s}\n" for n, s in splits.items()))
    (root / "dataset.yaml").write_text(
        "name: toy\ngsd_m: 10\nsar: {bands: [VH], units: amplitude}\noptical: {bands: [R, G, B], units: uint8}\n"
        f"licence: none <at all>\n{extra}"
    )
    return root


def make_model(
    name: str,
    translate: Callable[[np.ndarray], np.ndarray],
    direction: str = "sar2opt",
    sar_bands: tuple[str, ...] = ("VH",),
    optical_bands: tuple[str, ...] = ("B4", "B3", "B2"),
    optical_units: str = "uint8",
) -> SimpleNamespace:
    """A translator-like object around a function of the raw values."""
    images = {
        "sar": SimpleNamespace(bands=sar_bands, units="amplitude", dtype="uint8"),
        "opt": SimpleNamespace(bands=optical_bands, units=optical_units, dtype="uint8"),
    }
    card = SimpleNamespace(
        name=name,
        method="toy",
        training="toy data",
        source=lambda direction: images[direction[:3]],
        target=lambda direction: images[direction[-3:]],
    )
    model = SimpleNamespace(card=card, direction=direction, calls=[])

    def translate_array(values: np.ndarray, *, units: str, valid: np.ndarray | None = None) -> np.ndarray:
        model.calls.append((values.shape, units, valid))
        return translate(values)

    model.translate_array = translate_array
    return model
