"""Inputs that would give a wrong picture are refused, or what was taken for granted is told."""

from __future__ import annotations

import copy
import os
import pickle

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from saropt.batch.jobs import Work, plan_jobs, unfinished
from saropt.errors import InputError
from saropt.inference import LoadOptions, TranslateOptions, Translator
from saropt.scenes import SceneWriter

PLACE = {"crs": "EPSG:32633", "transform": from_origin(500000, 4000000, 10, 10)}


def _write(path, array, names, **changes):
    array = np.asarray(array)
    scales, tags = changes.pop("scales", None), changes.pop("tags", {})
    form = {"driver": "GTiff", "count": len(array), "height": array.shape[1], "width": array.shape[2], **PLACE}
    with rasterio.open(path, "w", dtype=array.dtype, **form, **changes) as dataset:
        dataset.write(array)
        dataset.descriptions = names
        dataset.update_tags(**tags)
        if scales is not None:
            dataset.scales = scales
    return path


def _decibels(size=128, seed=0):
    rng = np.random.default_rng(seed)
    columns = np.arange(size)[None] * np.ones((size, 1))
    speckle = 10 * np.log10(rng.gamma(4.4, 1 / 4.4, (size, size)))
    return (-14 + 4 * np.sin(columns / 19) + speckle).astype(np.float32)[None]


def _picture(path):
    with rasterio.open(path) as dataset:
        return dataset.read().astype(int), dataset.dataset_mask() > 0


@pytest.fixture(scope="module")
def to_optical():
    return Translator.load("s1-losangeles", threads=1)


@pytest.fixture(scope="module")
def absolute():
    return Translator.load("s1-world", threads=1)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(10000 * 0.35 / 255, np.uint16), (0.35 / 255, np.float32)], ids=["reflectance x 10000", "0..1"]
)
def test_reflectance_is_no_8_bit_picture(tmp_path, scale, dtype):
    rng = np.random.default_rng(1)
    eight = rng.integers(1, 255, (3, 128, 128))
    translator = Translator.load("losangeles-s1", threads=1)
    scene = _write(tmp_path / "a.tif", (eight * scale).astype(dtype), ("B4", "B3", "B2"))
    with pytest.raises(InputError, match=r"0\.\.255"):
        translator.translate(scene, tmp_path / "o.tif")
    assert not (tmp_path / "o.tif").exists()
    with pytest.raises(InputError, match=r"0\.\.255"):
        translator((eight * scale).astype(dtype))


@pytest.mark.parametrize("values", [[0], [-12], [0, 1]])
def test_a_mask_or_an_empty_frame_is_no_picture(tmp_path, to_optical, values):
    units, dtype = ("uint8", np.uint8) if values == [0, 1] else ("sigma0_db", np.float32)
    image = np.random.default_rng(0).choice(np.array(values, dtype), (1, 96, 96))
    scene = _write(tmp_path / "a.tif", image, ("VH",))
    told = r"a\.tif: is no picture: all its pixels are " + " or ".join(map(str, values)) + "$"
    with pytest.raises(InputError, match=told):
        to_optical.translate(scene, tmp_path / "o.tif", units=units)
    assert not (tmp_path / "o.tif").exists()


@pytest.mark.parametrize("units", ["sigma0", "amplitude"])
def test_digital_numbers_are_no_backscatter(tmp_path, absolute, units):
    numbers = np.rint(np.sqrt(10 ** (_decibels() / 10)) * 600).astype(np.uint16)
    scene = _write(tmp_path / "dn.tif", numbers, ("VV",))
    with pytest.raises(InputError, match="calibrate"):
        absolute.translate(scene, tmp_path / "o.tif", units=units)


def test_scales_are_applied(tmp_path, absolute):
    power = 10 ** (_decibels() / 10)
    stored = np.clip(np.rint(power * 20000), 0, 65535).astype(np.uint16)
    _write(tmp_path / "power.tif", power, ("VV",))
    _write(tmp_path / "scaled.tif", stored, ("VV",), scales=(1 / 20000,))
    for name in ("power", "scaled"):
        absolute.translate(tmp_path / f"{name}.tif", tmp_path / f"{name}_o.tif", units="sigma0")
    plain, scaled = (_picture(tmp_path / f"{name}_o.tif")[0] for name in ("power", "scaled"))
    assert abs(plain - scaled).mean() < 1.0


