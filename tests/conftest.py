"""Fixtures for all rooms: small data roots of known content, and the shared real data where they are present."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests share the cores between processes

import numpy as np
import pytest
import yaml

from saropt.scenes import Scene, write_array

SPLITS = {"a": "train", "b": "train", "c": "val", "d": "test"}


def _smooth(rng: np.random.Generator, size: int) -> np.ndarray:
    """A smooth random field (size, size) in [0, 1]."""
    rows, columns = np.mgrid[:size, :size] / size
    field = sum(
        np.sin(2 * np.pi * (rng.uniform(0.5, 3) * rows + rng.uniform(0.5, 3) * columns + rng.random()))
        for _ in range(4)
    )
    return (field - field.min()) / (field.max() - field.min())


def _toy_root(path: Path, units: str, sar_bands: list[str], size: int = 96) -> Path:
    rng = np.random.default_rng(7)
    for side in ("sar", "optical"):
        (path / side).mkdir(parents=True)
    for name in SPLITS:
        field = _smooth(rng, size)
        if units == "sigma0_db":
            sar = np.stack([-18.0 + 12.0 * field - 5.0 * band for band in range(len(sar_bands))])
            sar = (sar + rng.normal(0.0, 1.0, sar.shape)).astype(np.float32)
        else:
            amplitude = 40.0 + 160.0 * field + rng.normal(0.0, 10.0, field.shape)
            sar = np.clip(amplitude, 1, 255).astype(np.uint8)[None]
        optical = np.stack([230 - 180 * field, 60 + 120 * field, 40 + 60 * field**2]).round().astype(np.uint8)
        write_array(path / "sar" / f"{name}.tif", sar, band_names=sar_bands)
        write_array(path / "optical" / f"{name}.tif", optical, band_names=["B4", "B3", "B2"])
    description = {
        "name": "toy",
        "gsd_m": 10,
        "sar": {"bands": sar_bands, "units": units},
        "optical": {"bands": ["B4", "B3", "B2"], "units": "uint8"},
        "licence": "CC0-1.0",
    }
    (path / "dataset.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    rows = "".join(f"{name},{split}\n" for name, split in SPLITS.items())
    (path / "splits.csv").write_text("name,split\n" + rows, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def db_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four paired scenes of 96 px: VV and VH sigma0 in dB (float32), three 8-bit optical bands."""
    return _toy_root(tmp_path_factory.mktemp("roots") / "db", "sigma0_db", ["VV", "VH"])


@pytest.fixture(scope="session")
def amplitude_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four paired scenes of 96 px: VH amplitude in 8 bits, three 8-bit optical bands."""
    return _toy_root(tmp_path_factory.mktemp("roots") / "amplitude", "amplitude", ["VH"])


@pytest.fixture(scope="session")
def labelled_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`db_root` in small (64 px), with labels 10, 20, 40 by brightness and 0 for no label in the first 8 columns."""
    path = _toy_root(tmp_path_factory.mktemp("roots") / "labelled", "sigma0_db", ["VV", "VH"], size=64)
    (path / "label").mkdir()
    for name in SPLITS:
        with Scene.open(path / "optical" / f"{name}.tif") as scene:
            red = scene.read()[0][0]
        label = np.select([red < 110, red < 170], [10, 20], 40).astype(np.uint8)
        label[:, :8] = 0
        write_array(path / "label" / f"{name}.tif", label[None], overview_resampling="mode")
    description = yaml.safe_load((path / "dataset.yaml").read_text(encoding="utf-8"))
    description |= {"classes": {40: "dark", 10: "bright", 20: "between"}, "ignore_index": 0}
    (path / "dataset.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    return path


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store on the loopback that GDAL finds behind s3:// (tests/object_store.py)."""
    spec = importlib.util.spec_from_file_location("object_store", Path(__file__).with_name("object_store.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    store = module.ObjectStore()
    for key, value in store.environment.items():
        monkeypatch.setenv(key, value)
    yield store
    store.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data roots beside the repository."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no real data: ../shared/data beside the repository is absent")
    return path
