"""A STAC item that describes a translator: the extension Machine Learning Model (MLM), version 1.4."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from saropt.artifacts import Card, ImageCard
from saropt.domain import Direction
from saropt.files import digest_files, write_text
from saropt.scenes.writing import check_writable

MLM: Final = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
_ALWAYS: Final = {"start_datetime": "1900-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
_FRAMEWORKS: Final = {".onnx": ("ONNX", "onnx"), ".safetensors": ("PyTorch", "safetensors")}
_TASKS: Final = ["regression", "generative"]


def write_model_item(path: str | Path, card: Card, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write the STAC item (version 1.1.0) of a translator file.

    An entry of `mlm:input` is an input of a direction in its own units, as the file's card has it; saropt normalises
    and stacks them before the network.

    Args:
        path: the translator file, .onnx or .safetensors.
        card: its card.
        out: the item, .json.

    Raises:
        InputError: the item exists already, or cannot be written.

    >>> from saropt.inference import card_of, find_translator
    >>> file = find_translator("s1-world")
    >>> item = json.loads(write_model_item(file, card_of(file), "model.json").read_text())
    >>> item["properties"]["mlm:input"][0]["bands"]
    ['VV', 'VH']
    """
    out, path = Path(out), Path(path).absolute()
    check_writable(out, suffixes=(".json",), overwrite=overwrite)
    write_text(out, json.dumps(_item(path, card), indent=2) + "\n")
    return out


def _item(path: Path, card: Card) -> dict[str, Any]:
    framework, artifact = _FRAMEWORKS.get(path.suffix.lower(), _FRAMEWORKS[".safetensors"])
    inputs, outputs = [], []
    for direction, described in card.directions.items():
        inputs += [_input(direction, image) for image in described.inputs]
        outputs += [_output(direction, image) for image in described.outputs]
    training = card.training
    facts = {
        "title": f"{card.name}: {', '.join(map(str, card.directions))}",
        "description": card.notes or f"A saropt translator trained on {training.sources}.",
        "datetime": None,
        **_ALWAYS,
        "license": "other",
        "gsd": card.gsd_m,
        "mlm:name": card.name,
        "mlm:architecture": ", ".join(dict.fromkeys(one.network for one in card.directions.values())),
        "mlm:tasks": _TASKS,
        "mlm:framework": framework,
        "mlm:pretrained": True,
        "mlm:pretrained_source": training.sources,
        "mlm:hyperparameters": {"method": card.method, "steps": training.steps, "seed": training.seed},
        "mlm:input": inputs,
        "mlm:output": outputs,
        "saropt:version": version("saropt"),
        "saropt:licence": card.licence,
        "saropt:attribution": training.attribution,
        "saropt:quality": card.quality,
    }
    asset = {
        "href": str(path),
        "type": "application/octet-stream",
        "title": f"weights and card, for `saropt translate --model {card.name}`",
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": artifact,
        "file:size": path.stat().st_size,
        "saropt:content_hash": digest_files([path]),
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MLM, "https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": card.name,
        "geometry": None,
        "properties": {key: value for key, value in facts.items() if value is not None or key == "datetime"},
        "links": [],
        "assets": {"model": asset},
    }


def _structure(image: ImageCard) -> dict[str, Any]:
    dtype = image.dtype if image.dtype in ("uint8", "int16", "uint16", "float32", "float64") else "other"
    shape = [-1, len(image.bands), -1, -1]
    return {"shape": shape, "dim_order": ["batch", "bands", "height", "width"], "data_type": dtype}


def _input(direction: Direction, image: ImageCard) -> dict[str, Any]:
    may = "; may be missing" if image.optional else ""
    return {
        "name": f"{direction}: {image.role}",
        "description": f"{image.role} in {image.units}{may}",
        "bands": list(image.bands),
        "input": _structure(image),
        "pre_processing_function": {"format": "python", "expression": "saropt.inference:Translator"},
    }


def _output(direction: Direction, image: ImageCard) -> dict[str, Any]:
    return {
        "name": f"{direction}: {image.role}",
        "description": f"{', '.join(image.bands)} in {image.units}",
        "tasks": _TASKS,
        "result": _structure(image),
        "post_processing_function": {"format": "python", "expression": "saropt.inference:Translator"},
    }
