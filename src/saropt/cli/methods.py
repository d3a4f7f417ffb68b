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
    from saropt.cli.extras import is_installed, require
    from saropt.cli.tables import print_table
    from saropt.errors import InputError, install_words

    if name is None and not is_installed("torch"):
        print_table(["name", "data", "paper"], listed_methods())
        typer.echo(
            f"Training, and methods of other packages, need an optional part: pip install {install_words('train')}"
        )
        return
    require("methods", "train", "torch")

    import yaml

    from saropt.methods import get_method, list_methods

    if name is None:
        print_table(["name", "data", "paper"], [method_row(get_method(one)) for one in list_methods()])
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


def listed_methods() -> list[list[str]]:
    """The rows of saropt's own methods from a file, because importing them needs torch."""
    import csv
    from importlib.resources import files

    text = files("saropt").joinpath("methods", "list.csv").read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()))


def method_row(method: type[Method]) -> list[str]:
    """Name, what data it takes, and the paper."""
    return [method.name, _data(method), method.paper]


def _data(method: type[Method]) -> str:
    if "label" in method.roles:
        return "paired, labelled"
    return "unpaired or paired" if method.unpaired else "paired"
