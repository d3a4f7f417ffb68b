"""Scenes that lack one of the bands that a translator takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from saropt.artifacts import ImageCard, TrainingCard
from saropt.artifacts.export import export_graph
from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator, default_model
from saropt.inference.sources import ArraySource
from saropt.networks import build_network
from saropt.radiometry import DbClip
from saropt.scenes import open_scene, write_array
from translator_files import make_translator_card
from translator_fixtures import GEOREFERENCE

ARGUMENTS = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network("naf_unet", 2, 1, **ARGUMENTS).eval()


@pytest.fixture
def translator(network: torch.nn.Module, tmp_path: Path) -> Translator:
    return partial_translator(network, tmp_path / "partial.onnx")


def partial_translator(network: torch.nn.Module, path: Path, band_difference: float | None = None) -> Translator:
    images = {
        "sar": ImageCard(
            role="sar",
            bands=("VV", "VH"),
            units="sigma0_db",
            dtype="float32",
            recipe=DbClip(low=-30.0, high=0.0).to_dict(),
            partial=True,
            band_difference=band_difference,
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


@pytest.mark.parametrize(("name", "step"), [("VV", -6.0), ("VH", 6.0)])
def test_a_missing_band_is_made_of_the_other(name, step, network, decibels, tmp_path):
    """6 dB of the 30 of the recipe are 0.4 network values; the other band is limited to -30..0, too."""
    decibels[0, 40:44, 40:44] = [-29.0, -27.0, -3.0, -1.0]
    scene = write_array(tmp_path / "one.tif", decibels, band_names=[name], georeference=GEOREFERENCE)
    partial_translator(network, tmp_path / "made.onnx", 0.4).translate(scene, tmp_path / "out.tif")
    other = np.clip(decibels + step, -30.0, 0.0)
    both = np.concatenate([decibels, other] if name == "VV" else [other, decibels])
    with torch.no_grad():
        expected = network(torch.from_numpy(both + 30.0)[None] / 15.0 - 1.0)[0].clamp(-1, 1).numpy() + 1.0
    with rasterio.open(tmp_path / "out.tif") as written:
        inner = np.s_[:, 32:64, 32:64]
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


def test_the_name_of_a_file_says_the_polarisation_of_its_only_band(tmp_path: Path) -> None:
    """As of RTC products, which have a file for each polarisation and no names of bands."""
    decibels = np.random.default_rng(0).normal(-17, 3, (64, 64)).astype(np.float32)
    files = ["p_VH.tif", "VV.tif", "p-vv.tif", "p_VV_VH.tif", "p_VVH.tif", "q_VV.tif", "HH-VV.tif", "vh_p_VV.tif"]
    files += ["Sigma0_VV_db.tif", "VV_20200101.tif", "s1_vv_asc.tif", "s1a-iw-grd-vv-20200101t050000-001.tiff"]
    for name in files:
        named = ["angle"] if name == "q_VV.tif" else None
        write_array(tmp_path / name, decibels[None], band_names=named, georeference=GEOREFERENCE)
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "float32"}
    with rasterio.open(tmp_path / "VV.tif", "w", **profile) as dataset:
        dataset.write(decibels[None])
    found = {}
    for name in files:
        with open_scene(tmp_path / name) as scene:
            found[name] = scene.band_names
            assert scene.stated_names == ["angle" if name == "q_VV.tif" else "" if name == "VV.tif" else "band_1"]
    assert found == {
        **{"p_VH.tif": ["VH"], "VV.tif": ["VV"], "p-vv.tif": ["VV"]},
        **{"p_VV_VH.tif": ["band_1"], "p_VVH.tif": ["band_1"], "q_VV.tif": ["angle"]},
        **{"HH-VV.tif": ["band_1"], "vh_p_VV.tif": ["band_1"]},
        **{name: ["VV"] for name in files[-4:]},
    }
    write_array(tmp_path / "two_VV.tif", np.stack([decibels] * 2), georeference=GEOREFERENCE)
    with open_scene(tmp_path / "two_VV.tif") as scene:
        assert scene.band_names == ["band_1", "band_2"]


def test_a_file_of_one_polarisation_is_taken_as_it_and_not_as_another(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    decibels = rng.normal(-10, 3, (1, 64, 64)).astype(np.float32)
    path = write_array(tmp_path / "p_VV.tif", decibels, georeference=GEOREFERENCE)
    named = write_array(tmp_path / "named.tif", decibels, band_names=["VV"], georeference=GEOREFERENCE)
    vh = Translator.load("s1-losangeles", threads=1)
    with pytest.raises(InputError, match="holds VV, not VH"):
        vh.translate(path, tmp_path / "out.tif", units="sigma0_db")
    for number, bands in enumerate((["VV"], [1])):
        options = TranslateOptions(units="sigma0_db", bands=tuple(bands))
        told = vh.run(path, tmp_path / f"{number}.tif", options).warnings
        assert any("its band VV is taken as VH, as chosen" in line for line in told)
    assert default_model([path], units="sigma0_db") == "s1-world"
    world = Translator.load("s1-world", threads=1)
    world.translate(path, tmp_path / "world.tif", units="sigma0_db")
    world.translate(named, tmp_path / "as_named.tif", units="sigma0_db")
    with rasterio.open(tmp_path / "world.tif") as one, rasterio.open(tmp_path / "as_named.tif") as other:
        assert np.array_equal(one.read(), other.read())


def test_an_array_is_arranged_by_the_names_of_its_bands(translator):
    both = np.random.default_rng(0).uniform(-25, -5, (2, 96, 96)).astype(np.float32)
    right = translator.translate_array(both)
    for names in (["VH", "VV"], ["Sigma0_VH_db", "vv"]):
        assert np.array_equal(translator.translate_array(both[::-1], bands=names), right)
    assert np.array_equal(translator.translate_array(both, bands=["VV", "VH"]), right)
    blocks = []
    translator.stream({"sar": ArraySource(both[::-1], bands=["VH", "VV"])}, blocks.append)
    assert np.array_equal(blocks[0].products["image"], right)


def test_what_read_made_takes_no_further_units(translator, decibels):
    reader = translator.read(ArraySource(decibels))
    for further in ({"units": "sigma0"}, {"places": {"sar": [0]}}):
        with pytest.raises(InputError, match="belong to `read`"):
            translator.stream(reader, print, **further)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["HH", "HV"], "holds HH, HV, not VV, VH"),
        (["VV", "HH"], "holds VV, HH, not VV, VH"),
        (["VV", "VV"], "holds VV, VV, not VV, VH"),
        (["VV"], "has 2 bands, but bands gives 1 name"),
        ([], "has 2 bands, but bands gives 0 names"),
    ],
)
def test_names_that_are_not_those_of_an_array_are_refused(translator, names, words):
    with pytest.raises(InputError, match=words):
        translator.translate_array(np.full((2, 96, 96), -12.0, np.float32), bands=names)


def test_a_file_of_a_product_names_the_product(tmp_path: Path) -> None:
    amplitude = np.random.default_rng(0).gamma(4, 50, (1, 64, 64)).astype(np.uint16)
    folder = tmp_path / "S1A_IW_GRDH_1SDV_20200101T050000.SAFE" / "measurement"
    folder.mkdir(parents=True)
    vh = Translator.load("s1-losangeles", threads=1)
    line = "it is one file of S1A_IW_GRDH_1SDV_20200101T050000.SAFE, not calibrated: give the product itself"
    path = write_array(folder / "s1a-iw-grd-vv-20200101t050000-001.tiff", amplitude, georeference=GEOREFERENCE)
    with pytest.raises(InputError, match=f"holds VV, not VH; {line}"):
        vh.translate(path, tmp_path / "out.tif")
    path = write_array(folder / "s1a-iw-grd-vh-20200101t050000-002.tiff", amplitude, georeference=GEOREFERENCE)
    told = vh.run(path, tmp_path / "out.tif", TranslateOptions(units="amplitude")).warnings
    assert f"{path}: {line}" in told


def test_pages_that_are_not_read_are_told(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(1, 255, (64, 64), dtype=np.uint8)
    path, one = tmp_path / "pages.tif", tmp_path / "one.tif"
    Image.fromarray(grey).save(path, save_all=True, append_images=[Image.fromarray(grey)])
    Image.fromarray(grey).save(one)
    vh = Translator.load("s1-losangeles", threads=1)
    lines = {file: vh.run(file, file.with_suffix(".out.tif")).warnings for file in (path, one)}
    assert [line for line in lines[path] if "pages" in line] == [f"{path}: only the first of its 2 pages is read"]
    assert not any("pages" in line for line in lines[one])


@pytest.mark.parametrize("names", [["VV may", "VV june", "VH"], ["Sigma0_VV_db", "VV june", "VH"]])
def test_two_bands_of_one_kind_are_not_none(translator: Translator, tmp_path: Path, names: list[str]) -> None:
    pixels = np.random.default_rng(0).normal(-12, 2, (3, 32, 32)).astype(np.float32)
    path = write_array(tmp_path / "scene.tif", pixels, band_names=names, georeference=GEOREFERENCE)
    with pytest.raises(InputError, match=rf"has several bands of one kind \({names[0]}, {names[1]}\)"):
        translator.translate(path, tmp_path / "out.tif")
    made = translator.translate(path, tmp_path / "out.tif", bands=["VV june", "VH"])
    assert made.exists()
