"""`saropt data clean`: what is wrong with a data root."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

SHOWN = 12


def clean(
    path: Annotated[Path, typer.Argument(metavar="ROOT", help="Data root of SAR-optical pairs.")],
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write all faults to this JSON file.")
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(
            "--write-splits", metavar="FILE", help="Write new splits without the faulty rasters (see --drop)."
        ),
    ] = None,
    drop: Annotated[
        str, typer.Option(metavar="KIND[,KIND]", help="Kinds of faults that exclude a raster from the new splits.")
    ] = "grid,cloud,nodata,duplicate",
    cloud: Annotated[
        float, typer.Option(min=0, max=1, metavar="FRACTION", help="Report rasters with more white pixels than this.")
    ] = 0.05,
    nodata: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="FRACTION", help="Report rasters with more invalid or zero pixels than this."
        ),
    ] = 0.01,
    saturation: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="FRACTION", help="Report bands with more saturated pixels than this."),
    ] = 0.02,
    misregistration: Annotated[
        float, typer.Option(min=0, metavar="PIXELS", help="Report pairs with a larger shift than this.")
    ] = 2.0,
    days: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="Report pairs with a larger time gap than this.")
    ] = 7.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
) -> None:
    """Find clouds, shifts and other faults in a data root.

    The kinds of faults are grid (the rasters of a name lie on other grids), cloud, nodata, saturation, duplicate,
    near-duplicate, overlap, misregistration, date and leak (two splits show the same ground). The data root itself is
    not changed.
    """
    from saropt.cli.progress import progress_bar, warn
    from saropt.cli.tables import print_facts, print_table
    from saropt.curation.clean_splits import lost_splits_line, write_splits
    from saropt.curation.cleaning import Limits, check_kinds, clean_root, write_report
    from saropt.roots import DataRoot
    from saropt.roots.splits import shared_groups_line
    from saropt.scenes.reserved import reserved

    kinds = drop.split(",")
    check_kinds(kinds)
    with ExitStack() as held:
        if report is not None:
            held.enter_context(reserved(report, suffixes=(".json",), overwrite=overwrite))
        limits = Limits(cloud, nodata, saturation, misregistration, days)
        with progress_bar("clean") as bar:
            found = clean_root(path, limits, bar)
        print_facts({"data root": str(path), **{key: f"{value:.4g}" for key, value in found.summary.items()}})
        counts = found.counts()
        print_table(["kind", "findings"], [[kind, str(count)] for kind, count in counts.items()])
        rows = []
        for kind in counts:
            of_kind = [finding for finding in found.findings if finding.kind == kind]
            rows += [[kind, finding.name, finding.detail] for finding in of_kind[:SHOWN]]
            if len(of_kind) > SHOWN:
                rows.append([kind, "...", f"{len(of_kind) - SHOWN} more; --report lists all"])
        if rows:
            print_table(["kind", "name", "what was found"], rows)
        root = DataRoot.open(path)
        warn([line for line in [shared_groups_line(root.splits, root.groups)] if line])
        if report is not None:
            typer.echo(f"wrote {write_report(found, report)}")
        if splits is not None:
            kept = write_splits(found, splits, kinds, overwrite=overwrite)
            typer.echo(f"wrote {splits}: {len(kept)} of {int(found.summary['rasters'])} rasters")
            warn([line for line in [lost_splits_line(found, kept)] if line])
