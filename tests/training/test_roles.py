"""A third role, which may be missing, is trained with by naming a direction."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml
from training_runs import train

from saropt.artifacts import load_translator_module, load_weights
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import write_array
from saropt.training import TrainingConfig, TranslatorTask

DIRECTION = "sar+optref2opt"


@pytest.fixture
def root(db_root, tmp_path) -> DataRoot:
    """Older optical images of some places only: of a and c, not of b."""
    path: Path = shutil.copytree(db_root, tmp_path / "root")
    (path / "optical_reference").mkdir()
    for name in ("a", "c"):
        shutil.copy(path / "optical" / f"{name}.tif", path / "optical_reference")
    description = yaml.safe_load((path / "dataset.yaml").read_text())
    description["optical_reference"] = {**description["optical"], "optional": True}
    (path / "dataset.yaml").write_text(yaml.safe_dump(description))
    return DataRoot.open(path)


@pytest.mark.parametrize("method", ["regression", "pix2pix"])
def test_an_older_optical_image_helps_where_there_is_one(method, root, new_config, tmp_path):
    data = {"crop": 32, "bands": {"optical_reference": ["B4", "B2"]}}
    config = new_config(method, arguments={"direction": DIRECTION}, data=data, engine={"max_steps": 2})
    train(config, root, tmp_path / "run")
    card, weights = load_weights(tmp_path / "run" / "translator.safetensors")
    described = card.directions[DIRECTION]
    assert [(image.role, image.optional) for image in described.inputs] == [
        ("sar", False),
        ("optical_reference", True),
    ]
    assert described.channels == (2 + 2 + 1, 3)
    assert card.training.config["data"]["bands"] == {"optical_reference": ["B4", "B2"]}
    module = load_translator_module(tmp_path, card, described.direction, weights)
    assert module(torch.zeros(1, 5, 32, 32)).shape == (1, 3, 32, 32)


def test_windows_say_where_the_image_is_missing(root, new_config):
    task = TranslatorTask(new_config(arguments={"direction": DIRECTION}, data={"batch_size": 32}), root)
    source, _ = task.draw(0, 0).pair(next(iter(task.generators)))
    valid = source[:, -1].flatten(1)
    assert set(valid.unique().tolist()) == {0.0, 1.0}
    missing = valid.sum(dim=1) == 0
    assert (source[missing, 2:] == 0.0).all()


def test_what_may_be_missing_cannot_be_made(root, new_config):
    config = new_config(arguments={"direction": "sar2optref"})
    with pytest.raises(InputError, match="optical_reference is optional there: nothing can be trained to make it"):
        TranslatorTask(config, root)


def test_images_of_two_dates_need_their_bands_in_one_order(root, new_config):
    network = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1}
    arguments = {"direction": DIRECTION, "network_arguments": network, "adversarial_start": 1.0}
    changes = {"method": "reference", "arguments": arguments}
    config = TrainingConfig.model_validate({**new_config().model_dump(), **changes})
    TranslatorTask(config, root)
    path = root.path / "dataset.yaml"
    description = yaml.safe_load(path.read_text())
    bands = description["optical"]["bands"]
    description["optical_reference"]["bands"] = bands[::-1]
    path.write_text(yaml.safe_dump(description))
    root = DataRoot.open(root.path)
    message = "data.bands.optical_reference: B2, B3, B4: reference needs those of optical in the same order, B4, B3, B2"
    with pytest.raises(InputError, match=message):
        TranslatorTask(config, root)
    data = config.data.model_copy(update={"bands": {"optical_reference": bands}})
    TranslatorTask(config.model_copy(update={"data": data}), root)


def test_what_cannot_be_written_cannot_be_made(db_root, new_config, tmp_path):
    path: Path = shutil.copytree(db_root, tmp_path / "complex")
    for raster in (path / "sar").glob("*.tif"):
        with rasterio.open(raster) as dataset:
            values, names = dataset.read(), dataset.descriptions
        write_array(raster, (10 ** (values / 20)).astype(np.complex64), band_names=names, overwrite=True)
    description = yaml.safe_load((path / "dataset.yaml").read_text())
    description["sar"]["units"] = "complex"
    (path / "dataset.yaml").write_text(yaml.safe_dump(description))
    TranslatorTask(new_config(arguments={"direction": "sar2opt"}), DataRoot.open(path))
    with pytest.raises(InputError, match="complex: sar: complex64 is not written; outputs are uint8"):
        TranslatorTask(new_config(arguments={"direction": "opt2sar"}), DataRoot.open(path))
