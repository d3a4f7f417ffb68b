"""Every table and figure of CRAN, of the slides on S2OFormer and of the shift-insensitive poster, by the shipped suites
on tiny sets of the published layouts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from saropt.benchmark import load_suite
from saropt.benchmark.costs import lines_of_costs
from saropt.cli import main
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import Translator
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Scene, write_array

UTM = CRS.from_epsg(32654)
WEST, NORTH = 139.0, 35.0
DEGREES = 5.5556e-5
POLARISATIONS = ("HHHH", "HVHV", "VVVV", "HHVV")


def write_flight_line(folder: Path, seed: int) -> Path:
    """A ground-projected UAVSAR line of 480x200 pixels of about 6 m, and RGB.tif of the same ground."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    shape = (480, 200)
    land = 0.2 + np.kron(random.random((60, 25)), np.ones((8, 8)))[: shape[0], : shape[1]]
    matrix = {
        name: np.sqrt(land) * (random.normal(size=shape) + 1j * random.normal(size=shape))
        for name in ("HH", "HV", "VV")
    }
    values = {2 * name: abs(part) ** 2 for name, part in matrix.items()} | {"HHVV": matrix["HH"] * matrix["VV"].conj()}
    numbers = zip(
        ("set_rows", "set_cols", "row_addr", "col_addr", "row_mult", "col_mult"),
        (*shape, NORTH, WEST, -DEGREES, DEGREES),
        strict=True,
    )
    lines = [f"grd_pwr.{key} (-) = {number}" for key, number in numbers]
    for name in POLARISATIONS:
        values[name].astype("<c8" if name == "HHVV" else "<f4").tofile(folder / f"line_{name}.grd")
        lines.append(f"grd{name} (&) = line_{name}.grd")
    (folder / "line.ann").write_text("\n".join(lines))
    (x,), (y,) = transform("EPSG:4326", UTM, [WEST], [NORTH])
    colours = np.stack([np.kron(land, np.ones((1, 1))) * 150 + 20 * band for band in range(3)])
    place = Georeference(UTM, Affine(6, 0, x - 60, 0, -6, y + 60))
    write_array(
        folder / "RGB.tif", np.pad(colours, ((0, 0), (20, 20), (20, 20)), "edge").astype(np.uint8), georeference=place
    )
    return folder / "line.ann"


@pytest.fixture(scope="module")
def flights(tmp_path_factory) -> dict[str, Path]:
    """Data roots named as CRAN's sets."""
    base = tmp_path_factory.mktemp("uavsar")
    annotation = write_flight_line(base / "line", 0)
    roots = {}
    sets = (("uavsar-6m", "VV", 6), ("uavsar-10m", "VV", 6.5), ("uavsar-6m-pauli", "pauli", 6), ("powers", "powers", 6))
    for name, bands, gsd in sets:
        roots[name] = base / name
        options = [
            f"name={name}",
            f"bands={bands}",
            f"gsd_m={gsd}",
            f"optical={annotation.parent / 'RGB.tif'}",
            "gap=0",
            "train=0.4",
            "val=0.3",
        ]
        settings = [part for option in options for part in ("--set", option)]
        assert main(["data", "prepare", "uavsar", str(annotation), str(roots[name]), *settings]) == 0
    return roots


def small(**settings: object) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key.replace('__', '.')}={value}")]


LONG = pytest.mark.slow  # 5 to 30 s each: several trainings of real widths

TINY = {
    "base__data__crop": 64,
    "base__data__batch_size": 1,
    "base__engine__validate_every": 1,
    "base__engine__sample_every": 0,
    "base__arguments__discriminator_width": 4,
}
NARROW = {
    "runs__0__config__arguments__network_arguments__width": 3,
    "runs__1__config__arguments__network_arguments__width": 3,
}


def bench(suite: str, out: Path, *arguments: str) -> str:
    """Run a suite, and give its table.md."""
    assert (
        main(["benchmark", suite, "--out", str(out), "--max-steps", "2", "--seed", "0", "--device", "cpu", *arguments])
        == 0
    )
    return (out / suite / "table.md").read_text(encoding="utf-8")


def titles_of(figure: Path) -> tuple[str, ...]:
    """The words of an SVG figure, titles first."""
    return tuple(re.findall(r"<text[^>]*>([^<]+)</text>", figure.read_text(encoding="utf-8")))


