"""Configurations: presets, --set, refusals; and the presets that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from saropt.errors import InputError, SaroptError
from saropt.files import validated
from saropt.methods import get_method
from saropt.radiometry import recipe_from_dict
from saropt.training import TrainingConfig, dump_config, read_config
from saropt.training.config import apply_settings
from saropt.training.presets import list_presets

PRESETS = [*list_presets().values(), *(Path(__file__).resolve().parents[2] / "configs").rglob("*.yaml")]


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "preset.yaml"
    path.write_text("method: pix2pix\narguments: {lambda_l1: 50}\nengine: {seed: 3, max_steps: 40}\n")
    return path


def refused(method, path, settings) -> str:
    with pytest.raises(SaroptError) as caught:
        read_config(method, path, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults():
    assert read_config("regression", None, []) == TrainingConfig(method="regression")


def test_preset_then_settings(preset):
    config = read_config("pix2pix", preset, ["engine.seed=9", "arguments.gan_mode=lsgan", "data.bands.sar=[VH]"])
    assert (config.engine.seed, config.engine.max_steps) == (9, 40)
    assert config.arguments == {"lambda_l1": 50, "gan_mode": "lsgan"}
    assert config.data.bands == {"sar": ("VH",)}


def test_preset_without_method(tmp_path):
    (tmp_path / "p.yaml").write_text("engine: {seed: 1}\n")
    assert read_config("compact", tmp_path / "p.yaml", []).method == "compact"


def test_later_settings_win_and_may_nest(preset):
    config = read_config("pix2pix", preset, ["arguments.a.b.c=1", "engine.seed=1", "engine.seed=2"])
    assert config.arguments["a"] == {"b": {"c": 1}}
    assert config.engine.seed == 2


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("engine.seed=99999999999999999999999", "engine.seed: Input should be less than 9223372036854775808"),
        ("engine.max_steps=true", "engine.max_steps: must be a number, not true or false"),
        ("data.bands.sar=[]", "data.bands.sar: Tuple should have at least 1 item"),
    ],
)
def test_values_that_would_be_taken_for_others(setting, words):
    assert words in refused("regression", None, [setting])


def test_truth_values_are_no_numbers_in_lists_either():
    with pytest.raises(InputError, match=r"arguments of reference: changed\.1: must be a number, not true or false"):
        validated(get_method("reference").config_type, {"changed": [1, True]}, "arguments of reference")


def test_dump_reads_back(preset, tmp_path):
    config = read_config("pix2pix", preset, ["data.recipes.sar={kind: db_clip, low: -25}"])
    (tmp_path / "dump.yaml").write_text(dump_config(config))
    assert read_config("pix2pix", tmp_path / "dump.yaml", []) == config


def test_preset_for_another_method(preset):
    assert refused("compact", preset, []) == f"{preset}: is a preset for 'pix2pix', not for 'compact'"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("engine.seed", "must read key=value"),
        ("=3", "must read key=value"),
        ("engine.sed=3", "engine.sed: Extra inputs"),
        ("engine.seed=-1", "engine.seed"),
        ("engine.seed=many", "engine.seed"),
        ("engine.precision=fp8", "engine.precision"),
        ("data.crop=4", "data.crop"),
        ("trainer.seed=1", "trainer: Extra inputs"),
        ("engine.seed=[1", "cannot be set there"),
        ("method.name=x", "method is not a section"),
        ("engine=fast", "engine"),
        ("method=compact", "method"),
    ],
)
def test_unfit_settings(preset, setting, message):
    assert message in refused("pix2pix", preset, [setting])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"method: [", "not readable YAML"),
        (b"\xff\xfe", "not readable YAML"),
        (b"- a", "must hold a mapping"),
        (b"method: pix2pix\nmodel: x\n", "model: Extra inputs"),
        (b"method: pix2pix\nengine: 3\n", "engine"),
    ],
)
def test_unfit_presets(tmp_path, content, message):
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    text = refused("pix2pix", path, [])
    assert message in text
    assert str(path) in text


def test_missing_preset(tmp_path):
    assert "no such file" in refused("pix2pix", tmp_path / "absent.yaml", [])
    assert "is neither a file nor a preset; presets: bridge, " in refused("pix2pix", "pix2pix", [])


def test_a_value_in_a_section_that_is_none():
    """`--set engine.seed=1` over a preset that leaves the section empty."""
    assert read_config("pix2pix", None, ["engine={}", "engine.seed=1"]).engine.seed == 1


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_shipped_presets_fit(path):
    import yaml

    method = yaml.safe_load(path.read_text())["method"]
    files = {"sgcl": ["arguments.sar_segmenter=SARSEG", "arguments.optical_segmenter=OPTSEG"]}
    config = read_config(method, path, files.get(method, []))
    get_method(method).config_type.model_validate(config.arguments)
    for recipe in config.data.recipes.values():
        assert recipe_from_dict(recipe)


def test_input_error_is_a_saropt_error():
    assert issubclass(InputError, SaroptError)


def test_settings_reach_into_the_entries_of_a_list():
    values = {"runs": [{"name": "a"}, {"name": "b"}]}
    apply_settings(values, ["runs.1.config.engine.seed=3"])
    assert values == {"runs": [{"name": "a"}, {"name": "b", "config": {"engine": {"seed": 3}}}]}
    for wrong, message in (
        ("runs.2.name=x", "entries 0 to 1"),
        ("runs.a.name=x", "entries 0 to 1"),
        ("runs.0=x", "cannot be replaced"),
    ):
        with pytest.raises(InputError, match=message):
            apply_settings(values, [wrong])
