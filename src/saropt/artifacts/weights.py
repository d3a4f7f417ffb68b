"""Translator, segmenter and matcher files as `.safetensors`: weights for torch and a card.

Keys are `DIRECTION.KEY` in translators (and `fidelity/`, `realism/` ends), the network's own in the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts.card import (
    Card,
    MatcherCard,
    SegmenterCard,
    parse_card,
    parse_matcher_card,
    parse_segmenter_card,
)
from saropt.errors import InputError
from saropt.files import atomic_file

Weights = dict[str, NDArray]
AnyCard = TypeVar("AnyCard", Card, SegmenterCard, MatcherCard)
SEGMENTER_FILE = "segmenter.safetensors"
"""The result in the run folder of a segmenter."""
_CARD_KEY = "saropt"
_PICKLE_STARTS = (b"\x80", b"PK\x03\x04")


def save_weights(path: str | Path, card: Card | SegmenterCard | MatcherCard, weights: Mapping[str, NDArray]) -> None:
    """Write weights and card. The file appears when it is complete.

    With both ends kept (`card.realism` is set) `weights` holds every key twice, prefixed `fidelity/` and `realism/`.

    Raises:
        InputError: a weight is not finite, or the file cannot be written.

    >>> from saropt.artifacts import TrainingCard
    >>> training = TrainingCard(data="simulated", split="train", steps=100, seed=0, licence="Apache-2.0")
    >>> card = MatcherCard(name="points", receptive_field=65, gsd_m=10.0, training=training)
    >>> save_weights("points.safetensors", card, {"weight": np.ones(3, np.float32)})
    >>> load_matcher("points.safetensors")[1]["weight"].tolist()
    [1.0, 1.0, 1.0]
    """
    from safetensors.numpy import save_file

    path = Path(path)
    arrays = {key: np.ascontiguousarray(value) for key, value in weights.items()}
    if any(not np.isfinite(value).all() for value in arrays.values()):
        raise InputError(path, "is not written: the weights are not finite, the training has diverged")
    with atomic_file(path) as part:
        save_file(arrays, part, metadata={_CARD_KEY: card.model_dump_json()})
        part.chmod(0o644)


def load_weights(path: str | Path) -> tuple[Card, Weights]:
    """Card and weights of a `.safetensors` translator file; runs no code from the file.

    Raises:
        InputError: missing, truncated, a pickle, not a translator file, or of another version.

    >>> load_weights("unknown.safetensors")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown.safetensors: no such file
    """
    return _load(Path(path), parse_card)


def load_segmenter(path: str | Path) -> tuple[SegmenterCard, Weights]:
    """Card and weights of a segmenter file, or of the one in a run folder; runs no code from the file.

    Raises:
        InputError: missing, truncated, a pickle, a translator or another file, or of another version.

    >>> load_segmenter("land.onnx")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: land.onnx: no such file
    """
    return _load(_safetensors(segmenter_file(path), "segmenters"), parse_segmenter_card)


def segmenter_file(path: str | Path) -> Path:
    """A segmenter file as it is, or the one in a run folder.

    Raises:
        InputError: a folder without one.

    >>> segmenter_file("land.safetensors").name
    'land.safetensors'
    """
    found = Path(path)
    if found.is_dir():
        found = found / SEGMENTER_FILE
        if not found.is_file():
            raise InputError(path, f"is a folder without {SEGMENTER_FILE}")
    return found


def load_matcher(path: str | Path) -> tuple[MatcherCard, Weights]:
    """Card and weights of a matcher file; runs no code from the file.

    Raises:
        InputError: missing, truncated, a pickle, a translator or another file, or of another version.

    >>> load_matcher("points.onnx")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: points.onnx: no such file
    """
    return _load(_safetensors(Path(path), "matchers"), parse_matcher_card)


def _safetensors(path: Path, kind: str) -> Path:
    if path.suffix == ".onnx" and path.is_file():
        raise InputError(path, f"is an .onnx file; {kind} are .safetensors files")
    return path


def count_parameters(path: str | Path) -> dict[str, int]:
    """The number of parameters of each direction of a `.safetensors` translator file; of one end where it holds two.

    >>> from safetensors.numpy import save_file
    >>> save_file({"sar2opt.weight": np.ones((3, 2), np.float32)}, "weights.safetensors")
    >>> count_parameters("weights.safetensors")
    {'sar2opt': 6}
    """
    from safetensors import safe_open

    counts: dict[str, int] = {}
    with safe_open(path, framework="numpy") as stream:
        for key in stream.keys():  # noqa: SIM118
            if not key.startswith("realism/"):
                direction = key.removeprefix("fidelity/").partition(".")[0]
                counts[direction] = counts.get(direction, 0) + math.prod(stream.get_slice(key).get_shape())
    return counts


def _load(path: Path, parse: Callable[[str], AnyCard]) -> tuple[AnyCard, Weights]:
    from safetensors import SafetensorError, safe_open

    check_translator_path(path)
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            if _CARD_KEY not in metadata:
                raise InputError(path, "is no saropt translator, segmenter or matcher: it has no card")
            card = parse(metadata[_CARD_KEY])
            return card, {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(path, f"is damaged or no safetensors file ({error})") from error
    except ValueError as error:
        raise InputError(path, str(error)) from error


def check_translator_path(path: Path) -> None:
    """Check that a file may be a translator or segmenter file, before any library opens it.

    Raises:
        InputError: missing, a directory, a pipe or device, empty, or a pickle (which can run code when it is loaded).

    >>> check_translator_path(Path("unknown.onnx"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown.onnx: no such file
    """
    if not path.exists():
        raise InputError(path, "no such file")
    if path.is_dir():
        raise InputError(path, "is a directory, not a file")
    if not path.is_file():
        raise InputError(path, "is not a regular file")
    with path.open("rb") as stream:
        start = stream.read(9)
    if not start:
        raise InputError(path, "is empty")
    is_safetensors = start[8:] == b"{"  # after eight bytes of header length, whose first may well be 0x80
    pickled = start.startswith(_PICKLE_STARTS) and not is_safetensors
    if pickled or path.suffix in (".pt", ".pth", ".pkl", ".ckpt", ".bin"):
        raise InputError(path, "is a pickle or torch checkpoint, which can run code: only .onnx and .safetensors load")


def blend(weights: Mapping[str, NDArray], realism: float | None) -> Weights:
    """Weights between the two ends: (1 - realism) * fidelity + realism * realism end.

    Files with a single set of weights are returned as they are.

    >>> ends = {"fidelity/weight": np.zeros(2, np.float32), "realism/weight": np.ones(2, np.float32)}
    >>> blend(ends, realism=0.25)["weight"].tolist()
    [0.25, 0.25]
    """
    if not any(key.startswith("fidelity/") for key in weights):
        return dict(weights)
    share = 0.0 if realism is None else float(realism)
    result: Weights = {}
    for key, value in weights.items():
        if key.startswith("fidelity/"):
            name = key.removeprefix("fidelity/")
            other = weights[f"realism/{name}"]
            mixed = value.astype(np.float32) + share * (other.astype(np.float32) - value.astype(np.float32))
            result[name] = mixed if value.dtype.kind == "f" else value
    return result
