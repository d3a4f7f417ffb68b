"""Inputs that once gave a traceback, a hang, a lost file or a wrong result: one line, and all files as before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import rasterio
from affine import Affine
from onnx import TensorProto, helper
from rasterio.control import GroundControlPoint

from saropt.cli import main
from saropt.inference import find_translator
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Georeference, write_array

DATED = {"ACQUISITION_DATE": "2020-01-01"}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command line in the folder of the test: one line that holds these words, and no file changes."""
    monkeypatch.chdir(tmp_path)

    def run(words: str, *arguments: object) -> None:
        before = contents(tmp_path)
        assert main([str(argument) for argument in arguments]) == 2
        line = capsys.readouterr().err
        assert words in line
        assert line.count("\n") == 1
        assert line.strip().isprintable()
        assert contents(tmp_path) == before

    return run


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(-14, 3, (1, 96, 96)).astype(np.float32)
    place = Georeference(rasterio.CRS.from_epsg(32633), Affine(10, 0, 5e5, 0, -10, 4e6))
    return write_array(tmp_path / "a.tif", values, band_names=["VH"], georeference=place, tags=DATED)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_simulated_root(tmp_path / "root", scenes=(1, 1, 2), size=64, units="amplitude", bands=("VH",))


def placed(path: Path, **georeference: object) -> None:
    points = georeference.pop("gcps", None)
    values = np.random.default_rng(0).normal(-14, 3, (1, 96, 96)).astype(np.float32)
    form = {"driver": "GTiff", "count": 1, "height": 96, "width": 96, "dtype": "float32", **georeference}
    with rasterio.open(path, "w", **form) as dataset:
        dataset.write(values)
        dataset.descriptions = ("VH",)
        dataset.update_tags(**DATED)
        if points:
            dataset.gcps = points, "EPSG:4326"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"transform": Affine(10, 0, np.nan, 0, -10, 4e6)}, "gives its pixels no place"),
        ({"transform": Affine(0, 0, 5e5, 0, 0, 4e6)}, "gives its pixels no place"),
        ({"transform": Affine(10, 0, 1e30, 0, -10, 4e6), "crs": "EPSG:32633"}, "lies nowhere on Earth"),
        ({"transform": Affine(10, 0, 5e5, 0, -10, 5e7), "crs": "EPSG:32633"}, "lies nowhere on Earth"),
        ({"transform": Affine(1e-4, 0, 12.1, 0, -1e-4, 95), "crs": "EPSG:4326"}, "centre is at 12.1048, 94.9952"),
        ({"transform": Affine(1, 0, 12, 0, -1, 60), "crs": "EPSG:4326"}, "m wide, where about 10 m are looked for"),
        ({"transform": Affine(1e-6, 0, 5e5, 0, -1e-6, 4e6), "crs": "EPSG:32633"}, "are 1e-06 m wide"),
        ({"gcps": [GroundControlPoint(0, 0, 12.1, 45.3)] * 4}, "mend its georeference"),
        ({"gcps": [GroundControlPoint(0, 0, np.nan, 45.3)] * 4}, "control points that are not numbers"),
    ],
)
def test_places(refused: Callable[..., None], tmp_path: Path, place: dict[str, object], words: str) -> None:
    placed(tmp_path / "a.tif", **place)
    refused(words, "translate", "a.tif", "o.tif", "--units", "sigma0_db", "--stac")


def test_places_in_the_other_verbs(refused: Callable[..., None], scene: Path, tmp_path: Path) -> None:
    placed(tmp_path / "b.tif", transform=Affine(1, 0, 12, 0, -1, 60), crs="EPSG:4326")
    words = "b.tif: its pixels are 109,756 m wide"
    refused(words, "match", scene, "b.tif")
    refused(words, "translate", scene, "o.tif", "--model", "s1-reference", "--reference", "b.tif")


@pytest.mark.parametrize("content", [b"", b"text", "small"])
def test_masks_that_cannot_be_used(refused: Callable[..., None], scene: Path, content: bytes | str) -> None:
    mask = Path(f"{scene}.msk")
    if isinstance(content, str):
        placed(scene.with_name("m.tif"))
        with rasterio.open(scene.with_name("m.tif"), "w", driver="GTiff", count=1, height=7, width=7, dtype="uint8"):
            pass
        scene.with_name("m.tif").rename(mask)
    else:
        mask.write_bytes(content)
    refused("a.tif.msk", "translate", scene, "o.tif", "--units", "sigma0_db")


