"""Running a suite on one or several data roots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from saropt.benchmark.bench import Bench, Options
from saropt.benchmark.checks import empty_columns
from saropt.benchmark.polarisations import by_polarisation
from saropt.benchmark.suite import RunSpec, Suite
from saropt.benchmark.table import Table, write_table
from saropt.errors import InputError, SaroptError
from saropt.evaluation.extractors import known_weights
from saropt.progress import Progress, Tell, log_line, silent
from saropt.roots import DataRoot


def run_suite(
    suite: Suite,
    out: str | Path,
    data: str | Path | Sequence[str | Path] | None = None,
    *,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    max_steps: int | None = None,
    weights: str | Path | None = None,
    accelerator: str = "auto",
    tiles: Sequence[str] = (),
    steps: int | None = None,
    progress: Progress = silent,
    tell: Tell = log_line,
) -> Table:
    """Train and evaluate every row of a suite with every seed, and write the table.

    Parts that an earlier call finished are used as they are, and unfinished training goes on from its checkpoint. So
    several calls with other `seeds` or `only` can fill one folder, also at the same time.

    Args:
        suite: what to run.
        out: folder of what suites share (data, segmenters, matchers, trainings, reports) and, in a folder with the
            suite's name, results.json, table.md, table.tex, table.csv, table.html and the figures. Suites that have a
            training in common find it there and train it once.
        data: data root, or several: every row is trained on each, and one table holds them all; a folder for each below
            the suite's has its own table and figures. The suite's simulation when None.
        seeds, only: seeds and row names to run now; all when None. The table shows all that is finished.
        max_steps: the number of steps of every row; segmenters and matcher are trained for no more steps than that.
        weights: folder of published weights, for FID, KID and LPIPS; see `saropt.evaluation.evaluate`.
        accelerator: "auto", "cpu" or "cuda".
        tiles: names of rasters to show in the figures; four of the split, evenly spaced, when empty.
        steps: sampling steps of diffusion models in the evaluation; each model's own when None.
        progress: called with the parts that are done, the parts in all, and what is being done.
        tell: gets a line for columns that get no figures.

    Returns:
        The table. Its `failed` names the rows that could not be trained or measured, and why; the others go on.

    Raises:
        InputError: no data, an unknown row, or data that no row can be trained or measured on.

    >>> from saropt.benchmark import load_suite
    >>> run_suite(load_suite("ci-smoke"), "out", only=["unknown"])
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: ci-smoke: has no row unknown
    """
    paths = [data] if isinstance(data, str | Path) else list(data or ())
    if suite.polarisations:
        suite = by_polarisation(suite, _polarisations(suite, paths))
    unknown = set(only or ()) - {run.name for run in suite.runs}
    if unknown:
        raise InputError(suite.name, f"has no row {', '.join(sorted(unknown))}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(max_steps, weights, accelerator, tuple(tiles), steps, progress)
    benches = _benches(suite, folder, paths, options)
    chosen = [run for run in suite.runs if only is None or run.name in only]
    for bench in benches.values():
        for run in chosen:
            bench.check(run)
    known_weights(weights)
    wanted = [(run, seed) for run in chosen for seed in (suite.seeds if seeds is None else seeds)]
    classes = {name for path in paths for name in DataRoot.open(path).classes.values()} if paths else None
    for line in empty_columns(suite, classes, weights):
        tell(line)
    failed = {name: _run_all(bench, wanted) for name, bench in benches.items()}
    shown = sorted({*suite.seeds, *(seeds or ())})
    place = folder / suite.name
    if list(benches) == [""]:
        return benches[""].table(shown, place, failed[""])
    tables = {name: bench.table(shown, place / _folder(name), failed[name]) for name, bench in benches.items()}
    table = joined(tables)
    write_table(table, place)
    return table


def _folder(name: str) -> str:
    """The folder of the tables of one data root, inside the suite's whatever the data are called."""
    return re.sub(r"^$|^\.|[/\\]", "_", name)


def _run_all(bench: Bench, wanted: Sequence[tuple[RunSpec, int]]) -> dict[str, list[str]]:
    """Run rows and seeds, first those that they start from; a line for each that failed, by row."""
    failed: dict[str, dict[int, str]] = {}

    def works(run: RunSpec, seed: int) -> bool:
        if seed in failed.get(run.name, {}):
            return False
        needed = () if bench.is_done(run, seed) else bench.suite.needed(run)
        lost = next((name for name in needed if not works(bench.suite.row(name), seed)), None)
        try:
            if lost is not None:
                raise SaroptError(f"starts from {lost}, which failed")
            bench.run(run, seed)
        except SaroptError as error:
            failed.setdefault(run.name, {})[seed] = f"{run.name}, seed {seed}: {error.command_line_text()}"
            return False
        return True

    for run, seed in wanted:
        works(run, seed)
    return {name: list(lines.values()) for name, lines in failed.items()}


def _polarisations(suite: Suite, data: Sequence[str | Path]) -> tuple[str, ...]:
    """The bands of the SAR images of the data roots, or else of the suite's simulation.

    Raises:
        InputError: two data roots have other bands, or there are no data.
    """
    found = {DataRoot.open(path).image("sar").bands for path in data}
    found |= {suite.simulate.bands} if suite.simulate is not None and not data else set()
    if not found:
        raise InputError(suite.name, "needs a data root")
    if len(found) > 1:
        other = " and ".join(", ".join(bands) for bands in sorted(found))
        raise InputError(suite.name, f"compares the same polarisations everywhere: its data roots have {other}")
    return found.pop()


def _benches(suite: Suite, folder: Path, data: Sequence[str | Path], options: Options) -> dict[str, Bench]:
    """A bench for each data root by its name, and with `across` for each two, "A on B"; one named "" for a single one.

    Raises:
        InputError: two data roots have one name, or `across` has but one.
    """
    if len(data) < 2:
        if suite.across:
            raise InputError(suite.name, "scores what was trained on one data root on others: give two or more")
        return {"": Bench(suite, folder, data[0] if data else None, options)}
    roots = {DataRoot.open(path).name: path for path in data}
    if len({_folder(name) for name in roots}) < len(data):
        raise InputError(suite.name, f"two data roots have one name; there are {', '.join(roots)}")
    benches = {}
    for name, path in roots.items():
        benches[name] = Bench(suite, folder, path, options)
        if suite.across:
            others = {other: where for other, where in roots.items() if other != name}
            benches |= {f"{name} on {o}": Bench(suite, folder, path, options, where) for o, where in others.items()}
    return benches


def joined(tables: Mapping[str, Table]) -> Table:
    """The tables of several data roots in one: each row is named after its data, and ranks stay within them.

    >>> from saropt.benchmark import build_table, load_suite
    >>> joined({"here": build_table(load_suite("ci-smoke"), {})}).data
    'here'
    """
    held = list(tables.values())
    return replace(
        held[0],
        data=", ".join(tables),
        n=sum(table.n for table in held),
        scenes=sum(table.scenes for table in held),
        directions=tuple(dict.fromkeys(d for table in held for d in table.directions)),
        columns=tuple(dict.fromkeys(c for table in held for c in table.columns)),
        rows=tuple(replace(row, name=f"{name}: {row.name}") for name, table in tables.items() for row in table.rows),
        tests=tuple(f"{name}: {line}" for name, table in tables.items() for line in table.tests),
        apart=tuple(f"{name}: {line}" for name, table in tables.items() for line in table.apart),
        notes=tuple(f"{name}: {note}" for name, table in tables.items() for note in table.notes),
        failed=tuple(f"{name}: {line}" for name, table in tables.items() for line in table.failed),
    )
