"""Samplers over scenes: noise by position, equal pictures at any tiling, mean and deviation, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saropt.artifacts import SamplerCard, load_weights, read_card, save_weights
from saropt.artifacts.export import export_graph
from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator
from saropt.inference.outputs import product_path
from saropt.networks import build_network
from saropt.scenes import Scene, SceneWriter

NETWORKS = {
    "bridge": {
        "regressor_arguments": {"width": 4, "encoder": [1], "decoder": [1], "middle": 1},
        **{"width": 8, "encoder": [1], "decoder": [1], "middle": 1},
        **{"sigma": 0.5, "steps": 2},
    },
    "diffusion_unet": {
        **{"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [], "heads": 2},
        **{"times": 20, "steps": 2, "sampler": "ddim", "prediction": "x0"},
    },
}


@pytest.fixture
def make_sampler(make_translator, tmp_path):
    """Factory of translator files of a sampler, by the card of a plain one."""

    def make(network: str = "bridge", suffix: str = ".safetensors"):
        plain, _ = load_weights(make_translator(suffix=".safetensors"))
        torch.manual_seed(0)
        module = build_network(network, 1, 3, **NETWORKS[network])
        for parameter in module.parameters():
            if not parameter.any() and parameter.ndim == 4:
                torch.nn.init.normal_(parameter, 0.0, 0.05)
        described = plain.directions["sar2opt"].model_copy(
            update={
                "network": network,
                "arguments": NETWORKS[network],
                "stride": module.stride,
                "receptive_field": module.receptive_field,
                "sampler": SamplerCard.of(module),
                "tile": 64,
            }
        )
        card = plain.model_copy(update={"directions": {"sar2opt": described}})
        path = tmp_path / f"{network}-sampler{suffix}"
        if suffix == ".onnx":
            export_graph(path, card, "sar2opt", [module.eval()])
        else:
            save_weights(path, card, {f"sar2opt.{k}": v.numpy() for k, v in module.state_dict().items()})
        return path

    return make


def deviation_path(out):
    return product_path(out, "_std")


def pixels(path) -> np.ndarray:
    with Scene.open(path) as scene:
        return scene.read()[0]


def test_bridge_tiles_equal_the_whole(make_sampler, make_scene, tmp_path):
    """And so do the mean and the deviation of samples."""
    translator, scene = Translator.load(make_sampler(), backend="torch"), make_scene(150, 190)
    assert translator.exact
    for samples in (1, 3):
        outputs = []
        for tile in (32, 64, 512):
            out = tmp_path / f"{samples}-{tile}.tif"
            translator.translate(scene, out, tile=tile, samples=samples, seed=5)
            outputs.append([pixels(out)] + ([pixels(deviation_path(out))] if samples > 1 else []))
        for other in outputs[1:]:
            for a, b in zip(outputs[0], other, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-4)
        assert deviation_path(tmp_path / f"{samples}-32.tif").exists() == (samples > 1)


def test_array_and_scene_agree(make_sampler, make_scene, tmp_path):
    for network in NETWORKS:
        translator, scene = Translator.load(make_sampler(network)), make_scene(96, 100, name=f"{network}-scene.tif")
        translator.translate(scene, tmp_path / f"{network}.tif", seed=2)
        array = translator.translate_array(pixels(scene), seed=2)
        np.testing.assert_allclose(array, pixels(tmp_path / f"{network}.tif"), atol=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
def test_mean_and_deviation_by_single_samples(make_sampler, make_scene, network):
    translator, scene = Translator.load(make_sampler(network)), pixels(make_scene(64, 48))
    draws = []
    own, bands = translator._backend, translator.sampler.noise_bands

    def spy(batch):
        draws.append(batch[:, -bands:].copy())
        return own(batch)

    spy.needs_samples = False
    translator._backend = spy
    mean, deviation = translator.sample_array(scene, samples=3, seed=1)
    translator._backend = own
    noises = [draw for draw in draws if draw.shape == draws[0].shape]
    assert not np.array_equal(noises[0], noises[1])
    singles = []
    for number in range(3):
        translator._backend = lambda batch, n=number: own(np.concatenate([batch[:, :-bands], draws[n]], axis=1))
        translator._backend.needs_samples = False
        singles.append(translator.translate_array(scene, seed=9))
    np.testing.assert_allclose(mean, np.mean(singles, axis=0), atol=1e-5)
    np.testing.assert_allclose(deviation, np.std(singles, axis=0, ddof=1), atol=1e-5)
    assert deviation.mean() > 1e-3
    translator._backend = own
    np.testing.assert_allclose(translator.translate_array(scene, seed=1), singles[0], atol=1e-6)


def test_seeds_decide(make_sampler, make_scene):
    translator, scene = Translator.load(make_sampler()), pixels(make_scene(48, 48))
    first, again, other = (translator.translate_array(scene, seed=seed) for seed in (None, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1e-3


def test_blended_windows_see_one_noise(make_sampler, make_scene, tmp_path):
    """Where windows overlap they start from the same noise: the seam is that of a network that sees its window."""
    translator, scene = Translator.load(make_sampler("diffusion_unet")), make_scene(120, 150)
    assert not translator.exact
    options = TranslateOptions(tile=64)
    shared = translator.run(scene, tmp_path / "out.tif", options).seam
    noise = np.random.default_rng(0)

    def unshared(batch, own=translator._backend):
        fresh = noise.standard_normal((len(batch), 3, *batch.shape[-2:])).astype(np.float32)
        return own(np.concatenate([batch[:, :1], fresh], axis=1))

    unshared.needs_samples, unshared.name = False, "unshared"
    translator._backend = unshared
    assert shared < 0.8 * translator.run(scene, tmp_path / "other.tif", options).seam


def test_steps(make_sampler, make_scene):
    path = make_sampler()
    values = pixels(make_scene(48, 48))
    fields, outputs = [], []
    for steps in (1, 2, 4):
        translator = Translator.load(path, steps=steps)
        assert translator.sampler.steps == steps
        fields.append(translator._network.receptive_field)
        outputs.append(translator.translate_array(values))
    assert fields[0] < fields[1] < fields[2]
    np.testing.assert_array_equal(outputs[1], Translator.load(path).translate_array(values))
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-4
    with pytest.raises(InputError, match="steps=30: steps must lie between 1 and 20, not 30"):
        Translator.load(make_sampler("diffusion_unet"), steps=30)


def test_a_graph_draws_the_same_samples(make_sampler, make_scene):
    values = pixels(make_scene(60, 60))
    weights, graph = make_sampler(), make_sampler(suffix=".onnx")
    assert read_card(graph).directions["sar2opt"].sampler.steps == 2
    expected = Translator.load(weights).translate_array(values, seed=3)
    np.testing.assert_allclose(Translator.load(graph).translate_array(values, seed=3), expected, atol=1e-4)
    assert Translator.load(graph, steps=2).sampler.steps == 2
    with pytest.raises(InputError, match=r"holds a graph of 2 steps: other numbers of steps need"):
        Translator.load(graph, steps=4)


def test_resumed_samples_are_those_of_one_go(make_sampler, make_scene, tmp_path):
    translator, scene = Translator.load(make_sampler()), make_scene(150, 190)
    straight, broken = tmp_path / "straight.tif", tmp_path / "broken.tif"
    options = {"tile": 16, "samples": 2, "seed": 1}
    translator.translate(scene, straight, **options)

    def stop(done: int, total: int, what: str) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translator.translate(scene, broken, progress=stop, **options)
    assert not broken.exists()
    assert not deviation_path(broken).exists()
    with pytest.raises(InputError, match="begun with other settings"):
        translator.translate(scene, broken, resume=True, **{**options, "seed": 2})
    translator.translate(scene, broken, resume=True, **options)
    assert broken.read_bytes() == straight.read_bytes()
    assert deviation_path(broken).read_bytes() == deviation_path(straight).read_bytes()


def test_both_rasters_go_into_an_object_store(make_sampler, make_scene, tmp_path, object_store, monkeypatch):
    """The mean last; where its upload fails, --resume brings it without drawing again."""
    translator, scene = Translator.load(make_sampler()), make_scene(60, 60)
    translator.translate(scene, tmp_path / "out.tif", samples=2)
    local = {f"bucket/{path.name}": path.read_bytes() for path in tmp_path.glob("out*.tif")}
    (tmp_path / "staging").mkdir()
    options = {"samples": 2, "staging": tmp_path / "staging"}
    object_store.refuse = lambda method, key, query: 403 if (method, key) == ("PUT", "bucket/out.tif") else None
    with pytest.raises(InputError, match=r"s3://bucket/out\.tif: cannot be uploaded"):
        translator.translate(scene, "s3://bucket/out.tif", **options)
    assert list(object_store.objects) == ["bucket/out_std.tif"]
    with pytest.raises(InputError, match=r"s3://bucket/out_std\.tif: exists already"):
        translator.translate(scene, "s3://bucket/out.tif", **options)
    object_store.refuse = lambda method, key, query: None
    monkeypatch.setattr(SceneWriter, "write", lambda *block: pytest.fail("drawn again"))
    assert translator.translate(scene, "s3://bucket/out.tif", resume=True, **options) == "s3://bucket/out.tif"
    assert object_store.objects == local
    assert list((tmp_path / "staging").iterdir()) == []


def test_nodata_and_tags(make_sampler, make_scene, tmp_path):
    translator, scene = Translator.load(make_sampler()), make_scene(64, 64, nodata_columns=10)
    out = tmp_path / "out.tif"
    translator.translate(scene, out, samples=2, seed=7)
    for path in (out, deviation_path(out)):
        with Scene.open(path) as made:
            values, valid = made.read()
            assert not valid[:, :10].any()
            assert valid[:, 10:].all()
            assert made.tags["SAROPT_SAMPLES"] == "2"
            assert made.tags["SAROPT_SEED"] == "7"
            assert made.tags["SAROPT_STEPS"] == "2"
            assert list(made.band_names) == ["B4", "B3", "B2"]
    assert (values[:, :, 10:] > 0).mean() > 0.9


def test_refusals(make_translator, make_sampler, make_scene, tmp_path):
    plain, scene, out = Translator.load(make_translator()), make_scene(40, 40), tmp_path / "out.tif"
    for option in ({"samples": 2}, {"samples": 1}, {"seed": 0}):
        with pytest.raises(InputError, match="test has one output only: it draws no samples"):
            plain.translate(scene, out, **option)
    with pytest.raises(InputError, match="it is no sampler"):
        Translator.load(plain.path, steps=2)
    with pytest.raises(InputError, match="samples=1: a deviation needs at least 2"):
        Translator.load(make_sampler()).sample_array(pixels(scene), samples=1)
    with pytest.raises(InputError, match="samples=0: must be positive"):
        Translator.load(make_sampler()).translate(scene, out, samples=0)
    deviation_path(out).write_bytes(b"here already")
    with pytest.raises(InputError, match="exists already"):
        Translator.load(make_sampler()).translate(scene, out, samples=2)
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out_std.tif"]
