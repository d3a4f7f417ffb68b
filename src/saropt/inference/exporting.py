"""Converts translator files: to ONNX graphs from torch weights, to one fixed blend, to int8 arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import Card, blend, load_graph, load_translator_module, load_weights
from saropt.artifacts.graph import store_card
from saropt.artifacts.quantise import quantise
from saropt.domain import Direction, Role, encode_scene_inputs
from saropt.errors import InputError, OptionError
from saropt.files import atomic_file, check_not_input
from saropt.inference.bundled import card_of, find_translator
from saropt.inference.opening import open_input
from saropt.inference.reader import TileReader
from saropt.inference.runtimes import chosen_direction, torch_device
from saropt.inference.sources import Source
from saropt.progress import Tell, log_line
from saropt.scenes import Window
from saropt.scenes.reserved import reserved

if TYPE_CHECKING:
    from saropt.roots import DataRoot

_WINDOWS, _SIDE, _TRIES = 32, 256, 8


def export_translator(
    model: str | Path,
    out: str | Path,
    *,
    direction: Direction | None = None,
    realism: float | None = None,
    int8: bool = False,
    data: str | Path | None = None,
    overwrite: bool = False,
    tell: Tell = log_line,
) -> Path:
    """Write one direction of a translator as an ONNX translator file with dynamic batch, height and width.

    Args:
        model: a bundled name, a translator file, or a run folder, of which the torch weights are used.
        out: the `.onnx` file.
        direction: needed where the file translates both ways.
        realism: blend of the two ends of the file to write. When None both ends are kept; an int8 graph then has the
            blend of the card.
        int8: convolutions in 8 bits (`saropt.artifacts.quantise`), their ranges taken from `data`.
        data: data root whose train split instance statistics are frozen on and int8 ranges are taken from.
        overwrite: replace an existing file.
        tell: gets a line where the file gives a map of reliability and the one that is written does not, and where the
            data root lacks an input.

    Raises:
        InputError: a file cannot be used or written, there is nothing to change in an ONNX file, or the data root is
            missing or does not fit.
        MissingExtraError: the file has torch weights and torch is not installed.

    >>> path = export_translator("s1-losangeles", "fidelity.onnx", realism=0.0)
    >>> card_of(path).realism is None
    True
    """
    path, out = find_translator(model, direction, ".safetensors" if Path(model).is_dir() else None), Path(out)
    check_not_input(out, [path])
    with reserved(out, suffixes=(".onnx",), overwrite=overwrite):
        card = card_of(path)
        direction = chosen_direction(path, card, direction)
        if realism is not None and not 0.0 <= realism <= 1.0:
            raise OptionError("realism", realism, "must lie between 0 and 1")
        if realism is not None and card.realism is None:
            raise InputError(path, "holds one set of weights: it has no realism to choose")
        has_graph = path.suffix == ".onnx"
        if has_graph and realism is None and not int8:
            raise InputError(path, "is an ONNX file already: int8 or another realism make another file of it")
        if int8 and card.directions[direction].sampler is not None:
            raise InputError(path, "is a sampler: its ranges depend on the noise, int8 is not for it")
        if int8 and card.directions[direction].scene_inputs:
            raise InputError(path, "takes scene inputs: its ranges depend on them, int8 is not for it")
        windows: NDArray[np.float32] | None = None
        if int8 or card.directions[direction].statistics == "scene":
            if data is None:
                what = "the ranges of int8" if int8 else "its instance statistics"
                raise InputError(path, f"needs a data root: {what} are taken from its train split")
            from saropt.roots import DataRoot

            windows = _draw_windows(card, direction, DataRoot.open(data), tell)
        with atomic_file(out, suffix=".onnx", unique=True) as made:
            if not has_graph:
                _export_weights(path, made, direction, windows)
            if int8 or realism is not None:
                _rewrite(path if has_graph else made, made, realism, windows if int8 else None)
    if card.directions[direction].reliability is not None and card_of(out).directions[direction].reliability is None:
        tell(f"{out}: gives no map of reliability: that of {path} was calibrated for its own weights alone")
    return out


def _draw_windows(card: Card, direction: Direction, root: DataRoot, tell: Tell) -> NDArray[np.float32]:
    """Network inputs (32, C, h, w) from all over the train split, normalised as whole scenes are, with all inputs that
    the root has."""
    described = card.directions[direction]
    images, stride = described.inputs, described.stride
    size = math.ceil(_SIDE / stride) * stride
    rasters = {image.role: root.rasters(image.role, "train") for image in images if image.role in root.images}
    if lacking := [image.role for image in images if not rasters.get(image.role)]:
        tell(f"{root.path}: has no {' and no '.join(lacking)}: the ranges are taken without it")
    units = {role: root.image(role).units for role in rasters}
    names = list(root.rasters(images[0].role, "train"))
    rng = np.random.default_rng(0)
    windows = []
    for name, group in groupby(names[number * len(names) // _WINDOWS] for number in range(_WINDOWS)):
        with ExitStack() as stack:
            sources: dict[Role, Source] = {
                image.role: stack.enter_context(open_input(rasters[image.role][name], None, image, "translator"))
                for image in images
                if name in rasters.get(image.role, {})
            }
            scene = sources[images[0].role]
            read = TileReader(images, sources, units, constants=encode_scene_inputs(described.scene_inputs, {}))
            for _ in group:
                places = zip(
                    rng.integers(0, max(scene.height - size, 0) + 1, _TRIES),
                    rng.integers(0, max(scene.width - size, 0) + 1, _TRIES),
                    strict=True,
                )
                tries = (read(Window(int(row), int(col), size, size)) for row, col in places)
                window = next((network for network, valid in tries if valid.mean() > 0.5), None)
                if window is not None:
                    windows.append(window)
    if not windows:
        raise InputError(root.path, f"is mostly nodata: no window of {size} pixels to draw from its train split")
    return np.stack(windows)


def _export_weights(path: Path, out: Path, direction: Direction, windows: NDArray[np.float32] | None) -> None:
    """An ONNX file of a `.safetensors` file, of both ends where it holds two."""
    torch_device(path, "translator", "cpu", None)
    import torch

    from saropt.artifacts.export import export_graph

    card, weights = load_weights(path)
    shares = [None] if card.realism is None else [0.0, 1.0]
    ends = [load_translator_module(path, card, direction, blend(weights, share)).eval() for share in shares]
    export_graph(out, card, direction, ends, None if windows is None else torch.from_numpy(windows))


def _rewrite(path: Path, out: Path, realism: float | None, windows: NDArray[np.float32] | None) -> None:
    """An ONNX file with one blend of `path`, in 8 bits where windows are given."""
    import onnx

    card, content = load_graph(path, realism)
    model = onnx.load_model_from_string(content)
    share = card.realism if realism is None else realism
    notes = [card.notes] if card.notes else []
    directions = {name: one.model_copy(update={"reliability": None}) for name, one in card.directions.items()}
    update: dict[str, object] = {"realism": None, "directions": directions}  # it was calibrated for the other weights
    if share is not None:
        update["quality"] = _quality_at(card.quality, share)
        notes.append(f"Exported at realism {share:g}.")
    if windows is not None:
        model = quantise(model, windows)
        notes.append(f"Convolutions in 8 bits, ranges from {len(windows)} training windows; quality not measured.")
        update["quality"] = {}  # what was measured is that of single precision
    store_card(model, card.model_copy(update=update | {"notes": " ".join(notes)}))
    out.write_bytes(model.SerializeToString())


def _quality_at(quality: Mapping[str, dict[str, float]], realism: float) -> dict[str, dict[str, float]]:
    """What was measured at one blend as the figures of a translator of one blend, with the baselines beside them."""
    own, found, measured = f"realism {realism:g}", {}, set()
    for title, figures in quality.items():
        data, _, row = title.rpartition(": ")
        blend_of_row, comma, rest = row.partition(", ")
        if blend_of_row == own:
            measured.add(data)
            found[f"{data}: translator{comma}{rest}"] = figures
        elif not blend_of_row.startswith("realism "):
            found[title] = figures
    return {title: figures for title, figures in found.items() if title.rpartition(": ")[0] in measured}
