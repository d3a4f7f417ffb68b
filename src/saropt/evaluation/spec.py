"""The request and the result of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saropt.evaluation.tiles import TILE
from saropt.inference import Segmenter, Translator
from saropt.matching import Matcher
from saropt.roots import DataRoot


@dataclass(frozen=True)
class EvaluationSpec:
    """What to measure, on what, and beside what.

    Attributes:
        data: a data root, or its folder.
        models: translators, one direction each; the two directions of one file are one entry of the report.
        split: "train", "val" or "test".
        tile: side of the tiles in pixels.
        segmenters: at most one for each role; they segment the translations, and the true images beside them, and are
            scored against the labels of the data root.
        matchers: match the translations with the truth.
        samples: of models that draw samples, measure the mean of this many, and whether their deviation says where it
            is wrong; one sample and no deviation when None.
        seed: of the noise of the samples.
        weights: folder of the published weights of Inception and AlexNet, for FID, KID and LPIPS.
        changed: names of the label's classes that mark changed ground, for translators that take an earlier image.
        tiles: names of rasters whose first tile is kept as pictures and shown across the models in figures, which need
            matplotlib (the extra `train`).
        network_values: whether image quality is measured on network values too (`saropt.evaluation.network_values`).
        read_scene_inputs: whether models that take scene inputs (`saropt.domain.SCENE_INPUTS`) are told those of the
            data: what splits.csv states, and else what the first input's raster tells of. Missing otherwise.
        baselines: whether trivial baselines are measured too.
        baselines_from: another data root of the same bands, or its folder, whose train split fits the baselines: for
            data without a train split, or a translator that was trained elsewhere.
        runs: name of a model -> its run folder, whose loss curves the report shows.
        html: whether report.html is written as well, which needs jinja2 (the extra `train`).
        overwrite: whether an existing report is replaced.

    Raises:
        ValueError: neither models nor baselines are asked for.

    >>> EvaluationSpec(data="root", split="val").tile
    256
    """

    data: str | Path | DataRoot
    models: Sequence[Translator] = ()
    split: str = "test"
    tile: int = TILE
    segmenters: Sequence[Segmenter] = ()
    matchers: Sequence[Matcher] = ()
    samples: int | None = None
    seed: int = 0
    weights: str | Path | None = None
    changed: Sequence[str] = ()
    tiles: Sequence[str] = ()
    network_values: bool = False
    read_scene_inputs: bool = False
    baselines: bool = True
    baselines_from: str | Path | DataRoot | None = None
    runs: Mapping[str, Path] = field(default_factory=dict)
    html: bool = True
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.models and not self.baselines:
            raise ValueError("neither a model nor baselines to evaluate")


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        report: what report.json holds; numbers that are not finite are None.
        paths: the files that were written.
        removed: files of the report that was replaced which this one does not have.

    >>> EvaluationResult({"models": [], "baselines": {}}, ()).models
    {}
    """

    report: Mapping[str, Any]
    paths: tuple[Path, ...]
    removed: tuple[Path, ...] = ()

    @property
    def models(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Model -> direction -> figures."""
        return {entry["model"]: entry["directions"] for entry in self.report["models"]}

    @property
    def baselines(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Direction -> baseline -> figures."""
        return dict(self.report["baselines"])

    @property
    def warnings(self) -> list[str]:
        """What should make a reader doubt the figures, one line each: those of the split, then those of the models."""
        of_models = (
            f"{model}: {text}"
            for model, directions in self.models.items()
            for figures in directions.values()
            for text in figures["warnings"]
        )
        return [*self.report.get("warnings", ()), *of_models]
