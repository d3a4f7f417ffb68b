"""A whole suite, run, gone on with, and fed with bad input."""

from __future__ import annotations

import json
import shutil

import pytest

from saropt.benchmark import Suite, load_suite, run_suite
from saropt.cli import main
from saropt.errors import InputError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return folder, run_suite(load_suite("ci-smoke"), folder, seeds=[0], max_steps=2, accelerator="cpu")


def test_every_row_is_trained_and_judged(finished):
    folder, table = finished
    methods = {row.name: row for row in table.rows if row.kind == "method"}
    assert set(methods) == {"pix2pix", "sgcl"}
    assert set(methods["sgcl"].cells) == {"sar2opt", "opt2sar"}
    assert set(methods["pix2pix"].cells) == {"sar2opt"}
    assert all(0.0 <= cells["pixel_accuracy"].mean <= 1.0 for cells in methods["sgcl"].cells.values())
    kept = json.loads((folder / "ci-smoke" / "results.json").read_text())
    assert [row["name"] for row in kept["rows"]] == [row.name for row in table.rows]


def test_a_second_call_trains_nothing_again(finished):
    folder, table = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    said = []
    again = run_suite(
        load_suite("ci-smoke"), folder, seeds=[0], max_steps=2, accelerator="cpu", progress=lambda *a: said.append(a)
    )
    assert again == table
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before


def test_another_setting_is_another_part(finished):
    folder, table = finished
    parts = set((folder / "trainings").glob("pix2pix*"))
    again = run_suite(load_suite("ci-smoke"), folder, seeds=[0], only=["pix2pix"], max_steps=3, accelerator="cpu")
    (new,) = set((folder / "trainings").glob("pix2pix*")) - parts
    assert new.name.startswith("pix2pix-0-")
    assert [row.name for row in again.rows if row.kind == "method"] == ["pix2pix"], "other settings are another table"
    assert again.rows[0] != table.rows[0]


def test_what_was_left_before_the_first_checkpoint_and_of_a_report_is_begun_again(finished, tmp_path):
    folder, table = finished
    for place in ("data", "segmenters", "trainings", "reports"):
        shutil.copytree(folder / place, tmp_path / place)
    for report in tmp_path.glob("reports/pix2pix-0-*/report.json"):
        report.unlink()
    for path in tmp_path.glob("trainings/pix2pix-0-*/[ct]*.*"):
        path.unlink()
    again = run_suite(load_suite("ci-smoke"), tmp_path, seeds=[0], max_steps=2, accelerator="cpu")
    assert [row.name for row in again.rows] == [row.name for row in table.rows]
    for row, other in zip(again.rows, table.rows, strict=True):
        for direction, cells in row.cells.items():
            timed = {"images_per_s"}
            assert {c: v for c, v in cells.items() if c not in timed} == {
                c: v for c, v in other.cells[direction].items() if c not in timed
            }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "--out", "{out}"], "neither a file nor a shipped suite"),
        (["ci-smoke"], "--out DIR"),
        (["ci-smoke", "--out", "{out}", "--only", "cut"], "has no row cut"),
        (["shift-insensitive", "--out", "{out}", "--data", "{out}"], "takes no data root"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    assert main(["benchmark", *(part.format(out=tmp_path / "out") for part in arguments)]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1


def test_a_suite_without_data_needs_some(tmp_path):
    suite = load_suite("ci-smoke").model_copy(update={"simulate": None})
    with pytest.raises(InputError, match="needs a data root"):
        run_suite(suite, tmp_path)


def test_a_row_may_start_from_an_earlier_one(tmp_path):
    small = {"network_arguments": {"width": 2}, "discriminator_width": 2}
    suite = Suite(
        name="chain",
        title="t",
        simulate={"scenes": (2, 1, 1), "size": 64, "bands": ("VV",), "units": "sigma0_db"},
        base={
            "arguments": small,
            "data": {"crop": 64, "batch_size": 1},
            "engine": {"max_steps": 2, "validate_every": 0, "sample_every": 0, "ema": 0},
        },
        runs=[
            {"name": "supervised", "method": "cran"},
            {"name": "refined", "method": "cran-refine", "config": {"arguments": {"start": "$run:supervised"}}},
        ],
        columns=("psnr", "parameters_m", "frechet_distance_by_n.16"),
    )
    table = run_suite(suite, tmp_path, only=["refined"], accelerator="cpu")
    first, second = (row.cells for row in table.rows if row.kind == "method")
    assert first["sar2opt"]["parameters_m"] == second["sar2opt"]["parameters_m"]
    assert first["sar2opt"]["psnr"] != second["sar2opt"]["psnr"]
    (start,) = tmp_path.glob("trainings/cran-0-*/translator.safetensors")
    (run,) = tmp_path.glob("trainings/cran_refine-0-*/config.yaml")
    assert str(start) in run.read_text()


def test_a_suite_matches_by_shipped_matchers_and_by_one_it_trains(tmp_path):
    suite = Suite(
        name="matching",
        title="t",
        simulate={"scenes": (2, 1, 2), "size": 160, "seed": 3, "bands": ("VH",)},
        matchers=("sift", "rift"),
        matcher={
            "width": 4,
            "data": {"crop": 64, "batch_size": 1, "keypoints": 20},
            "engine": {"max_steps": 2, "validate_every": 0, "select": "last"},
        },
        base={
            "data": {"crop": 64, "batch_size": 1},
            "engine": {"max_steps": 2, "validate_every": 0, "sample_every": 0, "ema": 0},
        },
        runs=[
            {
                "name": "pix2pix",
                "method": "pix2pix",
                "config": {
                    "arguments": {
                        "network": "naf_unet",
                        "network_arguments": {"width": 8, "encoder": [1], "decoder": [1], "middle": 1},
                        "discriminator_width": 4,
                    }
                },
            }
        ],
        columns=("psnr", "pmr.sift", "pmr.rift-like", "pmr.trained", "ir_ed.rift-like"),
    )
    table = run_suite(suite, tmp_path, accelerator="cpu")
    rows = {row.name: row.cells["sar2opt"] for row in table.rows}
    assert {"pmr.rift-like", "pmr.trained"} <= set(rows["pix2pix"])
    assert "pmr.sift" in rows["untranslated input"]
    assert 0.0 < rows["untranslated input"]["pmr.rift-like"].mean <= 1.0
    assert set(rows["train_mean"]) == {"psnr"}
    (matcher,) = tmp_path.glob("matchers/*/matcher.safetensors")
    before = matcher.stat().st_mtime_ns
    assert run_suite(suite, tmp_path, accelerator="cpu") == table
    assert matcher.stat().st_mtime_ns == before
