"""Quality and time of samplers over their number of steps, beside translators of one pass.

    python benchmarks/diffusion.py RUN... --data DATA --figure FIGURE.svg [--steps 1 2 4 8 20 50] [--samples 8]

A RUN is a run folder, or the part of a finished suite that holds one. Prints a Markdown table: PSNR, SSIM, MAE, the
Fréchet distance of the named extractor, seconds per tile, and the mean signed error of each band, which shows a colour
cast. With --samples a second table says, at each sampler's own steps, how the deviation of so many samples goes with
their error. Needs matplotlib (in the extra `dev`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import Translator

WEIGHTS = "translator.safetensors"
STEPS = {"euler": [1, 2, 4], "ddim": [2, 4, 10, 20], "ancestral": [50, 100, 250]}
PANELS = {"psnr": "PSNR, dB", "frechet_distance": "Fréchet distance (see the table)"}


@dataclass
class Line:
    """One run at one number of steps; None where it translates in one pass."""

    name: str
    prediction: str
    steps: int | None
    scores: dict[str, Any]
    seconds: float


def weights_of(run: Path) -> Path:
    return next(path for path in (run / WEIGHTS, run / "run" / WEIGHTS, run) if path.is_file())


def measured(translator: Translator, data: Path, split: str, **options: Any) -> tuple[dict[str, Any], int]:
    """Scores of a translator, and the side of the tiles."""
    with tempfile.TemporaryDirectory() as folder:
        spec = EvaluationSpec(data, [translator], split, baselines=False, html=False, **options)
        report = evaluate(spec, folder).report
    return report["models"][0]["directions"][translator.direction], report["tile"]


def lines_of(run: Path, data: Path, split: str, wanted: list[int] | None) -> list[Line]:
    weights = weights_of(run)
    plain = Translator.load(weights)
    arguments = plain.card.directions[plain.direction].arguments
    counts: list[int | None] = [None]
    if plain.sampler is not None:
        counts = [*(wanted or STEPS[plain.sampler.kind])]
    lines = []
    for steps in counts:
        translator = plain if steps is None else Translator.load(weights, steps=steps)
        scores, tile = measured(translator, data, split)
        seconds = scores["seconds_per_megapixel"] * tile**2 / 1e6
        prediction = (
            {"euler": "x0"}.get(plain.sampler.kind, arguments.get("prediction", "eps")) if plain.sampler else ""
        )
        lines.append(Line(plain.card.name, prediction, steps, scores, seconds))
        print(row_of(lines[-1]), flush=True)
    return lines


def row_of(line: Line) -> str:
    scores = line.scores
    bias = ", ".join(f"{band} {value:+.3f}" for band, value in scores["bias_per_band"].items())
    extractor = scores["distributions"][0]["extractor"]
    cells = [
        line.name,
        line.prediction or "–",
        str(line.steps or "–"),
        *(f"{scores[key]:.{digits}f}" for key, digits in (("psnr", 2), ("ssim", 3), ("mae", 3))),
        "–" if scores["frechet_distance"] is None else f"{scores['frechet_distance']:.3f} ({extractor})",
        f"{line.seconds:.2f}",
        bias,
    ]
    return f"| {' | '.join(cells)} |"


def draw(lines: list[Line], path: Path) -> None:
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(4.6 * len(PANELS), 3.4))
    for axis, (metric, title) in zip(axes, PANELS.items(), strict=True):
        curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, line in enumerate(lines):
            if line.scores[metric] is None:  # too few tiles for a distance
                continue
            if line.steps is None:
                axis.axhline(line.scores[metric], linestyle=":", color=f"C{number % 10}", label=line.name)
            else:
                curves[line.name].append((line.steps, line.scores[metric]))
        for name, points in curves.items():
            axis.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
        if curves:
            axis.set_xscale("log", base=2)
        axis.set_xlabel("steps")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--steps", nargs="+", type=int)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    print("| run | prediction | steps | PSNR dB | SSIM | MAE | Fréchet distance | s per tile | mean signed error |")
    print("|---" * 9 + "|")
    lines = [line for run in given.runs for line in lines_of(run, given.data, given.split, given.steps)]
    if given.figure is not None:
        draw(lines, given.figure)
    if given.samples is None:
        return
    print("\n| run | samples | PSNR of their mean | mean deviation | mean error | correlation | over 8x8 pixels |")
    print("|---" * 7 + "|")
    for run in given.runs:
        translator = Translator.load(weights_of(run))
        if translator.sampler is not None:
            scores, _ = measured(translator, given.data, given.split, samples=given.samples)
            found = scores["deviation"]
            figures = [found[key] for key in ("mean_deviation", "mean_error", "correlation", "correlation_8px")]
            cells = [translator.card.name, str(given.samples), f"{scores['psnr']:.2f}", *(f"{v:.3f}" for v in figures)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
