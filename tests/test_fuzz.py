"""Files of strangers, damaged at random: every one is read, or refused with an error of saropt.

Seeded and bounded: `hypothesis` derives the same examples each time. What was tried stands in docs/reliability.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saropt.artifacts import load_weights
from saropt.artifacts.card import parse_card
from saropt.artifacts.graph import read_card
from saropt.curation.stac import _is_item, read_area, read_service
from saropt.errors import SaroptError
from saropt.files import load_json, load_xml, load_yaml
from saropt.inference import Translator, find_translator
from saropt.roots import DataRoot
from saropt.scenes import Scene, write_array
from saropt.sensors.sentinel1 import GrdProduct
from saropt.training.config import read_config

bounded = settings(
    max_examples=60,
    deadline=5000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DAMAGE = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "double", "zero"]), st.floats(0, 1), st.integers(1, 200)),
    min_size=1,
    max_size=4,
)
TEXT = st.text(max_size=200) | st.sampled_from(["nan", "inf", "-1", "1e999", "[", "{", "&a [*a]", "../x", "\0", "'"])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def damaged(content: bytes, damage: list[tuple[str, float, int]]) -> bytes:
    """Content with some of its bytes flipped, cut out, doubled or zeroed."""
    held = bytearray(content)
    for kind, place, length in damage:
        start = int(place * max(0, len(held) - 1))
        part = held[start : start + length]
        if kind == "flip":
            part = bytearray(byte ^ 0x5A for byte in part)
        elif kind == "double":
            part = part + part
        elif kind == "zero":
            part = bytearray(len(part))
        held[start : start + length] = b"" if kind == "cut" else part
    return bytes(held)


@contextmanager
def read_or_refused(kind: type[Exception] = SaroptError) -> Iterator[None]:
    """The block runs, or raises an error of this kind with one line of text; nothing else."""
    try:
        yield
    except kind as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told


def nothing_beside(folder: Path, names: set[str]) -> None:
    assert {path.name for path in folder.iterdir()} <= names


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rasters")
    pixels = np.random.default_rng(0).integers(1, 255, (3, 70, 90)).astype(np.uint8)
    return [write_array(folder / name, pixels).read_bytes() for name in ("a.tif", "a.png")]


@bounded
@given(number=st.integers(0, 1), damage=DAMAGE)
def test_rasters(tmp_path, rasters, number, damage):
    path = tmp_path / ("a.tif", "a.png")[number]
    path.write_bytes(damaged(rasters[number], damage))
    with read_or_refused(), Scene.open(path) as scene:
        values, valid = scene.read()
        assert values.shape[1:] == valid.shape == (scene.height, scene.width)
    nothing_beside(tmp_path, {"a.tif", "a.png"})


@pytest.fixture(scope="module")
def model():
    return find_translator("s1-losangeles", None).read_bytes()


@settings(bounded, max_examples=25)
@given(damage=DAMAGE)
def test_models(tmp_path, model, damage):
    path = tmp_path / "a.onnx"
    path.write_bytes(damaged(model, damage))
    values = np.random.default_rng(0).integers(1, 255, (1, 32, 32)).astype(np.uint8)
    with read_or_refused():
        made = Translator.load(path, threads=1)(values)
        assert made.shape == (3, 32, 32)
    nothing_beside(tmp_path, {"a.onnx"})


@bounded
@given(content=st.binary(max_size=300))
def test_weights(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(SaroptError):
        load_weights(path)


@pytest.fixture(scope="module")
def card():
    return json.loads(read_card(find_translator("s1-losangeles", None)).model_dump_json())


@bounded
@given(key=st.sampled_from(["name", "directions", "format_version", "kind", "training", "realism", ""]), value=VALUE)
def test_cards(card, key, value):
    card = {**card, key: value}
    with read_or_refused(ValueError):
        parse_card(json.dumps(card))


@bounded
@given(
    key=st.sampled_from(["name", "gsd_m", "sar", "optical", "classes", "paired", "ignore_index", "licence", "extra"]),
    value=VALUE,
    names=st.lists(TEXT, max_size=3),
)
def test_roots(tmp_path, key, value, names):
    description = {
        "name": "x",
        "gsd_m": 10,
        "sar": {"bands": ["VH"], "units": "sigma0_db"},
        "optical": {"bands": ["B4"], "units": "uint8"},
        key: value,
    }
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(description), encoding="utf-8", errors="replace")
    rows = "".join(f"{name},train\n" for name in names)
    (tmp_path / "splits.csv").write_text("name,split\n" + rows, encoding="utf-8", errors="replace")
    with read_or_refused():
        root = DataRoot.open(tmp_path)
        for role in ("sar", "optical"):
            root.rasters(role)
    nothing_beside(tmp_path, {"dataset.yaml", "splits.csv"})


def _read_config(name: str) -> None:
    read_config("regression", Path(name), [])


@bounded
@given(text=TEXT, value=VALUE)
def test_settings_and_services(tmp_path, text, value):
    path = tmp_path / "a.yaml"
    for content in (text, yaml.safe_dump(value), yaml.safe_dump({"method": value, "url": value, "sar": value})):
        path.write_text(content, encoding="utf-8", errors="replace")
        for read in (_read_config, read_service, read_area):
            with read_or_refused():
                read(str(path))
    nothing_beside(tmp_path, {"a.yaml"})


@bounded
@given(value=VALUE)
def test_catalogue_items(value):
    for item in (value, {"id": "a", "properties": value, "geometry": value, "assets": value}):
        assert _is_item(item) in (True, False)


@bounded
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_documents(content):
    for read in (load_json, load_xml):
        with suppress(ValueError):
            read(content)
    with suppress(yaml.YAMLError):
        load_yaml(content.decode("utf-8", "replace"))


def _product(folder: Path) -> dict[str, bytes]:
    """A tiny Sentinel-1 GRD product: name -> content."""
    start = "s1a-iw-grd-vv-20201107t135241-20201107t135306-035144-041a3d-001"
    vectors = "".join(
        f"<calibrationVector><line>{line}</line><pixel>0 30 59</pixel><sigmaNought>400 420 440</sigmaNought>"
        "<gamma>1 1 1</gamma></calibrationVector>"
        for line in (0, 20, 39)
    )
    noise = "".join(
        f"<noiseVector><line>{line}</line><pixel>0 59</pixel><noiseLut>1 2</noiseLut></noiseVector>" for line in (0, 39)
    )
    image = "<numberOfSamples>60</numberOfSamples><numberOfLines>40</numberOfLines>"
    annotation = (
        "<product><adsHeader><productType>GRD</productType><startTime>2020-11-07T13:52:41</startTime></adsHeader>"
        f"<imageAnnotation><imageInformation>{image}</imageInformation></imageAnnotation></product>"
    )
    scene = write_array(folder / "scene.tif", np.full((1, 40, 60), 200, np.uint16))
    return {
        f"annotation/{start}.xml": annotation.encode(),
        f"annotation/calibration/calibration-{start}.xml": f"<c>{vectors}</c>".encode(),
        f"annotation/calibration/noise-{start}.xml": f"<n>{noise}</n>".encode(),
        f"measurement/{start}.tiff": scene.read_bytes(),
    }


@bounded
@given(number=st.integers(0, 3), damage=DAMAGE)
def test_products(tmp_path, number, damage):
    content = _product(tmp_path)
    for place, (name, held) in enumerate(content.items()):
        path = tmp_path / "a.SAFE" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged(held, damage) if place == number else held)
    with read_or_refused(), GrdProduct(tmp_path / "a.SAFE") as product:
        table = product.calibration("VV", "sigma0")
        assert np.isfinite(table.values).all()
        assert (table.values > 0).all()
        product.noise("VV")
        product.read("VV", 0, product.height)
    (tmp_path / "scene.tif").unlink()
    nothing_beside(tmp_path, {"a.SAFE"})
