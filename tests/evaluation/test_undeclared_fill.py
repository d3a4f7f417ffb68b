"""Fill that rasters of a data root do not declare counts as nodata, as in translations, and is told."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pytest

from saropt.cli import main
from saropt.curation.distribution import distribution_of
from saropt.curation.inspection import inspect_root
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.evaluation.score import score
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene, write_array

FILL = pytest.mark.parametrize(("fill", "named"), [(-100.0, "fill (-100) or "), (0.0, "fill (0) or "), (-9999.0, "")])


def filled_root(folder: Path, fill: float, role: str = "sar") -> Path:
    """A data root in which half of the columns of a role hold `fill`."""
    folder.mkdir(exist_ok=True)
    root = write_simulated_root(folder / "root", scenes=(1, 0, 1), size=128, units="sigma0_db")
    described = root / "dataset.yaml"
    described.write_text(described.read_text().replace("units: uint8", "units: reflectance x 10000"))
    for path in root.glob("[so]*/*.tif"):
        with Scene.open(path) as scene:
            values, names, place = scene.read_stored()[0], scene.band_names, scene.georeference
        if path.parent.name == "optical":
            values = values.astype(np.uint16) * 20 + 1
        if path.parent.name != role:
            write_array(path, values, band_names=names, georeference=place, overwrite=True)
            continue
        values[:, :, :60] = fill
        nodata = np.nan if values.dtype.kind == "f" else None
        write_array(path, values, band_names=names, georeference=place, nodata=nodata, overwrite=True)
    return root


@FILL
def test_evaluate_leaves_it_out(fill: float, named: str, tmp_path: Path) -> None:
    reports = []
    for name, value in (("declared", np.nan), ("not", fill)):
        root = filled_root(tmp_path / name, value)
        spec = EvaluationSpec(root, tile=128)
        reports.append(evaluate(spec, tmp_path / name / "out"))
    assert reports[0].baselines == reports[1].baselines
    what = f"46.88% of the pixels that it calls valid are {named or 'fill or '}impossible values in sigma0_db"
    assert reports[0].warnings == []
    assert reports[1].warnings == [f"sar/test_000: {what}: they count as nodata"]
    assert what in html.unescape((tmp_path / "not" / "out" / "report.html").read_text())


def test_true_images_too(tmp_path: Path) -> None:
    root = filled_root(tmp_path, 0, "optical")
    result = evaluate(EvaluationSpec(root, tile=128, html=False), tmp_path / "out")
    assert [line[:24] for line in result.warnings] == ["optical/test_000: 46.88%"]


def test_score_tells_it(tmp_path: Path) -> None:
    root = filled_root(tmp_path, -100.0)
    found = score(root / "optical", root, root / "splits.csv", tmp_path / "a.json")
    assert found["warnings"][0].startswith("sar/test_000: 46.88% of the pixels")


@FILL
def test_inspect_counts_it(fill: float, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = filled_root(tmp_path, fill)
    sar = inspect_root(root)[1][0]
    assert sar.facts["invalid pixels"] == "46.88%"
    assert sar.facts["warning"].startswith("train_000.tif: 46.88% of the pixels that")
    assert "(1 more as well)" in sar.facts["warning"]
    assert fill not in sar.quantiles["VV"]
    assert distribution_of(root).histograms[0].by_split["test"].sum() == 128 * 68
    assert main(["data", "inspect", str(root)]) == 0
    assert "46.88%" in capsys.readouterr().out
