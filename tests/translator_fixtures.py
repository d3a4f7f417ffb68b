"""Fixtures: small translator files and scenes, for the tests of several rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from rasterio.transform import from_origin

from saropt.artifacts import ImageCard, TrainingCard, save_weights
from saropt.artifacts.export import export_graph
from saropt.networks import build_network, has_instance_statistics
from saropt.radiometry import DbClip
from saropt.scenes import Georeference, write_array
from translator_files import make_translator_card

NETWORKS = {
    "naf_unet": {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2},
    "resnet": {"width": 8, "blocks": 2},
    "unet_256": {"width": 4},
}
GEOREFERENCE = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))


@pytest.fixture
def make_translator(tmp_path: Path) -> Callable[..., Path]:
    """Factory of translator files with float32 outputs, so that differences are not hidden by rounding."""

    def make(network: str = "naf_unet", suffix: str = ".onnx", dtype: str = "float32") -> Path:
        torch.manual_seed(0)
        module = build_network(network, 1, 3, **NETWORKS[network])
        for name, parameter in module.named_parameters():
            if name.endswith(("beta", "gamma")):
                torch.nn.init.normal_(parameter, 0.0, 0.5)
        module.eval()
        frozen = has_instance_statistics(module)
        images = {
            "sar": ImageCard(role="sar", bands=("VH",), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict()),
            "optical": ImageCard(
                role="optical",
                bands=("B4", "B3", "B2"),
                units="reflectance",
                dtype=dtype,
                recipe={"kind": "reflectance", "scale": 2.0, "high": 1.0}
                if dtype == "float32"
                else {"kind": "eight_bit"},
            ),
        }
        described = {
            "network": network,
            "arguments": NETWORKS[network],
            "stride": module.stride,
            "receptive_field": module.receptive_field,
            "statistics": "scene" if frozen else "none",
            "tile": 256,
        }
        card = make_translator_card(
            images,
            {"sar2opt": described},
            name="test",
            method="regression",
            gsd_m=10.0,
            training=TrainingCard(data="none", split="train", steps=0, seed=0, licence="none"),
        )
        path = tmp_path / f"{network}{suffix}"
        if suffix == ".safetensors":
            save_weights(path, card, {f"sar2opt.{k}": v.numpy() for k, v in module.state_dict().items()})
        else:
            calibration = torch.randn(2, 1, 64, 64).clamp(-1, 1) if frozen else None
            export_graph(path, card, "sar2opt", [module], calibration)
        return path

    return make


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Path]:
    """Factory of float32 dB scenes with smooth structure, speckle and an optional nodata area."""

    def make(height: int, width: int, nodata_columns: int = 0, name: str = "scene.tif") -> Path:
        rng = np.random.default_rng(7)
        rows, cols = np.mgrid[0:height, 0:width]
        values = -15.0 + 4.0 * np.sin(rows / 37.0) * np.cos(cols / 23.0)
        values += 10.0 * np.log10(rng.standard_gamma(4.4, (height, width)) / 4.4)
        values = values.astype(np.float32)[None]
        if nodata_columns:
            values[..., :nodata_columns] = -9999.0
        path = tmp_path / name
        write_array(
            path,
            values,
            band_names=["VH"],
            nodata=-9999.0,
            georeference=GEOREFERENCE,
            tags={"ACQUISITION_DATE": "2020-11-07"},
        )
        return path

    return make
