"""The table: means, spreads, ranks and the forms it is written in."""

from __future__ import annotations

import csv
import io
import statistics
from pathlib import Path

import pytest

from saropt.benchmark import RowReports, Suite, build_table
from saropt.benchmark.cells import Cell, ranks_of
from saropt.benchmark.suite import Published
from saropt.benchmark.table import write_table
from saropt.errors import InputError


def published(rows: dict, bands: int = 3, range_: str | None = "0..255", note: str = "") -> dict:
    return {"scale": {"optical": {"bands": bands, "range": range_}}, "rows": rows, "note": note}


SUITE = Suite(
    name="s",
    title="A & B",
    seeds=(0, 1),
    runs=[{"name": name, "method": "cut"} for name in ("first", "sec_ond", "third", "unfinished")],
    columns=("psnr", "mae", "collapse_ratio", "pixel_accuracy"),
    published={"published-set": published({"first": {"sar2opt": {"psnr": 20.0}}})},
)


def report(model: str, psnr: float, mae: float, accuracy: float | None = None, data: str = "d") -> dict:
    result = {
        "data": {"name": data},
        "n": 5,
        "models": [{"model": model, "directions": {"sar2opt": {"psnr": psnr, "mae": mae, "collapse_ratio": 1.5}}}],
        "baselines": {"sar2opt": {"train_mean": {"psnr": 12.0, "mae": 0.3, "collapse_ratio": 1.0}}},
    }
    if accuracy is not None:
        result["segmentation"] = {
            "sar2opt": {
                "majority": 0.4,
                "real": {"pixel_accuracy": 0.9},
                "models": {model: {"pixel_accuracy": accuracy}},
            }
        }
    return result


def of_one(**reports: dict[int, dict]) -> dict[str, RowReports]:
    """Rows of the same data and scenes, each with its reports by seed."""
    return {name: RowReports(by_seed, "data", "scenes") for name, by_seed in reports.items()}


REPORTS = of_one(
    first={0: report("first", 15.0, 0.10, 0.5), 1: report("first", 17.0, 0.12, 0.6)},
    sec_ond={0: report("sec_ond", 18.0, 0.20)},
    third={0: report("third", 10.0, 0.15)},
)


def rows() -> dict:
    return {(row.name, row.kind): row.cells.get("sar2opt", {}) for row in build_table(SUITE, REPORTS).rows}


def test_mean_and_spread_over_seeds():
    cell = rows()["first", "method"]["psnr"]
    assert cell.mean == 16.0
    assert cell.spread == pytest.approx(statistics.stdev([15.0, 17.0]))
    assert rows()["sec_ond", "method"]["psnr"].spread is None


def test_best_and_second():
    ranks = {name: {m: cell.rank for m, cell in rows()[name, "method"].items()} for name in REPORTS}
    assert ranks["first"]["psnr"] == 2
    assert ranks["sec_ond"]["psnr"] == 1
    assert ranks["third"]["psnr"] is None
    assert ranks["first"]["mae"] == 1
    assert ranks["third"]["mae"] == 2
    assert ranks["first"]["collapse_ratio"] is None
    assert ranks["first"]["pixel_accuracy"] is None, "one figure alone is no ranking"


def test_baselines_and_true_images_stand_below_without_rank():
    found = rows()
    assert found["train_mean", "baseline"]["psnr"].mean == 12.0
    assert found["true images", "reference"]["pixel_accuracy"].mean == 0.9
    assert found["most frequent class", "baseline"]["pixel_accuracy"].mean == 0.4
    assert all(cell.rank is None for key in found if key[1] != "method" for cell in found[key].values())


def test_published_figures_only_beside_the_published_data():
    assert ("first", "published") not in rows()
    table = build_table(SUITE, of_one(first={0: scaled()}))
    (published,) = [row for row in table.rows if row.kind == "published"]
    assert published.cells["sar2opt"]["psnr"].mean == 20.0


def scaled(range_: str = "0..255", network: str = "0..255", data: str = "published-set") -> dict:
    """A report whose figures are of three bands on this scale, with a figure of network values."""
    found = report("first", 15.0, 0.1, accuracy=0.5, data=data)
    found["directions"] = {"sar2opt": {"scale": {"bands": 3, "range": range_, "network": network}}}
    found["network_values"] = {"sar2opt": {"first": {"psnr": 22.0, "distributions": [{"fid_by_n": {"500": 9.0}}]}}}
    return found


