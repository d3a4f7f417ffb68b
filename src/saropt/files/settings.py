"""Reads settings: YAML files, checked against pydantic models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from saropt.errors import InputError
from saropt.files.structured import load_yaml

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: no such file, unreadable, or no mapping.

    >>> _ = Path("run.yaml").write_text("engine: {seed: 3}")
    >>> read_yaml(Path("run.yaml"))
    {'engine': {'seed': 3}}
    """
    if not path.is_file():
        raise InputError(path, "no such file")
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(path, f"is not readable YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise InputError(path, "must hold a mapping")
    return values


def validated(model: type[Model], values: dict[str, Any], source: str | Path) -> Model:
    """`model` from `values`, with pydantic's error as one line.

    Raises:
        InputError: an unknown key or an unfit value; `source` names where it stands.

    >>> class Crop(BaseModel):
    ...     side: int
    >>> validated(Crop, {"side": "wide"}, "run.yaml")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: run.yaml: side: Input should be a valid integer, unable to parse string as an integer
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(source, ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))) from error