@pytest.mark.parametrize(
    ("fill", "units"), [(0.0, "sigma0_db"), (0.0, "sigma0"), (0, "amplitude"), (-9999.0, "sigma0_db")]
)
def test_undeclared_fill_is_no_measurement(tmp_path, to_optical, fill, units):
    decibels = _decibels(200)
    values = decibels if units == "sigma0_db" else 10 ** (decibels / 10)
    values = np.rint(np.sqrt(values) * 600).astype(np.uint16) if units == "amplitude" else values
    left = np.zeros(values.shape, bool)
    left[:, :, :90] = True
    _write(tmp_path / "a.tif", np.where(left, fill, values).astype(values.dtype), ("VH",))
    _write(tmp_path / "nan.tif", np.where(left, np.nan, decibels).astype(np.float32), ("VH",))
    result = to_optical.run(tmp_path / "a.tif", tmp_path / "o.tif", TranslateOptions(units=units))
    to_optical.translate(tmp_path / "nan.tif", tmp_path / "n.tif", units="sigma0_db")
    (picture, valid), (reference, known) = _picture(tmp_path / "o.tif"), _picture(tmp_path / "n.tif")
    np.testing.assert_array_equal(valid, known)
    assert abs(picture - reference)[:, :, 160:].mean() < 1.5
    assert "45.00%" in result.warnings[0]


@pytest.mark.parametrize(
    ("fill", "dtype"), [(-35.5, np.float32), (0, np.int16), (-100, np.int16), (0, np.int8)], ids=str
)
def test_fill_that_another_band_holds_or_whole_decibels_is_no_measurement(tmp_path, absolute, fill, dtype):
    decibels = np.concatenate([_decibels(200), _decibels(200, seed=1) - 20])
    values = (np.rint(decibels) if dtype != np.float32 else decibels).astype(dtype)
    values[:, :, :20] = fill
    result = absolute.run(
        _write(tmp_path / "a.tif", values, ("VV", "VH")), tmp_path / "o.tif", TranslateOptions(units="sigma0_db")
    )
    assert f"10.00% of the pixels that it calls valid are fill ({fill:g})" in "".join(result.warnings)
    np.testing.assert_array_equal(_picture(tmp_path / "o.tif")[1], np.arange(200)[None].repeat(200, axis=0) >= 20)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_decibels_that_were_clipped_are_measurements(tmp_path, absolute, dtype):
    values = np.concatenate([_decibels(200), _decibels(200, seed=1) - 7])
    values[:, :, :40] = -30
    values = np.rint(values.clip(-14, -10) if dtype == np.int16 else values.clip(-14, None)).astype(dtype)
    absolute.translate(_write(tmp_path / "a.tif", values, ("VV", "VH")), tmp_path / "o.tif", units="sigma0_db")
    assert _picture(tmp_path / "o.tif")[1].all()


def test_nodata_of_the_caller(tmp_path, to_optical):
    values = _decibels()
    values[:, :50, :50] = -12.5
    scene = _write(tmp_path / "a.tif", values, ("VH",))
    to_optical.translate(scene, tmp_path / "o.tif", units="sigma0_db", nodata=-12.5)
    assert not _picture(tmp_path / "o.tif")[1][:50, :50].any()


def test_a_few_negative_powers_are_no_decibels(tmp_path, to_optical):
    power = 10 ** (_decibels() / 10)
    power[power < np.quantile(power, 0.04)] = -1e-4
    scene = _write(tmp_path / "a.tif", power, ("VH",))
    to_optical.translate(scene, tmp_path / "o.tif", units="sigma0")
    assert _picture(tmp_path / "o.tif")[1].all()