def test_a_raw_file_that_is_too_short(refused: Callable[..., None], tmp_path: Path) -> None:
    with rasterio.open(tmp_path / "a.img", "w", driver="ENVI", count=1, height=96, width=96, dtype="float32") as raw:
        raw.write(np.full((1, 96, 96), -12, np.float32))
    os.truncate(tmp_path / "a.img", 96 * 4 * 40)
    refused("too small", "translate", "a.img", "o.tif", "--units", "sigma0_db")


def looping(model: onnx.ModelProto) -> None:
    graph, last = model.graph, model.graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == last else name for name in node.output]
    graph.initializer.append(helper.make_tensor("count", TensorProto.INT64, [], [2**62]))
    graph.initializer.append(helper.make_tensor("again", TensorProto.BOOL, [], [1]))
    ends = [("i", TensorProto.INT64), ("c", TensorProto.BOOL), ("v", TensorProto.FLOAT)]
    values = [helper.make_tensor_value_info(name, kind, None if name == "v" else []) for name, kind in ends]
    results = [helper.make_tensor_value_info("co", TensorProto.BOOL, [])]
    results.append(helper.make_tensor_value_info("vo", TensorProto.FLOAT, None))
    nodes = [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["v"], ["vo"])]
    body = helper.make_graph(nodes, "body", values, results)
    graph.node.append(helper.make_node("Loop", ["count", "again", "before"], [last], body=body))


def huge(model: onnx.ModelProto) -> None:
    graph, last = model.graph, model.graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == last else name for name in node.output]
    graph.initializer.append(helper.make_tensor("side", TensorProto.INT64, [1], [2**45]))
    graph.node.append(helper.make_node("ConstantOfShape", ["side"], ["much"]))
    graph.node.append(helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0))
    graph.node.append(helper.make_node("Add", ["before", "sum"], [last]))


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize(("change", "words"), [(looping, "holds a loop"), (huge, "cannot be run")])
def test_graphs(
    scene: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    change: Callable,
    words: str,
    backend: str,
) -> None:
    monkeypatch.chdir(scene.parent)
    model = onnx.load(find_translator("s1-losangeles"))
    change(model)
    onnx.save(model, scene.with_name("m.onnx"))
    assert main(["translate", "a.tif", "o.tif", "--units", "sigma0_db", "--model", "m.onnx", "--backend", backend]) == 2
    told = capfd.readouterr().err  # of the runtime, too
    assert words in told
    assert told.count("\n") == 1
    assert not Path("o.tif").exists()


@pytest.mark.parametrize("model", ["pipe.onnx", "/dev/zero"])
def test_models_that_are_no_files(refused: Callable[..., None], scene: Path, model: str) -> None:
    os.mkfifo(scene.with_name("pipe.onnx"))
    refused("not a regular file", "translate", scene, "o.tif", "--units", "sigma0_db", "--model", model)


@pytest.mark.parametrize("out", ["pipe.tif", "device.tif"])
def test_outputs_that_are_no_files(refused: Callable[..., None], scene: Path, out: str) -> None:
    os.mkfifo(scene.with_name("pipe.tif"))
    scene.with_name("device.tif").symlink_to("/dev/null")
    refused("not a regular file", "translate", scene, out, "--units", "sigma0_db", "--overwrite")


def test_a_link_to_nothing_is_in_the_way(refused: Callable[..., None], scene: Path) -> None:
    scene.with_name("o.tif").symlink_to("/nowhere/x.tif")
    refused("exists already", "translate", scene, "o.tif", "--units", "sigma0_db")


def test_arguments_and_names_of_odd_letters(refused: Callable[..., None], tmp_path: Path) -> None:
    refused("an argument is empty", "translate", "", "o.tif")
    refused("a b?c.tif: no such file", "translate", "a\nb\x1bc.tif", "o.tif")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("dataset.yaml", lambda text: text.replace("name: root", "name: [a, b]"), "name must be a text"),
        ("dataset.yaml", lambda text: text.replace("- VH", "- [VH]"), "bands must be a text"),
        ("dataset.yaml", lambda text: text + "name: other\n", "the key name stands there twice"),
        ("dataset.yaml", lambda text: text.replace("paired: true", "pared: false"), "is paired meant?"),
        ("dataset.yaml", lambda text: text + "ignore_index: [1]\n", "dataset.yaml"),
        ("splits.csv", lambda text: text.replace(",test", ",test,north"), "more cells than"),
        ("splits.csv", lambda text: text.splitlines()[0] + "\n", "lists no raster"),
    ],
)
def test_data_roots(
    refused: Callable[..., None], root: Path, name: str, change: Callable[[str], str], words: str
) -> None:
    text = (root / name).read_text()
    assert change(text) != text
    (root / name).write_text(change(text))
    refused(words, "evaluate", "s1-losangeles", "--data", root, "--out", "report")
    refused(words, "data", "clean", root)


