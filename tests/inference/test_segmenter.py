"""Segmentation of whole scenes: any tiling gives the same classes, and they lie where the scene lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rio_cogeo import cog_validate

from saropt.artifacts import ImageCard, SegmenterCard, TrainingCard, save_weights
from saropt.errors import InputError, MissingExtraError
from saropt.inference import Segmenter, Translator
from saropt.networks import build_segmenter
from saropt.radiometry import DbClip
from saropt.scenes import Scene

Factory = Callable[..., Path]
NETWORKS = {
    "compact": {"width": 8, "encoder": [1, 1], "decoder": [1, 1], "middle": 1},
    "unet": {"encoder": "resnet18"},
}


@pytest.fixture
def make_segmenter(tmp_path: Path) -> Factory:
    """Factory of segmenter files with lively random weights."""

    def make(network: str = "compact", **changes) -> Path:
        torch.manual_seed(1)
        module = build_segmenter(network, 1, 3, **NETWORKS[network]).eval()
        if network == "compact":
            for parameter in module.parameters():
                torch.nn.init.normal_(parameter, 0.0, 0.3)
        values = {
            "name": "test",
            "network": network,
            "arguments": NETWORKS[network],
            "stride": module.stride,
            "receptive_field": module.receptive_field,
            "tile": 128,
            "input": ImageCard(
                role="sar", bands=("VH",), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict()
            ),
            "classes": {10: "a", 0: "b", 200: "c"},
            "gsd_m": 10.0,
            "training": TrainingCard(
                data="none", split="train", steps=0, seed=0, licence="none", attribution="someone"
            ),
        }
        path = tmp_path / f"{network}.safetensors"
        card = SegmenterCard(**{**values, **changes})
        save_weights(path, card, {key: value.numpy() for key, value in module.state_dict().items()})
        return path

    return make


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_every_tiling_gives_the_same_classes(make_segmenter: Factory, make_scene: Factory, tmp_path: Path) -> None:
    segmenter = Segmenter.load(make_segmenter())
    assert segmenter.exact
    scene = make_scene(310, 290)
    values = read(scene)
    whole = segmenter.probabilities(values)
    assert whole.shape == (3, 310, 290)
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-5)
    top = np.sort(whole, axis=0)
    clear = top[2] - top[1] > 1e-3
    assert clear.mean() > 0.95
    expected = np.array([0, 10, 200])[whole.argmax(axis=0)]
    assert len(np.unique(expected)) == 3
    for tile in (48, 128, 512):
        assert segmenter.predict(scene, tmp_path / f"{tile}.tif", tile=tile).seam is None
        assert np.array_equal(read(tmp_path / f"{tile}.tif")[0][clear], expected[clear])
    assert np.array_equal(segmenter.classify(values)[clear], expected[clear])


def test_a_halo_that_is_too_small_would_be_seen(
    make_segmenter: Factory, make_scene: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Segmenter.load(make_segmenter())
    values = read(make_scene(300, 300))
    whole = segmenter.probabilities(values)
    monkeypatch.setattr("saropt.inference.engine.halo_of", lambda field, stride: 0)
    assert np.abs(segmenter.probabilities(values) - whole).max() > 1e-2


def test_probabilities_are_those_of_the_network(make_segmenter: Factory, make_scene: Factory) -> None:
    """In the middle of an image, where no mirrored edge is seen."""
    path = make_segmenter()
    module = build_segmenter("compact", 1, 3, **NETWORKS["compact"]).eval()
    weights = {key: torch.from_numpy(value) for key, value in _weights(path).items()}
    module.load_state_dict(weights)
    values = read(make_scene(256, 256))
    with torch.no_grad():
        network = torch.from_numpy(np.clip((values + 30) / 17.5 - 1, -1, 1))[None].float()
        expected = torch.softmax(module(network), dim=1)[0].numpy()
    edge = module.receptive_field
    inner = (slice(None), slice(edge, -edge), slice(edge, -edge))
    assert expected[inner].size > 0
    np.testing.assert_allclose(Segmenter.load(path).probabilities(values)[inner], expected[inner], atol=1e-4)


def _weights(path: Path) -> dict:
    from saropt.artifacts import load_segmenter

    return load_segmenter(path)[1]


def test_networks_with_a_global_view_are_blended(make_segmenter: Factory, make_scene: Factory, tmp_path: Path) -> None:
    segmenter = Segmenter.load(make_segmenter("unet"))
    assert not segmenter.exact
    scene = make_scene(200, 300)
    seam = segmenter.predict(scene, tmp_path / "out.tif").seam
    assert seam is not None
    assert 0 < seam < 1
    probabilities = segmenter.probabilities(read(scene))
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-4)
    assert np.array_equal(read(tmp_path / "out.tif")[0], np.array([0, 10, 200])[probabilities.argmax(axis=0)])


@pytest.mark.parametrize(("ignored", "nodata"), [(None, 255), (7, 7), (-1, 255)])
def test_what_a_scene_carries_survives(
    ignored: int | None, nodata: int, make_segmenter: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    scene = make_scene(200, 260, nodata_columns=90)
    Segmenter.load(make_segmenter(ignore_index=ignored)).predict(scene, tmp_path / "out.tif", tile=64)
    assert cog_validate(tmp_path / "out.tif")[0]
    with rasterio.open(scene) as source, rasterio.open(tmp_path / "out.tif") as output:
        assert (output.crs, output.transform) == (source.crs, source.transform)
        assert (output.dtypes, output.nodata, output.descriptions) == (("uint8",), nodata, ("class",))
        tags = output.tags()
        assert tags["SAROPT_CLASSES"] == "0=b, 10=a, 200=c"
        assert (tags["SAROPT_SEGMENTER"], tags["SAROPT_SOURCE"]) == ("test", "scene.tif")
        assert tags["SAROPT_ATTRIBUTION"] == "someone"
        assert len(tags["SAROPT_SEGMENTER_SHA256"]) == 64
        pixels = output.read(1)
    assert (pixels[:, :90] == nodata).all()
    assert set(np.unique(pixels[:, 90:])) <= {0, 10, 200}
    with Scene.open(tmp_path / "out.tif") as written:
        assert written.acquired is not None


def test_invalid_pixels_of_an_array(make_segmenter: Factory, make_scene: Factory) -> None:
    segmenter = Segmenter.load(make_segmenter())
    values = read(make_scene(80, 90))
    values[:, :20] = np.nan
    valid = np.ones((80, 90), bool)
    valid[:, :30] = False
    found = segmenter.classify(values, valid=valid)
    assert (found[:20] == 255).all()
    assert (found[:, :30] == 255).all()
    assert (found[20:, 30:] != 255).all()
    assert (segmenter.probabilities(values, valid=valid)[:, :20] == 0).all()


class TestRefusals:
    def test_files(self, make_translator: Factory, make_segmenter: Factory, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a translator, not a segmenter"):
            Segmenter.load(make_translator(suffix=".safetensors"))
        with pytest.raises(InputError, match="is a segmenter, not a translator"):
            Translator.load(make_segmenter())
        with pytest.raises(InputError, match=r"is a folder without segmenter\.safetensors"):
            Segmenter.load(tmp_path)
        with pytest.raises(InputError, match="no such file"):
            Segmenter.load(tmp_path / "none.safetensors")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"network": "vgg"}, "its weights do not fit its card: unknown segmenter 'vgg'"),
            ({"classes": {1: "a", 2: "b"}}, "its weights do not fit its card"),
            ({"classes": {1: "a", 2: "b", 300: "c"}}, r"card: classes: label values must lie in 0\.\.255"),
        ],
    )
    def test_cards(self, changes: dict, words: str, make_segmenter: Factory, tmp_path: Path) -> None:
        from saropt.artifacts import load_segmenter

        card, weights = load_segmenter(make_segmenter())
        save_weights(tmp_path / "other.safetensors", card.model_copy(update=changes), weights)
        with pytest.raises(InputError, match=words):
            Segmenter.load(tmp_path / "other.safetensors")

    def test_scenes(self, make_segmenter: Factory, make_scene: Factory, tmp_path: Path) -> None:
        segmenter, scene, out = Segmenter.load(make_segmenter()), make_scene(64, 64), tmp_path / "out.tif"
        with pytest.raises(InputError, match="declared as sigma0 but"):
            segmenter.predict(scene, out, units="sigma0")
        with pytest.raises(InputError, match="tile=0"):
            segmenter.predict(scene, out, tile=0)
        with pytest.raises(InputError, match="no valid pixel"):
            segmenter.predict(make_scene(64, 64, 64, "empty.tif"), out)
        with pytest.raises(InputError, match=r"array: must be \(1, height, width\)"):
            segmenter.classify(np.zeros((2, 8, 8), np.float32))
        assert not [path for path in tmp_path.iterdir() if "out" in path.name]
        segmenter.predict(scene, out)
        with pytest.raises(InputError, match="exists already"):
            segmenter.predict(scene, out)

    def test_without_torch(self, make_segmenter: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("saropt.inference.runtimes.pytorch.find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match=r"segmenter needs an optional part.*\[train\]"):
            Segmenter.load(make_segmenter())


def test_a_scene_that_changes_while_it_is_read(make_segmenter: Factory, make_scene: Factory, tmp_path: Path) -> None:
    scene = make_scene(100, 100)

    def change(*_: object) -> None:
        with rasterio.open(scene, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
            dataset.write(dataset.read() - 3)

    with pytest.raises(InputError, match=r"scene\.tif: has changed while it was read: nothing is written"):
        Segmenter.load(make_segmenter()).predict(scene, tmp_path / "out.tif", progress=change)
    assert not list(tmp_path.glob("*out*"))
