"""How fast a run trained: pace.json in its folder."""

from __future__ import annotations

import json
from pathlib import Path

from saropt.files import write_text

PACE = "pace.json"


def write_pace(folder: Path, steps: int, images: int, seconds: float) -> None:
    """Note the steps, windows of one role and seconds of training, without validation and saving."""
    write_text(folder / PACE, json.dumps({"steps": steps, "images": images, "seconds": round(seconds, 3)}))


def read_pace(folder: Path) -> dict[str, float]:
    """What `write_pace` noted, with `images_per_s`; nothing where it noted nothing.

    >>> write_pace(Path(), steps=10, images=20, seconds=4.0)
    >>> read_pace(Path())["images_per_s"]
    5.0
    """
    path = folder / PACE
    if not path.is_file():
        return {}
    noted: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return noted | ({"images_per_s": noted["images"] / noted["seconds"]} if noted["seconds"] else {})
