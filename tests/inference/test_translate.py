"""Whole scenes: any tiling is the same scene, nothing is lost, nothing is half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rio_cogeo import cog_validate

import saropt
from saropt.artifacts import ImageCard, TrainingCard
from saropt.domain import Direction
from saropt.errors import InputError
from saropt.inference import NOTICE, LoadOptions, ScratchRaster, TranslateOptions, Translator
from saropt.scenes import Georeference, Scene, write_array
from translator_files import make_translator_card

Factory = Callable[..., Path]


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize(
    ("network", "suffix"),
    [("naf_unet", ".onnx"), ("naf_unet", ".safetensors"), ("resnet", ".onnx"), ("resnet", ".safetensors")],
)
def test_every_tiling_gives_the_same_scene(
    network: str, suffix: str, make_translator: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    translator = Translator.load(make_translator(network, suffix))
    assert translator.exact
    scene = make_scene(610, 530)
    outputs = []
    for tile in (96, 256, 512, 1024):
        translator.translate(scene, tmp_path / f"{tile}.tif", tile=tile)
        outputs.append(read(tmp_path / f"{tile}.tif"))
    assert outputs[0].std() > 1e-3
    for output in outputs[:-1]:
        assert np.abs(output - outputs[-1]).max() < 1e-4


def test_an_array_is_the_tiled_scene(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    translator = Translator.load(make_translator())
    scene = make_scene(300, 200)
    translator.translate(scene, tmp_path / "out.tif", tile=64)
    assert np.abs(translator.translate_array(read(scene)) - read(tmp_path / "out.tif")).max() < 1e-4


def test_a_halo_that_is_too_small_would_be_seen(
    make_translator: Factory, make_scene: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiling test can fail: without the halo the same scene differs."""
    translator = Translator.load(make_translator())
    scene = make_scene(300, 300)
    translator.translate(scene, tmp_path / "whole.tif", tile=512)
    monkeypatch.setattr("saropt.inference.engine.halo_of", lambda field, stride: 0)
    translator.translate(scene, tmp_path / "tiled.tif", tile=64)
    assert np.abs(read(tmp_path / "whole.tif") - read(tmp_path / "tiled.tif")).max() > 1e-3


