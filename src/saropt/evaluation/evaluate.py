"""Translators and trivial baselines on one split of a data root: report.json and report.html."""

from __future__ import annotations

import importlib.util
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import saropt
from saropt.errors import InputError, MissingExtraError
from saropt.evaluation import metrics
from saropt.evaluation.baselines import BASELINES, Baseline, fit_all
from saropt.evaluation.by_class import ClassWatcher
from saropt.evaluation.curves import read_curves
from saropt.evaluation.deviation import CONVENTION as DEVIATION_CONVENTION
from saropt.evaluation.deviation import DeviationQuality
from saropt.evaluation.distributions import known_weights
from saropt.evaluation.matching import MatchWatcher
from saropt.evaluation.measure import (
    Model,
    Row,
    area_of,
    baseline_row,
    draws_samples,
    measure_raster,
    model_row,
    sides,
    to_unit,
)
from saropt.evaluation.segmentation import CONVENTION as SEGMENTATION_CONVENTION
from saropt.evaluation.segmentation import SegmenterModel, make_judges
from saropt.evaluation.speckle import SpeckleWatcher
from saropt.evaluation.tiles import (
    MIN_VALID,
    RANGES,
    TILE,
    PairRoot,
    read_pair,
    stream_tiles,
    tile_windows,
)
from saropt.evaluation.watching import Watcher
from saropt.files import write_text
from saropt.matching import Matcher
from saropt.roots import DataRoot

DIRECTIONS = ("sar2opt", "opt2sar")
CONVENTIONS = {
    "scaling": RANGES,
    "psnr": "10 log10(1 / MSE over all channels) per tile, dB, then mean over tiles",
    "ssim": "Gaussian window 11, sigma 1.5, K .01/.03, L 1, valid positions only, per channel, then mean",
    "ms_ssim": "five scales, weights .0448 .2856 .3001 .2363 .1333, windows as for ssim; tiles of 176 pixels and more",
    "mae": "mean absolute error in [0, 1] per tile, then mean over tiles",
    "sam": "spectral angle in degrees, mean over pixels per tile, then over tiles; not for single bands",
    "ergas": "100 sqrt(mean over bands of (RMSE / mean of the truth)^2) per tile, then mean over tiles",
    "rmse_per_band": "root mean square error in [0, 1] of each band per tile, then mean over tiles",
    "collapse_ratio": "mean|output - input grey| / mean|output - truth|, ratio of the means over the split; "
    "below 1 the output is the input again",
    "psnr_shift, mae_shift": f"smallest over integer shifts up to {metrics.SHIFT_RADIUS} px per tile, interior only",
    "psnr_colour_free, mae_colour_free": "after a gain in [0.8, 1.25] and an offset per band and tile, least squares",
    "frechet_distance, kernel_distance": "of wholly valid tiles on the features of the extractor named in "
    "`distributions`; FID and KID are of the published Inception weights alone; *_floor is the distance of two halves "
    "of the true tiles",
    "bias_per_band": "mean of output - truth in [0, 1] of each band per tile, then mean over tiles",
    "deviation": DEVIATION_CONVENTION,
    "std": "population standard deviation over tiles",
    "invalid pixels": f"left out; tiles less than {MIN_VALID:.0%} valid are skipped and counted",
    "null": "not finite (the PSNR of equal images is infinite) or not defined",
    "image_mean_oracle": "looks at the truth: each tile's own mean colour; no translator",
}
NO_RANKING = "PSNR alone does not rank translators: the blurriest often come first. Look at the pictures and baselines."


Progress = Callable[[str, int, int], None]
"""Called with what is being done, the steps done, and the steps in all."""


@dataclass
class _Progress:
    report: Progress | None
    total: int
    done: int = field(default=0)

    def step(self, what: str) -> None:
        self.done += 1
        if self.report:
            self.report(what, self.done, self.total)