def test_two_rasters_of_one_name(refused: Callable[..., None], root: Path) -> None:
    path = sorted((root / "sar").glob("test*"))[0]
    write_array(path.with_suffix(".png"), np.full((1, 64, 64), 9, np.uint8))
    refused(f"{path.stem}.png is there too", "evaluate", "s1-losangeles", "--data", root, "--out", "report")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda array: (array / 255).astype(np.float32), "8 bits hold 0..255"),
        (lambda array: array.astype(np.uint16) * 257, "8 bits hold 0..255"),
        (lambda array: array.astype(np.complex64), "complex"),
    ],
)
def test_predictions_in_other_units(
    refused: Callable[..., None], root: Path, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    (tmp_path / "made").mkdir()
    for path in (root / "optical").glob("test*"):
        with rasterio.open(path) as truth:
            write_array(tmp_path / "made" / path.name, change(truth.read()), band_names=["B4", "B3", "B2"])
    refused(words, "score", "made", "--data", root, "--split", root / "splits.csv", "--out", "m.json")


def test_bands_of_predictions_go_by_name(root: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for path in (root / "optical").glob("test*"):
        with rasterio.open(path) as truth:
            write_array(tmp_path / "made" / path.name, truth.read()[::-1], band_names=["B2", "B3", "B4"])
    out = tmp_path / "m.json"
    assert (
        main(
            [
                "score",
                str(tmp_path / "made"),
                "--data",
                str(root),
                "--split",
                str(root / "splits.csv"),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    assert json.loads(out.read_text())["figures"]["mae"] == 0.0


@pytest.mark.parametrize("key", ["name", "hashes", "figures", "baselines"])
@pytest.mark.parametrize("value", [None, [], "text"])
def test_damaged_submissions(refused: Callable[..., None], root: Path, key: str, value: object) -> None:
    arguments = ["score", root / "optical", "--data", root, "--split", root / "splits.csv", "--out", "m.json"]
    assert main([str(one) for one in arguments]) == 0
    found = json.loads(Path("m.json").read_text())
    if (key, value) == ("name", "text"):
        del found["figures"]["psnr"]
    else:
        found[key] = value
    Path("other.json").write_text(json.dumps(found))
    refused("other.json", "compare", "m.json", "other.json")


def test_reports_do_not_replace_what_they_are_of(refused: Callable[..., None], root: Path, scene: Path) -> None:
    refused("use .html", "data", "inspect", scene, "--html", scene, "--overwrite")
    refused("use .json", "data", "clean", root, "--report", root / "dataset.yaml", "--overwrite")
    splits, made = root / "splits.csv", root / "optical"
    refused("use .json", "score", made, "--data", root, "--split", splits, "--out", splits, "--overwrite")


def test_splits_do_not_replace_those_they_come_from(root: Path) -> None:
    before = contents(root)
    arguments = ["data", "clean", root, "--write-splits", root / "splits.csv", "--overwrite"]
    assert main([str(one) for one in arguments]) == 2
    assert contents(root) == before


@pytest.mark.parametrize("looks", ["inf", "1e308"])
def test_looks_that_filter_nothing(refused: Callable[..., None], scene: Path, looks: str) -> None:
    options = ["--filter", "lee", "--units", "sigma0_db", "--looks", looks]
    refused("at most 10000", "data", "filter", scene, "o.tif", *options)


def test_lists_with_bytes_that_are_no_text(refused: Callable[..., None], scene: Path) -> None:
    scene.with_name("l.txt").write_bytes(b"\0a.tif\n")
    scene.with_name("l.csv").write_bytes(b"scene\n\0a.tif\n")
    refused("no readable list", "translate", "l.txt", "out", "--units", "sigma0_db")
    refused("no readable table", "translate", "l.csv", "out", "--units", "sigma0_db")


@pytest.mark.parametrize("points", [[], [[]], [[[0]]]])
def test_polygons_without_points(refused: Callable[..., None], tmp_path: Path, points: list) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": points}))
    refused(
        "no GeoJSON file with a polygon",
        "data",
        "fetch",
        "o",
        "--area",
        "a.geojson",
        "--dates",
        "2020-01-01/2020-02-01",
    )