def published(table: str) -> list[str]:
    return [line for line in table.splitlines() if "(published)" in line]


@pytest.mark.parametrize(
    ("suite", "names", "rows", "settings"),
    [
        ("cran-table1", ("uavsar-6m", "uavsar-6m-pauli"), 2, TINY),
        pytest.param("cran-table2", ("uavsar-6m-pauli",), 1, TINY, marks=LONG),
        pytest.param("cran-table3", ("uavsar-6m", "uavsar-10m"), 6, {**TINY, **NARROW}, marks=LONG),
        pytest.param("cran-figure4", ("uavsar-6m",), 0, TINY, marks=LONG),
        pytest.param("cran-generalisation", ("uavsar-6m", "uavsar-10m"), 0, TINY, marks=LONG),
        pytest.param("cran-small", ("uavsar-6m",), 0, {"base__data__crop": 64}, marks=LONG),
    ],
)
def test_tables_of_cran_on_uavsar(flights, tmp_path, suite, names, rows, settings):
    settings = {**settings, "base__arguments__network_arguments__width": 3}
    data = [part for name in names for part in ("--data", str(flights[name]))]
    table = bench(suite, tmp_path, *data, *small(**settings))
    assert len(published(table)) == rows
    assert table.count("eq. 6 prints 2000") == (len(names) if rows else 0)
    assert "SAR→OPT" in table
    assert "OPT→SAR" in table
    if suite == "cran-table3":
        line = next(line for line in published(table) if "uavsar-6m: CRAN" in line)
        assert "20.29" in line, "the PSNR of SAR images stands with those on the paper's values"
        heading = next(line for line in table.splitlines() if line.startswith("|"))
        column = [cell.strip() for cell in heading.split("|")].index("OPT→SAR PSNR dB, network")
        assert [cell.strip() for cell in line.split("|")][column] == "20.29"
    assert list(tmp_path.glob(f"{suite}/**/translations-sar2opt.png"))
    assert DataRoot.open(flights[names[0]]).name == names[0]


@LONG
def test_polarisations_of_cran(flights, tmp_path):
    """A polarisation tested on itself and on another, and all together."""
    rows = ["Pix2Pix, HH on HV", "CRAN, VV", "CRAN, VV on HV", "CRAN, HH + HV + VV"]
    only = [part for row in rows for part in ("--only", row)]
    settings = small(**TINY, **NARROW)
    table = bench("cran-polarisations", tmp_path / "out", "--data", str(flights["powers"]), *only, *settings)
    assert [row for row in rows if f"| {row} |" in table] == rows
    assert len(list((tmp_path / "out").glob("trainings/cran-*"))) == 3, "one training is tested on both"
    place = table.splitlines()[4].split(" | ").index("OPT→SAR PSNR dB")
    cells = [line.split(" | ")[place] for line in table.splitlines() if line.startswith(("| CRAN", "| Pix2Pix"))]
    assert len(cells) == 4
    assert "*" not in "".join(cells), "rows of several truths are not ranked"
    reports = [(path, json.loads(path.read_text())) for path in (tmp_path / "out").glob("reports/*/report.json")]
    of_data = {report["data"]["name"]: (path, report) for path, report in reports}
    path, report = of_data["powers, HV in place of VV"]
    # the same by hand: a data root whose only SAR band is HV, under the name of VV
    shutil.copytree(flights["powers"], tmp_path / "hv")
    description = yaml.safe_load((tmp_path / "hv" / "dataset.yaml").read_text())
    description["sar"]["bands"] = ["VV"]
    (tmp_path / "hv" / "dataset.yaml").write_text(yaml.safe_dump(description))
    for raster in (tmp_path / "hv" / "sar").iterdir():
        with Scene.open(raster, bands=["HV"]) as scene:
            values, place = scene.read()[0], scene.georeference
        write_array(raster, values, band_names=["VV"], georeference=place, overwrite=True)
    (training,) = (tmp_path / "out" / "trainings").glob(f"{path.parent.name.rsplit('-', 1)[0]}")
    spec = EvaluationSpec(tmp_path / "hv", Translator.load_all(training / "translator.safetensors"), html=False)
    by_hand = evaluate(spec, tmp_path / "report").report["models"][0]["directions"]
    for direction, figures in report["models"][0]["directions"].items():
        assert figures["psnr"] == pytest.approx(by_hand[direction]["psnr"], rel=1e-6)


