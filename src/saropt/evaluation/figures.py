"""Figures for a paper, as PNG and SVG: the same tiles across models, and losses over epochs."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saropt.errors import MissingExtraError
from saropt.evaluation.shown_tiles import CLASS_NAMES, class_picture, file_name
from saropt.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Column = tuple[str, Path, str]
"""Title, a folder of `ShownTiles`, and the model whose tiles are shown."""
Curve = tuple[Sequence[float], Sequence[float]]
SMOOTHING = 5
_SIDE = 1.5


def tile_figures(columns: Sequence[Column], direction: str, out: Path) -> list[Path]:
    """The figures translations-, segmentations- and matches-DIRECTION, of which there are tiles; the files.

    A row for each tile: of translations the input, the truth, its label where there is one, and the translations; of
    segmentations the truth, its label, its segmentation and those of the translations; of matches a picture for each
    model.

    >>> tile_figures([], "sar2opt", Path("figures"))
    []
    """
    if not columns:
        return []
    first = columns[0][1]
    label = [("label", first, "label")] if any(first.glob("*/label.png")) else []
    plans: dict[str, list[tuple[str, Path, str]]] = {
        "translations": [("input", first, "source"), ("truth", first, "truth"), *label],
        "segmentations": [("truth", first, "truth"), *label, ("of truth", first, "truth-classes")],
        "matches": [],
    }
    endings = {"translations": "", "segmentations": "-classes", "matches": "-matches"}
    written = []
    for name, fixed in plans.items():
        plan = fixed + [(title, folder, f"{file_name(model)}{endings[name]}") for title, folder, model in columns]
        folders = [folder for _, folder, _ in plan if folder.is_dir()]
        tiles = sorted({path.name for folder in folders for path in folder.iterdir() if path.is_dir()})
        kinds = plan[len(fixed) :]
        held = [t for t in tiles if any((folder / t / f"{kind}.png").is_file() for _, folder, kind in kinds)]
        if held:
            target, names = out / f"{name}-{direction}", first / CLASS_NAMES
            classes = json.loads(names.read_text(encoding="utf-8")) if fixed and label else []
            written += _draw_grid(plan, held, target, classes, aspect=2.0 if name == "matches" else 1.0)
    return written


def _draw_grid(
    plan: Sequence[tuple[str, Path, str]], tiles: Sequence[str], target: Path, classes: Sequence[str], aspect: float
) -> list[Path]:
    """A picture for each tile (rows) and each (title, folder, kind) of `plan`; below, the colours of the classes."""
    figure = new_figure(_SIDE * aspect * len(plan), _SIDE * len(tiles) + (0.6 if classes else 0.3))
    if classes:
        from matplotlib.patches import Patch

        colours = class_picture(np.arange(len(classes))[None])[0] / 255.0
        patches = [Patch(color=colour, label=title) for colour, title in zip(colours, classes, strict=True)]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(classes), fontsize=6, frameon=False)
    axes = figure.subplots(len(tiles), len(plan), squeeze=False)
    for row, tile in enumerate(tiles):
        for column, (title, folder, kind) in enumerate(plan):
            axis, path = axes[row][column], folder / tile / f"{kind}.png"
            axis.set_axis_off()
            if path.is_file():
                with Image.open(path) as picture:
                    axis.imshow(np.asarray(picture), interpolation="nearest")
            if row == 0:
                axis.set_title(title, fontsize=7)
    return save_figure(figure, target)


def loss_figure(panels: Mapping[str, Mapping[str, Curve]], target: Path, columns: int = 2) -> list[Path]:
    """Curves over epochs, a panel each, under a moving average of 5 epochs; the files.

    Args:
        panels: title -> name of a line -> (epochs, values).

    >>> [path.name for path in loss_figure({"": {"L_cyc": ([1, 2, 3], [3.0, 2.0, 1.0])}}, Path("losses"))]
    ['losses.png', 'losses.svg']
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.2 * columns, 2.8 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (title, lines) in zip(axes, panels.items(), strict=False):
        for name, (epochs, values) in lines.items():
            axis.plot(epochs, moving_average(values), label=name, linewidth=1.2)
        axis.set(title=title, xlabel="epoch", ylabel="loss")
        axis.legend(fontsize=7, frameon=False)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return save_figure(figure, target)


def moving_average(values: Sequence[float]) -> NDArray[np.float64]:
    """Means over 5 neighbours, of those that there are at the ends.

    >>> moving_average([0.0, 1.0, 2.0, 3.0, 9.0]).tolist()
    [1.0, 1.5, 3.0, 3.75, 4.666666666666667]
    """
    reach, given = SMOOTHING // 2, np.asarray(values, np.float64)
    return np.array([given[max(0, i - reach) : i + reach + 1].mean() for i in range(len(given))])


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("figures", "train") from error
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, target: Path) -> list[Path]:
    """Write `target`.png at 300 dots an inch, and `target`.svg with its letters as text; the files."""
    import matplotlib

    target.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for kind in ("png", "svg"):
        drawn = io.BytesIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "saropt"}):
            figure.savefig(drawn, format=kind, dpi=300, metadata={"Date": None} if kind == "svg" else None)
        path = target.with_name(f"{target.name}.{kind}")
        with atomic_file(path) as part:
            part.write_bytes(drawn.getvalue())
        files.append(path)
    return files
