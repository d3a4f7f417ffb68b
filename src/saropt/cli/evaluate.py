"""`saropt evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

COLUMNS = {
    "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 3),
    "mae": ("MAE", 3),
    "psnr_shift": ("PSNR, ±2 px forgiven", 2),
    "frechet_distance": ("Fréchet (Haar)", 2),
    "collapse_ratio": ("collapse ratio", 2),
}


def evaluate(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Translators by name or file.")],
    data: Annotated[Path, typer.Option("--data", metavar="DATA", help="Data root.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for report.json and report.html.")],
    split: Annotated[str, typer.Option(help="Split of the data root: train, val or test.")] = "test",
    segmenters: Annotated[
        list[Path] | None,
        typer.Option(
            "--segmenter",
            metavar="FILE",
            help="Segmenter of the target images, judged by the labels; one per modality.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Published weight files, for FID, KID and LPIPS; never downloaded."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Measure mean and deviation of N samples (samplers)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples' noise.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, metavar="K", help="Steps of samplers; the cards' own.")] = None,
    match: Annotated[
        bool, typer.Option("--match", help="Match translations with the truth, by SIFT and RIFT-like.")
    ] = False,
    matcher: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Match by this trained matcher too; implies --match.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
) -> None:
    """Measure translators beside trivial baselines, in every direction that they translate."""
    from saropt.cli.extras import require
    from saropt.cli.progress import progress_bar

    require("evaluate", "train", "jinja2")

    from saropt import evaluation
    from saropt.inference import Segmenter, Translator
    from saropt.matching import find_matcher

    held = [(Path(model), Translator.load_all(model, steps=steps)) for model in models]
    translators = [translator for _, loaded in held for translator in loaded]
    runs = {loaded[0].card.name: path for path, loaded in held if (path / evaluation.METRICS).is_file()}
    wanted: list[str | Path] = ["sift", "rift"] if match or matcher else []
    matchers = [find_matcher(name) for name in [*wanted, *([matcher] if matcher else [])]]
    with progress_bar("evaluate") as bar:
        report = evaluation.evaluate(
            translators,
            data,
            out,
            split,
            overwrite=overwrite,
            weights=weights,
            samples=samples,
            seed=seed,
            matchers=matchers,
            runs=runs,
            segmenters=[Segmenter.load(path) for path in segmenters or ()],
            progress=lambda what, done, total: bar(done, total, what),
        )
    _print_scores(report)
    for direction, judged in report.get("segmentation", {}).items():
        _print_segmentation(direction, judged)
    for direction, found in report.get("matching", {}).items():
        _print_matching(direction, found)
    typer.echo(f"wrote {out / 'report.json'} and {out / 'report.html'}")


def _print_scores(report: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table

    rows = {
        direction: [(m["model"], m["directions"][direction]) for m in report["models"] if direction in m["directions"]]
        + list(baselines.items())
        for direction, baselines in report["baselines"].items()
    }
    for direction, entries in rows.items():
        title = f"{direction}, {report['data']['name']}, split {report['split']}, {report['n']} tiles"
        cells = [
            [name, *("–" if s[key] is None else f"{s[key]:.{digits}f}" for key, (_, digits) in COLUMNS.items())]
            for name, s in entries
        ]
        print_table(["", *(heading for heading, _ in COLUMNS.values())], cells, title)
        for name, scores in entries:
            if (found := scores.get("deviation")) is not None:
                typer.echo(
                    f"{name}: mean of {found['samples']} samples; their deviation correlates with its error by "
                    f"{_share(found['correlation'])} per pixel, {_share(found['correlation_8px'])} over 8 pixels"
                )
            for warning in scores.get("warnings", []):
                typer.echo(f"{name}: {warning}")


def _print_segmentation(direction: str, judged: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table

    rows = {**judged["models"], "real images": judged["real"]}
    cells = [
        [
            name,
            *(_share(scores[key]) for key in ("pixel_accuracy", "mean_class_accuracy", "miou")),
            *(_share(value) for value in scores["class_iou"].values()),
        ]
        for name, scores in rows.items()
    ]
    headings = [
        "",
        "pixel accuracy",
        "class accuracy",
        "mIoU",
        *(f"IoU {name}" for name in judged["real"]["class_iou"]),
    ]
    print_table(headings, cells, f"{direction}, segmented by {judged['segmenter']}")
    typer.echo(f"naming the most frequent class everywhere has pixel accuracy {_share(judged['majority'])}")
    if judged["real"]["absent"]:
        typer.echo(
            f"left out of the mean class accuracy, without a labelled pixel: {', '.join(judged['real']['absent'])}"
        )


def _print_matching(direction: str, found: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table

    rows = [("untranslated input", found["raw"]), *found["models"].items()]
    cells = [
        [name, *(_share(scores[key]) for scores in rates.values() for key in ("pmr", "ir", "ir_ed"))]
        for name, rates in rows
    ]
    headings = ["", *(f"{matcher} {rate}" for matcher in found["raw"] for rate in ("PMR", "IR", "IR-ED"))]
    print_table(headings, cells, f"{direction}, matched with the truth")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
