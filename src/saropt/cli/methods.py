"""`saropt methods`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from saropt.methods import Method


def methods(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Method to show; leave it out to list all.")
    ] = None,
) -> None:
    """List the training methods, or show the settings of one."""
    from saropt.cli.extras import require
    from saropt.errors import InputError

    require("methods", "train", "torch")

    import yaml

    from saropt.cli.tables import print_table
    from saropt.methods import get_method, list_methods

    if name is None:
        rows = [[method.name, _data(method), method.paper] for method in map(get_method, list_methods())]
        print_table(["name", "data", "paper"], rows)
        return
    try:
        method = get_method(name)
    except ValueError as error:
        raise InputError(name, str(error)) from error
    typer.echo(f"# {method.name}: {method.paper}")
    typer.echo(
        yaml.safe_dump({"arguments": method.config_type.model_construct().model_dump(mode="json")}, sort_keys=False),
        nl=False,
    )


def _data(method: type[Method]) -> str:
    if "label" in method.roles:
        return "paired, labelled"
    return "unpaired or paired" if method.unpaired else "paired"