@pytest.mark.parametrize(
    ("own", "there", "column", "reason"),
    [
        (("0..255", "0..255"), (3, "0..255"), "psnr", ""),
        (("reflectance 0..1", "reflectance 0..0.4"), (3, "reflectance 0..0.4"), "psnr.network", ""),
        (("0..255", "0..255"), (13, "0..255"), None, "published on 13 bands of 0..255, here on 3 bands of 0..255"),
        (
            ("reflectance 0..1", "reflectance 0..0.4"),
            (3, "0..255"),
            None,
            "published on 3 bands of 0..255, here on 3 bands of reflectance 0..1 and reflectance 0..0.4",
        ),
        (("0..255", "0..255"), (3, None), None, "the source does not say what its optical values span"),
    ],
)
def test_published_figures_stand_beside_those_of_their_scale_alone(own, there, column, reason, tmp_path):
    rows = {"first": {"sar2opt": {"psnr": 20.0, "pixel_accuracy": 0.7}}}
    columns = ("psnr", "psnr.network", "pixel_accuracy")
    suite = SUITE.model_copy(
        update={
            "columns": columns,
            "published": {"published-set": Published(**published(rows, *there, note="A note."))},
        }
    )
    table = build_table(suite, of_one(first={0: scaled(*own)}))
    (row,) = [row for row in table.rows if row.kind == "published"]
    assert row.cells["sar2opt"]["pixel_accuracy"].mean == 0.7, "accuracies are on one scale everywhere"
    assert {c for c in row.cells["sar2opt"] if c != "pixel_accuracy"} == ({column} if column else set())
    expected = ["A note."] if column else [f"sar2opt: first: PSNR dB 20; {reason}", "A note."]
    assert list(table.apart) == expected
    assert table.rows[0].cells["sar2opt"]["psnr.network"].mean == 22.0
    write_table(table, tmp_path)
    for name in ("table.md", "table.html"):
        assert expected[0] in (tmp_path / name).read_text()
    assert "| SAR→OPT PSNR dB, network |" in (tmp_path / "table.md").read_text()


def test_figures_of_data_without_a_name_stand_below_every_table():
    given = Published(**published({"first": {"sar2opt": {"psnr": 20.0}}}))
    suite = SUITE.model_copy(update={"published": {"unnamed": given}})
    table = build_table(suite, of_one(first={0: scaled(data="mine")}))
    assert not [row for row in table.rows if row.kind == "published"]
    assert table.apart == ("sar2opt: first: PSNR dB 20; of data that the source does not name",)


def test_only_figures_with_a_better_side_have_ranks():
    columns = ["psnr", "std.psnr", "n", "frechet_distance_floor", "pattern_period_px", "sharpness", "fid_by_n.500"]
    means = {name: {"sar2opt": {column: Cell(mean, None) for column in columns}} for name, mean in (("a", 5), ("b", 1))}
    best = {column: name for (name, _, column), rank in ranks_of(means, ["sar2opt"], columns).items() if rank == 1}
    assert best == {"psnr": "a", "fid_by_n.500": "b"}


def test_the_best_seed_of_each_row():
    suite = SUITE.model_copy(update={"best_by": "mae"})
    table = build_table(suite, REPORTS)
    first = next(row for row in table.rows if row.name == "first")
    assert (first.seeds, first.cells["sar2opt"]["mae"].mean, first.cells["sar2opt"]["psnr"].mean) == (1, 0.10, 15.0)
    assert "of several seeds the one with the best MAE" in table.html()
    by_psnr = build_table(SUITE.model_copy(update={"best_by": "psnr"}), REPORTS)
    assert next(row for row in by_psnr.rows if row.name == "first").cells["sar2opt"]["psnr"].mean == 17.0


def test_forms(tmp_path):
    table = build_table(SUITE, REPORTS)
    lines = table.markdown().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| **18.00** |" in next(line for line in lines if "sec_ond" in line)
    assert "<u>16.00</u> ± 1.41" in next(line for line in lines if "first" in line)
    assert r"\textbf{18.00}" in table.latex()
    assert r"sec\_ond" in table.latex()
    entries = list(csv.DictReader(io.StringIO(table.csv())))
    assert float(entries[0]["sar2opt psnr std"]) == pytest.approx(statistics.stdev([15.0, 17.0]))
    assert "A &amp; B" in table.html()
    write_table(table, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("table.md", "table.tex", "table.csv", "table.html", "results.json")
    }


