"""Running a suite: every part is kept under the hash of all it depends on, so that a second call goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import saropt
from saropt.benchmark.suite import Modality, RunSpec, Simulation, Suite, merged, placed
from saropt.benchmark.table import Table, build_table, write_table
from saropt.data import DataRoot
from saropt.data.simulated import write_simulated_root
from saropt.errors import InputError
from saropt.evaluation import evaluate
from saropt.simulate import SceneConfig
from saropt.training import SegmentationConfig, SegmenterTrainer, Trainer, TrainingConfig
from saropt.training.config import validated
from saropt.training.loop import CHECKPOINT
from saropt.training.segmentation import SEGMENTER
from saropt.translation import Segmenter, Translator

PARTS, RESULTS = "parts", "results.json"
Report = Callable[[str, int, int], None]


def run_suite(
    suite: Suite,
    out: str | Path,
    data: str | Path | None = None,
    *,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    max_steps: int | None = None,
    accelerator: str = "auto",
    report: Report | None = None,
) -> Table:
    """Train and evaluate every run of the suite with every seed, and write the table.

    Parts that a former call finished are taken as they are, unfinished training goes on from its checkpoint; so several
    calls with other `seeds` or `only` fill one folder, also at the same time.

    Args:
        suite: what to run.
        out: folder for data, runs, results.json, table.md, table.tex, table.csv and table.html.
        data: data root; the suite's simulation when None.
        seeds, only: seeds and row names to run now; all when None. The table shows all that is finished.
        max_steps: overrides the suite's number of steps.
        accelerator: "auto", "cpu" or "cuda".
        report: called with what is being done, parts done, parts in all; parts are training steps.

    Raises:
        InputError: no data, an unknown row, or whatever training and evaluation refuse.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    unknown = set(only or ()) - {run.name for run in suite.runs}
    if unknown:
        raise InputError(suite.name, f"has no row {', '.join(sorted(unknown))}")
    bench = _Bench(suite, folder, data, max_steps, accelerator, report or (lambda what, done, total: None))
    for run in suite.runs:
        for seed in suite.seeds if seeds is None else seeds:
            if only is None or run.name in only:
                bench.run(run, seed)
    return bench.table()


