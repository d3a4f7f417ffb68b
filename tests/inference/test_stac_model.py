"""A card as a STAC item: valid, and read back by pystac's own extension."""

from __future__ import annotations

import json
from pathlib import Path

import pystac
import pytest
from pystac.extensions.mlm import AssetGeneralMLMExtension, MLMExtension

from saropt.cli import main
from saropt.inference import card_of, find_translator
from saropt.inference.stac_model import MLM


@pytest.mark.parametrize("name", ["s1-world", "s1-reference", "losangeles-s1"])
def test_a_card_is_an_item_of_a_model(name: str, tmp_path: Path) -> None:
    out = tmp_path / "model.json"
    assert main(["models", name, "--stac", str(out)]) == 0
    item = pystac.Item.from_file(str(out))
    assert MLM in item.stac_extensions
    model = MLMExtension.ext(item)
    card = card_of(find_translator(name))
    assert (model.mlm_name, model.framework, model.pretrained) == (card.name, "ONNX", True)
    images = [image for described in card.directions.values() for image in described.inputs]
    assert [one.bands for one in model.input] == [list(image.bands) for image in images]
    assert [one.input.shape for one in model.input] == [[-1, len(image.bands), -1, -1] for image in images]
    assert [one.input.data_type for one in model.input] == [image.dtype for image in images]
    outputs = [image for described in card.directions.values() for image in described.outputs]
    assert [one.result.data_type for one in model.output] == [image.dtype for image in outputs]
    assert AssetGeneralMLMExtension.ext(item.assets["model"]).artifact_type == "onnx"
    assert "mlm:model" in (item.assets["model"].roles or [])
    assert Path(item.assets["model"].href).samefile(find_translator(name))
    item.stac_extensions = []  # their schemas are not on this machine
    item.validate()


def test_an_item_is_not_replaced_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model.json"
    out.write_text("{}")
    assert main(["models", "s1-world", "--stac", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["models", "s1-world", "--stac", str(out), "--overwrite"]) == 0
    assert json.loads(out.read_text())["id"] == "s1-world"
    assert main(["models", "s1-world", "--stac", str(tmp_path / "model.yaml")]) == 2
    assert main(["models", "--stac", str(out)]) == 2