def test_unfrozen_instance_statistics_would_be_seen(
    make_translator: Factory, make_scene: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator.load(make_translator("resnet", ".safetensors"))
    monkeypatch.setattr(translator._backend, "freeze", lambda samples: None)
    scene = make_scene(300, 300)
    for tile in (64, 512):
        translator.translate(scene, tmp_path / f"{tile}.tif", tile=tile)
    assert np.abs(read(tmp_path / "64.tif") - read(tmp_path / "512.tif")).max() > 1e-2


def test_networks_with_a_global_view_are_blended(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    translator = Translator.load(make_translator("unet_256"))
    assert not translator.exact
    seam = translator.run(make_scene(500, 620), tmp_path / "out.tif").seam
    output = read(tmp_path / "out.tif")
    assert output.shape == (3, 500, 620)
    assert seam is not None
    assert 0.0 < seam < 1.0
    steps = np.abs(np.diff(output, axis=2)).mean(axis=(0, 1))
    borders = [192 * i - 1 for i in range(1, 3)] + [192 * i + 63 for i in range(1, 3)]
    assert steps[borders].max() < 1.5 * steps.mean()


def test_what_a_scene_carries_survives(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    scene = make_scene(200, 260, nodata_columns=90)
    model = make_translator(dtype="uint8")
    Translator.load(model).translate(scene, tmp_path / "out.tif", tile=64)
    assert cog_validate(tmp_path / "out.tif")[0]
    with rasterio.open(scene) as source, rasterio.open(tmp_path / "out.tif") as output:
        assert output.crs == source.crs
        assert output.transform == source.transform
        assert output.descriptions == ("B4", "B3", "B2")
        assert output.dtypes == ("uint8",) * 3
        assert output.nodata == 0
        tags = output.tags()
        assert tags["SAROPT_TRANSLATOR"] == "test"
        assert len(tags["SAROPT_TRANSLATOR_SHA256"]) == 64
        assert tags["SAROPT_NOTICE"] == NOTICE
        pixels = output.read()
        assert (pixels[:, :, :90] == 0).all()
        assert (pixels[:, :, 90:] > 0).all()
    with Scene.open(tmp_path / "out.tif") as written:
        assert written.acquired is not None
        assert written.acquired.date().isoformat() == "2020-11-07"


def test_tiles_without_data_are_not_run(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    translator = Translator.load(make_translator())
    seen = []
    backend = translator._backend

    class Counting:
        name = "counting"
        needs_samples = False

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            seen.append(len(batch))
            return backend(batch)

    translator._backend = Counting()
    translator.translate(make_scene(128, 512, nodata_columns=256), tmp_path / "out.tif", tile=128)
    assert sum(seen) == 2
    assert np.isnan(read(tmp_path / "out.tif")[:, :, :256]).all()


@pytest.mark.parametrize("network", ["naf_unet", "unet_256"])
def test_resume_after_a_kill_gives_the_same_bytes(
    network: str, make_translator: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    model, scene = make_translator(network), make_scene(6000, 300)
    program = textwrap.dedent(
        f"""
        import time
        from saropt.inference import Translator
        translator = Translator.load({str(model)!r}, threads=1)
        translator.translate({str(scene)!r}, {str(tmp_path / "killed.tif")!r}, tile=256,
                             progress=lambda done, total, what: (time.sleep(2.2)))
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    part = tmp_path / ".killed.tif.part.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (part.exists() and len(part.read_text().splitlines()) > 1):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.tif").exists()
    translator = Translator.load(model, threads=1)
    resumed: list[int] = []
    straight: list[int] = []
    for name, steps in [("killed.tif", resumed), ("straight.tif", straight)]:
        translator.translate(
            scene, tmp_path / name, tile=256, resume=True, progress=lambda done, total, what, s=steps: s.append(done)
        )
    assert 0 < len(resumed) < len(straight)
    assert (tmp_path / "killed.tif").read_bytes() == (tmp_path / "straight.tif").read_bytes()
    assert not list(tmp_path.glob(".killed*"))


def test_an_error_in_the_middle_leaves_nothing(
    make_translator: Factory, make_scene: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator.load(make_translator())
    calls = iter(range(100))
    backend = translator._backend

    def failing(batch: np.ndarray) -> np.ndarray:
        if next(calls) == 2:
            raise RuntimeError("boom")
        return backend(batch)

    failing.name, failing.needs_samples = "failing", False  # type: ignore[attr-defined]
    translator._backend = failing  # type: ignore[assignment]
    monkeypatch.setattr("saropt.inference.engine._BATCH_PIXELS", 1)
    with pytest.raises(RuntimeError, match="boom"):
        translator.translate(make_scene(400, 400), tmp_path / "out.tif", tile=64)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["naf_unet.onnx", "scene.tif"]


def test_arrays_and_tensors_keep_their_kind(make_translator: Factory) -> None:
    import torch

    translator = saropt.Translator.load(make_translator())
    values = np.random.default_rng(0).uniform(-25, 0, (1, 40, 50)).astype(np.float32)
    single = translator(values)
    assert isinstance(single, np.ndarray)
    assert single.shape == (3, 40, 50)
    batch = translator(torch.from_numpy(np.stack([values, values])))
    assert isinstance(batch, torch.Tensor)
    assert batch.shape == (2, 3, 40, 50)
    assert torch.equal(batch[0], torch.from_numpy(single))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": "amplitude"}, "negative values"),
        ({"units": "furlongs"}, "unknown units"),
        ({"bands": ["VV"]}, "VV"),
        ({"bands": [1, 1]}, "2 bands chosen"),
        ({"tile": 0}, "must be positive"),
    ],
)
def test_wrong_use_is_one_clear_line(
    arguments: dict, message: str, make_translator: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    translator = Translator.load(make_translator())
    with pytest.raises(InputError, match=message) as caught:
        translator.translate(make_scene(64, 64), tmp_path / "out.tif", **arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.tif").exists()


def test_another_polarisation_is_refused_unless_asked_for(make_translator: Factory, tmp_path: Path) -> None:
    translator = Translator.load(make_translator())
    values = np.random.default_rng(0).uniform(-25, 0, (1, 64, 64)).astype(np.float32)
    write_array(tmp_path / "vv.tif", values, band_names=["VV"])
    with pytest.raises(InputError, match="holds VV, not VH; the translator takes VH"):
        translator.translate(tmp_path / "vv.tif", tmp_path / "out.tif")
    translator.translate(tmp_path / "vv.tif", tmp_path / "out.tif", bands=[1])
    assert (tmp_path / "out.tif").exists()


def test_the_right_band_is_found_by_name(make_translator: Factory, tmp_path: Path) -> None:
    translator = Translator.load(make_translator())
    rng = np.random.default_rng(0)
    values = rng.uniform(-25, 0, (2, 64, 64)).astype(np.float32)
    write_array(tmp_path / "dual.tif", values, band_names=["VV", "VH"])
    write_array(tmp_path / "single.tif", values[1:], band_names=["VH"])
    translator.translate(tmp_path / "dual.tif", tmp_path / "a.tif")
    translator.translate(tmp_path / "single.tif", tmp_path / "b.tif")
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))


@pytest.mark.parametrize("values", [np.full((1, 64, 64), np.nan, np.float32), np.full((1, 64, 64), -9999, np.float32)])
def test_scenes_without_data_are_refused(values: np.ndarray, make_translator: Factory, tmp_path: Path) -> None:
    write_array(tmp_path / "empty.tif", values, nodata=-9999.0, band_names=["VH"])
    with pytest.raises(InputError, match="no valid pixel"):
        Translator.load(make_translator()).translate(tmp_path / "empty.tif", tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


def test_loading_refuses_what_it_cannot_run(make_translator: Factory, tmp_path: Path) -> None:
    onnx = make_translator()
    for arguments, message in [
        ({"backend": "torch"}, "runs .safetensors"),
        ({"backend": "abacus"}, "must be auto"),
        ({"precision": "bf16"}, "backend onnx runs fp32"),
        ({"backend": "openvino", "device": "cuda"}, "backend openvino runs on cpu"),
        ({"realism": 2.0}, "between 0 and 1"),
        ({"realism": 0.5}, "one set of weights"),
        ({"direction": "opt2sar"}, "translates sar2opt, not opt2sar"),
    ]:
        with pytest.raises(InputError, match=message):
            Translator.load(onnx, **arguments)
    with pytest.raises(InputError, match="neither a file nor a bundled translator"):
        Translator.load(tmp_path / "absent.onnx")


def test_the_command_line_tells_the_seam_of_blended_windows(
    make_translator: Factory, make_scene: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from saropt.cli import main

    scene = str(make_scene(300, 300))
    for network, told in (("unet_256", True), ("naf_unet", False)):
        out = str(tmp_path / f"{network}.tif")
        assert main(["translate", scene, out, "--model", str(make_translator(network))]) == 0
        assert ("windows are blended" in capsys.readouterr().out) is told


@pytest.mark.parametrize("network", ["naf_unet", "resnet", "unet_256"])
@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_scenes_arrays_and_streams_have_the_same_bytes(
    network: str, suffix: str, make_translator: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    """One engine: a network that sees its whole window gets the same windows everywhere."""
    translator = Translator.load(make_translator(network, suffix))
    scene = make_scene(600, 500, nodata_columns=40)
    written = read(translator.translate(scene, tmp_path / "out.tif"))
    with Scene.open(scene) as source:
        values, valid = source.read()
        scratch = ScratchRaster(3, 600, 500, "float32", tmp_path)
        translator.stream(source, lambda b: scratch.write(b.window.row, b.window.col, b.products["image"], b.valid))
    with scratch:
        streamed, streamed_valid = scratch.read()
        np.testing.assert_array_equal(streamed_valid, valid)
        for made in (streamed, translator.translate_array(values, valid=valid)):
            np.testing.assert_array_equal(made[:, valid], written[:, valid])


def test_memory_of_arrays_does_not_follow_their_size(make_translator: Factory) -> None:
    """The network never sees more than a window: the largest input it gets is the same for a larger array."""
    translator, largest = Translator.load(make_translator()), []
    for side in (768, 1536):
        seen: list[int] = []
        own = translator._backend

        class Spy:
            name, needs_samples = own.name, False

            def __call__(self, batch: np.ndarray, own=own, seen=seen) -> np.ndarray:
                seen.append(batch[0].size)
                return own(batch)

        translator._backend = Spy()
        rng = np.random.default_rng(0)
        translator.translate_array(rng.uniform(-20, -5, (1, side, side)).astype(np.float32))
        translator._backend = own
        largest.append(max(seen))
    assert largest[1] <= 1.2 * largest[0]


def test_optional_inputs_are_stacked_with_their_validity(tmp_path: Path) -> None:
    """A network of SAR and an optional earlier optical image, through scenes, streams and missing inputs."""
    seen: list[np.ndarray] = []

    class Network:
        name, needs_samples = "spy", False

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            seen.append(batch[0])
            return batch[:, 1:4]

    recipe = {"kind": "eight_bit"}
    images = {
        "sar": ImageCard(role="sar", bands=("VV",), units="uint8", dtype="uint8", recipe=recipe),
        "optical_reference": ImageCard(
            role="optical_reference", bands=("R", "G", "B"), units="uint8", dtype="uint8", recipe=recipe, optional=True
        ),
        "optical": ImageCard(role="optical", bands=("R", "G", "B"), units="uint8", dtype="uint8", recipe=recipe),
    }
    network = {"network": "naf_unet", "stride": 1, "receptive_field": 1, "tile": 64}
    training = TrainingCard(data="none", split="train", steps=0, seed=0, licence="none")
    card = make_translator_card(
        images, {"sar+optref2opt": network}, name="t", method="m", gsd_m=10.0, training=training
    )
    direction = Direction(["sar", "optical_reference"], "optical")
    assert card.directions[direction].channels == (5, 3)
    translator = Translator(tmp_path / "t.onnx", card, direction, Network(), LoadOptions())
    (tmp_path / "t.onnx").write_bytes(b"no graph")
    rng = np.random.default_rng(0)
    sar, old = rng.integers(1, 256, (1, 40, 50)).astype(np.uint8), rng.integers(1, 256, (3, 40, 50)).astype(np.uint8)
    old[:, :, :7] = 0
    place = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))
    write_array(tmp_path / "sar.tif", sar, band_names=["VV"], georeference=place)
    write_array(tmp_path / "old.tif", old, band_names=["R", "G", "B"], georeference=place, nodata=0)
    options = TranslateOptions(inputs={"optical_reference": tmp_path / "old.tif"})
    made = read(Path(translator.run(tmp_path / "sar.tif", tmp_path / "out.tif", options).path))
    np.testing.assert_array_equal(seen[-1][0, :40, :50], sar[0] / np.float32(127.5) - 1)
    np.testing.assert_array_equal(seen[-1][4, :40, :50], (old[0] > 0).astype(np.float32))
    assert (seen[-1][1:4, :40, :7] == 0).all()
    np.testing.assert_array_equal(made[:, :, 7:], old[:, :, 7:])
    translator.run(tmp_path / "sar.tif", tmp_path / "alone.tif")
    assert (seen[-1][1:] == 0).all()
    with pytest.raises(InputError, match=r"is given as dem, but the translator takes sar, optical_reference"):
        translator.run(
            tmp_path / "sar.tif", tmp_path / "no.tif", TranslateOptions(inputs={"dem": tmp_path / "old.tif"})
        )
    with pytest.raises(InputError, match=r"is given as sar, which is what the scene .* is"):
        translator.run(
            tmp_path / "sar.tif", tmp_path / "no.tif", TranslateOptions(inputs={"sar": tmp_path / "sar.tif"})
        )
    assert not (tmp_path / "no.tif").exists()
