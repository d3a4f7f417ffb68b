"""Translator files made from translator files: the same translations, or nothing at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, numpy_helper

from reference_files import reference_translator
from saropt.artifacts import load_weights, save_weights
from saropt.errors import InputError, MissingExtraError
from saropt.evaluation.verdicts import card_verdicts
from saropt.inference import TranslateOptions, Translator, card_of, export_translator, find_translator
from saropt.scenes import Scene, write_array

Factory = Callable[..., Path]


def values(height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).uniform(-25, 0, (1, height, width)).astype(np.float32)


@pytest.fixture
def two_ends(make_translator: Factory, tmp_path: Path) -> Path:
    """A `.safetensors` file whose realism end has other weights."""
    card, weights = load_weights(make_translator("naf_unet", ".safetensors"))
    rng = np.random.default_rng(0)
    ends = {f"fidelity/{key}": value for key, value in weights.items()}
    for key, value in weights.items():
        ends[f"realism/{key}"] = (value + rng.normal(0, 0.02, value.shape)).astype(value.dtype)
    path = tmp_path / "both.safetensors"
    save_weights(path, card.model_copy(update={"realism": 0.5, "quality": {"test": {"psnr": 17.0}}}), ends)
    return path


def test_weights_become_a_graph_of_any_size(make_translator: Factory, tmp_path: Path) -> None:
    source = make_translator("naf_unet", ".safetensors")
    out = export_translator(source, tmp_path / "out.onnx")
    assert card_of(out) == card_of(source)
    for size in ((64, 64), (100, 148)):
        expected = Translator.load(source)(values(*size))
        np.testing.assert_allclose(Translator.load(out)(values(*size)), expected, atol=1e-4)


def test_both_ends_are_kept_or_one_blend_fixed(two_ends: Path, tmp_path: Path) -> None:
    both = export_translator(two_ends, tmp_path / "kept.onnx")
    fixed = {"safetensors": export_translator(two_ends, tmp_path / "a.onnx", realism=0.3)}
    fixed["onnx"] = export_translator(both, tmp_path / "b.onnx", realism=0.3)
    outputs = {}
    for share in (0.0, 0.3, 1.0):
        outputs[share] = Translator.load(two_ends, realism=share)(values())
        np.testing.assert_allclose(Translator.load(both, realism=share)(values()), outputs[share], atol=1e-3)
    assert np.abs(outputs[0.0] - outputs[0.3]).max() > 0.01
    for path in fixed.values():
        assert card_of(path).realism is None
        assert card_of(path).notes.endswith("Exported at realism 0.3.")
        assert path.stat().st_size < both.stat().st_size
        np.testing.assert_allclose(Translator.load(path)(values()), outputs[0.3], atol=1e-3)


def test_instance_statistics_are_frozen_on_the_train_split(
    make_translator: Factory, db_root: Path, tmp_path: Path
) -> None:
    source = make_translator("resnet", ".safetensors")
    with pytest.raises(InputError, match="needs a data root: its instance statistics"):
        export_translator(source, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
    out = export_translator(source, tmp_path / "out.onnx", data=db_root)
    assert card_of(source).directions["sar2opt"].statistics == "scene"
    assert card_of(out).directions["sar2opt"].statistics == "training"
    corner = values(200, 200)
    whole = Translator.load(out)(corner)[:, :100, :100]
    assert np.abs(whole - Translator.load(out)(corner[:, :140, :140])[:, :100, :100]).max() < 1e-4
    again = export_translator(source, tmp_path / "again.onnx", data=db_root)
    assert again.read_bytes() == out.read_bytes()


def test_int8(two_ends: Path, db_root: Path, tmp_path: Path) -> None:
    """All convolutions in 8 bits, weights that the graph computes included; one blend; no borrowed figures."""
    out = export_translator(two_ends, tmp_path / "int8.onnx", int8=True, data=db_root, realism=1.0)
    model = onnx.load(out)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 5
    for node in convolutions:
        weight, scale = (tensors[name] for name in made_by[node.input[1]].input[:2])
        assert weight.dtype == np.int8
        assert scale.shape == (len(weight),)
    assert card_of(out).quality == {}
    assert card_of(out).realism is None
    assert "8 bits" in card_of(out).notes
    with Scene.open(db_root / "sar" / "d.tif", bands=["VH"]) as scene:
        pixels = scene.read()[0]
    expected = Translator.load(two_ends, realism=1.0)(pixels)
    for backend in ("onnx", "openvino"):
        error = np.abs(Translator.load(out, backend=backend)(pixels) - expected)
        assert 0 < error.mean() < 0.1 * expected.std()


def test_int8_ranges_come_from_the_data(two_ends: Path, db_root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a data root: the ranges of int8"):
        export_translator(two_ends, tmp_path / "out.onnx", int8=True)
    with pytest.raises(InputError, match="no such folder"):
        export_translator(two_ends, tmp_path / "out.onnx", int8=True, data=tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_what_cannot_be_exported(make_translator: Factory, two_ends: Path, tmp_path: Path) -> None:
    single = make_translator()
    (tmp_path / "old.onnx").write_bytes(b"old")
    for source, out, options, message in [
        (single, "out.onnx", {}, "is an ONNX file already"),
        (single, "out.onnx", {"realism": 0.5}, "one set of weights"),
        (two_ends, "out.onnx", {"direction": "opt2sar"}, "translates sar2opt, not opt2sar"),
        (two_ends, "out.pt", {}, "use .onnx"),
        (two_ends, "old.onnx", {}, "exists already"),
        (two_ends, "out.onnx", {"realism": 1.5}, "between 0 and 1"),
    ]:
        with pytest.raises(InputError, match=message):
            export_translator(source, tmp_path / out, **options)
    assert (tmp_path / "old.onnx").read_bytes() == b"old"
    export_translator(two_ends, tmp_path / "old.onnx", overwrite=True)
    assert card_of(tmp_path / "old.onnx").realism == 0.5
    with pytest.raises(InputError, match="is an input, which the output would replace"):
        export_translator(tmp_path / "old.onnx", tmp_path / "old.onnx", realism=0.0, overwrite=True)
    assert card_of(tmp_path / "old.onnx").realism == 0.5
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") or path.name.startswith("out")]


def test_torch_that_is_not_installed(two_ends: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saropt.inference.runtimes.pytorch.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[train\]"):
        export_translator(two_ends, tmp_path / "out.onnx")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


@pytest.fixture
def earlier_root(db_root: Path, tmp_path: Path) -> Path:
    """`db_root` with an earlier optical image that is bright, and earlier SAR that is weak."""
    root = tmp_path / "earlier"
    shutil.copytree(db_root, root)
    for role, side in (("sar_reference", "sar"), ("optical_reference", "optical")):
        (root / role).mkdir()
        for path in (root / side).glob("*.tif"):
            with Scene.open(path) as scene:
                pixels, names = scene.read()[0], scene.band_names
            earlier = (pixels - 4.0).astype(np.float32) if side == "sar" else (255 - pixels // 2).astype(np.uint8)
            write_array(root / role / path.name, earlier, band_names=names)
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    described |= {"sar_reference": described["sar"], "optical_reference": described["optical"]}
    (root / "dataset.yaml").write_text(yaml.safe_dump(described))
    return root


def test_int8_ranges_are_those_of_all_inputs(db_root: Path, earlier_root: Path, tmp_path: Path) -> None:
    """Without the earlier images they were those of zeros, and the translation with them was far off."""
    source, said = reference_translator(tmp_path, fresh=False), list[str]()
    earlier = {"reference": "optical_reference", "reference_sar": "sar_reference"}

    def translated(model: Path) -> np.ndarray:
        out = model.with_suffix(".tif")
        given = {option: earlier_root / role / "d.tif" for option, role in earlier.items()}
        Translator.load(model).translate(earlier_root / "sar" / "d.tif", out, bands=["VH"], **given)
        with Scene.open(out) as scene:
            return scene.read()[0]

    expected, errors = translated(source), []
    for root, name in ((earlier_root, "all"), (db_root, "alone")):
        out = export_translator(source, tmp_path / f"{name}.onnx", int8=True, data=root, tell=said.append)
        errors.append(np.abs(translated(out) - expected).mean())
    assert errors[0] < 0.1 * expected.std() < errors[1]
    assert said == [f"{db_root}: has no sar_reference and no optical_reference: the ranges are taken without it"]


def test_products_of_int8_weights_do_not_overflow(make_translator: Factory, db_root: Path, tmp_path: Path) -> None:
    """Two products of 255 and a weight are added in 16 bits by processors without VNNI."""
    out = export_translator(make_translator("naf_unet"), tmp_path / "out.onnx", int8=True, data=db_root)
    weights = [
        numpy_helper.to_array(one) for one in onnx.load(out).graph.initializer if one.data_type == TensorProto.INT8
    ]
    sums = [2 * 255 * int(np.abs(one.astype(int)).max()) for one in weights if one.ndim == 4]
    assert sums
    assert max(sums) <= np.iinfo(np.int16).max


def test_frozen_statistics_are_told(make_translator: Factory, db_root: Path, tmp_path: Path) -> None:
    source = make_translator("resnet", ".safetensors")
    frozen = export_translator(source, tmp_path / "out.onnx", data=db_root)
    warnings = {}
    for model in (source, frozen):
        result = Translator.load(model).run(
            db_root / "sar" / "d.tif", tmp_path / "out.tif", TranslateOptions(bands=["VH"], overwrite=True)
        )
        warnings[model] = [line for line in result.warnings if "statistics of training data" in line]
    assert (len(warnings[source]), len(warnings[frozen])) == (0, 1)


def test_the_figures_of_the_exported_blend_are_those_of_the_file(tmp_path):
    before = card_of(find_translator("s1-losangeles"))
    verdicts = card_verdicts(before.quality, 0.75)
    assert any("below the constant train mean" in words for words in verdicts.values())
    card = card_of(export_translator("s1-losangeles", tmp_path / "a.onnx", realism=0.75))
    assert card_verdicts(card.quality, card.realism) == verdicts
    assert not [title for title in card.quality if "realism" in title]
    data = next(iter(verdicts))
    assert card.quality[f"{data}: translator"] == before.quality[f"{data}: realism 0.75"]
    assert card.quality[f"{data}: train_mean"] == before.quality[f"{data}: train_mean"]


def test_figures_of_other_blends_are_left_out(tmp_path):
    card = card_of(export_translator("s1-losangeles", tmp_path / "a.onnx", realism=0.3))
    assert card.quality == {}
