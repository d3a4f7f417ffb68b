"""Streamed outputs: the pixels that `translate` and `predict` write, of one input or of several."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import yaml
from evaluation_roots import make_model, make_root, run

from saropt.errors import InputError
from saropt.evaluation.metric import Subject
from saropt.evaluation.outputs import translate_rasters
from saropt.evaluation.tiles import open_rasters
from saropt.inference import Translator
from saropt.roots import DataRoot
from saropt.scenes import Scene, Window, write_array


@pytest.mark.parametrize("network", ["naf_unet", "unet_256"])
def test_outputs_are_the_pixels_that_translate_writes(make_translator, make_scene, tmp_path: Path, network) -> None:
    """A U-Net sees its whole window: only the same windows, blended in the same way, give the same pixels."""
    scene = make_scene(300, 700, nodata_columns=40)
    translator = Translator.load(make_translator(network, ".safetensors"), threads=1)
    translator.translate(scene, tmp_path / "out.tif", units="sigma0_db")
    root = tmp_path / "root"
    for role in ("sar", "optical"):
        (root / role).mkdir(parents=True)
    (root / "sar" / "a.tif").symlink_to(scene)
    write_array(root / "optical" / "a.tif", np.ones((3, 300, 700), np.uint8))
    described = {
        "name": "one",
        "gsd_m": 10,
        "sar": {"bands": ["VH"], "units": "sigma0_db"},
        "optical": {"bands": ["B4", "B3", "B2"], "units": "uint8"},
    }
    (root / "dataset.yaml").write_text(yaml.safe_dump(described))
    (root / "splits.csv").write_text("name,split\na,test\n")
    subject = Subject(["B4", "B3", "B2"], translator)
    with ExitStack() as stack:
        rasters = stack.enter_context(open_rasters(DataRoot.open(root), "a", ["sar", "optical"]))
        output = translate_rasters(translator, subject, rasters, {"sar": [0]}, stack)
        values, valid = output.image.read(Window(0, 0, 300, 700))
    with Scene.open(tmp_path / "out.tif") as written:
        stored, written_valid = written.read_stored()
    assert np.array_equal(valid, written_valid)
    assert not valid[:, :40].any()
    assert np.array_equal(values[:, valid], stored[:, valid])
    assert subject.pixels == 300 * 700
    assert subject.seconds > 0


@pytest.fixture
def referenced(tmp_path: Path) -> Path:
    """A root in which name "b" lacks the optional earlier optical image, and "a" has it: the truth, a little darker."""
    root = make_root(tmp_path, {"t": "train", "a": "test", "b": "test"})
    (root / "optical_reference").mkdir()
    for name in ("t", "a"):
        with Scene.open(root / "optical" / f"{name}.tif") as scene:
            values = scene.read_stored()[0]
        write_array(root / "optical_reference" / f"{name}.tif", np.maximum(values, 11) - 10)
    with (root / "dataset.yaml").open("a") as stream:
        stream.write("optical_reference: {bands: [R, G, B], units: uint8, optional: true}\n")
    return root


def test_an_optional_input_may_be_missing(referenced: Path, tmp_path: Path) -> None:
    """The model copies the reference where there is one, and the SAR where not; the baselines see the SAR alone."""
    seen = []

    def copy(bands: np.ndarray) -> np.ndarray:
        sar, reference, there = bands[:1], bands[1:4], bands[4] == 255  # the network's 1; its 0 is 128 here
        seen.append(bool(there.any()))
        return np.where(there, reference, sar)

    model = make_model("copy", copy, "sar+optref2opt")
    report = run([model], referenced, tmp_path / "out", tile=32)
    assert seen == [True, False, False, False]  # each place with what is there, then from SAR alone
    scale = {"bands": 3, "range": "0..255", "network": "0..255"}
    inputs = ["sar", "optical_reference"]
    assert report["directions"] == {"sar+optref2opt": {"inputs": inputs, "output": "optical", "scale": scale}}
    figures = report["models"][0]["directions"]["sar+optref2opt"]
    alone = run([make_model("grey", lambda v: v.repeat(3, 0))], referenced, tmp_path / "alone", tile=32)
    assert figures["mae"] < 0.75 * alone["models"][0]["directions"]["sar2opt"]["mae"]
    assert report["baselines"]["sar+optref2opt"]["linear"] == alone["baselines"]["sar2opt"]["linear"]
    assert "<h2>SAR + earlier optical to optical</h2>" in (tmp_path / "out" / "report.html").read_text()


def test_a_model_that_needs_the_reference_is_refused_without_one(referenced: Path, tmp_path: Path) -> None:
    model = make_model("copy", lambda bands: bands[1:4], "sar+optref2opt", optional=False)
    with pytest.raises(InputError, match="optical_reference: is missing: the network needs this input"):
        run([model], referenced, tmp_path / "out")
