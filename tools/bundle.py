"""Measure the translator of a run at both ends and at its shipped blend, and put it into the package.

    python tools/bundle.py RUN CONFIG [DATA:SPLIT ...] [--baselines-from DATA] [--left-out REPORT ...]
        [--learnt-from SET:SPLIT,... ...]

CONFIG is the run's preset; the card's words (attribution, notes, realism) are taken from it as they stand now. REPORT
is a report.json of the same method at realism 0, trained without the set that it measures. --learnt-from names the data
sets, and their own splits, that the run's data root was made of, for the card; without it those of the run are kept.

Writes src/saropt/artifacts/bundled/NAME.onnx, whose card holds the measured quality, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from saropt.artifacts import Card, read_card
from saropt.artifacts.graph import write_graph
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import Translator
from saropt.inference.bundled import bundled_folder
from saropt.training import read_config

FIGURES = ("psnr", "ssim", "mae", "collapse_ratio")


def measured(path: Path, card: Card, data: str, split: str, baselines_from: str | None) -> dict[str, dict[str, float]]:
    """Figures by row: the translator at each realism, then the trivial baselines."""
    shares = [None] if card.realism is None else sorted({0.0, card.realism, 1.0})
    models = []
    for share in shares:
        model = Translator.load(path, realism=share)
        model.card = card.model_copy(update={"name": "translator" if share is None else f"realism {share:g}"})
        models.append(model)
    with tempfile.TemporaryDirectory() as folder:
        spec = EvaluationSpec(data, models, split, html=False, baselines_from=baselines_from)
        result = evaluate(spec, folder)
    report = result.report
    rows: dict[str, dict[str, Any]] = {name: next(iter(found.values())) for name, found in result.models.items()}
    rows |= next(iter(result.baselines.values()))
    name = f"{report['data']['name']}, {split}, {report['n']} tiles of 256"
    return {f"{name}: {row}": {key: round(scores[key], 4) for key in FIGURES} for row, scores in rows.items()}


def left_out(path: Path) -> dict[str, dict[str, float]]:
    """Figures by row of a report on a set that was left out of the training."""
    report = json.loads(path.read_text())
    name = f"{report['data']['name']} left out of the training, {report['n']} tiles of 256"
    rows = {"realism 0": report["models"][0]["directions"]} | {
        row: {direction: scores} for direction, found in report["baselines"].items() for row, scores in found.items()
    }
    return {
        f"{name}: {row}": {key: round(scores[key], 4) for key in FIGURES}
        for row, found in rows.items()
        for scores in found.values()
    }


def learnt_from(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Data set -> splits, from SET:SPLIT,..."""
    return {name: tuple(splits.split(",")) for name, _, splits in (item.rpartition(":") for item in items)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", nargs="*", metavar="DATA:SPLIT")
    parser.add_argument("--baselines-from")
    parser.add_argument("--left-out", type=Path, nargs="*", default=[], metavar="REPORT")
    parser.add_argument("--learnt-from", nargs="*", default=[], metavar="SET:SPLIT,...")
    arguments = parser.parse_args()
    path = arguments.run / "translator.onnx"
    card = read_card(path)
    words = read_config(card.method, arguments.config, []).card
    sets = learnt_from(arguments.learnt_from) or card.training.sets
    training = card.training.model_copy(update={"attribution": words.attribution, "sets": sets})
    realism = None if card.realism is None else words.realism
    if words.tile is not None:
        tiled = {key: d.model_copy(update={"tile": words.tile}) for key, d in card.directions.items()}
        card = card.model_copy(update={"directions": tiled})
    card = card.model_copy(update={"training": training, "notes": words.notes, "realism": realism})
    quality: dict[str, dict[str, float]] = {}
    for item in arguments.data:
        data, _, split = item.rpartition(":")
        quality |= measured(path, card, data, split, arguments.baselines_from)
    for report in arguments.left_out:
        quality |= left_out(report)
    target = bundled_folder() / f"{card.name}.onnx"
    target.parent.mkdir(exist_ok=True)
    write_graph(target, onnx.load(path), card.model_copy(update={"quality": quality}))
    for row, scores in quality.items():
        print(f"{row:70} " + "  ".join(f"{key} {value:.4f}" for key, value in scores.items()))
    print(f"wrote {target}, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
