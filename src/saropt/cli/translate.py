"""`saropt translate`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL

if TYPE_CHECKING:
    from saropt.batch.jobs import Work

DEFAULT_MODELS = {"optical": "s1-losangeles", "sar": "losangeles-s1"}
DIRECTIONS = {"optical": SAR_TO_OPTICAL, "sar": OPTICAL_TO_SAR}


def translate(
    scene: Annotated[
        str,
        typer.Argument(
            metavar="SCENE",
            help="GeoTIFF, COG or PNG by path or address; or many: a quoted glob, a folder, a list (.txt).",
        ),
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="GeoTIFF to write (a COG), by path or s3://, gs://, az://; a folder for many scenes."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Translator; s1-losangeles to optical, losangeles-s1 to SAR if not given."
        ),
    ] = None,
    to: Annotated[
        Literal["optical", "sar"] | None,
        typer.Option(help="What to make; optical if neither this nor --model is given."),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="BAND[,BAND]", help="Bands of SCENE to use: VH or 2, say.")
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help="Units of SCENE: amplitude, sigma0_db, gamma0_db, sigma0, gamma0, uint8, complex."),
    ] = None,
    backend: Annotated[
        str, typer.Option(metavar="auto|onnx|openvino|torch", help="Runtime of the network; auto goes by the file.")
    ] = "auto",
    precision: Annotated[Literal["fp32", "bf16"], typer.Option(help="Arithmetic of the network.")] = "fp32",
    compile_network: Annotated[
        bool, typer.Option("--compile", help="Compile the network first (backend torch): for large scenes.")
    ] = False,
    tile: Annotated[int | None, typer.Option(min=1, metavar="PIXELS", help="Tile side.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network runs.")] = "auto",
    realism: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="0 is faithful, 1 is realistic; the card's own if not given.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Samples of a sampler; of more than one OUT is the mean, OUT_std the deviation."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the samples' noise; 0 if not given.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="K", help="Steps of a sampler; the card's own.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Scenes at a time, of many; 1, or one for each node of a Ray cluster.")
    ] = None,
    executor: Annotated[
        str, typer.Option(metavar="local|ray", help="What translates several scenes: this machine, or a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Running Ray cluster; one on this machine if not given.")
    ] = None,
    staging: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where outputs for s3://, gs:// and az:// are made; one in the temporary folder."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Translate a whole georeferenced scene, or many."""
    from saropt.batch.jobs import Work, list_scenes
    from saropt.errors import InputError
    from saropt.inference.requests import LoadOptions, TranslateOptions

    work = Work(
        model or DEFAULT_MODELS[to or "optical"],
        LoadOptions(
            direction=DIRECTIONS[to] if to else None,
            backend=backend,
            precision=precision,
            device=device,
            realism=realism,
            steps=steps,
            compile=compile_network,
        ),
        TranslateOptions(
            bands=tuple(bands.split(",")) if bands else None,
            units=units,
            tile=tile,
            samples=samples,
            seed=seed,
            resume=resume,
            overwrite=overwrite,
            staging=staging.absolute() if staging else None,
        ),
    )
    scenes = list_scenes(scene)
    if scenes is not None:
        _translate_many(scenes, out, work, executor, workers, address)
        return
    if executor != "local" or (workers or 1) > 1:
        raise InputError(scene, "is one scene; --workers and --executor apply to several scenes")
    _translate_one(scene, out, work)


def _translate_one(scene: str, out: str, work: Work) -> None:
    from saropt.cli.progress import progress_bar
    from saropt.scenes import scene_name

    translator = work.open()
    with progress_bar(scene_name(scene)) as report:
        result = translator.run(scene, out, work.translate, report)
    _say_written(str(result.path), translator.card.name, result.seam)
    for name, path in list(result.products.items())[1:]:
        typer.echo(f"wrote {path}: the {name}")
    for warning in result.warnings:
        typer.echo(f"saropt: warning: {warning}", err=True)


def _translate_many(
    scenes: list[str],
    folder: str,
    work: Work,
    executor: str,
    workers: int | None,
    address: str | None,
) -> None:
    from saropt.batch.executors import open_executor
    from saropt.batch.jobs import plan_jobs
    from saropt.cli.progress import progress_bar
    from saropt.inference import card_of, find_translator
    from saropt.scenes import scene_name

    runner = open_executor(executor, work, workers, address)
    name = card_of(find_translator(work.model, work.load.direction)).name
    options = work.translate
    jobs, finished = plan_jobs(
        scenes, folder, resume=options.resume, overwrite=options.overwrite, staging=options.staging
    )
    with progress_bar(scene_name(folder.rstrip("/"))) as report, closing(runner.run(jobs, report)) as running:
        outcomes = list(running)
    seams = [outcome.seam for outcome in outcomes if outcome.seam is not None]
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    before = len(finished) + sum(outcome.found for outcome in outcomes)
    elsewhere = sum(outcome.busy for outcome in outcomes)
    there = len(scenes) - len(failures) - elsewhere
    if there:
        kept = f", {before} of them before," if before else ""
        _say_written(f"{there} of {len(scenes)} scenes{kept} to {folder}", name, max(seams, default=None))
    if elsewhere:
        typer.echo(f"left {elsewhere} of {len(scenes)} scenes to other processes, which are writing them")
    for failure in failures:
        typer.echo(f"saropt: error: {failure.command_line_text()}", err=True)
    if failures:
        raise typer.Exit(2)


def _say_written(what: str, translator: str, seam: float | None) -> None:
    from saropt.inference import NOTICE

    typer.echo(f"wrote {what} with {translator}: {NOTICE[0].lower()}{NOTICE[1:]}")
    if seam is not None:
        typer.echo(f"its windows are blended, not exact: where they overlap they differ by {seam / 2:.2%}")