class _Bench:
    def __init__(
        self,
        suite: Suite,
        folder: Path,
        data: str | Path | None,
        max_steps: int | None,
        accelerator: str,
        report: Report,
    ) -> None:
        if data is None and suite.simulate is None:
            raise InputError(suite.name, "needs a data root: --data")
        if data is not None and any(run.simulate for run in suite.runs):
            raise InputError(suite.name, "its rows differ in their simulated data: it takes no data root")
        self.suite, self.folder, self.data = suite, folder, data
        self.max_steps, self.accelerator, self.report = max_steps, accelerator, report
        self._fingerprints: dict[Path, str] = {}

    def run(self, run: RunSpec, seed: int) -> None:
        """Train and evaluate one row with one seed, unless that is done."""
        root = self._root(run)
        judges = self._judges(root)
        config, part = self._part(run, seed, root, judges)
        trained, measured = part / "run", part / "report"
        if not (trained / "translator.safetensors").is_file():
            trainer = Trainer(
                config, DataRoot.open(root), trained, accelerator=self.accelerator, resume=_begun(trained)
            )
            total = config.engine.max_steps
            trainer.run(lambda step, figures: self.report(f"{run.name}, seed {seed}", step, total))
        if not (measured / "report.json").is_file():
            translators = Translator.load_all(trained)
            made = {"optical" if translator.direction == "sar2opt" else "sar" for translator in translators}
            evaluate(
                translators,
                root,
                measured,
                self.suite.split,
                segmenters=[Segmenter.load(path) for modality, path in judges.items() if modality in made],
                progress=lambda what, done, total: self.report(f"{run.name}, seed {seed}: {what}", done, total),
            )

    def table(self) -> Table:
        """The table of all finished parts, also written beside results.json."""
        reports: dict[str, dict[int, dict[str, Any]]] = {}
        for path in sorted((self.folder / PARTS).glob("*/report/report.json")):
            part = json.loads((path.parent.parent / "part.json").read_text(encoding="utf-8"))
            reports.setdefault(part["row"], {})[part["seed"]] = json.loads(path.read_text(encoding="utf-8"))
        table = build_table(self.suite, reports)
        (self.folder / RESULTS).write_text(json.dumps(table.to_dict(), indent=1), encoding="utf-8")
        write_table(table, self.folder)
        return table

    def _part(self, run: RunSpec, seed: int, root: Path, judges: dict[Modality, Path]) -> tuple[TrainingConfig, Path]:
        """Configuration and folder of one row and seed; the folder's name holds the hash of all it depends on."""
        values = merged(self.suite.base, run.config)
        values = merged(values, {"method": run.method, "engine": {"seed": seed}, "card": {"name": run.name}})
        if self.max_steps is not None:
            values = merged(values, {"engine": {"max_steps": self.max_steps}})
        guides = self._segmenters(root)
        source = f"{self.suite.name}: {run.name}"
        config = cast("TrainingConfig", validated(TrainingConfig, placed(values, guides), source))
        others = [path.parent.name for path in (*guides.values(), *judges.values())]
        key = _hash(values, self._fingerprint(root), others, self.suite.split, saropt.__version__)
        folder = self.folder / PARTS / f"{_slug(run.name)}-{seed}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part.json").write_text(json.dumps({"row": run.name, "seed": seed}), encoding="utf-8")
        return config, folder

    def _root(self, run: RunSpec) -> Path:
        if self.data is not None:
            return Path(self.data)
        assert self.suite.simulate is not None
        values = merged(self.suite.simulate.model_dump(), run.simulate)
        simulation = validated(Simulation, values, f"{self.suite.name}: {run.name}")
        key = _hash(simulation.model_dump(mode="json"), saropt.__version__)
        path = self.folder / "data" / f"{self.suite.name}-{key}"
        if not path.is_dir():
            path.parent.mkdir(exist_ok=True)
            arguments = simulation.model_dump(exclude={"scene"})
            write_simulated_root(
                path,
                config=SceneConfig(**simulation.scene),
                progress=lambda done, total: self.report("simulating", done, total),
                **arguments,
            )
        return path

    def _segmenters(self, root: Path) -> dict[Modality, Path]:
        return {m: self._segmenter(root, m, values, "guide") for m, values in self.suite.segmenters.items()}

    def _judges(self, root: Path) -> dict[Modality, Path]:
        if not self.suite.judges:
            return self._segmenters(root)
        return {m: self._segmenter(root, m, values, "judge") for m, values in self.suite.judges.items()}

    def _segmenter(self, root: Path, modality: Modality, values: dict[str, Any], role: str) -> Path:
        values = merged({"modality": modality, "card": {"name": f"{modality}-{role}"}}, values)
        config = validated(SegmentationConfig, values, f"{self.suite.name}: segmenter of {modality}")
        key = _hash(config.model_dump(mode="json"), self._fingerprint(root))
        folder = self.folder / "segmenters" / f"{modality}-{role}-{key}"
        if not (folder / SEGMENTER).is_file():
            folder.parent.mkdir(exist_ok=True)
            trainer = SegmenterTrainer(
                config, DataRoot.open(root), folder, accelerator=self.accelerator, resume=_begun(folder)
            )
            total = config.engine.max_steps
            trainer.run(lambda step, figures: self.report(f"{modality} {role}", step, total))
        return folder / SEGMENTER

    def _fingerprint(self, root: Path) -> str:
        """Of a data root: its description, its splits, and name and size of every raster."""
        if root not in self._fingerprints:
            parts: list[Any] = [(root / name).read_text(encoding="utf-8") for name in ("dataset.yaml", "splits.csv")]
            for path in sorted(p for side in ("sar", "optical", "label") for p in (root / side).glob("*")):
                parts.append([path.parent.name, path.name, path.stat().st_size])
            self._fingerprints[root] = _hash(*parts)
        return self._fingerprints[root]


def _begun(folder: Path) -> bool:
    return (folder / CHECKPOINT).is_file()


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _slug(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)