def evaluate(
    models: Sequence[Model],
    data_root: str | Path | PairRoot,
    out_dir: str | Path,
    split: str = "test",
    tile: int = TILE,
    baselines: bool = True,
    overwrite: bool = False,
    html: bool = True,
    progress: Progress | None = None,
    baselines_from: str | Path | PairRoot | None = None,
    segmenters: Sequence[SegmenterModel] = (),
    weights: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    matchers: Sequence[Matcher] = (),
    runs: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Measure translators on a split and write `report.json` and `report.html` into `out_dir`.

    Every raster is translated once as a whole; tiles are cut from the result. Sums are kept, not tiles, so memory
    depends on the largest raster and the number of models, not on the number of rasters. Baselines are fitted on the
    train split.

    Args:
        models: translators with a card, each in its direction; the two directions of one translator are one entry of
            the report.
        data_root: the folder, or an opened data root.
        tile: side of the tiles in pixels.
        baselines_from: another data root of the same bands, whose train split fits the baselines, for a data root that
            has none or a translator trained elsewhere.
        segmenters: at most one of each modality; they segment what the translators make, and the true images beside it,
            and are scored against the labels of the data root.
        weights: folder of the published weights of Inception and AlexNet, for FID, KID and LPIPS.
        samples: of models that draw samples: measure the mean of so many, and whether their deviation says where it is
            wrong; one sample and no deviation when None.
        seed: of these samples.
        matchers: what translations are matched with the truth by (`saropt.matching`).
        runs: name of a model -> its run folder, whose loss curves the report shows.
        html: also write report.html, which needs jinja2 (the extra `train`).

    Returns:
        What report.json holds; numbers that are not finite are None.

    Raises:
        InputError: unusable data, an existing report without `overwrite`, or a model whose output does not fit.
        MissingExtraError: `html` without jinja2.
        ValueError: neither models nor baselines are asked for.
    """
    if not models and not baselines:
        raise ValueError("neither a model nor baselines to evaluate")
    if html and importlib.util.find_spec("jinja2") is None:
        raise MissingExtraError("the HTML report", "train")
    out = Path(out_dir)
    _check_writable(out, [out / "report.json", out / "report.html"], overwrite)
    root, source = _opened(data_root)
    train_root = root if baselines_from is None else _opened(baselines_from)[0]
    for side, theirs in ((root.sar, train_root.sar), (root.optical, train_root.optical)):
        if len(side.bands) != len(theirs.bands):
            raise InputError(train_root.name, f"has the bands {', '.join(theirs.bands)}, not {', '.join(side.bands)}")
    if not root.paired:
        raise InputError(source, "is unpaired: there is no truth to compare with")
    _check_models(models)
    names = list(root.names(split))

    used = [d for d in DIRECTIONS if any(d == m.direction for m in models)] or list(DIRECTIONS)
    train = _train_names(train_root) if baselines else []
    steps = _Progress(progress, len(names) + len(train))
    extractors, lpips = known_weights(weights)
    judges = make_judges(segmenters, root, used)
    watchers = {direction: _watchers(root, direction, matchers) for direction in used}
    tracks = [(m, model_row(m.card, root, m.direction, extractors, lpips)) for m in models]
    for _, row in tracks:
        row.judge = judges.get(row.direction)
        row.watchers = watchers[row.direction]
    if samples is not None:
        _draw_samples(tracks, samples, seed)
    outputs = {d: _common_target(root, d, [r for _, r in tracks if r.direction == d]) for d in used}
    fitted = {d: _make_baselines(bool(train)) if baselines else [] for d in used}
    if train:
        _fit(fitted, outputs, train_root, train, tile, steps)
    plain = [(b, baseline_row(b.name, root, d, outputs[d], extractors)) for d in used for b in fitted[d]]

    counted = skipped = 0
    for name in names:
        pair = read_pair(root, name)
        valid = pair.valid
        windows = tile_windows(valid.shape[0], valid.shape[1], tile)
        kept = [w for w in windows if valid[area_of(w)].mean() >= MIN_VALID]
        counted, skipped = counted + len(kept), skipped + len(windows) - len(kept)
        if kept:
            for direction, judge in judges.items():
                judge.see_real(pair.sides(direction)[1], pair, kept)
            for direction in used:
                models_here = [(model, row) for model, row in tracks if row.direction == direction]
                plain_here = [(baseline, row) for baseline, row in plain if row.direction == direction]
                measure_raster(models_here, plain_here, pair, kept)
        steps.step(f"{split} {name}")
    if not counted:
        raise InputError(source, f"split {split!r} has no tile that is at least {MIN_VALID:.0%} valid")

    notes = [NO_RANKING]
    if baselines and not train:
        notes.append(f"{train_root.name} has no train split: the fitted baselines are left out.")
    elif train_root is not root:
        notes.append(f"The baselines are fitted on the train split of {train_root.name}.")
    report = _report(root, split, tile, names, counted, skipped, tracks, plain, notes)
    if judges:
        report["segmentation"] = {direction: judge.summary() for direction, judge in judges.items()}
        report["conventions"] |= {"segmentation": SEGMENTATION_CONVENTION}
    for direction, watching in watchers.items():
        for watcher in watching:
            if found := watcher.summary():
                report.setdefault(watcher.section, {})[direction] = found
                report["conventions"] |= {watcher.section: watcher.convention}
    if runs:
        report["curves"] = {name: read_curves(folder) for name, folder in runs.items()}
    report = _finite(report)
    out.mkdir(parents=True, exist_ok=True)
    if html:
        from saropt.evaluation.report import render

        pictures = {(r.name, r.direction): r.gallery.shots() for _, r in tracks}
        drawings = {d: w.drawings for d, ws in watchers.items() for w in ws if isinstance(w, MatchWatcher)}
        write_text(out / "report.html", render(report, pictures, drawings))
    else:
        (out / "report.html").unlink(missing_ok=True)
    write_text(out / "report.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
    return report


def _draw_samples(tracks: Sequence[tuple[Model, Row]], samples: int, seed: int) -> None:
    if samples < 2:
        raise InputError(f"--samples {samples}", "a deviation needs at least 2")
    drawing = [row for model, row in tracks if draws_samples(model)]
    if not drawing:
        names = ", ".join(sorted({row.name for _, row in tracks})) or "a baseline"
        raise InputError(f"--samples {samples}", f"{names} has one output only: it draws no samples")
    for row in drawing:
        row.deviation = DeviationQuality(samples, seed)


def _watchers(root: PairRoot, direction: str, matchers: Sequence[Matcher]) -> list[Watcher]:
    """What else is measured in a direction: matching where asked for, errors by class, speckle where SAR is made."""
    found: list[Watcher] = [MatchWatcher(matchers)] if matchers else []
    if isinstance(root, DataRoot) and len(root.classes) > 1 and (root.path / "label").is_dir():
        found.append(ClassWatcher(root))
    if direction == "opt2sar":
        found.append(SpeckleWatcher())
    return found


def _opened(data: str | Path | PairRoot) -> tuple[PairRoot, str]:
    """The data root and the name it goes by in an error."""
    return (DataRoot.open(data), str(data)) if isinstance(data, str | Path) else (data, data.name)


def _check_writable(out: Path, targets: Iterable[Path], overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(out, "is a file; a report is a folder")
    for target in targets:
        if target.exists() and not overwrite:
            raise InputError(target, "exists already; use --overwrite to replace it")
    nearest = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not os.access(nearest, os.W_OK):
        raise InputError(out, "cannot be written: no permission")


def _check_models(models: Sequence[Model]) -> None:
    known: dict[str, Model] = {}
    seen = set()
    for model in models:
        card, direction = model.card, model.direction
        if direction not in DIRECTIONS:
            raise InputError(card.name, f"direction {direction!r} is not one of {', '.join(DIRECTIONS)}")
        first = known.setdefault(card.name, model).card
        if (card.name, direction) in seen or (card.method, card.training) != (first.method, first.training):
            raise InputError(card.name, "two models have this name")
        seen.add((card.name, direction))


def _train_names(root: PairRoot) -> list[str]:
    try:
        return list(root.names("train"))
    except InputError:
        return []


def _make_baselines(trained: bool) -> list[Baseline]:
    return [kind() for kind in BASELINES if trained or not kind.fitted]


def _fit(
    fitted: dict[str, list[Baseline]],
    targets: dict[str, list[int]],
    root: PairRoot,
    names: Sequence[str],
    tile: int,
    steps: _Progress,
) -> None:
    for name in names:
        for pair in stream_tiles(root, [name], tile):
            valid = pair.valid
            if valid.any():
                for direction, baselines in fitted.items():
                    source, target = (
                        to_unit(p.values[:, valid], p, name).astype(np.float64) for p in pair.sides(direction)
                    )
                    for baseline in baselines:
                        baseline.update(source, target[targets[direction]])
        steps.step(f"baselines {name}")
    try:
        for baselines in fitted.values():
            fit_all(baselines, ())
    except ValueError as error:
        raise InputError(root.name, f"split 'train': {error}") from error


def _common_target(root: PairRoot, direction: str, rows: Sequence[Row]) -> list[int]:
    """Positions of the output bands that all models of a direction share, so that the baselines give them too."""
    for row in rows[1:]:
        if row.target_bands != rows[0].target_bands:
            raise InputError(row.name, f"gives other bands than {rows[0].name}: evaluate them one at a time")
    return rows[0].target_bands if rows else list(range(len(sides(root, direction)[1].bands)))


def _warnings(row: Row, summary: dict[str, Any], plain: Sequence[tuple[Baseline, Row]]) -> list[str]:
    found = list(row.warnings)
    if summary["collapse_ratio"] < 1:
        found.append(
            f"collapse_ratio {summary['collapse_ratio']:.2f} is below 1: the output is nearer to the input than "
            "to the truth"
        )
    better = [
        r.name
        for b, r in plain
        if r.direction == row.direction and b.fitted and r.quality.summary()["psnr"] > summary["psnr"]
    ]
    if better:
        found.append(f"PSNR {summary['psnr']:.2f} dB is below the trivial baseline {', '.join(better)}")
    return found


def _report(
    root: PairRoot,
    split: str,
    tile: int,
    names: Sequence[str],
    counted: int,
    skipped: int,
    tracks: Sequence[tuple[Model, Row]],
    plain: Sequence[tuple[Baseline, Row]],
    notes: list[str],
) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    for _, row in tracks:
        summary = row.quality.summary()
        summary["seconds_per_megapixel"] = row.seconds / (row.pixels / 1e6)
        if row.deviation is not None:
            summary["deviation"] = row.deviation.summary()
        summary["warnings"] = _warnings(row, summary, plain)
        rows.setdefault(row.name, {})[row.direction] = summary
    trivial: dict[str, dict[str, Any]] = {}
    for _, row in plain:
        trivial.setdefault(row.direction, {})[row.name] = row.quality.summary()
    return {
        "saropt": saropt.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": root.name,
            "gsd_m": root.gsd_m,
            "sar": {"bands": list(root.sar.bands), "units": root.sar.units},
            "optical": {"bands": list(root.optical.bands), "units": root.optical.units},
            "licence": root.licence,
            "rasters": len(names),
        },
        "split": split,
        "tile": tile,
        "n": counted,
        "skipped": skipped,
        "conventions": dict(CONVENTIONS),
        "notes": notes,
        "models": [{"model": name, "directions": directions} for name, directions in rows.items()],
        "baselines": trivial,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
