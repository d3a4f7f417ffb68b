"""The parts of a suite on one data root. The folder of every part is named by the hash of all that the part depends on,
so that a second call goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import saropt
from saropt.benchmark.by_data import RowReports
from saropt.benchmark.checks import check_fid, check_figures
from saropt.benchmark.data_key import Data, content_key, hash_of, scenes_key
from saropt.benchmark.figures import shown_names, write_figures
from saropt.benchmark.polarisations import with_other_band
from saropt.benchmark.suite import (
    NETWORK,
    TRAINED_MATCHER,
    RunSpec,
    Simulation,
    Suite,
    merged,
    placed,
    row_values,
    rows_named,
)
from saropt.benchmark.table import Table, build_table, write_table
from saropt.benchmark.translated import write_translated_root
from saropt.domain import Role
from saropt.errors import InputError
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.evaluation.extractors import weight_files
from saropt.files import Lock, validated
from saropt.inference import Segmenter, Translator
from saropt.matching import Matcher, find_matcher
from saropt.matching.learned import MATCHER_FILE
from saropt.methods import get_method
from saropt.progress import Progress
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.simulate import OPTICAL_BANDS, SceneConfig
from saropt.training import (
    CHECKPOINT,
    SEGMENTER,
    Loop,
    MatcherTask,
    MatchingConfig,
    SegmentationConfig,
    SegmenterTask,
    Task,
    TrainingConfig,
    TranslatorTask,
)
from saropt.training.pace import read_pace

REPORT = "report.json"
WEIGHTS = "translator.safetensors"


@dataclass(frozen=True)
class _Segmenter:
    """A segmenter to train, the role of the images that it segments, and its folder; `translated` where it learns from
    translations."""

    role: Role
    folder: Path
    config: SegmentationConfig
    translated: bool = False

    @property
    def file(self) -> Path:
        return self.folder / SEGMENTER


@dataclass(frozen=True)
class _Matcher:
    """A matcher to train, and its folder."""

    folder: Path
    config: MatchingConfig

    @property
    def file(self) -> Path:
        return self.folder / MATCHER_FILE


@dataclass(frozen=True)
class Options:
    """How a suite is run; see `run_suite`."""

    max_steps: int | None
    weights: str | Path | None
    accelerator: str
    tiles: tuple[str, ...]
    steps: int | None
    progress: Progress


class Bench:
    """The parts of a suite on one data root: methods named after them find them, `run` makes them.

    Args:
        folder: of what suites share.
        data: the data root to train on; the suite's simulation when None.
        tested: another data root to measure on; `data` itself when None.
    """

    def __init__(
        self,
        suite: Suite,
        folder: Path,
        data: str | Path | None,
        options: Options,
        tested: str | Path | None = None,
    ) -> None:
        if data is None and suite.simulate is None:
            raise InputError(suite.name, "needs a data root")
        if data is not None and any(run.simulate for run in suite.runs):
            raise InputError(suite.name, "its rows differ in their simulated data: it takes no data root")
        self.suite, self.folder = suite, folder
        self.max_steps, self.accelerator, self.progress = options.max_steps, options.accelerator, options.progress
        self.weights, self.tiles, self.steps = options.weights, options.tiles, options.steps
        self._given = None if data is None else Data(Path(data), content_key(DataRoot.open(data)))
        self._tested = None if tested is None else Data(Path(tested), content_key(DataRoot.open(tested)))

    def check(self, run: RunSpec) -> None:
        """Refuse data whose figures could not be taken after the training of a row."""
        data, config = self._data(run), self._training(run, 0)[0]
        if data.simulation is None:
            tested = (self._tested or data).path
            check_figures(DataRoot.open(tested), config, self.suite.split, self.weights)
        else:
            check_fid({"sar": data.simulation.bands, "optical": OPTICAL_BANDS}, config, self.weights)

    def is_done(self, run: RunSpec, seed: int) -> bool:
        """Whether one row has been evaluated with one seed."""
        return (self._report(run, seed) / REPORT).is_file()

    def run(self, run: RunSpec, seed: int) -> None:
        """Train and evaluate one row with one seed, unless that is done; the rows that it starts from are done."""
        if self.is_done(run, seed):
            return
        data = self._data(run)
        config, training = self._training(run, seed)
        report = self._report(run, seed)
        if data.simulation is not None:
            with _alone(data.path):
                if not data.path.is_dir():
                    self._simulate(data.path, data.simulation)
        root = DataRoot.open(data.path)
        tested = root if self._tested is None else DataRoot.open(self._tested.path)
        what = f"{run.name}, seed {seed}"
        for guide in self._guides(data, run):
            self._train_segmenter(guide, root)
        with _alone(training):
            self._train(TranslatorTask, config, root, training / WEIGHTS, what)
        judges, matcher = self._judges(self._tested or data, run, training), self._matcher(self._tested or data)
        for judge in judges:
            self._train_segmenter(judge, self._translations(tested, training, judge) if judge.translated else tested)
        if matcher:
            with _alone(matcher.folder):
                self._train(MatcherTask, matcher.config, tested, matcher.file, "matcher")
        with _alone(report):
            matchers = [find_matcher(name) for name in self.suite.matchers]
            matchers += [find_matcher(matcher.file)] if matcher else []
            if not (report / REPORT).is_file():
                seen = with_other_band(tested, run)
                self._measure(report, training / WEIGHTS, seen, judges, matchers, what)

    def _train_segmenter(self, segmenter: _Segmenter, root: DataRoot) -> None:
        with _alone(segmenter.folder):
            self._train(SegmenterTask, segmenter.config, root, segmenter.file, segmenter.folder.name)

    def _translations(self, root: DataRoot, training: Path, judge: _Segmenter) -> DataRoot:
        """What a trained row makes of the train and val rasters of a root, for a judge that learns from it."""
        path = self.folder / "translated" / f"{training.name}-{judge.folder.name}"
        with _alone(path):
            if not path.is_dir():
                found = [t for t in Translator.load_all(training / WEIGHTS) if t.direction.output == judge.role]
                if not found:
                    raise InputError(self.suite.name, f"translated: {training.name} makes no {judge.role} images")
                write_translated_root(root, found[0], path, self.progress)
        return DataRoot.open(path)

    def _train(self, task: type[Task], config: Any, root: DataRoot, file: Path, what: str) -> None:
        """Train into the folder of `file`, unless training is done and the file is there."""
        if file.is_file():
            return
        loop = Loop(task, config, root, file.parent, accelerator=self.accelerator, resume=_begun(file.parent))
        loop.run(lambda step, total, figures: self.progress(step, total, what))

    def _measure(
        self,
        report: Path,
        weights: Path,
        root: DataRoot,
        judges: Sequence[_Segmenter],
        matchers: Sequence[Matcher],
        what: str,
    ) -> None:
        # torch weights take instance statistics from each scene, as the papers do; ONNX graphs hold frozen ones
        translators = Translator.load_all(weights)
        if self.steps is not None and any(translator.sampler is not None for translator in translators):
            translators = Translator.load_all(weights, steps=self.steps)
        roles = {translator.direction.output for translator in translators}
        spec = EvaluationSpec(
            root,
            translators,
            self.suite.split,
            segmenters=[Segmenter.load(judge.file) for judge in judges if judge.role in roles],
            matchers=matchers,
            weights=self.weights,
            tiles=self.tiles or shown_names(root, self.suite.split),
            network_values=self.suite.on_network_values,
            overwrite=True,  # of an evaluation that was broken off; without report.json none is finished
        )
        evaluate(spec, report, progress=lambda done, total, kind: self.progress(done, total, f"{what}: {kind}"))

    def table(self, seeds: Sequence[int], folder: Path, failed: Mapping[str, Sequence[str]]) -> Table:
        """The table and the figures of all finished parts, also written into a folder; `failed` holds the reasons of
        rows that failed."""
        reports: dict[str, RowReports] = {}
        shown: dict[str, tuple[Path, Path]] = {}
        for run in self.suite.runs:
            by_seed: dict[int, dict[str, Any]] = {}
            for seed in seeds:
                if self.is_done(run, seed):
                    training, report = self._training(run, seed)[1], self._report(run, seed)
                    held = json.loads((report / REPORT).read_text(encoding="utf-8"))
                    by_seed[seed] = held | {"training": read_pace(training)}
                    shown.setdefault(run.name, (training, report))
            if by_seed:
                data = self._tested or self._data(run)
                scenes = scenes_key(DataRoot.open(data.path), self.suite.split) if data.path.is_dir() else data.key
                reports[run.name] = RowReports(by_seed, data.key, scenes)
        table = build_table(self.suite, reports, failed)
        write_table(table, folder)
        write_figures(shown, folder)
        return table

    def _judges(self, data: Data, run: RunSpec, training: Path) -> list[_Segmenter]:
        """The segmenters that judge a row's translations: the suite's judges, or else those that guide its training."""
        if not self.suite.judges:
            return self._guides(data, run)
        judges = self._segmenters(data, self.suite.judges, "judge")
        return [
            replace(judge, folder=judge.folder.with_name(hash_of(judge.folder.name, training.name)), translated=True)
            if judge.role in self.suite.translated
            else judge
            for judge in judges
        ]

    def _guides(self, data: Data, run: RunSpec) -> list[_Segmenter]:
        return self._segmenters(data, merged(self.suite.segmenters, run.segmenters), "guide")

    def _data(self, run: RunSpec) -> Data:
        if self._given is not None:
            return self._given
        assert self.suite.simulate is not None
        values = merged(self.suite.simulate.model_dump(), run.simulate)
        simulation = validated(Simulation, values, f"{self.suite.name}: {run.name}")
        key = hash_of(simulation.model_dump(mode="json"), saropt.__version__)
        return Data(self.folder / "data" / f"{self.suite.name}-{key}", key, simulation)

    def _segmenters(self, data: Data, specs: dict[Role, dict[str, Any]], task: str) -> list[_Segmenter]:
        found = []
        for role, values in specs.items():
            values = merged({"modality": role, "card": {"name": f"{role}-{task}"}}, self._shortened(values))
            config = validated(SegmentationConfig, values, f"{self.suite.name}: segmenter of {role}")
            key = hash_of(config.model_dump(mode="json"), data.key)
            found.append(_Segmenter(role, self.folder / "segmenters" / f"{role}-{task}-{key}", config))
        return found

    def _matcher(self, data: Data) -> _Matcher | None:
        if self.suite.matcher is None:
            return None
        values = merged(self._shortened(self.suite.matcher), {"card": {"name": TRAINED_MATCHER}})
        config = validated(MatchingConfig, values, f"{self.suite.name}: matcher")
        key = hash_of(config.model_dump(mode="json"), data.key)
        return _Matcher(self.folder / "matchers" / key, config)

    def _shortened(self, values: dict[str, Any]) -> dict[str, Any]:
        """The configuration of what is trained before the rows, with at most as many steps as they have."""
        if self.max_steps is None:
            return values
        own = values.get("engine", {}).get("max_steps", self.max_steps)
        return merged(values, {"engine": {"max_steps": min(own, self.max_steps)}})

    def _training(self, run: RunSpec, seed: int) -> tuple[TrainingConfig, Path]:
        """Configuration and folder of the training of one row and seed. The folder is named by the hash of all that
        the training depends on, defaults included, and of nothing else: whatever rows and suites call it, it is one."""
        data = self._data(run)
        values = merged(row_values(self.suite, run), {"engine": {"seed": seed}, "card": {"name": run.method}})
        if self.max_steps is not None:
            log_every = max(1, self.max_steps // 100)  # so that short runs have curves too
            values = merged(values, {"engine": {"max_steps": self.max_steps, "log_every": log_every}})
        guides = {guide.role: guide for guide in self._guides(data, run)}
        starts = {row: self._training(self.suite.row(row), seed)[1] for row in rows_named(values)}
        source = f"{self.suite.name}: {run.name}"
        # in the hash, files are named by the folders that hold them, wherever `out` is
        named = placed(
            values,
            {role: Path(guide.folder.name) for role, guide in guides.items()},
            {row: Path(start.name) for row, start in starts.items()},
        )
        method = get_method(run.method)
        arguments = validated(method.config_type, named.get("arguments", {}), source).model_dump(mode="json")
        whole = validated(TrainingConfig, named | {"arguments": arguments}, source).model_dump(mode="json")
        key = hash_of(whole, data.key, saropt.__version__)
        filled = placed(
            values,
            {role: guide.file for role, guide in guides.items()},
            {row: start / WEIGHTS for row, start in starts.items()},
        )
        config = cast("TrainingConfig", validated(TrainingConfig, filled, source))
        return config, self.folder / "trainings" / f"{_slug(run.method)}-{seed}-{key}"

    def _report(self, run: RunSpec, seed: int) -> Path:
        """The folder of the evaluation of one row and seed, named by the training and by all that judges it."""
        data, training = self._tested or self._data(run), self._training(run, seed)[1]
        judges = [judge.folder.name for judge in self._judges(data, run, training)]
        matcher = self._matcher(data)
        matchers = [*self.suite.matchers, *([matcher.folder.name] if matcher else [])]
        weights = weight_files(self.weights) or None  # the hash in each name is that of its content
        further = [NETWORK] if self.suite.on_network_values else []
        further += [] if self._tested is None else [self._tested.key]
        further += [] if run.tested_on is None else [run.tested_on]
        key = hash_of(judges, matchers, self.suite.split, weights, self.tiles, self.steps, *further)
        return self.folder / "reports" / f"{training.name}-{key}"

    def _simulate(self, path: Path, simulation: Simulation) -> None:
        write_simulated_root(
            path,
            config=SceneConfig(**simulation.scene),
            progress=lambda done, total: self.progress(done, total, "simulating"),
            **simulation.model_dump(exclude={"scene"}),
        )


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """While this call makes a part, other calls that need it wait, and then find it made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with Lock(place.with_name(f".{place.name}.lock"), place, "is being made by another call").acquire(wait=True):
        yield


def _begun(folder: Path) -> bool:
    """Whether a run has a checkpoint to go on from; without one, what the run has left is removed."""
    if (folder / CHECKPOINT).is_file():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _slug(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)