@pytest.mark.parametrize(("share", "told"), [(0.04, False), (0.3, True)])
def test_much_power_below_zero_is_told_of(tmp_path, to_optical, share, told):
    power = 10 ** (_decibels() / 10)
    power[power < np.quantile(power, share)] = -1e-4
    result = to_optical.run(
        _write(tmp_path / "a.tif", power, ("VH",)), tmp_path / "o.tif", TranslateOptions(units="sigma0")
    )
    assert any("below zero, as where noise was subtracted" in line for line in result.warnings) is told


def test_tags_that_name_fitting_units_are_believed_and_told(tmp_path, to_optical):
    scene = _write(tmp_path / "a.tif", _decibels(), ("VH",), tags={"CALIBRATED_TO": "sigma0_db"})
    result = to_optical.run(scene, tmp_path / "o.tif")
    assert any("units are sigma0_db" in warning for warning in result.warnings)
    with rasterio.open(tmp_path / "o.tif") as made:
        assert "CALIBRATED_TO" not in made.tags()


def test_masked_arrays(to_optical):
    amplitude = np.sqrt(10 ** (_decibels() / 10))
    hidden = np.zeros(amplitude.shape, bool)
    hidden[:, :, :40] = True
    masked = to_optical(np.ma.MaskedArray(np.where(hidden, 50, amplitude).astype(np.float32), hidden))
    given = to_optical.translate_array(amplitude, valid=~hidden[0])
    np.testing.assert_array_equal(masked, given)
    assert (masked[:, :, :40] == 0).all()


@pytest.mark.parametrize("array", [np.zeros((1, 0, 8), np.float32), np.ones((1, 8, 8), bool)], ids=["empty", "bool"])
def test_arrays_without_numbers(to_optical, array):
    with pytest.raises(InputError, match="must hold numbers"):
        to_optical(array)


def test_bfloat16(to_optical):
    torch = pytest.importorskip("torch")
    amplitude = torch.from_numpy(np.sqrt(10 ** (_decibels(64) / 10))).bfloat16()
    np.testing.assert_array_equal(to_optical(amplitude).numpy(), to_optical(amplitude.float().numpy()))


@pytest.mark.parametrize("again", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy], ids=["pickle", "copy"])
def test_translators_travel(to_optical, again):
    amplitude = np.sqrt(10 ** (_decibels(64) / 10))
    np.testing.assert_array_equal(again(to_optical)(amplitude), to_optical(amplitude))


def test_a_band_named_b8_is_no_alpha(tmp_path):
    picture = np.random.default_rng(0).integers(1, 255, (4, 64, 64)).astype(np.uint8)
    picture[3, :20] = 0
    scene = _write(tmp_path / "a.tif", picture, ("B4", "B3", "B2", "B8"))
    with rasterio.open(scene) as dataset:
        assert dataset.colorinterp[3].name == "alpha"
    Translator.load("losangeles-s1", threads=1).translate(scene, tmp_path / "o.tif")
    assert _picture(tmp_path / "o.tif")[1].all()


@pytest.mark.parametrize("name", ["./a.tif", "link.tif", "hard.tif"])
def test_the_output_is_never_the_input(tmp_path, monkeypatch, to_optical, name):
    monkeypatch.chdir(tmp_path)
    scene = _write(tmp_path / "a.tif", _decibels(64), ("VH",))
    before = scene.read_bytes()
    os.symlink("a.tif", "link.tif")
    os.link("a.tif", "hard.tif")
    with pytest.raises(InputError, match="is an input"):
        to_optical.translate("a.tif", name, units="sigma0_db", overwrite=True)
    assert scene.read_bytes() == before


class _Backend:
    name, needs_samples = "fake", False

    def __init__(self, value):
        self.value = value

    def __call__(self, batch):
        return np.full((len(batch), 3, *batch.shape[2:]), self.value, np.float32)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "not finite"), (0.25, "the same value")])
