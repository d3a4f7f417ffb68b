"""Scene inputs of a run: what the network gets, in any tiling and runtime, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from saropt.artifacts import ImageCard, ReliabilityCard, TrainingCard, parse_card, save_weights
from saropt.artifacts.export import errors_graph, export_graph
from saropt.artifacts.graph import write_with_errors
from saropt.cli import main
from saropt.domain import Direction, encode_scene_inputs
from saropt.errors import OptionError
from saropt.inference import TranslateOptions, Translator
from saropt.inference.bundled import card_of, find_translator
from saropt.inference.exporting import export_translator
from saropt.networks import ErrorNetwork, build_network
from saropt.scenes import write_array
from translator_files import make_translator_card
from translator_fixtures import GEOREFERENCE

ARGUMENTS = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2, "scene_bands": 5}
KNOWN = {"month": 7, "latitude": 37.5}
EDGE = 40  # more than half of the receptive field
LATITUDE = 34.0  # of the centre of GEOREFERENCE, to a degree
RECIPE = {"kind": "db_clip", "low": -30.0, "high": 0.0}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    made = build_network("naf_unet", 2 + 5, 1, **ARGUMENTS).eval()
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return made


@pytest.fixture(scope="module")
def files(network: torch.nn.Module, tmp_path_factory) -> dict[str, Path]:
    bands = {"role": "sar", "bands": ("VV", "VH"), "units": "sigma0_db", "dtype": "float32", "recipe": RECIPE}
    given = {"kind": "reflectance", "scale": 2.0, "high": 1.0}
    images = {
        "sar": ImageCard(**bands),
        "optical": ImageCard(role="optical", bands=("B8",), units="reflectance", dtype="float32", recipe=given),
    }
    described = {
        "network": "naf_unet",
        "arguments": ARGUMENTS,
        "scene_inputs": ("month", "latitude"),
        "stride": network.stride,
        "receptive_field": network.receptive_field,
    }
    training = TrainingCard(data="none", split="train", steps=0, seed=0, licence="none")
    fields = {"name": "seasons", "method": "regression", "gsd_m": 10.0, "training": training}
    card = make_translator_card(images, {"sar2opt": described}, **fields)
    folder = tmp_path_factory.mktemp("seasons")
    export_graph(folder / "seasons.onnx", card, "sar2opt", [network])
    weights = {f"sar2opt.{key}": value.numpy() for key, value in network.state_dict().items()}
    save_weights(folder / "seasons.safetensors", card, weights)
    return {"onnx": folder / "seasons.onnx", "torch": folder / "seasons.safetensors"}


@pytest.fixture(scope="module")
def decibels() -> np.ndarray:
    return np.random.default_rng(0).uniform(-25, -5, (2, 160, 224)).astype(np.float32)


@pytest.fixture
def scene(decibels, tmp_path) -> Path:
    tags = {"ACQUISITION_DATE": "2024-10-05"}
    return write_array(tmp_path / "scene.tif", decibels, band_names=["VV", "VH"], georeference=GEOREFERENCE, tags=tags)


def assert_equal_inside(made: np.ndarray, expected: np.ndarray) -> None:
    inside = np.s_[:, EDGE:-EDGE, EDGE:-EDGE]
    np.testing.assert_allclose(made[inside], expected[inside], atol=2e-5)


def by_torch(network: torch.nn.Module, decibels: np.ndarray, known: dict[str, float]) -> np.ndarray:
    """The output for a scene in one piece, which is that of a run but for the edges, where runs mirror the scene."""
    vector = torch.tensor(encode_scene_inputs(["month", "latitude"], known))
    constant = vector[None, :, None, None].expand(1, 5, *decibels.shape[1:])
    with torch.no_grad():
        made = network(torch.cat([torch.from_numpy(decibels)[None] / 15.0 + 1.0, constant], dim=1))[0].numpy()
    return np.clip(made, -1.0, 1.0) + 1.0  # half of it is the share of the range, which is 2


@pytest.mark.parametrize("runtime", ["onnx", "torch", "openvino"])
@pytest.mark.parametrize("known", [{}, {"month": 7}, KNOWN])
def test_every_runtime_gives_what_the_network_gives(runtime, known, files, network, decibels):
    path = files["torch" if runtime == "torch" else "onnx"]
    made = Translator.load(path, backend=runtime).translate_array(decibels, scene_inputs=known)
    assert_equal_inside(made, by_torch(network, decibels, known))


def test_what_is_known_of_the_scene_changes_the_output(network, decibels):
    made = [by_torch(network, decibels, known) for known in ({}, {"month": 7}, {"month": 1}, KNOWN)]
    assert all(np.abs(a - b).max() > 0.01 for i, a in enumerate(made) for b in made[:i])


def test_any_tiling_gives_one_picture(files, network, decibels, scene, tmp_path):
    translator, made = Translator.load(files["onnx"]), {}
    for tile in (32, 64, 2048):
        translator.translate(scene, tmp_path / f"{tile}.tif", tile=tile, **KNOWN)
        with rasterio.open(tmp_path / f"{tile}.tif") as out:
            assert out.tags()["SAROPT_SCENE_INPUTS"] == "month=7, latitude=37.5"
            made[tile] = out.read()
        np.testing.assert_allclose(made[tile], made[32], atol=2e-5)
    assert_equal_inside(made[2048], by_torch(network, decibels, KNOWN))


def test_they_are_missing_by_default_and_read_where_asked_for(files, network, decibels, scene, tmp_path):
    translator = Translator.load(files["onnx"])
    made = {}
    for name, options in {"no": {}, "read": {"read_scene_inputs": True}}.items():
        translator.translate(scene, tmp_path / f"{name}.tif", **options)
        with rasterio.open(tmp_path / f"{name}.tif") as out:
            made[name] = out.read(), out.tags()
    assert "SAROPT_SCENE_INPUTS" not in made["no"][1]
    assert_equal_inside(made["no"][0], by_torch(network, decibels, {}))
    month, latitude = made["read"][1]["SAROPT_SCENE_INPUTS"].split(", ")
    degrees = float(latitude.removeprefix("latitude="))
    assert month == "month=10"
    assert abs(degrees - LATITUDE) < 1.0
    assert_equal_inside(made["read"][0], by_torch(network, decibels, {"month": 10, "latitude": degrees}))
    translator.translate(scene, tmp_path / "over.tif", read_scene_inputs=True, month=2)
    with rasterio.open(tmp_path / "over.tif") as out:
        assert out.tags()["SAROPT_SCENE_INPUTS"].startswith("month=2, latitude=")


def test_a_month_that_cannot_be_read_is_told(files, decibels, tmp_path):
    tags = {"ACQUISITION_DATE": "02/11/2023"}
    scene = write_array(tmp_path / "undated.tif", decibels, band_names=["VV", "VH"], tags=tags)
    translator = Translator.load(files["onnx"])
    for month, told in ((None, True), (11, False)):
        result = translator.run(scene, tmp_path / f"{month}.tif", TranslateOptions(read_scene_inputs=True, month=month))
        assert ("its month is not known: ACQUISITION_DATE is '02/11/2023'" in "; ".join(result.warnings)) == told


def test_other_scene_inputs_are_other_work(files, scene, tmp_path):
    """A finished output counts as made for the same scene inputs alone."""
    translator = Translator.load(files["onnx"])
    translator.run(scene, tmp_path / "out.tif", TranslateOptions(month=7))
    assert translator.look(scene, tmp_path / "out.tif", TranslateOptions(month=7)).is_complete
    assert not translator.look(scene, tmp_path / "out.tif", TranslateOptions(month=8)).is_complete
    assert not translator.look(scene, tmp_path / "out.tif", TranslateOptions()).is_complete


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--month", "13"], "--month 13: must be a whole number between 1 and 12"),
        (["--latitude", "95"], "--latitude 95: must be between -90 and 90 degrees"),
        (["--latitude", "nan"], "--latitude nan: must be between -90 and 90 degrees"),
        (["--incidence", "38"], "--incidence 38: seasons.onnx takes month and latitude only"),
    ],
)
def test_bad_values_are_one_line(options, told, files, scene, tmp_path, capsys):
    out = tmp_path / "out.tif"
    assert main(["translate", str(scene), str(out), "--model", str(files["onnx"]), *options]) == 2
    assert capsys.readouterr().err.strip() == f"saropt: error: {told}"
    assert not out.exists()


def test_a_translator_without_scene_inputs_refuses_them(scene, tmp_path, decibels):
    translator = Translator.load("s1-world")
    for options, told in (({"month": 7}, "month='7': "), ({"read_scene_inputs": True}, "read_scene_inputs=True: ")):
        with pytest.raises(OptionError, match=f"^{told}.*takes no"):
            translator.translate(scene, tmp_path / "out.tif", **options)
    with pytest.raises(OptionError, match="takes no scene inputs"):
        translator.translate_array(decibels, scene_inputs={"latitude": 1.0})


def test_cards_from_before_read_as_they_were():
    card = card_of(find_translator("s1-world"))
    assert all(described.scene_inputs == () for described in card.directions.values())
    values = card.model_dump_json()
    with pytest.raises(ValueError, match=r"scene_inputs: must be among month, latitude, incidence, each once"):
        parse_card(values.replace('"scene_inputs":[]', '"scene_inputs":["moon"]'))


def test_half_widths_are_for_scenes_of_which_nothing_is_known(files, scene, tmp_path):
    path = tmp_path / "reliable.onnx"
    fields = {"scale": (1.0,), "budget": 0.1, "data": ("a",), "scenes": 20, "coverage": 0.9, "least_coverage": 0.8}
    card = card_of(files["onnx"])
    described = card.directions["sar2opt"].model_copy(update={"reliability": ReliabilityCard(alpha=0.1, **fields)})
    card = card.model_copy(update={"directions": {Direction.parse("sar2opt"): described}})
    write_with_errors(files["onnx"], path, card, errors_graph(ErrorNetwork(7, 1, 1), 7, 1))
    translator, told = Translator.load(path, reliability=True), "calibrated for scenes of which nothing is known"
    for options in (TranslateOptions(), TranslateOptions(month=7, overwrite=True)):
        result = translator.run(scene, tmp_path / "out.tif", options)
        assert any(told in line for line in result.warnings) == (options.month is not None)


def test_export_keeps_them_and_int8_is_refused(files, tmp_path, decibels):
    path = export_translator(files["torch"], tmp_path / "again.onnx")
    given = [Translator.load(one).translate_array(decibels, scene_inputs=KNOWN) for one in (path, files["onnx"])]
    np.testing.assert_allclose(given[0], given[1], atol=1e-6)
    with pytest.raises(Exception, match="takes scene inputs: its ranges depend on them"):
        export_translator(files["onnx"], tmp_path / "small.onnx", int8=True, data=tmp_path)