def test_no_finished_run_is_an_empty_table():
    table = build_table(SUITE, {})
    assert table.rows == ()
    assert table.markdown()


def test_columns_reach_into_curves_and_distributions():
    suite = Suite(name="s", title="t", runs=[{"name": "first", "method": "cut"}], columns=("fid_by_n.500",))
    held = report("first", 15.0, 0.1)
    held["models"][0]["directions"]["sar2opt"]["distributions"] = [{"fid_by_n": {"500": 80.0}}]
    table = build_table(suite, of_one(first={0: held}))
    assert table.rows[0].cells["sar2opt"]["fid_by_n.500"].mean == 80.0


def test_matching_rates_and_the_untranslated_input():
    suite = Suite(
        name="s",
        title="t",
        runs=[{"name": name, "method": "cut"} for name in ("first", "second")],
        matchers=("rift",),
        columns=("psnr", "pmr.rift-like", "ir_ed.rift-like"),
    )
    reports = {}
    for name, pmr in (("first", 0.2), ("second", 0.4)):
        held = report(name, 15.0, 0.1)
        rates = {"rift-like": {"pmr": pmr, "ir": 0.3, "ir_ed": None}}
        raw = {"rift-like": {"pmr": 0.1, "ir": 0.2, "ir_ed": 0.05}}
        held["matching"] = {"sar2opt": {"raw": raw, "models": {name: rates}}}
        reports[name] = {0: held}
    table = build_table(suite, of_one(**reports))
    found = {row.name: row.cells["sar2opt"] for row in table.rows}
    assert found["first"]["pmr.rift-like"].mean == 0.2
    assert (found["first"]["pmr.rift-like"].rank, found["second"]["pmr.rift-like"].rank) == (2, 1)
    assert "ir_ed.rift-like" not in found["first"], "nothing was matched"
    assert {key: cell.mean for key, cell in found["untranslated input"].items()} == {
        "pmr.rift-like": 0.1,
        "ir_ed.rift-like": 0.05,
    }
    assert "SAR→OPT IR-ED, rift-like" in table.markdown()


def with_scenes(model: str, psnr: list[float]) -> dict:
    """A report with 2 tiles of each scene."""
    found = report(model, statistics.fmean(psnr), 0.1)
    found["scenes"] = len(psnr)
    by_scene = {"psnr": {f"s{k}": [2 * value, 2.0] for k, value in enumerate(psnr)}}
    found["models"][0]["directions"]["sar2opt"]["by_scene"] = by_scene
    return found


def test_intervals_and_paired_tests_over_scenes_and_the_mark_of_a_lost_constant(tmp_path):
    base = [9.0, 15.0, 20.0, 12.0, 25.0, 18.0]
    reports = {
        "first": {0: with_scenes("first", base), 1: with_scenes("first", [value + 0.1 for value in base])},
        "sec_ond": {0: with_scenes("sec_ond", [value - 0.3 + 0.01 * k for k, value in enumerate(base)])},
        "third": {0: with_scenes("third", [4.0, 5.0, 6.0, 7.0, 8.0, 9.0])},
    }
    table = build_table(SUITE, of_one(**reports))
    cell = table.rows[0].cells["sar2opt"]["psnr"]
    assert cell.interval[0] < cell.mean < cell.interval[1]
    assert [row.below_constant for row in table.rows[:3]] == [(), (), ("sar2opt",)]
    assert [("worse" in line, line.split(":")[1]) for line in table.tests] == [
        (True, " sec_ond against first (seed 0 alone)"),
        (True, " third against first (seed 0 alone)"),
    ]
    assert "6.50 † [" in table.markdown()
    write_table(table, tmp_path)
    assert "† PSNR below the constant train mean" in (tmp_path / "table.md").read_text()
    assert "third against first" in (tmp_path / "table.html").read_text()


def test_few_scenes_have_no_interval_and_the_note_says_why(tmp_path):
    table = build_table(SUITE, of_one(first={0: with_scenes("first", [9.0, 15.0, 20.0, 12.0])}))
    assert table.rows[0].cells["sar2opt"]["psnr"].interval is None
    write_table(table, tmp_path)
    assert "No intervals and no tests: 4 scenes" in (tmp_path / "table.md").read_text()


