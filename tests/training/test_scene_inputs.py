"""Training with scene inputs: the network learns what only they tell, the card says so, and files go on from others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_runs import train

from saropt.artifacts import load_weights
from saropt.cli import main
from saropt.domain import SAR_TO_OPTICAL, encode_scene_inputs
from saropt.errors import InputError, OptionError
from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import Translator
from saropt.inference.bundled import find_translator
from saropt.methods import get_method
from saropt.methods.base import Batch
from saropt.methods.compact import Compact, CompactConfig
from saropt.methods.reference import Reference, ReferenceConfig
from saropt.methods.regression import Regression, RegressionConfig
from saropt.roots import DataRoot
from saropt.roots.description import write_description
from saropt.scenes import write_array
from saropt.training import TranslatorTask, read_config

BANDS = {"sar": 2, "optical": 3}
NETWORK = {"width": 8, "encoder": [1], "middle": 1, "decoder": [1], "unshuffle": 2}
MONTHS = {"a": 7, "b": 1}
SHADE = {"a": 200, "b": 60}


@pytest.fixture(scope="module")
def seasons(tmp_path_factory) -> DataRoot:
    """Four scenes of the same noise in SAR, bright in July and dark in January."""
    path, random = tmp_path_factory.mktemp("roots") / "seasons", np.random.default_rng(0)
    for role in ("sar", "optical"):
        (path / role).mkdir(parents=True)
    for kind in "ab":
        for split in ("train", "test"):
            sar = random.uniform(-20, -5, (2, 64, 64)).astype(np.float32)
            optical = random.integers(-10, 11, (3, 64, 64)) + SHADE[kind]
            name = f"{split}_{kind}.tif"
            write_array(path / "sar" / name, sar, band_names=["VV", "VH"])
            write_array(path / "optical" / name, optical.astype(np.uint8), band_names=["B4", "B3", "B2"])
    description = {
        "name": "seasons",
        "gsd_m": 10.0,
        "sar": {"bands": ["VV", "VH"], "units": "sigma0_db"},
        "optical": {"bands": ["B4", "B3", "B2"], "units": "uint8"},
    }
    rows = [(f"{split}_{kind}", split, MONTHS[kind]) for split in ("train", "test") for kind in "ab"]
    write_description(path, description, rows, ["month"])
    return DataRoot.open(path)


@pytest.fixture(scope="module")
def trained(seasons, tmp_path_factory):
    """The folder of a short run."""
    settings = [
        *(f"arguments.network_arguments={NETWORK}", "arguments.scene_inputs=[month, latitude]"),
        *("arguments.learning_rate=0.01", "arguments.loss={shift: 0, colour: 0, haar: 0}", "engine.ema=0.9"),
        *("arguments.no_scene_input=0.3", "data.crop=16", "data.batch_size=4", "engine.max_steps=120"),
        *("engine.validate_every=0", "engine.sample_every=0", "engine.checkpoint_every=0"),
    ]
    folder = tmp_path_factory.mktemp("runs") / "seasons"
    train(read_config("regression", None, settings), seasons, folder)
    return folder


def test_it_learns_what_only_the_month_tells(trained, seasons):
    translator = Translator.load(trained / "translator.onnx")
    sar = np.random.default_rng(1).uniform(-20, -5, (2, 64, 64)).astype(np.float32)
    shades = [translator.translate_array(sar, scene_inputs=known).mean() for known in ({"month": 7}, {"month": 1}, {})]
    assert shades[0] == pytest.approx(200, abs=15)
    assert shades[1] == pytest.approx(60, abs=15)
    assert 60 < shades[2] < 200


def test_the_card_says_so(trained, capsys):
    assert main(["models", str(trained / "translator.onnx")]) == 0
    assert "month, latitude; each may be missing" in capsys.readouterr().out
    card = load_weights(trained / "translator.safetensors")[0]
    described = card.directions[SAR_TO_OPTICAL]
    assert described.scene_inputs == ("month", "latitude")
    assert described.arguments["scene_bands"] == 5
    assert described.channels == (7, 3)
    assert card.training.scene_inputs == {"month": (1.0, 7.0)}


def test_a_scene_of_another_month_is_told(trained, seasons, tmp_path):
    translator, scene = Translator.load(trained / "translator.onnx"), seasons.raster("sar", "test_a")
    for month, told in ((7, False), (4, True)):
        result = translator.run(scene, tmp_path / f"{month}.tif", _options(month=month))
        lines = [line for line in result.warnings if "its month is 4, the nearest there 1 (3 months away)" in line]
        assert bool(lines) == told


def _options(**changes):
    from saropt.inference import TranslateOptions

    return TranslateOptions(**changes)


def test_evaluate_tells_them_where_it_is_asked_to(trained, seasons, tmp_path):
    found = {}
    for read in (False, True):
        models = [Translator.load(trained / "translator.onnx")]
        spec = EvaluationSpec(seasons, models, tile=64, html=False, baselines=False, read_scene_inputs=read)
        result = evaluate(spec, tmp_path / str(read))
        (figures,) = result.models.values()
        found[read] = figures["sar2opt"]["psnr"]
        told = "Models that take scene inputs were told: month of 2 of 2 rasters."
        assert (told in result.report["notes"]) == read
    assert found[True] > found[False] + 5.0
    spec = EvaluationSpec(seasons, [], tile=64, html=False, read_scene_inputs=True)
    with pytest.raises(OptionError, match="none of the models takes month"):
        evaluate(spec, tmp_path / "nothing")


def test_each_is_taken_away_as_often_as_asked_for():
    names = ("month", "incidence")
    method = Regression(RegressionConfig(scene_inputs=names, no_scene_input=0.25), BANDS)
    vectors = torch.tensor([encode_scene_inputs(names, {"month": 5, "incidence": 30.0})] * 4000)
    torch.manual_seed(0)
    left = method.without_scene_inputs(Batch({"scene_inputs": vectors}))["scene_inputs"]
    month, incidence = (left[:, :3] != 0).all(dim=1), (left[:, 3:] != 0).all(dim=1)
    assert torch.equal(left[month][:, :3], vectors[month][:, :3])
    assert torch.equal(month, (left[:, :3] != 0).any(dim=1))  # as a whole or not at all
    assert month.float().mean() == pytest.approx(0.75, abs=0.03)
    assert incidence.float().mean() == pytest.approx(0.75, abs=0.03)
    assert (month & incidence).float().mean() == pytest.approx(0.5625, abs=0.03)  # each by itself


@pytest.mark.parametrize(("method", "config"), [(Regression, RegressionConfig), (Compact, CompactConfig)])
def test_a_file_without_them_goes_on_with_them(method, config):
    """The network begins as the file's, whatever is known of the scene."""
    file = str(find_translator("s1-world"))
    bands = {"sar": 2, "optical": 4}
    plain = method(config(start=file), bands)
    told = method(config(start=file, scene_inputs=("month",)), bands)
    assert told.network_of(SAR_TO_OPTICAL)[1]["scene_bands"] == 3
    images = {"sar": torch.rand(2, 2, 32, 32) * 2 - 1, "optical": torch.zeros(2, 4, 32, 32)}
    vector = torch.tensor([encode_scene_inputs(["month"], {"month": 5})] * 2)
    with torch.no_grad():
        source, _ = Batch({**images, "scene_inputs": vector}).pair(SAR_TO_OPTICAL)
        expected = plain.generator.eval()(images["sar"])
        assert torch.equal(told.generator.eval()(source), expected)


