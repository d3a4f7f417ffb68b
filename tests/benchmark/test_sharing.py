"""Suites include, are changed, and find trainings that are the same by content."""

from __future__ import annotations

from importlib import import_module

import pytest
import yaml

from saropt.benchmark import Suite, load_suite, run_suite
from saropt.benchmark.suite import row_values
from saropt.errors import InputError
from saropt.evaluation.extractors import INCEPTION_FILE, LPIPS_FILE, known_weights
from saropt.roots.simulated import write_simulated_root

SMALL = {"network_arguments": {"width": 4, "blocks": 1}, "discriminator_width": 4}
SIMULATED = {"scenes": (2, 1, 2), "size": 64, "bands": ("VV",), "units": "sigma0_db"}


def suite(name: str, *runs: dict) -> Suite:
    engine = {"max_steps": 2, "validate_every": 0, "sample_every": 0, "ema": 0}
    base = {"arguments": SMALL, "data": {"crop": 32, "batch_size": 1}, "engine": engine}
    return Suite(name=name, title="t", simulate=SIMULATED, base=base, runs=runs, columns=("psnr",))


def test_rows_of_one_content_are_one_training_whatever_they_are_called(tmp_path):
    first = suite("first", {"name": "CycleGAN", "method": "cyclegan"})
    said = {"name": "lambda = 10", "method": "cyclegan", "config": {"arguments": {"lambda_cycle": 10}}}
    other = {"name": "lambda = 5", "method": "cyclegan", "config": {"arguments": {"lambda_cycle": 5}}}
    second = suite("second", said, other)
    root = write_simulated_root(tmp_path / "root", **SIMULATED)
    one = run_suite(first, tmp_path, root, accelerator="cpu")
    (training,) = (tmp_path / "trainings").iterdir()
    before = (training / "translator.safetensors").stat().st_mtime_ns
    two = run_suite(second, tmp_path, root, accelerator="cpu")
    assert len(list((tmp_path / "trainings").glob("cyclegan-*"))) == 2
    cells = {row.name: row.cells["sar2opt"] for row in (*one.rows, *two.rows) if row.kind == "method"}
    assert cells["CycleGAN"]["psnr"].mean == cells["lambda = 10"]["psnr"].mean != cells["lambda = 5"]["psnr"].mean
    assert cells["CycleGAN"]["images_per_s"].mean > 0.0
    assert cells["CycleGAN"]["gmac"].mean > 0.0
    assert (training / "translator.safetensors").stat().st_mtime_ns == before
    assert (tmp_path / "second" / "translations-sar2opt.svg").is_file()


def test_a_row_is_measured_again_where_weight_files_are_added(tmp_path, monkeypatch):
    """Files of the same names hold the same, wherever they lie."""
    for module in ("saropt.benchmark.run", "saropt.evaluation.evaluate"):
        monkeypatch.setattr(import_module(module), "known_weights", lambda folder: known_weights(None))
    one = suite("one", {"name": "CycleGAN", "method": "cyclegan"})
    for folder, names, reports in (
        ("a", (LPIPS_FILE,), 1),
        ("a", (INCEPTION_FILE,), 2),
        ("b", (LPIPS_FILE, INCEPTION_FILE), 2),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in names:
            (tmp_path / folder / name).touch()
        run_suite(one, tmp_path / "out", weights=tmp_path / folder, accelerator="cpu")
        assert len(list((tmp_path / "out" / "reports").glob("cyclegan-*"))) == reports


def test_a_suite_includes_and_is_changed(tmp_path):
    (tmp_path / "shared").mkdir()
    common = {"title": "t", "base": {"data": {"crop": 64, "batch_size": 2}}}
    (tmp_path / "shared" / "common.yaml").write_text(yaml.safe_dump(common))
    own = {"name": "own", "include": "common", "base": {"data": {"crop": 32}}, "runs": [{"name": "a", "method": "cut"}]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    found = load_suite(tmp_path / "own.yaml", ["base.engine.max_steps=7"])
    assert found.base == {"data": {"crop": 32, "batch_size": 2}, "engine": {"max_steps": 7}}


def test_a_preset_lies_below_the_base():
    table = load_suite("sgcl-table1")
    values = row_values(table, table.row("CycleGAN"))
    assert values["arguments"]["lambda_identity"] == 5.0
    assert values["arguments"]["constant_epochs"] == 50
    assert values["data"] == {
        "crop": 256,
        "batch_size": 2,
        "max_rasters": 2000,
        "bands": {"optical": ["red", "green", "blue"]},
    }
    wrong = suite("s", {"name": "a", "method": "cut", "preset": "cyclegan"})
    with pytest.raises(InputError, match="is a preset for 'cyclegan'"):
        row_values(wrong, wrong.runs[0])


def test_the_paper_trains_on_all_pairs_of_ddhrnet():
    base = load_suite("sgcl-table2").base
    assert base["data"]["max_rasters"] is None
    assert base["engine"]["max_steps"] == 6264 * 100 // 2


@pytest.mark.parametrize("across", [False, True])
def test_several_data_roots_are_one_table(tmp_path, across):
    cyclegan = suite("several", {"name": "CycleGAN", "method": "cyclegan"}).model_copy(update={"across": across})
    roots = [write_simulated_root(tmp_path / name, **SIMULATED, seed=seed) for seed, name in enumerate(("a", "b"))]
    table = run_suite(cyclegan, tmp_path / "out", roots, accelerator="cpu")
    names = [row.name for row in table.rows if row.kind == "method"]
    pairs = ["a: CycleGAN", "a on b: CycleGAN", "b: CycleGAN", "b on a: CycleGAN"]
    assert names == (pairs if across else pairs[::2])
    figures = [row.cells["sar2opt"]["psnr"].mean for row in table.rows if row.kind == "method"]
    assert len(set(figures)) == len(figures)
    assert len(list((tmp_path / "out" / "trainings").glob("cyclegan-*"))) == 2, "each root is trained on once"
    assert table.data == ("a, a on b, b, b on a" if across else "a, b")
    alone = run_suite(cyclegan.model_copy(update={"across": False}), tmp_path / "out", roots[0], accelerator="cpu")
    assert figures[0] == next(row for row in alone.rows if row.kind == "method").cells["sar2opt"]["psnr"].mean
    for folder in ("several", "several/a", "several/b"):
        assert (tmp_path / "out" / folder / "table.md").is_file()


def test_data_roots_of_one_name_and_a_lone_one_across_are_refused(tmp_path):
    cyclegan = suite("several", {"name": "CycleGAN", "method": "cyclegan"})
    roots = [
        write_simulated_root(tmp_path / name / "a", **SIMULATED)
        for name in ("x", "y")
        if (tmp_path / name).mkdir() is None
    ]
    with pytest.raises(InputError, match="two data roots have one name"):
        run_suite(cyclegan, tmp_path / "out", roots)
    with pytest.raises(InputError, match="give two or more"):
        run_suite(cyclegan.model_copy(update={"across": True}), tmp_path / "out", roots[:1])
