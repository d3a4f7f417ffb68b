"""The table of a suite: means and spreads over seeds, best and second best, in four forms."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from saropt.benchmark.by_data import Reports, notes_on, references_by_data, rows_by
from saropt.benchmark.cells import Cell, best_seeds, cells_of, flat, ranks_of, rates_of
from saropt.benchmark.costs import lines_of_costs
from saropt.benchmark.published import place_published
from saropt.benchmark.scenes import PSNR, interval_of, lines_of_tests, pooled, uneven_scenes
from saropt.benchmark.suite import NETWORK, TRUE_IMAGES, Suite
from saropt.domain import Direction, describe_role, is_sar, list_roles
from saropt.errors import counted
from saropt.evaluation.intervals import few_scenes
from saropt.evaluation.metric import column_title, metric_of
from saropt.evaluation.tiles import TILE
from saropt.evaluation.verdicts import MARK, MARK_MEANS, below_constant, with_tiles
from saropt.files import write_text

COSTS_TITLE = "Both directions over 256x256 pixels, twice where the losses hold round trips (docs/methods/cran.md):"
APART_TITLE = "Published figures:"
NETWORK_MEANS = "Network: on network values, which the recipe has clipped and stretched"
TESTS_TITLE = "Paired tests of PSNR over the same scenes, each method against the best:"
FAILED, FAILED_TITLE = "failed", "Failed:"
_PARTS = ("mean", "std", "low", "high")

RESULTS = "results.json"
COSTS = ("parameters_m", "gmac", "images_per_s")
"""Columns that every table ends with: what a translation and the training cost."""


@dataclass(frozen=True)
class Row:
    """A method, a baseline or a published figure; `cells` by direction and metric. The kind "failed" is a method
    without any finished seed.

    `below_constant` holds the directions in which its mean PSNR is below that of the constant train mean.
    """

    name: str
    kind: str
    seeds: int
    cells: dict[str, dict[str, Cell]]
    below_constant: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """All rows of a suite; `directions` and `columns` in order.

    `n` and `scenes` are those of one set of data, the smallest of several. `failed` holds a line for each row and seed
    that could not be trained or measured.

    >>> from saropt.benchmark import load_suite
    >>> build_table(load_suite("ci-smoke"), {}).data
    'no data yet'
    """

    suite: str
    title: str
    data: str
    n: int
    split: str
    directions: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    scenes: int = 0
    tests: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    best_by: str | None = None
    notes: tuple[str, ...] = ()
    sets: int = 1
    failed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def markdown(self) -> str:
        """Best bold, second underlined."""
        return self._grid(
            lambda cells: "| " + " | ".join(cells) + " |",
            {1: "**{}**", 2: "<u>{}</u>"},
            " ± ",
            rule="|" + "---|" * (1 + self._width),
        )

    def latex(self) -> str:
        """A tabular; needs no package."""
        body = self._grid(
            lambda cells: " & ".join(cell.replace("_", r"\_") for cell in cells) + r" \\",
            {1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"},
            r" $\pm$ ",
            rule=r"\hline",
        )
        return f"\\begin{{tabular}}{{l{'r' * self._width}}}\n{body}\\end{{tabular}}\n"

    def csv(self) -> str:
        """Full precision; a column for every mean, every spread and the ends of every interval."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        keys = [(d, c) for d in self.directions for c in self.columns]
        writer.writerow(["name", "kind", "seeds", *(f"{d} {c} {part}" for d, c in keys for part in _PARTS)])
        for row in self.rows:
            cells = [row.cells.get(d, {}).get(c) for d, c in keys]
            numbers = [x for cell in cells for x in (_parts(cell))]
            writer.writerow([row.name, row.kind, row.seeds, *numbers])
        return stream.getvalue()

    def html(self) -> str:
        """A page of its own, light and dark."""

        def line(cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"

        body = self._grid(line, {1: "<b>{}</b>", 2: "<u>{}</u>"}, " ± ", rule="", escape=html.escape)
        style = (
            ":root{color-scheme:light dark}body{font:15px system-ui,sans-serif;margin:2em}div{overflow-x:auto}"
            "td{padding:.2em .7em;text-align:right;white-space:nowrap}td:first-child{text-align:left}"
            "table{border-collapse:collapse}tr:first-child td{border-bottom:1px solid;font-weight:600}"
        )
        title = html.escape(self.title)
        note = html.escape(self._note())
        below = "".join(
            f"<p>{heading}</p><ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"
            for heading, lines in self.below
        )
        return (
            f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
            f"<meta name='viewport' content='width=device-width'><style>{style}</style>"
            f"<h1>{title}</h1><p>{note}</p><div><table>{body}</table></div>{below}</html>\n"
        )

    @property
    def below(self) -> list[tuple[str, tuple[str, ...]]]:
        """What stands below the table: headings and their lines."""
        parts = (
            (FAILED_TITLE, self.failed),
            (TESTS_TITLE, self.tests),
            (APART_TITLE, self.apart),
            (COSTS_TITLE, self.costs),
        )
        return [(heading, lines) for heading, lines in parts if lines]

    def _note(self) -> str:
        few = few_scenes(self.scenes)
        seeds = "mean ± standard deviation over seeds"
        if self.best_by is not None:
            seeds = f"of several seeds the one with the best {column_title(self.best_by)}, which flatters every row"
        bracketed = any(cell.interval for row in self.rows for by in row.cells.values() for cell in by.values())
        told = f"{few[0].upper()}{few[1:]}." if few else "In brackets: 95 % interval over scenes, seeds averaged."
        marked = any(row.below_constant for row in self.rows)
        return (
            f"{self.data}, split {self.split}, {counted(self.n, 'tile')} of up to {TILE}x{TILE} pixels from "
            f"{counted(self.scenes, 'scene')}{' or more in each' if self.sets > 1 else ''}; "
            f"{seeds}; best bold, second underlined, among the trained methods. "
            + (told if few or bracketed else "")
            + "".join(f" {note}." for note in self.notes)
            + (f" {MARK_MEANS}." if marked else "")
            + (f" {NETWORK_MEANS}." if any(column.endswith(NETWORK) for column in self.columns) else "")
        )

    @property
    def _width(self) -> int:
        return len(self.directions) * len(self.columns)

    def _grid(
        self,
        line: Callable[[Sequence[str]], str],
        marks: dict[int, str],
        plus_minus: str,
        rule: str,
        escape: Callable[[str], str] = str,
    ) -> str:
        keys = [(d, c) for d in self.directions for c in self.columns]
        lines = [line(["", *(f"{_arrow(d)} {column_title(c)}" for d, c in keys)])]
        lines += [rule] if rule else []
        for row in self.rows:
            cells = []
            for direction, column in keys:
                cell = row.cells.get(direction, {}).get(column)
                if cell is None:
                    cells.append("–")
                    continue
                metric = metric_of(column)
                digits = 3 if metric is None else metric.digits
                text = f"{cell.mean:.{digits}f}"
                text = marks[cell.rank].format(text) if cell.rank else text
                text = text if cell.spread is None else f"{text}{plus_minus}{cell.spread:.{digits}f}"
                if column == PSNR and direction in row.below_constant:
                    text = f"{text} {MARK}"
                if cell.interval is not None:
                    text = f"{text} [{cell.interval[0]:.{digits}f}, {cell.interval[1]:.{digits}f}]"
                cells.append(text)
            name = row.name if row.kind == "method" else f"{row.name} ({row.kind})"
            lines.append(line([escape(name), *cells]))
        return "\n".join(lines) + "\n"


def build_table(suite: Suite, reports: Reports, failed: Mapping[str, Sequence[str]] | None = None) -> Table:
    """The table of finished reports; baselines are those of the first report of each set of data. `failed` holds a line
    for each seed of a row that failed.

    >>> from saropt.benchmark import load_suite
    >>> build_table(load_suite("ci-smoke"), {}).rows
    ()
    """
    if suite.best_by is not None:
        reports = best_seeds(reports, suite.best_by)
    failed = failed or {}
    order = [run.name for run in suite.runs if run.name in reports]
    reports = {name: reports[name] for name in order}
    found = {name: list(row.by_seed.values()) for name, row in reports.items()}
    empty: dict[str, Any] = {"data": {"name": "no data yet"}, "n": 0}
    first = found[order[0]][0] if order else empty
    held = {d for parts in found.values() for part in parts for m in part["models"] for d in m["directions"]}
    directions = tuple(sorted(held, key=_place))
    columns = tuple(dict.fromkeys((*suite.columns, *COSTS)))
    means = {name: cells_of(parts, directions, columns) for name, parts in found.items()}
    held_columns = {c for by in means.values() for cells in by.values() for c in cells}
    columns = tuple(c for c in columns if c in suite.columns or c in held_columns)
    # rows of several polarisations have several truths
    compared = [d for d in directions if not (suite.polarisations and is_sar(Direction.parse(d).output))]
    alike = [{name: reports[name].by_seed for name in rows} for rows in rows_by(reports, "scenes")]
    ranks: dict[tuple[str, str, str], int] = {}
    for some in alike:
        ranks |= ranks_of({name: means[name] for name in some}, compared, columns)
    sums = {name: {d: pooled(parts, d) for d in directions} for name, parts in found.items()}
    rows = [
        Row(
            name,
            "method",
            len(found[name]),
            {
                d: {
                    c: Cell(cell.mean, cell.spread, ranks.get((name, d, c)), interval_of(sums[name][d].get(c), c))
                    for c, cell in cells.items()
                }
                for d, cells in means[name].items()
            },
            _below_constant(means[name], found[name][0]["baselines"]),
        )
        for name in order
    ]
    rows += [Row(name, FAILED, 0, {}) for name in failed if name not in reports]
    rows += _reference_rows(reports, directions, columns)
    scales = {
        d: described["scale"]
        for parts in found.values()
        for d, described in parts[0].get("directions", {}).items()
        if "scale" in described
    }
    placed, apart = place_published(suite, first["data"]["name"], scales)
    for name, figures in placed.items():
        cells = {d: {c: Cell(value, None) for c, value in by.items()} for d, by in figures.items()}
        rows.append(Row(name, "published", 0, cells))
    sets = [reports[names[0]].first for names in rows_by(reports, "data")] or [empty]
    return Table(
        suite.name,
        suite.title,
        ", ".join(dict.fromkeys(part["data"]["name"] for part in sets)),
        min(part["n"] for part in sets),
        suite.split,
        directions,
        columns,
        tuple(rows),
        min(part.get("scenes", 0) for part in sets),
        tuple(line for d in compared for some in alike for line in lines_of_tests(d, some, means)),
        tuple(apart),
        tuple(lines_of_costs(suite, first["data"].get("images", {}))),
        suite.best_by,
        (*notes_on(reports), *dict.fromkeys(line for part in sets for line in uneven_scenes(part))),
        len(sets),
        tuple(line for lines in failed.values() for line in lines),
    )


def write_table(table: Table, folder: Path) -> None:
    """results.json, table.md, table.tex, table.csv and table.html in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    below = "".join(f"\n{heading}\n\n" + "".join(f"- {line}\n" for line in lines) for heading, lines in table.below)
    write_text(folder / RESULTS, json.dumps(table.to_dict(), indent=1))
    write_text(folder / "table.md", f"# {table.title}\n\n{table._note()}\n\n{table.markdown()}{below}")
    write_text(folder / "table.tex", table.latex())
    write_text(folder / "table.csv", table.csv())
    write_text(folder / "table.html", table.html())


def _parts(cell: Cell | None) -> tuple[float | str | None, ...]:
    """Mean, spread and the ends of the interval, for the CSV file."""
    return ("",) * len(_PARTS) if cell is None else (cell.mean, cell.spread, *(cell.interval or ("", "")))


def _below_constant(means: dict[str, dict[str, Cell]], baselines: dict[str, Any]) -> tuple[str, ...]:
    """The directions in which the mean PSNR over seeds is below that of the constant train mean."""
    return tuple(
        d
        for d, cells in means.items()
        if PSNR in cells and below_constant({PSNR: cells[PSNR].mean}, baselines.get(d, {}))
    )


def _place(direction: str) -> list[int]:
    """Where a direction stands among others: roles in the order in which they are registered."""
    parsed, order = Direction.parse(direction), list_roles()
    return [order.index(role) for role in (*parsed.inputs, parsed.output)]


def _arrow(direction: str) -> str:
    """A direction in short, for headings: "SAR→OPT"."""
    parsed = Direction.parse(direction)
    inputs = "+".join(describe_role(role).short.upper() for role in parsed.inputs)
    return f"{inputs}→{describe_role(parsed.output).short.upper()}"


def _reference_rows(reports: Reports, directions: Sequence[str], columns: Sequence[str]) -> list[Row]:
    """What stands below the methods, for each set of data."""
    rows = []
    parts = [references_by_data(reports, key) for key in ("baselines", "segmentation", "matching")]
    for (ending, baselines), (_, judges), (_, matched) in zip(*parts, strict=True):
        raw = {d: part["raw"] for d, part in matched.items()}
        found = _references(baselines, judges, raw, directions, columns)
        rows += [replace(row, name=f"{row.name}{ending}") for row in found]
    return rows


def _references(
    baselines: dict[str, Any],
    judges: dict[str, Any],
    raw: dict[str, Any],
    directions: Sequence[str],
    columns: Sequence[str],
) -> list[Row]:
    """Trivial baselines, what the judges say of the true images and of one class everywhere, and how the untranslated
    input matches."""
    tiles = {d: max((figures.get("n", 0) for figures in by.values()), default=0) for d, by in baselines.items()}
    titles = {name: with_tiles(name, by[name], tiles[d]) for d, by in baselines.items() for name in by}
    named = [(title, "baseline", {d: by[n] for d, by in baselines.items() if n in by}) for n, title in titles.items()]
    if judges:
        majority = {d: {"pixel_accuracy": judge["majority"]} for d, judge in judges.items()}
        named.append(("most frequent class", "baseline", majority))
        named.append((TRUE_IMAGES, "reference", {d: flat(judge["real"]) for d, judge in judges.items()}))
    if raw:
        named.append(("untranslated input", "reference", {d: rates_of(by) for d, by in raw.items()}))
    rows = []
    for name, kind, by in named:
        held = {d: by[d] for d in directions if d in by}
        cells = {d: {c: Cell(f[c], None) for c in columns if f.get(c) is not None} for d, f in held.items()}
        rows.append(Row(name, kind, 0, cells))
    return rows
