"""Calibrates how far the truth lies from a translation: half-widths with a stated coverage, scene by scene.

A small network learns the mean absolute error of each pixel from what the translator got and gave. Conformal risk
control (Angelopoulos et al., ICLR 2024) then finds the factor that makes half-widths of these errors. The unit that is
exchanged is the scene, never the pixel (`saropt.evaluation.conformal`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ReliabilityCard
from saropt.artifacts.graph import write_with_errors
from saropt.errors import InputError, MissingExtraError, OptionError, counted
from saropt.evaluation.conformal import conformal_factor, held_out_coverage, least_scenes
from saropt.evaluation.measure import make_model_row
from saropt.evaluation.tiles import MIN_VALID, LeftOut, open_rasters
from saropt.inference import Block, Product, Translator
from saropt.inference.engine import plain
from saropt.inference.reliability import reach_to_truth, reliability_product
from saropt.progress import Progress, Tell, log_line, silent
from saropt.roots import DataRoot
from saropt.scenes import Window
from saropt.scenes.reserved import reserved

if TYPE_CHECKING:
    from saropt.networks import ErrorNetwork

CROP, WINDOWS, FOLDS = 128, 6, 5
_STEPS, _BATCH, _RATE = 300, 8, 3e-3
_SCENE_PIXELS = 1 << 15
_FARTHEST = 2.0


@dataclass(frozen=True)
class CalibrationSet:
    """Scenes with their truth.

    Attributes:
        root: the data.
        split: "train", "val" or "test".
        translator: translates these scenes, where the translator that is calibrated has been trained on them: the same
            method, trained without them. None for the translator itself.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> CalibrationSet(DataRoot.open(write_simulated_root("root", scenes=(0, 1, 0), size=32))).split
    'val'
    """

    root: DataRoot
    split: str = "val"
    translator: Translator | None = None


@dataclass(frozen=True)
class _Window:
    """Network input (C, h, w), network output (C', h, w), reach to the truth (B, h, w), validity (h, w), and the scene
    with the roles of its inputs."""

    scene: str
    inputs: tuple[str, ...]
    source: NDArray[np.float32]
    output: NDArray[np.float32]
    reach: NDArray[np.float32]
    valid: NDArray[np.bool_]


def calibrate_reliability(
    translator: Translator,
    sets: Sequence[CalibrationSet],
    out: str | Path,
    *,
    alpha: float = 0.1,
    budget: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
    tell: Tell = log_line,
) -> ReliabilityCard:
    """Write a translator file whose runs can also give a map of reliability.

    Each scene is calibrated by networks of errors and factors that have not seen it (5 folds of scenes, then every
    scene in turn); the coverage that the card states is what these find. The network in the file learns from all.

    Args:
        translator: of an `.onnx` file, at the realism that is calibrated.
        sets: scenes that it was not trained on, 10 or more.
        out: the `.onnx` file to write.
        alpha: share of a scene's pixels that may lie outside of the half-width, in expectation; at most .5.
        budget: half-width, in units of the output, up to which a pixel counts as reliable; the median when None.
        seed: of windows, folds and training.
        tell: gets a line for scenes and earlier images that are left out, and for pixels that are no measurements.

    Raises:
        InputError: a file cannot be used or written, the data do not fit the translator, it was trained on them, they
            have too few scenes, or too many true pixels lie beyond the translator's range.
        MissingExtraError: torch is not installed.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = write_simulated_root("root", scenes=(0, 10, 0), size=32, units="amplitude", bands=("VH",))
    >>> sets = [CalibrationSet(DataRoot.open(root))]
    >>> calibrate_reliability(Translator.load("s1-losangeles"), sets, "reliable.onnx").scenes
    10
    """
    out = Path(out)
    described = translator.card.directions[translator.direction]
    if translator.path.suffix != ".onnx":
        raise InputError(translator.path, "is no .onnx file: export it first")
    if translator.sampler is not None:
        raise InputError(translator.path, "draws samples: their deviation says how far they lie apart")
    _check_numbers(alpha, budget)
    with reserved(out, suffixes=(".onnx",), overwrite=overwrite):
        _check_torch()
        windows = _gathered(translator, sets, seed, progress, tell)
        scenes = list(dict.fromkeys(window.scene for window in windows))
        least = least_scenes(alpha)
        if len(scenes) < least:
            few = f"{counted(len(scenes), 'scene')}: too few to calibrate at alpha {alpha:g}, {least} do"
            raise InputError(sets[0].root.path, few)
        errors = _predicted(windows, scenes, seed, progress)
        ratios = _ratios(windows, errors, seed)
        scale = _factors(ratios, alpha, sets[0].root)
        coverage = held_out_coverage(ratios, alpha)
        card = ReliabilityCard(
            alpha=alpha,
            scale=scale,
            budget=1.0 if budget is None else budget,
            realism=translator.realism,
            data=tuple(dict.fromkeys(one.root.name for one in sets)),
            inputs=tuple(role for role in windows[0].inputs if all(role in window.inputs for window in windows)),
            scenes=len(scenes),
            coverage=float(np.mean(coverage)),
            least_coverage=float(np.min(coverage)),
        )
        if budget is None:
            card = card.model_copy(update={"budget": _median_half_width(translator, card, windows, errors)})
        from saropt.artifacts.export import errors_graph

        network = _train(windows, seed)
        graph = errors_graph(network, *described.channels)
        directions = dict(translator.card.directions)
        directions[translator.direction] = described.model_copy(update={"reliability": card})
        write_with_errors(translator.path, out, translator.card.model_copy(update={"directions": directions}), graph)
        return card


def _check_numbers(alpha: float, budget: float | None) -> None:
    if not 0.0 < alpha <= 0.5:
        raise OptionError("alpha", alpha, "must be more than 0 and at most .5")
    if budget is not None and not 0.0 < budget < math.inf:
        raise OptionError("budget", budget, "must be more than 0 and finite, in units of the output")


def _check_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("calibration", "train") from error


def _gathered(
    translator: Translator, sets: Sequence[CalibrationSet], seed: int, progress: Progress, tell: Tell
) -> list[_Window]:
    """Windows of all scenes, drawn at random places."""
    windows: list[_Window] = []
    rng = np.random.default_rng(seed)
    total, done = sum(len(one.root.names(one.split)) for one in sets), 0
    for one in sets:
        if one.translator is None and one.split in translator.card.training.splits_of(*one.root.data_names):
            raise InputError(one.root.path, f"{translator.card.name} was trained on its split {one.split!r}")
        left_out, names = LeftOut(), one.root.names(one.split)
        for name in names:
            windows += _windows_of(one.translator or translator, one.root, name, rng, left_out, tell)
            done += 1
            progress(done, total, name)
        for line in left_out.lines(one.split, len(names)):
            tell(line)
    return windows


def _windows_of(
    model: Translator, root: DataRoot, name: str, rng: np.random.Generator, left_out: LeftOut, tell: Tell
) -> list[_Window]:
    row = make_model_row(model, root, None)
    if row.warnings:
        raise InputError(root.path, f"does not fit {model.card.name}: {row.warnings[0]}")
    roles = [*row.inputs, model.direction.output]
    with open_rasters(root, name, roles) as rasters, ExitStack() as stack:
        left_out.note(rasters)
        sources = {
            role: rasters.source(role, bands, stack) for role, bands in row.inputs.items() if role in rasters.scenes
        }
        reader = model.read(
            sources, rasters.units(model.source.role), {role: at for role, at in row.places.items() if role in sources}
        )
        if reader.ignored:
            tell(f"{name}: earlier optical image ignored (cloud or snow alone)")
        used = tuple(role for role in sources if role not in reader.ignored)
        count = sum(len(one.bands) for one in model.outputs)
        whole = np.zeros((count, *rasters.shape), np.float32)

        def write(block: Block) -> None:
            at = block.window
            whole[:, at.row : at.row + at.height, at.col : at.col + at.width] = block.products["network"]

        product = Product("network", ("",) * count, "float32", 0.0, lambda network: network[:count])
        model.stream_products(reader, [product], plain, write)
        height, width = (min(CROP, side // 4 * 4) for side in rasters.shape)
        tries = max(1, min(WINDOWS, rasters.height * rasters.width // (height * width)))
        target = model.target.normaliser()
        found = []
        for _ in range(tries):
            row_at = int(rng.integers(0, rasters.height - height + 1))
            col_at = int(rng.integers(0, rasters.width - width + 1))
            window = Window(row_at, col_at, height, width)
            truth = rasters.read(window).images[model.direction.output]
            source, seen = reader(window)
            output = whole[:, row_at : row_at + height, col_at : col_at + width]
            valid = seen & truth.valid
            true = np.where(valid, truth.values, 0)[row.outputs]
            known = {model.direction.output: float(truth.valid.mean()), model.source.role: float(seen.mean())}
            left_out.look(name, known, measured := bool(valid.mean() >= MIN_VALID))
            if measured:
                reach = reach_to_truth(target, output[: len(true)], true)
                found.append(_Window(f"{root.name}/{rasters.scene}", used, source, output, reach, valid))
    return found


def _predicted(
    windows: Sequence[_Window], scenes: Sequence[str], seed: int, progress: Progress
) -> list[NDArray[np.float32]]:
    """The predicted errors (B, h, w) of every window, by a network that has not seen its scene."""
    import torch

    order = np.random.default_rng(seed).permutation(len(scenes))
    fold = {scenes[place]: number % FOLDS for number, place in enumerate(order)}
    predicted: dict[int, NDArray[np.float32]] = {}
    for number in range(FOLDS):
        network = _train([window for window in windows if fold[window.scene] != number], seed)
        for place, window in enumerate(windows):
            if fold[window.scene] == number:
                with torch.inference_mode():
                    found = network(*(torch.from_numpy(part[None]) for part in (window.source, window.output)))
                predicted[place] = found[0].numpy()
        progress(number + 1, FOLDS, "networks of errors")
    return [predicted[place] for place in range(len(windows))]


def _train(windows: Sequence[_Window], seed: int) -> ErrorNetwork:
    """A network of errors under the likelihood of a Laplace distribution: error / u + log u."""
    import torch

    from saropt.networks import ErrorNetwork

    rng = np.random.default_rng(seed)
    first = windows[0]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ErrorNetwork(len(first.source), len(first.output), len(first.reach))
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=1e-3)
    side = min(64, *(min(window.valid.shape) for window in windows)) // 4 * 4
    for step in range(_STEPS):
        crops = []
        for place in rng.integers(0, len(windows), _BATCH):
            window = windows[place]
            row, col = (int(rng.integers(0, length - side + 1)) for length in window.valid.shape)
            cut = np.s_[..., row : row + side, col : col + side]
            error = np.minimum(window.reach, _FARTHEST)
            crops.append([part[cut] for part in (window.source, window.output, error, window.valid[None])])
        source, output, error, valid = (torch.from_numpy(np.stack(parts)) for parts in zip(*crops, strict=True))
        predicted = network(source, output)
        loss = ((error / predicted + predicted.log()) * valid).sum() / (valid.sum() * error.shape[1]).clamp_min(1)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = _RATE * 0.5 * (1.0 + math.cos(math.pi * step / _STEPS))
        optimizer.step()
    return network.eval()


def _ratios(
    windows: Sequence[_Window], errors: Sequence[NDArray[np.float32]], seed: int
) -> dict[str, NDArray[np.float32]]:
    """Scene -> reach to the truth over predicted errors (B, n) of at most 32,768 of its pixels."""
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for window, predicted in zip(windows, errors, strict=True):
        parts.setdefault(window.scene, []).append((window.reach / predicted)[:, window.valid])
    rng = np.random.default_rng(seed)
    found = {}
    for scene, some in parts.items():
        values = np.concatenate(some, axis=1)
        chosen = rng.permutation(values.shape[1])[:_SCENE_PIXELS]
        found[scene] = values[:, chosen]
    return found


def _factors(ratios: dict[str, NDArray[np.float32]], alpha: float, root: DataRoot) -> tuple[float, ...]:
    bands = range(len(next(iter(ratios.values()))))
    factors = tuple(conformal_factor([one[band] for one in ratios.values()], alpha) for band in bands)
    if not np.isfinite(factors).all():
        beyond = np.mean([np.isinf(one).any(axis=0).mean() for one in ratios.values()])
        far = f"{beyond:.1%} of the true pixels lie so far beyond the range of the translator that no half-width holds"
        raise InputError(root.path, f"{far} them; more scenes or a larger alpha allow more such pixels")
    return factors


def _median_half_width(
    translator: Translator, card: ReliabilityCard, windows: Sequence[_Window], errors: Sequence[NDArray[np.float32]]
) -> float:
    """Median over pixels of the mean half-width over bands, in units of the output, to two digits."""
    product = reliability_product(translator.outputs, card)
    widths = [
        product.decode(np.concatenate([window.output, predicted]))[:-1].mean(axis=0)[window.valid]
        for window, predicted in zip(windows, errors, strict=True)
    ]
    return float(f"{np.median(np.concatenate(widths)):.2g}")
