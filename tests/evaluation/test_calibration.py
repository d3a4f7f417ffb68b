"""Maps of reliability: the conformal factor by its definition, the graph against torch, the way through the verbs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import rasterio
import torch
import yaml

from saropt.artifacts import ImageCard, ReliabilityCard, load_graph, read_card
from saropt.artifacts.export import errors_graph
from saropt.artifacts.graph import write_with_errors
from saropt.cli import main
from saropt.errors import InputError, OptionError
from saropt.evaluation import calibration
from saropt.evaluation.calibration import CalibrationSet, calibrate_reliability
from saropt.evaluation.conformal import conformal_factor
from saropt.evaluation.reliability import RIVALS, ause
from saropt.inference import TranslateOptions, Translator, find_translator
from saropt.inference.reliability import check_reliability, reach_to_truth, reliability_product, with_errors
from saropt.networks import ErrorNetwork
from saropt.radiometry import DbClip, EightBit, Reflectance
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root

CARD = ReliabilityCard(
    alpha=0.1, scale=(2.0, 3.0, 4.0), budget=0.3, data=("a",), scenes=12, coverage=0.9, least_coverage=0.8
)


def test_the_factor_is_the_smallest_whose_conformal_risk_is_at_most_alpha():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scenes = [rng.exponential(rng.uniform(0.5, 2.0), rng.integers(5, 40)) for _ in range(rng.integers(10, 30))]
        alpha = rng.uniform(0.1, 0.3)
        found, allowed = conformal_factor(scenes, alpha), []
        for factor in sorted(value for scene in scenes for value in scene):
            outside = sum(sum(value > factor for value in scene) / len(scene) for scene in scenes)
            if (outside + 1.0) / (len(scenes) + 1) <= alpha + 1e-12:
                allowed.append(factor)
        assert found == min(allowed)


@pytest.mark.parametrize(
    ("recipe", "units"),
    [
        (Reflectance(scale=10000.0, high=0.4), "reflectance x 10000"),
        (DbClip(low=-25.0, high=0.0), "sigma0"),
        (DbClip(low=-25.0, high=0.0), "sigma0_db"),
        (EightBit(), "uint8"),
    ],
)
def test_the_reach_is_the_least_whose_half_width_holds_the_truth(recipe, units):
    normaliser = recipe.fit(np.ones((1, 1, 1)), units, "float32")
    rng = np.random.default_rng(0)
    network = rng.uniform(-1.1, 1.1, (1, 8, 8)).astype(np.float32)
    low, high = (float(normaliser.inverse(np.full((1, 1, 1), end, np.float32)).item()) for end in (-1, 1))
    truth = rng.uniform(low - 0.2 * (high - low), high + 1.2 * (high - low), network.shape)
    image = ImageCard(role="optical", bands=("a",), units=units, dtype="float32", recipe=recipe.to_dict())
    card = CARD.model_copy(update={"scale": (1.0,)})
    tries = np.linspace(0.0, 2.5, 2501, dtype=np.float32)
    decode = reliability_product((image,), card).decode
    value = normaliser.inverse(network).astype(np.float64)
    holds = np.stack(
        [
            np.abs(truth - value) <= decode(np.concatenate([network, np.full_like(network, reach)]))[:1] * (1 + 1e-5)
            for reach in tries
        ]
    )
    expected = np.where(holds.any(axis=0), tries[holds.argmax(axis=0)], np.inf)
    assert np.isinf(expected).any()
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(reach_to_truth(normaliser, network, truth), expected, atol=2e-3)


def test_ause_of_equal_values_is_the_mean_over_their_orders():
    rng = np.random.default_rng(5)
    error, steps = rng.exponential(1.0, 300), rng.integers(0, 4, 300).astype(float)
    for values in (np.ones(300), steps):
        shuffled = [ause(values + rng.uniform(0.0, 0.1, 300), error) for _ in range(300)]
        ends = [ause(values[order], error[order]) for order in (np.argsort(error), np.argsort(-error))]
        assert ends == pytest.approx([np.mean(shuffled)] * 2, abs=0.01)


def test_too_few_scenes_have_no_factor():
    with pytest.raises(ValueError, match="8 scenes: too few"):
        conformal_factor([np.ones(5)] * 8, alpha=0.1)


def test_new_scenes_are_outside_no_more_often_than_stated():
    rng = np.random.default_rng(1)

    def scene() -> np.ndarray:
        return rng.exponential(rng.lognormal(0.0, 0.5), 200)

    outside = [(scene() > conformal_factor([scene() for _ in range(20)], 0.1)).mean() for _ in range(400)]
    assert 0.05 < np.mean(outside) < 0.105


def test_ause_by_its_definition():
    rng = np.random.default_rng(2)
    error, uncertainty = rng.random(40), rng.random(40)
    total = 0.0
    for kept in range(1, 41):
        by_map = np.mean([error[i] for i in sorted(range(40), key=lambda i: uncertainty[i])[:kept]])
        total += (by_map - np.mean(sorted(error)[:kept])) / 40
    assert ause(uncertainty, error) == pytest.approx(total / error.mean())
    assert ause(error, error) == 0.0


@pytest.fixture
def with_map(make_translator, tmp_path):
    """A translator file with a network of errors, and that network."""
    path = make_translator()
    card = read_card(path)
    torch.manual_seed(1)
    network = ErrorNetwork(1, 3, 3, width=8).eval()
    directions = {name: one.model_copy(update={"reliability": CARD}) for name, one in card.directions.items()}
    out = tmp_path / "with_map.onnx"
    write_with_errors(path, out, card.model_copy(update={"directions": directions}), errors_graph(network, 1, 3))
    return path, out, network


def test_the_graph_gives_the_errors_that_torch_gives_and_the_same_image(with_map):
    plain, out, network = with_map
    source = np.random.default_rng(0).normal(0, 0.5, (1, 1, 64, 64)).astype(np.float32)

    def run(path, **options):
        return onnxruntime.InferenceSession(load_graph(path, **options)[1]).run(None, {"input": source})[0]

    image, both = run(plain), run(out, errors=True)
    assert run(out).shape == image.shape
    np.testing.assert_array_equal(run(out), image)
    np.testing.assert_allclose(both[:, :3], image, atol=1e-6)
    with torch.inference_mode():
        expected = network(torch.from_numpy(source), torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(both[:, 3:], expected, rtol=1e-4)


def test_a_network_of_errors_is_replaced_not_added(with_map, tmp_path):
    _, out, _ = with_map
    write_with_errors(out, tmp_path / "again.onnx", read_card(out), errors_graph(ErrorNetwork(1, 3, 3, width=8), 1, 3))
    sizes = [len(load_graph(path, errors=True)[1]) for path in (out, tmp_path / "again.onnx")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_a_pixel_sees_no_farther_than_the_network_says():
    torch.manual_seed(0)
    network = ErrorNetwork(1, 1, 1, width=8)
    source = torch.randn(1, 1, 96, 96, requires_grad=True)
    for row in range(46, 51):
        (gradient,) = torch.autograd.grad(network(source, torch.zeros(1, 1, 96, 96))[0, 0, row, row], source)
        rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
        assert max(row - rows.min(), rows.max() - row) <= ErrorNetwork.receptive_field // 2


def test_tiles_of_a_map_reach_as_far_as_its_network():
    """The plain install has no torch, and so repeats what the network says of itself."""
    described = next(iter(read_card(find_translator("s1-losangeles")).directions.values()))
    tiled = with_errors(described)
    assert tiled.stride % ErrorNetwork.stride == 0
    assert tiled.receptive_field - described.receptive_field == ErrorNetwork.receptive_field - 1


def test_the_map_does_not_depend_on_the_tiling(with_map, make_scene, tmp_path):
    _, out, _ = with_map
    translator = Translator.load(out, reliability=True)
    scene = make_scene(200, 168)
    maps = []
    for tile in (64, 512):
        made = translator.run(scene, tmp_path / f"{tile}.tif", TranslateOptions(tile=tile))
        with rasterio.open(made.products["reliability"]) as file:
            maps.append(file.read())
            tags, names = file.tags(), file.descriptions
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-4)
    assert names == ("half-width B4", "half-width B3", "half-width B2", "reliable")
    assert set(np.unique(maps[0][3])) <= {0.0, 1.0}
    np.testing.assert_array_equal(maps[0][3] == 1.0, maps[0][:3].mean(0) <= CARD.budget)
    assert tags["SAROPT_PRODUCT"] == "reliability"
    assert "0.900 on average over 12 scenes, 0.800 least" in tags["SAROPT_COVERAGE"]


def test_files_without_a_map_and_other_realisms_are_refused(with_map):
    plain, out, _ = with_map
    with pytest.raises(InputError, match="holds no reliability"):
        Translator.load(plain, reliability=True)
    described = next(iter(read_card(out).directions.values()))
    other = described.model_copy(update={"reliability": CARD.model_copy(update={"realism": 0.5})})
    with pytest.raises(OptionError, match=r"calibrated at realism 0\.5"):
        check_reliability(out, other, 1.0)
    assert with_errors(described).stride % 4 == 0


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return write_simulated_root(
        tmp_path_factory.mktemp("data") / "root", scenes=(0, 12, 2), size=64, units="amplitude", bands=("VH",)
    )


def test_a_translator_is_calibrated_translates_and_is_scored(simulated, tmp_path, capsys):
    out = tmp_path / "reliable.onnx"
    assert main(["reliability", "s1-losangeles", str(out), "--data", str(simulated)]) == 0
    card = next(iter(read_card(out).directions.values())).reliability
    assert card.scenes == 12
    assert card.data == ("root",)
    assert card.inputs == ("sar",)
    assert 0.8 < card.coverage <= 1.0
    assert f"{card.coverage:.1%} of the pixels lie inside their half-width (goal 90%)" in capsys.readouterr().out
    scene = next((simulated / "sar").glob("test*.tif"))
    assert main(["translate", str(scene), str(tmp_path / "o.tif"), "--model", str(out), "--reliability"]) == 0
    printed = capsys.readouterr().out
    assert "o_reliability.tif: the reliability" in printed
    with rasterio.open(tmp_path / "o_reliability.tif") as written:
        share = np.nanmean(written.read(written.count))
    assert f"{share:.1%} of its pixels lie within the error budget of {card.budget:g}; of left-out scenes" in printed
    arguments = ["--data", str(simulated), "--out", str(tmp_path / "report"), "--reliability"]
    assert main(["evaluate", str(out), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "of the pixels lie within their half-width (90% is stated)" in printed
    assert "was calibrated on this data set" in printed
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    found = report["models"][0]["directions"]["sar2opt"]["reliability"]
    assert set(found["ause"]) == {"reliability", *RIVALS}
    assert found["coverage"] > 0.8
    assert "AUSE" in (tmp_path / "report" / "report.html").read_text()


def bright_root(path, factor):
    """Scenes whose reflectance is `factor` times the colour of simulated ground."""
    write_simulated_root(path, scenes=(0, 12, 0), size=64, units="sigma0_db")
    for file in (path / "optical").glob("*.tif"):
        with rasterio.open(file) as scene:
            colours, profile = scene.read().astype(np.float64) / 255.0, scene.profile
        values = factor * np.concatenate([colours, colours[:1]]) * 10000.0
        with rasterio.open(file, "w", **{**profile, "count": 4, "dtype": "uint16"}) as scene:
            scene.write(values.round().astype(np.uint16))
            scene.descriptions = ("B4", "B3", "B2", "B8")
    described = yaml.safe_load((path / "dataset.yaml").read_text())
    described["optical"] = {"bands": ["B4", "B3", "B2", "B8"], "units": "reflectance x 10000"}
    (path / "dataset.yaml").write_text(yaml.safe_dump(described))
    return DataRoot.open(path)


def test_ground_that_no_half_width_holds_is_refused(tmp_path):
    """Reflectances of `s1-world` end at .6, and half-widths with them."""
    sets, out = [CalibrationSet(bright_root(tmp_path / "root", 1.6))], tmp_path / "reliable.onnx"
    with pytest.raises(InputError, match=r"% of the true pixels lie so far beyond the range of the translator that no"):
        calibrate_reliability(Translator.load("s1-world"), sets, out)
    assert not out.exists()


def test_shares_of_a_hundredth_to_a_half_are_taken_as_the_verb_says(tmp_path):
    """A wrong suffix is refused after the share was looked at."""
    translator = Translator.load("s1-losangeles")
    for alpha in (0.01, 0.5):
        with pytest.raises(InputError, match=r"a\.tif: cannot write this kind of file"):
            calibrate_reliability(translator, [], tmp_path / "a.tif", alpha=alpha)
    for alpha in (0.0, 0.51):
        with pytest.raises(OptionError, match=r"must be more than 0 and at most \.5"):
            calibrate_reliability(translator, [], tmp_path / "a.tif", alpha=alpha)


def test_data_that_calibrate_nothing_are_refused(simulated, make_translator, tmp_path):
    translator = Translator.load("s1-losangeles")
    root = DataRoot.open(simulated)
    with pytest.raises(InputError, match="does not fit test: its output is in 'reflectance', the truth in 'uint8'"):
        calibrate_reliability(Translator.load(make_translator()), [CalibrationSet(root)], tmp_path / "a.onnx")
    with pytest.raises(InputError, match=r"2 scenes: too few to calibrate at alpha 0\.1, 10 do"):
        calibrate_reliability(translator, [CalibrationSet(root, "test")], tmp_path / "a.onnx")
    training = translator.card.training.model_copy(update={"data": "root", "split": "val"})
    translator.card = translator.card.model_copy(update={"training": training})
    with pytest.raises(InputError, match="was trained on its split 'val'"):
        calibrate_reliability(translator, [CalibrationSet(root)], tmp_path / "a.onnx")
    weights = Translator.load(make_translator(suffix=".safetensors"))
    with pytest.raises(InputError, match=r"is no .onnx file: export it first"):
        calibrate_reliability(weights, [CalibrationSet(root)], tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_scenes_that_are_left_out_and_fill_are_told_of(simulated, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "_STEPS", 2)
    root = shutil.copytree(simulated, tmp_path / "root")
    names = sorted(path.name for path in (root / "sar").glob("val*.tif"))
    optical, sar = root / "optical" / names[0], root / "sar" / names[1]
    with rasterio.open(optical) as scene:
        empty, profile = np.zeros_like(scene.read()), scene.profile
    with rasterio.open(optical, "w", **{**profile, "nodata": 0}) as scene:
        scene.write(empty)
    with rasterio.open(sar) as scene:
        bordered, profile = scene.read(), scene.profile
    bordered[:, :16] = 0
    with rasterio.open(sar, "w", **profile) as scene:
        scene.write(bordered)
    told = []
    sets = [CalibrationSet(DataRoot.open(root))]
    card = calibrate_reliability(Translator.load("s1-losangeles"), sets, tmp_path / "a.onnx", tell=told.append)
    assert card.scenes == 11
    assert told[0] == (
        f"1 of 12 rasters of split 'val' is left out: {names[0].removesuffix('.tif')} (optical has no valid pixel)"
    )
    assert "25.00% of the pixels that it calls valid are fill" in told[1]


@pytest.mark.parametrize("budget", ["0", "-5", "nan", "inf"])
def test_a_budget_that_is_no_half_width_is_refused_before_the_work(budget, simulated, tmp_path, capsys):
    out = tmp_path / "reliable.onnx"
    assert main(["reliability", "s1-losangeles", str(out), "--data", str(simulated), "--budget", budget]) == 2
    said = capsys.readouterr().err
    assert "must be more than 0 and finite" in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_an_export_that_drops_the_map_says_so(with_map, tmp_path, capsys):
    _, out, _ = with_map
    root = write_simulated_root(tmp_path / "root", scenes=(1, 0, 0), size=64, units="sigma0_db", bands=("VH",))
    assert main(["export", str(out), str(tmp_path / "small.onnx"), "--int8", "--data", str(root)]) == 0
    assert "small.onnx: gives no map of reliability" in capsys.readouterr().err
