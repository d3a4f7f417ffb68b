"""`saropt models`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saropt.cli.completion import model_names

if TYPE_CHECKING:
    from saropt.artifacts import Card, ReliabilityCard


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Name or file of a translator; leave it out to list all.",
            autocompletion=model_names,
        ),
    ] = None,
    stac: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the card of NAME as a STAC item with the MLM extension.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """List the translators, or show the details of one."""
    from saropt.errors import OptionError
    from saropt.inference import card_of, find_translator, list_translators

    if name is None:
        if stac is not None:
            raise OptionError("stac", stac, "describes one translator: name it before the option")
        _print_list(list_translators(Path.cwd()))
        return
    path = find_translator(name)
    if stac is not None:
        from saropt.inference.stac_model import write_model_item

        typer.echo(f"wrote {write_model_item(path, card_of(path), stac, overwrite=overwrite)}")
        return
    _print_card(path, card_of(path))


def _print_list(found: dict[str, Path]) -> None:
    from saropt.cli.tables import print_table
    from saropt.errors import InputError
    from saropt.evaluation.verdicts import card_verdicts
    from saropt.inference import card_of

    rows, told = [], []
    for name, path in found.items():
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        try:
            card = card_of(path)
        except InputError as error:
            rows.append([name, "", "", "", "", size, f"cannot be used: {error.reason}"])
            continue
        told += [[name, data, text] for data, text in card_verdicts(card.quality, card.realism).items()]
        for direction in card.directions:
            source, target = card.source(direction), card.target(direction)
            rows.append(
                [
                    name,
                    direction,
                    f"{', '.join(source.bands)} ({source.units})",
                    f"{', '.join(target.bands)} ({target.units})",
                    f"{card.gsd_m:g} m",
                    size,
                    card.training.sources,
                ]
            )
    print_table(["name", "direction", "input", "output", "pixel", "file", "trained on"], rows)
    if told:
        print_table(["name", "measured on", "verdict"], told, "verdicts")


def _print_card(path: Path, card: Card) -> None:
    from saropt.cli.tables import print_facts, print_table
    from saropt.evaluation.verdicts import card_verdicts

    training = card.training
    facts = {
        "name": card.name,
        "file": f"{path} ({path.stat().st_size / 1e6:.1f} MB, format {card.format_version})",
        "method": card.method,
    }
    for direction, described in card.directions.items():
        source, target = card.source(direction), card.target(direction)
        field = described.receptive_field
        facts[direction] = (
            f"{', '.join(source.bands)} ({source.units}, {source.dtype}) to "
            f"{', '.join(target.bands)} ({target.units}, {target.dtype})"
        )
        for image in described.inputs[1:]:
            needed = "may be missing" if image.optional else "needed"
            facts[f"{direction} {image.role}"] = f"{', '.join(image.bands)} ({image.units}), {needed}"
        facts[f"{direction} network"] = (
            f"{described.network}, stride {described.stride}, "
            + (f"receptive field {field} px (tile-exact)" if field else "sees the whole tile")
            + (f", instance statistics of the {described.statistics}" if described.statistics != "none" else "")
        )
        if described.scene_inputs:
            facts[f"{direction} scene inputs"] = f"{', '.join(described.scene_inputs)}; each may be missing"
        if described.sampler is not None:
            sampler = described.sampler
            facts[f"{direction} sampler"] = f"{sampler.kind}, {sampler.steps} steps; noise by seed and pixel position"
        if described.reliability is not None:
            facts[f"{direction} error bounds"] = _half_widths(described.reliability)
    facts |= {
        **{f"{role} recipe": _assignments(image.recipe) for role, image in card.images.items()},
        "pixel size": f"{card.gsd_m:g} m",
        "realism": "" if card.realism is None else f"{card.realism:g} by default; --realism takes 0 to 1",
        "trained on": f"{training.data}, split {training.split}, {training.steps} steps, seed {training.seed}",
        "data sets": "; ".join(f"{name} ({', '.join(splits)})" for name, splits in training.sets.items()),
        "learnt before from": "; ".join(
            f"{one.data}, split {one.split}, {one.steps} steps" for one in training.earlier
        ),
        "data licence": training.licence,
        "attribution": training.attribution,
        "licence": card.licence,
    }
    print_facts({**facts, "notes": card.notes})
    verdicts = card_verdicts(card.quality, card.realism)
    for data, rows in _by_data(card.quality).items():
        metrics = list(dict.fromkeys(name for figures in rows.values() for name in figures))
        cells = [[row, *(_number(figures.get(name)) for name in metrics)] for row, figures in rows.items()]
        print_table([data, *metrics], cells)
        if data in verdicts:
            typer.echo(f"{verdicts[data]}\n")


def _half_widths(card: ReliabilityCard) -> str:
    realism = "" if card.realism is None else f" at realism {card.realism:g}"
    return (
        f"plus or minus how much, for {1.0 - card.alpha:.0%} of the pixels{realism} (--reliability); "
        f"{card.coverage:.1%} inside on average of "
        f"{card.scenes} scenes of {', '.join(card.data)}, {card.least_coverage:.1%} in the worst"
    )


def _by_data(quality: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Mapping[str, float]]]:
    """Data -> row -> figures, of a card's "DATA: ROW" -> figures."""
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for key, figures in quality.items():
        data, _, row = key.rpartition(": ")
        found.setdefault(data or key, {})[row if data else "translator"] = figures
    return found


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if abs(value) >= 5 else f"{value:.4f}"


def _assignments(values: dict) -> str:
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )
