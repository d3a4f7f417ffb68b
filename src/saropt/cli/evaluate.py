"""`saropt evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saropt.cli.completion import model_names

if TYPE_CHECKING:
    from saropt.evaluation import EvaluationResult


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help="Translators: names, files or run folders.", autocompletion=model_names),
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DATA", help="Data root with the true images.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for report.json and report.html.")],
    split: Annotated[str, typer.Option(metavar="train|val|test", help="Split of the data root to score on.")] = "test",
    segmenters: Annotated[
        list[Path] | None,
        typer.Option(
            "--segmenter",
            metavar="FILE",
            help="Segmenter that scores the translations against the labels; one per modality.",
        ),
    ] = None,
    changed: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS[,CLASS]",
            help="Label classes of changed ground, for translators that take an earlier image (default: measured).",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of pretrained weights, which FID, KID and LPIPS need; nothing is downloaded."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="For samplers: score the mean and the standard deviation of N samples."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the noise that samples start from.")] = 0,
    speckle: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="LOOKS", help="For translations to SAR: score them with speckle of these looks."),
    ] = None,
    reliability: Annotated[
        bool, typer.Option("--reliability", help="Also score the maps of reliability; each translator must hold one.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Number of sampling steps (default: each model's own).")
    ] = None,
    match: Annotated[
        bool,
        typer.Option("--match", help="Also match translations with the true images, by SIFT and a RIFT-like method."),
    ] = False,
    matchers: Annotated[
        list[str] | None,
        typer.Option(
            "--matcher", metavar="NAME|FILE", help="Also match with this matcher, a name or a file; implies --match."
        ),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Rasters to show side by side for all translators, as PNG and SVG figures in the report's folder.",
        ),
    ] = None,
    read_scene_inputs: Annotated[
        bool,
        typer.Option("--read-scene-inputs", help="Tell translators that take them the month, latitude and incidence."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report in DIR.")] = False,
) -> None:
    """Score translators and simple baselines on a data root.

    Each translator is scored in every direction that it supports.
    """
    from saropt.cli.extras import require
    from saropt.cli.progress import progress_bar

    require("evaluate", "train", "jinja2")

    if tiles:
        require("evaluate --tiles", "train", "matplotlib")

    from saropt import evaluation
    from saropt.domain import listed
    from saropt.errors import counted
    from saropt.inference import Segmenter, Translator
    from saropt.matching import find_matcher

    loaded = [
        (Path(model), Translator.load_all(model, steps=steps, speckle=speckle, reliability=reliability))
        for model in models
    ]
    names = dict.fromkeys([*(("sift", "rift") if match or matchers else ()), *(matchers or ())])
    spec = evaluation.EvaluationSpec(
        data,
        [translator for _, translators in loaded for translator in translators],
        split,
        segmenters=[Segmenter.load(path) for path in segmenters or ()],
        matchers=[find_matcher(name) for name in names],
        samples=samples,
        seed=seed,
        weights=weights,
        changed=changed.split(",") if changed else (),
        runs={translators[0].card.name: path for path, translators in loaded if (path / evaluation.LOG_FILE).is_file()},
        tiles=tiles.split(",") if tiles else (),
        read_scene_inputs=read_scene_inputs,
        overwrite=overwrite,
    )
    with progress_bar("evaluate") as bar:
        result = evaluation.evaluate(spec, out, progress=bar)
    _print_scores(result)
    for direction, found in result.report.get("ground", {}).items():
        _print_ground(direction, found)
    for direction, judged in result.report.get("segmentation", {}).items():
        _print_segmentation(direction, judged)
    for direction, found in result.report.get("matching", {}).items():
        _print_matching(direction, found)
    if result.removed:
        paths = listed([str(path) for path in result.removed])
        typer.echo(f"removed {counted(len(result.removed), 'file')} of the earlier report: {paths}")
    typer.echo(f"wrote {' and '.join(map(str, result.paths))}")


def _print_scores(result: EvaluationResult) -> None:
    from saropt.cli.tables import print_table
    from saropt.errors import counted
    from saropt.evaluation.metric import metrics_in
    from saropt.evaluation.verdicts import MARK, MARK_MEANS, marked, with_tiles

    report = result.report
    for direction in report["directions"]:
        entries = [(name, found[direction]) for name, found in result.models.items() if direction in found]
        entries += result.baselines.get(direction, {}).items()
        columns = metrics_in(scores for _, scores in entries)
        counts = f"{counted(report['n'], 'tile')} of {counted(report['scenes'], 'scene')}"
        title = f"{direction}, {report['data']['name']}, split {report['split']}, {counts}"
        trivial = result.baselines.get(direction, {})
        marks = {name: marked(name, scores, trivial) for name, scores in entries if name not in trivial}
        cells = [
            [
                with_tiles(marks.get(name, name), scores, report["n"]),
                *(metric.text(scores.get(metric.key)) for metric in columns),
            ]
            for name, scores in entries
        ]
        print_table(["", *(metric.title for metric in columns)], cells, title)
        if any(MARK in text for text in marks.values()):
            typer.echo(MARK_MEANS)
        _print_intervals(entries, report, direction)
        for name, scores in entries:
            if (found := scores.get("deviation")) is not None:
                typer.echo(
                    f"{name}: mean of {found['samples']} samples; their deviation correlates with its error by "
                    f"{_share(found['correlation'])} per pixel, {_share(found['correlation_8px'])} over 8 pixels"
                )
                if calibration := found["calibration"]:
                    factors = ", ".join(f"{factor:.2f}" for factor in calibration["factor"])
                    typer.echo(
                        f"{name}: {factors} times the deviation holds {1 - calibration['alpha']:.0%} of the truth; "
                        f"in scenes left out in turn {calibration['coverage']:.1%}, "
                        f"{calibration['least_coverage']:.1%} in the worst of {calibration['scenes']}"
                    )
            if (found := scores.get("reliability")) is not None:
                _print_reliability(name, found)
    for warning in result.warnings:
        typer.echo(warning)
    for note in report["notes"][1:]:
        typer.echo(note)


def _print_reliability(name: str, found: Mapping[str, Any]) -> None:
    from saropt.cli.tables import print_table

    typer.echo(
        f"{name}: {found['coverage']:.1%} of the pixels lie within their half-width ({1 - found['alpha']:.0%} is "
        f"stated), {found['least_coverage']:.1%} in the worst tile"
    )
    cells = [[one, _share(value), _share(found["ause_8px"][one])] for one, value in found["ause"].items()]
    print_table(["", "pixels", "8x8 pixels"], cells, "AUSE, 0 is perfect")


def _print_intervals(entries: list[tuple[str, dict[str, Any]]], report: Mapping[str, Any], direction: str) -> None:
    from saropt.cli.tables import print_table
    from saropt.errors import counted
    from saropt.evaluation.metric import METRICS
    from saropt.evaluation.report_html import rows_of_tests, span
    from saropt.evaluation.verdicts import TESTED, with_tiles

    titles = [METRICS[key].title for key in TESTED]
    rows = []
    for name, scores in entries:
        found = scores["intervals"]
        cells = [span(METRICS[key], found[key]) if key in found else "–" for key in TESTED]
        effective = found.get("psnr", [None] * 3)[2]
        rows.append([with_tiles(name, scores, report["n"]), *cells, "–" if effective is None else f"{effective:.0f}"])
    if any(scores["intervals"] for _, scores in entries):
        title = f"95 % intervals over {counted(report['scenes'], 'scene')}"
        print_table(["", *titles, "effective tiles (PSNR)"], rows, title)
    if tests := report["tests"].get(direction):
        print_table(
            ["", *titles], [[name, *cells] for name, cells in rows_of_tests(tests)], "paired tests, same scenes"
        )


def _print_ground(direction: str, found: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table
    from saropt.evaluation.ground import HEADINGS, rows_of

    cells = [[name, *texts] for name, texts in rows_of(found)]
    print_table(["", *HEADINGS], cells, f"{direction} by kind of ground; changed ground is {found['changed']}")


def _print_segmentation(direction: str, judged: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table
    from saropt.evaluation.metric import metrics_in
    from saropt.evaluation.segmentation import segmentation_rows

    columns = metrics_in([judged["real"]], "segmentation")
    cells = [[name, *texts] for name, texts in segmentation_rows(judged, columns)]
    classes = [f"IoU {name}" for name in judged["real"]["class_iou"]]
    headings = ["", *(metric.title for metric in columns), *classes]
    print_table(headings, cells, f"{direction}, segmented by {judged['segmenter']}")
    typer.echo(f"naming the most frequent class everywhere has pixel accuracy {_share(judged['majority'])}")
    if judged["real"]["absent"]:
        typer.echo(
            f"left out of the mean class accuracy, without a labelled pixel: {', '.join(judged['real']['absent'])}"
        )


def _print_matching(direction: str, found: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table
    from saropt.evaluation.intervals import with_ends
    from saropt.evaluation.metric import metrics_in

    columns = metrics_in(found["raw"].values(), "matching")
    cells = [
        [
            name,
            *(
                with_ends(metric.text(scores[metric.key]), scores["intervals"][metric.key], metric.digits)
                for scores in by_matcher.values()
                for metric in columns
            ),
        ]
        for name, by_matcher in (("untranslated input", found["raw"]), *found["models"].items())
    ]
    headings = ["", *(f"{matcher} {metric.title}" for matcher in found["raw"] for metric in columns)]
    print_table(headings, cells, f"{direction}, matched with the truth")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