def test_a_scene_with_most_of_the_tiles_leaves_no_interval_and_the_note_says_why(tmp_path):
    found = with_scenes("first", BASE)
    found["models"][0]["directions"]["sar2opt"]["by_scene"]["psnr"]["s0"] = [9.0 * 64, 64.0]
    table = build_table(SUITE, of_one(first={0: found}))
    assert table.rows[0].cells["sar2opt"]["psnr"].interval is None
    write_table(table, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "no intervals and no tests: 6 scenes that count as 1.3 by their tiles" in text
    assert "In brackets" not in text


BASE = [9.0, 15.0, 20.0, 12.0, 25.0, 18.0]


def of_data(model: str, psnr: list[float], data: str, constant: float, scenes: str | None = None) -> RowReports:
    found = with_scenes(model, psnr) | {"data": {"name": data}}
    found["baselines"] = {"sar2opt": {"train_mean": {"psnr": constant, "mae": 0.3}}}
    return RowReports({0: found}, data, scenes or data)


def test_rows_of_other_data_have_their_own_baselines_and_neither_ranks_nor_tests_in_common():
    lower = [value - 0.3 + 0.01 * k for k, value in enumerate(BASE)]
    reports = {"first": of_data("first", BASE, "x", 12.0), "sec_ond": of_data("sec_ond", lower, "y", 13.0)}
    table = build_table(SUITE, reports)
    baselines = {row.name: row.cells["sar2opt"]["psnr"].mean for row in table.rows if row.kind == "baseline"}
    assert baselines == {"train_mean, data 1": 12.0, "train_mean, data 2": 13.0}
    assert table.tests == ()
    assert {row.cells["sar2opt"]["psnr"].rank for row in table.rows} == {None}
    assert (table.data, table.sets, table.n) == ("x, y", 2, 5)
    assert "Data 2 (y): sec_ond. Ranks and tests are among rows of the same scenes." in table.html()


def test_rows_whose_training_pairs_alone_differ_are_tested_over_their_scenes():
    lower = [value - 0.3 + 0.01 * k for k, value in enumerate(BASE)]
    reports = {
        "first": of_data("first", BASE, "x", 12.0, "scenes"),
        "sec_ond": of_data("sec_ond", lower, "y", 13.0, "scenes"),
    }
    table = build_table(SUITE, reports)
    assert [line.split(":")[1] for line in table.tests] == [" sec_ond against first"]
    assert table.rows[0].cells["sar2opt"]["psnr"].rank == 1
    assert "train_mean, data 2" in [row.name for row in table.rows]


def test_unequal_seeds_are_told_and_tests_are_over_the_common_ones():
    reports = {
        "first": {0: with_scenes("first", BASE), 1: with_scenes("first", [value + 5.0 for value in BASE])},
        "sec_ond": {0: with_scenes("sec_ond", [value + 0.3 + 0.01 * k for k, value in enumerate(BASE)])},
        "third": {1: with_scenes("third", BASE)},
    }
    table = build_table(SUITE, of_one(**reports))
    assert "unequal numbers of seeds: first has 0, 1; sec_ond has 0; third has 1." in table.html()
    assert [("better" in line, line.split(":")[1]) for line in table.tests] == [
        (True, " sec_ond against first (seed 0 alone)"),
        (False, " third against first (seed 1 alone)"),
    ]
    assert build_table(SUITE, of_one(first={0: reports["first"][0]})).notes == ()


def test_baselines_of_other_bands_are_told():
    reports = {name: of_data(name, BASE, "x", level) for name, level in (("first", 12.0), ("sec_ond", 13.0))}
    table = build_table(SUITE, reports)
    assert table.notes == ("Baselines of sar2opt are of the bands of first, not of those of sec_ond",)
    assert next(row for row in table.rows if row.kind == "baseline").cells["sar2opt"]["psnr"].mean == 12.0


def test_equal_figures_have_equal_ranks():
    table = build_table(SUITE, of_one(**{name: {0: report(name, 15.0, 0.1)} for name in ("first", "sec_ond")}))
    ranks = [[cell.rank for cell in row.cells["sar2opt"].values()] for row in table.rows if row.kind == "method"]
    assert ranks == [[1, 1, None], [1, 1, None]]


def test_failed_rows_stand_in_the_table(tmp_path):
    table = build_table(SUITE, {"first": REPORTS["first"]}, {"third": ["third, seed 0: full", "third, seed 1: full"]})
    write_table(table, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "| third (failed) | – |" in text
    assert "Failed:\n\n- third, seed 0: full\n" in text


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write_table(build_table(SUITE, REPORTS), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path, text, **_):
        with path.open("w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"results\.json: cannot be written: No space left on device"):
        write_table(build_table(SUITE, {"first": REPORTS["first"]}), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
