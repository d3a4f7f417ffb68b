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
        made = model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(source, ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))) from error
    if place := _truth_as_number(values, made):
        raise InputError(source, f"{'.'.join(map(str, place))}: must be a number, not true or false")
    return made


def _truth_as_number(given: Any, made: Any) -> tuple[Any, ...] | None:
    """The keys to a truth value that pydantic took for a number; None where there is none."""
    if isinstance(given, bool):
        return () if isinstance(made, int | float) and not isinstance(made, bool) else None
    pairs: list[tuple[Any, Any, Any]] = []
    if isinstance(given, dict):
        inner = made if isinstance(made, dict) else getattr(made, "__dict__", {})
        pairs = [(key, value, inner.get(key)) for key, value in given.items()]
    elif isinstance(given, list) and isinstance(made, list | tuple):
        pairs = [(number, *pair) for number, pair in enumerate(zip(given, made, strict=False))]
    for key, value, taken in pairs:
        if (place := _truth_as_number(value, taken)) is not None:
            return key, *place
    return None