def test_the_last_look(tmp_path, value, words):
    translator = Translator.load("s1-losangeles", threads=1)
    translator._backend = _Backend(value)
    scene = _write(tmp_path / "a.tif", _decibels(128), ("VH",))
    with pytest.raises(InputError, match=words):
        translator.translate(scene, tmp_path / "o.tif", units="sigma0_db")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif"]


def test_finished_outputs_of_other_settings(tmp_path):
    scenes = [str(_write(tmp_path / "a.tif", _decibels(64), ("VH",)))]
    options = TranslateOptions(units="sigma0_db", resume=True)
    first, second = (Work("s1-losangeles", LoadOptions(realism=end), options) for end in (0.0, 1.0))
    jobs, _ = plan_jobs(scenes, tmp_path / "out", resume=True)
    translator = first.open(1)
    translator.run(jobs[0].scene, jobs[0].out, options)
    assert unfinished(first, jobs, translator) == []
    with pytest.raises(InputError, match="with other settings"):
        unfinished(second, jobs)
    state = os.stat(scenes[0])
    _write(scenes[0], _decibels(64, seed=5), ("VH",))
    os.utime(scenes[0], ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(InputError, match="of another scene"):
        unfinished(first, jobs, translator)


def test_a_scene_that_changes_while_it_is_read(tmp_path, to_optical):
    scene = _write(tmp_path / "a.tif", _decibels(64), ("VH",))

    def change(*_):
        _write(scene, _decibels(64, seed=3), ("VH",))

    with pytest.raises(InputError, match="has changed"):
        to_optical.run(scene, tmp_path / "o.tif", TranslateOptions(units="sigma0_db"), change)
    assert not (tmp_path / "o.tif").exists()


def test_units_that_nobody_states_are_not_called_declared(to_optical, tmp_path):
    values = _decibels(64)
    bare, tagged = tmp_path / "bare.tif", tmp_path / "tagged.tif"
    for path, tags in ((bare, {}), (tagged, {"CALIBRATED_TO": "amplitude"})):
        with SceneWriter(path, width=64, height=64, band_names=("VH",), dtype="float32", tags=tags) as writer:
            writer.write(0, 0, values.reshape(1, 64, 64).astype(np.float32))
            writer.finish()
    for path, units, words in (
        (bare, None, "nothing states its units, and amplitude does not fit: .* are these decibels"),
        (bare, "amplitude", "units are declared as amplitude but"),
        (tagged, None, "units are declared as amplitude but"),
    ):
        with pytest.raises(InputError, match=words):
            to_optical.translate(path, tmp_path / "o.tif", units=units)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_damaged_graphs_are_one_line(backend, tmp_path):
    onnx = pytest.importorskip("onnx")
    source = Translator.load("s1-losangeles").path
    faults = {
        "op": lambda m: setattr(m.graph.node[3], "op_type", "Foo"),
        "dims": lambda m: m.graph.initializer[0].dims.__setitem__(0, 7),
        "opset": lambda m: setattr(m.opset_import[0], "version", 99),
        "constant": lambda m: [node.ClearField("attribute") for node in m.graph.node if node.op_type == "Constant"],
        "cycle": lambda m: next(n for n in m.graph.node if n.op_type == "Conv").input.__setitem__(0, "output"),
    }
    if backend == "openvino":
        del faults["opset"]  # it reads what it knows
    for name, fault in faults.items():
        model = onnx.load(source)
        fault(model)
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match=name) as raised:
            Translator.load(path, threads=1, backend=backend)(np.ones((1, 64, 64), np.float32))
        assert "\n" not in str(raised.value)


def test_a_forked_child_translates(tmp_path):
    """GDAL's threads do not outlive a fork; a child that waits for them is ended by the alarm."""
    script = f"""
import os, signal, numpy as np
from saropt.scenes import write_array
pixels = np.random.default_rng(0).integers(0, 255, (3, 2600, 2600)).astype(np.uint8)
write_array({str(tmp_path / "a.tif")!r}, pixels)
child = os.fork()
if child == 0:
    signal.alarm(60)
    write_array({str(tmp_path / "b.tif")!r}, pixels)
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=120)
    assert done.returncode == 0
