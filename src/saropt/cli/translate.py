"""`saropt translate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from saropt.cli.completion import model_names

if TYPE_CHECKING:
    from saropt.batch.jobs import Work
    from saropt.inference.requests import Raster


def translate(
    scene: Annotated[
        str,
        typer.Argument(
            metavar="SCENE",
            help="GeoTIFF, COG, PNG, Sentinel or RTC product, URL. Many: a folder, quoted glob or list (.txt, .csv).",
        ),
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="GeoTIFF to write, or a folder for many scenes; may start with s3://, gs:// or az://."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Translator (default: by the scene and --reference, see docs/choosing.md; mostly s1-world).",
            autocompletion=model_names,
        ),
    ] = None,
    to: Annotated[
        Literal["optical", "sar"] | None,
        typer.Option(help="Type of image to produce (default: optical, or what --model produces)."),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="BAND[,BAND]", help="Bands of SCENE, by name or number (VH or 2); put in order by their names."
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="UNITS",
            help="Units of SCENE: amplitude, sigma0, sigma0_db, gamma0, gamma0_db, complex or uint8.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR", help="Earlier clear optical image of the place, on any grid, or a Sentinel-2 product."
        ),
    ] = None,
    reference_sar: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Earlier SAR image, ideally of the date of --reference. Repeat it: the mean of the dates.",
        ),
    ] = None,
    reference_mask: Annotated[
        str | None,
        typer.Option(metavar="FILE|DIR", help="Raster that is not 0 where the reference shows cloud or shadow."),
    ] = None,
    keep_clear: Annotated[
        str | None,
        typer.Option(metavar="FILE|DIR", help="Optical image of today; its valid pixels are kept exactly."),
    ] = None,
    keep_clear_mask: Annotated[
        str | None,
        typer.Option(metavar="FILE|DIR", help="Raster that is not 0 where --keep-clear shows cloud or shadow."),
    ] = None,
    further_inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="ROLE=FILE|DIR",
            help="Further input that the translator takes, such as dem=heights.tif. May be repeated.",
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(metavar="auto|onnx|openvino|torch", help="Runtime of the network; auto selects it by file type."),
    ] = "auto",
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="Floating-point precision of the network.")
    ] = "fp32",
    compile_network: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network first, which speeds up large scenes (torch backend only)."),
    ] = False,
    nodata: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Stored value of SCENE that is no measurement but is not declared as such."),
    ] = None,
    pixel: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="Project a Sentinel-1 product to UTM (default: keep radar geometry)."),
    ] = None,
    dem: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Terrain heights: put a Sentinel-1 product on UTM and flatten its relief."),
    ] = None,
    geoid: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="For a --dem of heights above sea level: the geoid above the ellipsoid."),
    ] = None,
    month: Annotated[
        int | None,
        typer.Option(metavar="1..12", help="Month of SCENE, for translators that take it (default: not known)."),
    ] = None,
    latitude: Annotated[
        float | None,
        typer.Option(metavar="DEGREES", help="Latitude of SCENE, north positive, for the same (default: not known)."),
    ] = None,
    incidence: Annotated[
        float | None,
        typer.Option(metavar="DEGREES", help="Incidence angle at its centre, for the same (default: not known)."),
    ] = None,
    read_scene_inputs: Annotated[
        bool,
        typer.Option("--read-scene-inputs", help="Take these three from SCENE's tags and place, where not given."),
    ] = False,
    tile: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="Side of a tile (default: the translator's own).")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device that the network runs on.")] = "auto",
    realism: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="0..1",
            help="0 is most accurate but smooth, 1 is sharp but partly invented (default: the translator's own).",
        ),
    ] = None,
    speckle: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            metavar="LOOKS",
            help="For translations to SAR: lay speckle of this number of looks on the smooth image (--seed).",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="For samplers: write the mean of N samples, and their standard deviation to OUT_std.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Seed of the noise that samples start from (default 0)."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Number of sampling steps (default: the translator's own)."),
    ] = None,
    reliability: Annotated[
        bool,
        typer.Option(
            "--reliability",
            help="Write OUT_reliability too: how far the truth may lie from each pixel (90 % of times).",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Scenes to translate at the same time (default: 1, or 1 per node with Ray)."
        ),
    ] = None,
    executor: Annotated[
        str, typer.Option(metavar="local|ray", help="Run on this machine or on a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of a running Ray cluster (default: start one on this machine)."),
    ] = None,
    staging: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Local folder for files before their upload (default: a temporary folder)."),
    ] = None,
    stac: Annotated[
        bool, typer.Option("--stac", help="Write a STAC item beside OUT (the same name with .json).")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Translate a georeferenced scene of any size, or many."""
    from dataclasses import replace

    from saropt.batch.jobs import Work
    from saropt.batch.scene_lists import left_out, list_companions, list_scenes
    from saropt.errors import InputError, OptionError
    from saropt.inference import DIRECTIONS, default_model
    from saropt.inference.requests import EARLIER_IMAGES, LoadOptions, TranslateOptions, check_dates, inputs_by_role

    if resume and overwrite:
        raise OptionError("resume", True, "keeps what an earlier run has made, --overwrite replaces it: choose one")
    companions: dict[str, Raster] = {
        name: given
        for name, given in (
            ("reference", reference),
            ("reference_sar", check_dates("reference_sar", reference_sar) if reference_sar else None),
            ("reference_mask", reference_mask),
            ("keep_clear", keep_clear),
            ("keep_clear_mask", keep_clear_mask),
        )
        if given is not None
    }
    companions |= inputs_by_role(further_inputs or ())
    scenes, chosen = list_scenes(scene), tuple(bands.split(",")) if bands else None
    own = {} if scenes is None else list_companions(scene, scenes, companions)
    if model is None:
        earlier = any(name in given for given in (companions, *own.values()) for name in EARLIER_IMAGES)
        model = default_model(scenes or [scene], to=to, units=units, bands=chosen, reference=earlier)
    work = Work(
        model,
        LoadOptions(
            direction=DIRECTIONS[to] if to else None,
            backend=backend,
            precision=precision,
            device=device,
            realism=realism,
            speckle=speckle,
            steps=steps,
            reliability=reliability,
            compile=compile_network,
        ),
        TranslateOptions(
            bands=chosen,
            units=units,
            nodata=nodata,
            pixel=pixel,
            dem=dem,
            geoid=geoid,
            month=month,
            latitude=latitude,
            incidence=incidence,
            read_scene_inputs=read_scene_inputs,
            tile=tile,
            samples=samples,
            seed=seed,
            resume=resume,
            overwrite=overwrite,
            staging=staging.absolute() if staging else None,
            stac=stac,
        ),
    )
    if scenes is not None:
        for line in left_out(scene, scenes, companions, out):
            typer.echo(f"saropt: warning: {line}", err=True)
        _translate_many(scenes, out, work, own, executor, workers, address)
        return
    if executor != "local" or (workers or 1) > 1 or address is not None:
        raise InputError(scene, "is one scene; --workers, --executor and --address apply to several scenes")
    _translate_one(scene, out, replace(work, translate=work.translate.with_companions(companions)))