@LONG
def test_table_4_of_cran(tmp_path):
    simulated = {
        "simulate__scenes": "[2, 2, 2]",
        "simulate__size": 64,
        "base__data__crop": 64,
        "base__data__batch_size": 1,
    }
    arguments = {"base__arguments__network_arguments__width": 2, "base__arguments__discriminator_width": 2}
    table = bench("cran-table4", tmp_path, *small(**simulated, **arguments))
    assert "sar2opt: supervised: FID 107.8; of data that the source does not name" in table
    assert "opt2sar: refined on the optical images to translate: FID 41.2" in table
    assert not published(table)
    refined = [path.parent.name for path in tmp_path.glob("trainings/cran_refine-*/translator.safetensors")]
    assert len(refined) == 3


@LONG
def test_table_5_of_cran(flights, tmp_path):
    settings = {**TINY, **NARROW, "base__arguments__network_arguments__width": 3, "base__engine__validate_every": 0}
    table = bench("cran-table5", tmp_path, "--data", str(flights["uavsar-6m"]), *small(**settings))
    assert "images/s in training" in table
    lines = [line for line in table.splitlines() if "(published" in line]
    assert [line.split(":")[0] for line in lines] == ["- CycleGAN", "- Pix2Pix", "- CRAN", "- discriminators"]
    found = lines_of_costs(load_suite("cran-table5"), {"sar": {"bands": "V"}, "optical": {"bands": "RGB"}})
    assert found == [
        "CycleGAN: 113.73 M parameters (published 113.73), 152.39 G operations (published 152.39)",
        "Pix2Pix: 107.16 M parameters (published 107.16), 89.50 G operations (published 89.5)",
        "CRAN: 107.49 M parameters (published 107.49), 79.41 G operations (published 79.41)",
        "discriminators: 5.53 M parameters (published 5.35), 6.53 G operations (published 6.53)",
    ]


def test_table_6_of_cran(tmp_path):
    small_judge = {"network": "compact", "arguments": "{width: 8, encoder: [1], decoder: [1], middle: 1}"}
    settings: dict[str, object] = {
        **TINY,
        "simulate__scenes": "[2, 1, 2]",
        "simulate__size": 64,
        "base__arguments__network_arguments__width": 2,
    }
    for role in ("sar", "optical"):
        settings |= {f"judges__{role}__{key}": value for key, value in small_judge.items()}
        settings[f"judges__{role}__data"] = "{crop: 64, batch_size: 2, oversample: water}"
        settings[f"judges__{role}__engine__validate_every"] = 1
    table = bench("cran-table6", tmp_path, *small(**settings))
    assert "true images" in table
    (made,) = tmp_path.glob("translated/*/dataset.yaml")
    translated = DataRoot.open(made.parent)
    assert (list(translated.images), set(translated.splits.values())) == (["optical"], {"train", "val"})
    name = translated.names("train")[0]
    (translator,) = tmp_path.glob("trainings/cran-*/translator.safetensors")
    simulated = next(tmp_path.glob("data/*/sar")) / f"{name}.tif"
    sar2opt = next(t for t in Translator.load_all(translator) if t.direction.output == "optical")
    sar2opt.translate(simulated, tmp_path / "again.tif")
    with Scene.open(tmp_path / "again.tif") as again, Scene.open(translated.raster("optical", name)) as found:
        np.testing.assert_array_equal(found.read()[0], again.read()[0])
    trained = [yaml.safe_load(path.read_text())["modality"] for path in tmp_path.glob("segmenters/*/config.yaml")]
    assert sorted(trained) == ["optical", "sar"]


