"""The records of a run: metrics.jsonl, TensorBoard events, sample pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Tracker:
    """Appends figures to metrics.jsonl and TensorBoard, and writes samples/*.png.

    Args:
        folder: the run folder.
        step: the step a resumed run continues from; later lines of an interrupted run are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        path = folder / "metrics.jsonl"
        kept = _lines_until(path, step)
        path.write_text("".join(kept), encoding="utf-8")
        self._lines: TextIO = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder), purge_step=step + 1)

    def log(self, step: int, figures: dict[str, float]) -> None:
        self._lines.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in figures.items()}}) + "\n")
        self._lines.flush()
        for key, value in figures.items():
            self._board.add_scalar(key, value, step)

    def sample(self, step: int, name: str, rows: list[NDArray[np.float32]]) -> None:
        """Save columns of images (N, C, h, w) in [-1, 1] side by side: input, output, target (if there is one)."""
        strips = [np.concatenate([_picture(image) for image in column], axis=0) for column in rows]
        folder = self._folder / "samples"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.concatenate(strips, axis=1)).save(folder / f"{name}-{step:07d}.png")

    def close(self) -> None:
        self._lines.close()
        self._board.close()


def _lines_until(path: Path, step: int) -> list[str]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]


def _picture(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    bands = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, axis=0)
    return np.round((np.clip(bands, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8).transpose(1, 2, 0)