def _translate_one(scene: str, out: str, work: Work) -> None:
    from saropt.batch.jobs import Job, is_finished
    from saropt.cli.progress import progress_bar
    from saropt.inference.reliability import reliability_in_words
    from saropt.scenes import scene_name

    translator, options = work.open(), work.translate
    if options.resume and not options.overwrite and is_finished(translator, Job(scene, out), options):
        typer.echo(f"{out} is finished: nothing to do")
        return
    with progress_bar(scene_name(scene)) as report:
        result = translator.run(scene, out, options, report)
    _say_written(str(result.path), translator.card.name, result.seam)
    for name, path in list(result.products.items())[1:]:
        typer.echo(f"wrote {path}: the {name}")
    if translator.reliability is not None:
        typer.echo(reliability_in_words(result.products["reliability"], translator.reliability))
    for warning in result.warnings:
        typer.echo(f"saropt: warning: {warning}", err=True)


def _translate_many(
    scenes: list[str],
    folder: str,
    work: Work,
    companions: Mapping[str, Mapping[str, Raster]],
    executor: str,
    workers: int | None,
    address: str | None,
) -> None:
    from saropt.addresses import is_store
    from saropt.batch.executors import open_executor
    from saropt.batch.jobs import plan_jobs, unfinished
    from saropt.cli.progress import progress_bar
    from saropt.inference import card_of, find_translator
    from saropt.scenes import scene_name

    runner = open_executor(executor, work, workers, address)
    name = card_of(find_translator(work.model, work.load.direction)).name
    options = work.translate
    is_new = not is_store(folder) and not Path(folder).exists()
    try:
        jobs, found = plan_jobs(
            scenes,
            folder,
            companions=companions,
            resume=options.resume,
            overwrite=options.overwrite,
            staging=options.staging,
            suffixes=work.suffixes,
        )
        lacking = unfinished(work, found)
        jobs += lacking
        with progress_bar(scene_name(folder.rstrip("/"))) as report, closing(runner.run(jobs, report)) as running:
            outcomes = list(running)
    finally:
        if is_new:
            with suppress(OSError):  # it holds something, or was never made
                Path(folder).rmdir()
    seams = [outcome.seam for outcome in outcomes if outcome.seam is not None]
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    before = len(found) - len(lacking) + sum(outcome.found for outcome in outcomes)
    elsewhere = sum(outcome.busy for outcome in outcomes)
    there = len(scenes) - len(failures) - elsewhere
    if there:
        kept = f", {before} of them before," if before else ""
        _say_written(f"{there} of {len(scenes)} scenes{kept} to {folder}", name, max(seams, default=None))
    if elsewhere:
        typer.echo(f"left {elsewhere} of {len(scenes)} scenes to other processes, which are writing them")
    for warning, count in Counter(text for outcome in outcomes for text in outcome.warnings).items():
        typer.echo(f"saropt: warning: {count} of {len(scenes)} scenes: {warning}", err=True)
    for failure in failures:
        typer.echo(f"saropt: error: {failure.command_line_text()}", err=True)
    if failures:
        raise typer.Exit(2)


def _say_written(what: str, translator: str, seam: float | None) -> None:
    from saropt.addresses import without_secrets
    from saropt.inference import NOTICE

    typer.echo(f"wrote {without_secrets(what)} with {translator}: {NOTICE[0].lower()}{NOTICE[1:]}")
    if seam is not None:
        typer.echo(f"its windows are blended, not exact: where they overlap they differ by {seam / 2:.2%}")