def write_sen12jhl(folder: Path) -> tuple[Path, Path]:
    """SEN12MS patches of 256 pixels of three scenes, and a HRLULC tile over them."""
    random = np.random.default_rng(0)
    for scene in range(3):
        place = Georeference(UTM, Affine(10, 0, 400_000 + 3000 * scene, 0, -10, 3_900_000))
        for kind, count, dtype in (("s1", 2, np.float32), ("s2", 13, np.uint16)):
            values = (
                random.integers(500, 3000, (count, 256, 256))
                if kind == "s2"
                else random.uniform(-20, -5, (count, 256, 256))
            )
            path = folder / "src" / "ROIs2017_winter" / f"{kind}_{scene}"
            path.mkdir(parents=True)
            write_array(path / f"ROIs2017_winter_{kind}_{scene}_p7.tif", values.astype(dtype), georeference=place)
    step = 1 / 12000
    land = np.kron(random.integers(1, 11, (1, 150, 250)), np.ones((1, 10, 10))).astype(np.uint8)
    (folder / "hrlulc").mkdir()
    (west, _), (_, south) = transform(UTM, "EPSG:4326", [399_000, 410_000], [3_901_000, 3_896_000])
    place = Georeference(CRS.from_epsg(4326), Affine(step, 0, west, 0, -step, south + 1500 * step))
    for name in ("LC_N35E139.tif",):
        write_array(folder / "hrlulc" / name, land, georeference=place)
    return folder / "src", folder / "hrlulc"


@LONG
def test_results_of_s2oformer(tmp_path):
    source, tiles = write_sen12jhl(tmp_path)
    root = tmp_path / "root"
    assert (
        main(
            [
                "data",
                "prepare",
                "sen12jhl",
                str(source),
                str(root),
                "--set",
                f"hrlulc={tiles}",
                "--set",
                "train=0.34",
                "--set",
                "val=0.33",
                "--partial",
            ]
        )
        == 0
    )
    assert len(DataRoot.open(root).images["optical"].bands) == 13
    tiny = {"depths": "[1]", "heads": "[2]", "width": 8, "squeeze": 4, "window": 8}
    settings: dict[str, object] = {
        "base__data__batch_size": 1,
        "base__data__crop": 256,
        "base__engine__sample_every": 0,
        "base__arguments__semantic_arguments__width": 8,
        "base__engine__validation_windows": 1,
        "base__engine__validate_every": 1,
        "base__arguments__discriminator_width": 4,
    }
    rows = [run.name for run in load_suite("s2oformer-results").runs if run.name != "HAT, width 180"]
    for row, name in enumerate(rows):
        arguments = {"width": 2} if name.startswith("U-Net") else tiny
        settings |= {f"runs__{row}__config__arguments__network_arguments__{k}": value for k, value in arguments.items()}
    only = [part for row in rows for part in ("--only", row)]
    table = bench("s2oformer-results", tmp_path / "out", "--data", str(root), *only, *small(**settings))
    assert not published(table), "the slides do not say what scale 20.14 dB is on"
    assert (
        "sar2opt: S2OFormer: PSNR dB 20.14, SSIM 0.642; the source does not say what its optical values span" in table
    )
    for path in (tmp_path / "out" / "trainings").glob("*/config.yaml"):
        assert "- red\n    - green\n    - blue" in path.read_text()
    titles = ("input", "truth", "label", *rows)
    assert titles_of(tmp_path / "out" / "s2oformer-results" / "translations-sar2opt.svg")[: len(titles)] == titles


def test_s2oformer_in_small(tmp_path):
    rows = ("U-Net, L1", "S2OFormer, DSD")
    only = [part for row in rows for part in ("--only", row)]
    table = bench("s2oformer-small", tmp_path, *only, *small(simulate__scenes="[1, 1, 1]"))
    assert "true images (reference)" in table, "a segmenter judges"
    assert titles_of(tmp_path / "s2oformer-small" / "translations-sar2opt.svg")[:5] == (
        "input",
        "truth",
        "label",
        *rows,
    )


@LONG
def test_the_poster(tmp_path):
    tiny = {"simulate__scenes": "[1, 1, 2]", "simulate__size": 64, "base__data__crop": 64}
    width = {
        "base__arguments__network_arguments__width": 4,
        "base__arguments__network_arguments__blocks": 1,
        "base__arguments__discriminator_width": 4,
    }
    rows = ("pix2pix, 8 px", "pix2pix, back, 8 px", "shift-cyclegan, 8 px")
    only = [part for row in rows for part in ("--only", row)]
    table = bench("shift-insensitive", tmp_path, *only, *small(**tiny, **width))
    assert all(row in table for row in rows)
    settings = {"simulate__size": 64, "base__data__crop": 64, "base__arguments__width": 2}
    table = bench("tuigan-references", tmp_path, *small(**settings))
    assert "dissimilar" in table
