"""`saropt match`: two scenes, or the training of a matcher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from saropt.cli.completion import model_names
from saropt.cli.examples import epilog

if TYPE_CHECKING:
    from saropt.matching import SceneMatch

PAIR = "scenes"


class _PairByDefault(TyperGroup):
    """`saropt match A B` is short for `saropt match scenes A B`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = [PAIR, *args]
        return super().parse_args(ctx, args)


match = typer.Typer(
    cls=_PairByDefault,
    help="Find tie points between two scenes, or train a matcher.\n\n"
    "`saropt match A B` is short for `saropt match scenes A B`.",
    epilog=epilog("match"),
    rich_markup_mode=None,
)


@match.command(PAIR, epilog=epilog("match scenes"))
def match_two(
    a: Annotated[Path, typer.Argument(metavar="A", help="Scene to match and register.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Reference scene.")],
    via: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Translate A with this translator first.", autocompletion=model_names),
    ] = None,
    method: Annotated[str, typer.Option(metavar="sift|rift|FILE", help="Matcher: a name or a matcher file.")] = "rift",
    transform: Annotated[
        Literal["translation", "affine", "homography"],
        typer.Option(help="Geometric transform to fit to the tie points."),
    ] = "affine",
    search: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PIXELS",
            help="Maximum shift between A and B, if both are georeferenced.",
            show_default="32",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the tie points: .csv, .geojson, .json, .points (QGIS), or A with control points: .tif.",
        ),
    ] = None,
    registered: Annotated[
        Path | None,
        typer.Option("--register", metavar="OUT", help="Write A, registered to the grid of B, to this GeoTIFF."),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="BAND[,BAND]",
            help="For --via: bands of A, by name or number (VH or 2); put in order by their names.",
        ),
    ] = None,
    units: Annotated[str | None, typer.Option(metavar="UNITS", help="For --via and --register: units of A.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
) -> None:
    """Find tie points between two scenes, and register A to B."""
    from saropt import matching
    from saropt.cli.progress import progress_bar
    from saropt.errors import OptionError
    from saropt.scenes.writing import check_writable

    if via is None and bands is not None:
        raise OptionError("bands", bands, "is for --via")
    if via is None and registered is None and units is not None:
        raise OptionError("units", units, "is for --via and --register")
    if out is not None:
        matching.check_tie_points_path(out, overwrite)
    if registered is not None:
        check_writable(registered, suffixes=(".tif", ".tiff"), overwrite=overwrite)
        if units is not None:
            matching.units_to_register(a, units)
    matcher = matching.find_matcher(method)
    with progress_bar(a.name) as report:
        options: dict[str, Any] = {"kind": transform, "search": search, "progress": report}
        if via is None:
            found = matching.match_scenes(a, b, matcher, **options)
        else:
            from saropt.domain import SAR_TO_OPTICAL
            from saropt.inference import Translator

            translator = Translator.load(via, direction=SAR_TO_OPTICAL)
            chosen = bands.split(",") if bands else None
            found = matching.match_translated(a, b, matcher, translator, bands=chosen, units=units, **options)
    _print(found)
    if out is not None:
        typer.echo(f"wrote {matching.write_tie_points(out, found, overwrite)}")
    if registered is not None:
        with progress_bar(registered.name) as report:
            typer.echo(f"wrote {matching.register(found, registered, overwrite, report, units)}")
        if units is None and (line := matching.unknown_units(a)) is not None:
            typer.echo(line)


@match.command("train", epilog=epilog("match train"))
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data root of SAR-optical pairs.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder for the checkpoints and the matcher.")],
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file of settings.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, for example width=48; may be repeated."),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of training steps; overrides the settings.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, metavar="N", help="Number of devices.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train on.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in RUN, with its settings.")
    ] = False,
) -> None:
    """Train a matcher on SAR-optical pairs."""
    from saropt.cli.extras import require

    require("match train", "train", "torch", "lightning_fabric", "tensorboard")

    from saropt.cli.progress import progress_bar, warn_at_once
    from saropt.cli.runs import run_settings, show_quality
    from saropt.roots import DataRoot
    from saropt.training import Loop, MatcherTask, check_launcher, read_matching_config

    chosen = read_matching_config(*run_settings(out, config, settings, max_steps, resume))
    check_launcher(devices, 1)
    root = DataRoot.open(data)
    loop = Loop(MatcherTask, chosen, root, out, devices=devices, accelerator=device, resume=resume, tell=warn_at_once)
    with progress_bar("matcher", first_seconds=10.0) as report:
        paths = loop.run(report)
    show_quality(loop.chosen_figures)
    for path in paths:
        typer.echo(f"wrote {path}")


def _print(found: SceneMatch) -> None:
    from saropt.cli.tables import print_facts

    (a, b, c), (d, e, f), last = found.matrix
    facts = {
        "method": found.method,
        "keypoints": f"{found.keypoints[0]} in A, {found.keypoints[1]} in B",
        "matches": f"{found.putative}, {len(found.residuals)} agree",
        found.kind: f"{a:.6f} {b:.6f} {c:.3f} / {d:.6f} {e:.6f} {f:.3f}"
        + ("" if found.kind != "homography" else " / " + " ".join(f"{value:.3g}" for value in last)),
        "residuals": f"{found.rmse:.2f} px (root mean square)",
        "false alarms": f"10^{found.log_false_alarms:.0f} expected by chance",
    }
    if found.shift is not None:
        columns, rows = found.shift
        facts["shift"] = f"A moves {columns:+.2f} columns, {rows:+.2f} rows onto B (pixels of the common grid)"
    print_facts(facts)
