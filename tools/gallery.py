"""The pictures and the page of the gallery: simulated places, translated by bundled translators, beside the truth.

    python tools/gallery.py

Writes docs/gallery.md and docs/figures/gallery/*.webp. Everything is simulated, so nothing needs an attribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saropt import Translator
from saropt.roots.simulated_dates import BRIGHT_END, as_reflectance
from saropt.simulate import DatesConfig, SceneConfig, SimulatedDates, amplitude_q99, simulate_dates, simulate_scene

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "figures" / "gallery"
SIZE, SHOWN = 512, 384
SHOWN_END = 0.3


@dataclass(frozen=True)
class Case:
    """A simulated place at two dates, and what is said of it; without dates SAR alone is translated."""

    key: str
    verdict: str
    title: str
    text: str
    seed: int
    season: str = "summer"
    dates: DatesConfig | None = None


CASES = (
    Case(
        "flood",
        "Good",
        "a flood, with a clear earlier image",
        "`s1-reference` keeps the ground that SAR does not contradict and fills the flood from radar.",
        29,
        dates=DatesConfig("summer", crops=0.0, built=0.0, flooded=0.3, clouds=0.0, gaps=0.0),
    ),
    Case(
        "flood-cloud",
        "Middling",
        "a flood, with a cloudy earlier image of another season",
        "Water is found. Under the old clouds colours are a guess, and edges of clouds show: no mask was given.",
        11,
        "autumn",
        DatesConfig("summer", crops=0.15, built=0.03, flooded=0.15, clouds=0.2, gaps=0.0),
    ),
    Case(
        "crops",
        "Failing",
        "other crops on many fields",
        "SAR hardly shows which crop grows. Nearly all changes are missed, and the earlier image comes back.",
        23,
        dates=DatesConfig("spring", crops=0.5, built=0.1, flooded=0.0, clouds=0.0, gaps=0.0),
    ),
    Case(
        "alone",
        "Failing",
        "SAR alone, far from the training data",
        "`s1-losangeles` sees one VH band. It draws roads and shores where they are, and paints the wrong colours.",
        5,
    ),
    Case(
        "winter",
        "Failing",
        "SAR alone, in winter",
        "Shores, roads and large roofs are found. The brown of bare fields and hills does not stand in one VH band.",
        8,
        "winter",
    ),
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = [HEAD]
    for case in CASES:
        panels, figures = make_dates(case, case.dates) if case.dates is not None else make_scene(case)
        for name, image in panels.items():
            save(image, FOLDER / f"{case.key}-{slug(name)}.webp")
        parts.append(section(case, list(panels), figures))
    (DOCS / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


def make_dates(case: Case, dates: DatesConfig) -> tuple[dict[str, NDArray], dict[str, float]]:
    """Panels and PSNR in dB by row."""
    two = simulate_dates(SIZE, case.seed, config=SceneConfig(season=case.season), dates=dates)
    translator = Translator.load("s1-reference")
    sources = {
        "sar": source_of(decibels(two.sigma0)),
        "sar_reference": source_of(decibels(two.sigma0_before)),
        "optical_reference": source_of(as_reflectance(two.optical_before)),
    }
    made = {
        product.name: np.zeros((len(product.bands), SIZE, SIZE), product.dtype) for product in translator.products()
    }

    def write(block) -> None:
        w = block.window
        for name, pixels in block.products.items():
            made[name][:, w.row : w.row + w.height, w.col : w.col + w.width] = pixels

    translator.stream(sources, write, units={"sar": "sigma0_db", "sar_reference": "sigma0_db"})
    truth, earlier = as_reflectance(two.optical), as_reflectance(two.optical_before)
    panels = {
        "earlier optical image": shown(earlier),
        "SAR today (VV)": grey(decibels(two.sigma0)[:1]),
        "translation": shown(made["image"]),
        "from radar (white)": (made["origin"][:1] * 2.55).astype(np.uint8),
        "truth": shown(truth),
    }
    return panels, by_ground(two, made["image"], earlier, truth)


def by_ground(two: SimulatedDates, image: NDArray, earlier: NDArray, truth: NDArray) -> dict[str, float]:
    changed = (two.change > 0) | two.clouded
    rows = {"translation": image, "copy of the earlier image": earlier}
    grounds = {"all": np.ones_like(changed), "changed or clouded": changed, "other": ~changed}
    top = BRIGHT_END * 10_000
    return {
        f"{row}, {ground}": psnr(pixels[:, where] / top, truth[:, where] / top)
        for row, pixels in rows.items()
        for ground, where in grounds.items()
    }


def make_scene(case: Case) -> tuple[dict[str, NDArray], dict[str, float]]:
    scene = simulate_scene(SIZE, case.seed, looks=8.0, config=SceneConfig(season=case.season))
    sar = amplitude_q99(scene.sigma0)[None]
    image = Translator.load("s1-losangeles")(sar)
    truth = np.rint(scene.optical * 255).astype(np.uint8)
    mean = np.broadcast_to(truth.mean(axis=(1, 2), keepdims=True), truth.shape)
    figures = {
        "translation, all": psnr(image / 255, truth / 255),
        "the scene's own mean colour, all": psnr(mean / 255, truth / 255),
    }
    return {"SAR (VH)": sar, "translation": image, "truth": truth}, figures


def source_of(values: NDArray):
    from saropt.inference import ArraySource

    return ArraySource(values)


def decibels(power: NDArray) -> NDArray:
    return (10.0 * np.log10(power)).astype(np.float32)


def psnr(image: NDArray, truth: NDArray) -> float:
    return float(-10.0 * np.log10(max(np.square(image - truth).mean(), 1e-10)))


def grey(values: NDArray) -> NDArray:
    return np.clip((values + 25.0) * (255 / 25), 0, 255).astype(np.uint8)


def shown(stored: NDArray) -> NDArray:
    return np.clip(stored[:3] * (255 / (SHOWN_END * 10_000)), 0, 255).astype(np.uint8)


def save(image: NDArray, path: Path) -> None:
    bands = np.repeat(image, 3, axis=0) if len(image) == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(bands.transpose(1, 2, 0)))
    picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS).save(path, quality=72, method=6)


def slug(name: str) -> str:
    return name.split(" (")[0].lower().replace(" ", "-")


def section(case: Case, panels: list[str], figures: Mapping[str, float]) -> str:
    lines = [f"## {case.verdict}: {case.title}", "", case.text, ""]
    lines += ['<div class="panels">']
    for name in panels:
        path = f"figures/gallery/{case.key}-{slug(name)}.webp"
        alt = f"{name}: {case.title}"
        size = f'width="{SHOWN}" height="{SHOWN}" loading="lazy"'
        lines.append(f'<figure><img src="{path}" alt="{alt}" {size}><figcaption>{name}</figcaption></figure>')
    lines += ["</div>", ""]
    rows = list(dict.fromkeys(key.split(", ")[0] for key in figures))
    grounds = list(dict.fromkeys(key.split(", ")[1] for key in figures))
    lines += [f"| PSNR, dB | {' | '.join(grounds)} |", "|---|" + "---|" * len(grounds)]
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(f"{figures[f'{row}, {ground}']:.1f}" for ground in grounds) + " |")
    return "\n".join([*lines, ""])


HEAD = """# Gallery

Good, middling and failing cases, each beside the truth. All places are **simulated**: `saropt.simulate` makes ground,
SAR and optical images, so the truth is known, and the pictures may be used freely. A simulation is easier than the
world in some ways (no registration error, no haze) and harder in others (its colours are not those of the training
data). Figures on real scenes stand in [benchmarks](benchmarks.md) and in `saropt models NAME`.

Three [real places](gallery-real.md) have a page of their own. `python tools/gallery.py` makes this page.
"""

if __name__ == "__main__":
    main()