def test_a_file_with_them_goes_on_with_its_own(trained):
    file = str(trained / "translator.onnx")
    went_on = Regression(RegressionConfig(start=file), BANDS)
    assert went_on.scene_inputs == ("month", "latitude")
    assert any(film.weight.any() for film in went_on.generator.films)
    with pytest.raises(InputError, match="takes the scene inputs month, latitude, the configuration names month"):
        Regression(RegressionConfig(start=file, scene_inputs=("month",)), BANDS)


def test_a_teacher_may_know_less_or_as_much(trained):
    file, world = str(trained / "translator.onnx"), str(find_translator("s1-world"))
    for teacher, scene_inputs, bands in (
        (world, ("month",), {"sar": 2, "optical": 4}),
        (file, ("month", "latitude"), BANDS),
    ):
        method = Regression(RegressionConfig(teacher=teacher, scene_inputs=scene_inputs), bands)
        vectors = torch.tensor([encode_scene_inputs(scene_inputs, {"month": 5})] * 2)
        images = {role: torch.zeros(2, count, 64, 64) for role, count in bands.items()}
        assert method.attempt(Batch({**images, "scene_inputs": vectors})).losses["teacher"] > 0
    with pytest.raises(InputError, match="takes the scene inputs month, latitude, the configuration names none"):
        Regression(RegressionConfig(teacher=file), BANDS)
    bridge = get_method("bridge")
    with pytest.raises(InputError, match="takes the scene inputs month, latitude, the configuration names none"):
        bridge(bridge.config_type(start=file), BANDS)


def test_what_cannot_take_them_refuses(seasons, tmp_path, capsys):
    unfit = [
        (
            ["arguments.network=resnet", "arguments.scene_inputs=[month]"],
            "network 'resnet' has no argument scene_bands",
        ),
        (["arguments.scene_inputs=[moon]"], "must be among month, latitude, incidence, each once"),
    ]
    for settings, told in unfit:
        config = [
            part
            for setting in [*settings, "data.crop=64", "engine.validate_every=0", "engine.sample_every=0"]
            for part in ("--set", setting)
        ]
        assert main(["train", "regression", str(seasons.path), "--out", str(tmp_path / "run"), *config]) == 2
        assert told in capsys.readouterr().err
    with pytest.raises(ValueError, match="scene_inputs: this method takes none"):
        Reference(ReferenceConfig(scene_inputs=("month",)), {**BANDS, "sar_reference": 3, "optical_reference": 4})


def test_the_discriminator_of_compact_sees_them(seasons):
    settings = [
        *(f"arguments.network_arguments={NETWORK}", "arguments.scene_inputs=[month]", "data.crop=64"),
        *("engine.max_steps=4", "arguments.adversarial_start=0.5", "engine.validate_every=0", "engine.sample_every=0"),
    ]
    task = TranslatorTask(read_config("compact", None, settings), seasons)
    batch = task.draw(0, 0)
    assert batch["scene_inputs"].shape == (1, 3)
    losses = [loss for _, named in task.updates(batch, 0.9) for loss in named.values()]
    assert all(torch.isfinite(loss) for loss in losses)
