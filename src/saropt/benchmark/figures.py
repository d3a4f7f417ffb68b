"""The figures of a suite: tiles across its rows, and the losses of its rows over epochs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from saropt.evaluation import LOG_FILE
from saropt.evaluation.figures import Curve, loss_figure, tile_figures
from saropt.evaluation.shown_tiles import TILES, file_name
from saropt.evaluation.tiles import tile_windows
from saropt.methods import get_method
from saropt.roots import DataRoot
from saropt.scenes import Scene

_SHOWN = 4
_LOOKED_AT = 200
_SYMBOL = "L_"


def shown_names(root: DataRoot, split: str) -> tuple[str, ...]:
    """Four rasters of a split: with labels those whose first tiles hold most of each of the four most frequent classes,
    and else evenly spaced ones."""
    names = root.names(split)
    if not root.classes or not (root.path / "label").is_dir():
        return _spaced(names, _SHOWN)
    shares = {name: _shares(root, name) for name in _spaced(names, _LOOKED_AT)}
    common = sum(shares.values(), Counter[int]()).most_common(_SHOWN)
    return tuple(dict.fromkeys(max(shares, key=lambda name: shares[name][value]) for value, _ in common))


def _spaced(names: Sequence[str], count: int) -> tuple[str, ...]:
    each = max(1, len(names) // count)
    return tuple(names[each // 2 :: each][:count])


def _shares(root: DataRoot, name: str) -> Counter[int]:
    """Class value -> number of pixels in the first tile of a raster."""
    with Scene.open(root.raster("label", name), palette="index") as scene:
        stored, valid = scene.read_stored(tile_windows(scene.height, scene.width)[0])
    values, counts = np.unique(stored[0][valid], return_counts=True)
    return Counter({int(v): int(n) for v, n in zip(values, counts, strict=True) if int(v) in root.classes})


def write_figures(shown: Mapping[str, tuple[Path, Path]], folder: Path) -> list[Path]:
    """Draw what the rows of a suite left; the files.

    translations-, segmentations- and matches-DIRECTION show the same tiles across all rows, losses-ROW the losses of a
    row that logs sums named L_..., and losses-by-row each of these sums over all rows that log it.

    Args:
        shown: row -> folders of its training and of its report.
    """
    written = []
    rows = {row: report / TILES for row, (_, report) in shown.items() if (report / TILES).is_dir()}
    for direction in sorted({path.name for tiles in rows.values() for path in tiles.iterdir()}):
        columns = []
        for row, tiles in rows.items():
            if (tiles / direction).is_dir():
                report = json.loads((tiles.parent / "report.json").read_text(encoding="utf-8"))
                columns.append((row, tiles / direction, report["models"][0]["model"]))
        written += tile_figures(columns, direction, folder)
    curves = {row: found for row, (training, _) in shown.items() if (found := epoch_means(training))}
    for row, lines in curves.items():
        written += loss_figure({row: lines}, folder / f"losses-{file_name(row)}")
    sums = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    if len(curves) > 1:
        panels = {name: {row: lines[name] for row, lines in curves.items() if name in lines} for name in sums}
        written += loss_figure(panels, folder / "losses-by-row")
    return written


def epoch_means(training: Path) -> dict[str, Curve]:
    """Sums named L_... that a run logged: means over the epochs that the method's learning rate schedule counts."""
    values = yaml.safe_load((training / "config.yaml").read_text(encoding="utf-8"))
    arguments: Any = get_method(values["method"]).config_type(**values["arguments"])
    total = getattr(arguments, "constant_epochs", 0) + getattr(arguments, "decay_epochs", 0)
    found: dict[str, dict[int, list[float]]] = {}
    for line in (training / LOG_FILE).read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        epoch = math.ceil(entry["step"] * max(total, 1) / values["engine"]["max_steps"])
        for name, value in entry.items():
            if name.startswith(_SYMBOL):
                found.setdefault(name, {}).setdefault(epoch, []).append(value)
    return {
        name: (list(by_epoch), [sum(logged) / len(logged) for logged in by_epoch.values()])
        for name, by_epoch in found.items()
    }
