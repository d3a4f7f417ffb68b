"""`saropt serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from saropt.viewer.blind import Study
    from saropt.viewer.state import Viewer


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of scenes.")] = Path("."),
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; other machines need a token to connect.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 selects a free port.")
    ] = 8000,
    state: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for uploads, jobs and translations (default DIR/.saropt-viewer)."),
    ] = None,
    max_upload: Annotated[int, typer.Option(min=1, metavar="MB", help="Maximum size of one upload.")] = 4096,
    quota: Annotated[
        int, typer.Option(min=1, metavar="MB", help="Maximum size of all uploads and translations.")
    ] = 40960,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads per translation (default: all).")
    ] = None,
    blind: Annotated[
        Path | None,
        typer.Option(
            "--blind",
            metavar="STUDY.yaml",
            help="Ask people which of two pictures is real, instead of showing scenes; saropt blind sums up.",
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the map in the browser at once.")] = False,
) -> None:
    """Show scenes on a map in the browser, and translate them."""
    from saropt.cli.extras import require
    from saropt.errors import counted

    require("serve", "serve", "fastapi", "uvicorn", "rio_tiler")

    from saropt.viewer import serve as run
    from saropt.viewer import serve_blind
    from saropt.viewer.rasters import Limits

    def asked(address: str, study: Study) -> None:
        what = f"{counted(len(study.trials), 'pair')}; answers go to {study.answers_file}"
        typer.echo(f"{address}  ({what}; Ctrl-C stops)")
        if open_page:
            typer.launch(address)

    if blind is not None:
        serve_blind(blind, folder, host=host, port=port, ready=asked)
        return

    def ready(address: str, viewer: Viewer) -> None:
        typer.echo(f"{address}  ({counted(len(viewer.catalogue.scenes), 'scene')} of {viewer.folder}; Ctrl-C stops)")
        if open_page:
            typer.launch(address)

    limits = Limits(upload_bytes=max_upload * 1_000_000, quota_bytes=quota * 1_000_000)
    run(folder, host=host, port=port, state=state, limits=limits, threads=threads, ready=ready)
