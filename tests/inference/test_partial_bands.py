"""Scenes that lack one of the bands that a translator takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from saropt.artifacts import ImageCard, TrainingCard
from saropt.artifacts.export import export_graph
from saropt.errors import InputError
from saropt.inference import Translator
from saropt.networks import build_network
from saropt.radiometry import DbClip
from saropt.scenes import write_array
from translator_files import make_translator_card
from translator_fixtures import GEOREFERENCE

ARGUMENTS = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network("naf_unet", 2, 1, **ARGUMENTS).eval()


@pytest.fixture
def translator(network: torch.nn.Module, tmp_path: Path) -> Translator:
    images = {
        "sar": ImageCard(
            role="sar",
            bands=("VV", "VH"),
            units="sigma0_db",
            dtype="float32",
            recipe=DbClip(low=-30.0, high=0.0).to_dict(),
            partial=True,
        ),
        "optical": ImageCard(
            role="optical",
            bands=("B8",),
            units="reflectance",
            dtype="float32",
            recipe={"kind": "reflectance", "scale": 2.0, "high": 1.0},
        ),
    }
    described = {
        "network": "naf_unet",
        "arguments": ARGUMENTS,
        "stride": network.stride,
        "receptive_field": network.receptive_field,
    }
    card = make_translator_card(
        images,
        {"sar2opt": described},
        name="partial",
        method="regression",
        gsd_m=10.0,
        training=TrainingCard(data="none", split="train", steps=0, seed=0, licence="none"),
    )
    path = tmp_path / "partial.onnx"
    export_graph(path, card, "sar2opt", [network])
    return Translator.load(path)


@pytest.fixture
def decibels() -> np.ndarray:
    return np.random.default_rng(0).uniform(-25, -5, (1, 96, 96)).astype(np.float32)


@pytest.mark.parametrize(("name", "place"), [("VV", 0), ("Sigma0_VH_db", 1)])
def test_a_missing_band_is_the_low_end(name, place, translator, network, decibels, tmp_path):
    scene = write_array(tmp_path / "one.tif", decibels, band_names=[name], georeference=GEOREFERENCE)
    translator.translate(scene, tmp_path / "out.tif")
    given = torch.full((1, 2, 96, 96), -1.0)
    given[0, place] = torch.from_numpy(decibels[0] + 30.0) / 15.0 - 1.0
    with torch.no_grad():
        expected = network(given)[0].clamp(-1, 1).numpy() + 1.0
    with rasterio.open(tmp_path / "out.tif") as written:
        inner = np.s_[:, 32:64, 32:64]  # beyond the edges, where scenes are mirrored and the network pads
        assert np.abs(written.read() - expected)[inner].max() < 1e-4


def test_other_bands_beside_it_do_not_matter(translator, decibels, tmp_path):
    both = np.concatenate([np.full_like(decibels, 38.0), decibels])
    for name, values, names in (("one", decibels, ["VH"]), ("two", both, ["angle", "VH"])):
        scene = write_array(tmp_path / f"{name}.tif", values, band_names=names, georeference=GEOREFERENCE)
        translator.translate(scene, tmp_path / f"{name}_out.tif")
    with rasterio.open(tmp_path / "one_out.tif") as one, rasterio.open(tmp_path / "two_out.tif") as two:
        assert np.array_equal(one.read(), two.read())


def test_a_band_without_a_name_is_refused(translator, decibels, tmp_path):
    scene = write_array(tmp_path / "one.tif", decibels, georeference=GEOREFERENCE)
    with pytest.raises(InputError, match="the translator takes VV, VH"):
        translator.translate(scene, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
