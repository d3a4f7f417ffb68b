"""Fit gain and offset of a translator's output to scenes that it was not trained on, by the least absolute error.

    python tools/level.py FILE.onnx DATA:SPLIT OUT.onnx

A network that learns the middle of a logarithm is too dark, and one that sees other land goes too far from the mean.
Gain and offset hold in the network's units (decibels for SAR) and go into the last layer, at both ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.optimize import minimize

from saropt.files import atomic_file
from saropt.inference import Translator
from saropt.radiometry import Normaliser
from saropt.roots import DataRoot
from saropt.scenes import Scene

LAYER, DELTA = "exit", "realism_delta/"
STEP = 16
"""Every sixteenth valid pixel is used."""


def pixels(
    translator: Translator, normaliser: Normaliser, root: DataRoot, split: str
) -> tuple[NDArray[np.float32], NDArray]:
    """Network values and truth in stored values, both (C, n)."""
    made, truth = [], []
    for name in root.names(split):
        places = (root.raster(image.role, name) for image in (translator.source, translator.target))
        with Scene.open(next(places)) as scene, Scene.open(next(places)) as target:
            translated, (true, valid) = translator(scene.read()[0]), target.read()
        made.append(normaliser.forward(np.asarray(translated))[:, valid][:, ::STEP])
        truth.append(true[:, valid][:, ::STEP])
    return np.concatenate(made, axis=1), np.concatenate(truth, axis=1).astype(np.float64)


def main() -> None:
    file, data, out = sys.argv[1:]
    translator = Translator.load(file, realism=0.0)
    image = translator.target
    normaliser = image.make_recipe().fit(np.ones((len(image.bands), 1)), image.units, image.dtype)
    root, _, split = data.rpartition(":")
    made, truth = pixels(translator, normaliser, DataRoot.open(root), split)

    def error(levels: NDArray) -> float:
        return float(np.abs(normaliser.inverse(np.float32(levels[0]) * made + np.float32(levels[1])) - truth).mean())

    best = minimize(error, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
    gain, offset = best.x
    print(
        f"gain {gain:.4f}, offset {offset:.4f}: mean absolute error {error(np.array([1.0, 0.0])):.2f} to {best.fun:.2f}"
    )
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if tensor.name.removeprefix(DELTA) in (f"{LAYER}.weight", f"{LAYER}.bias"):
            values = numpy_helper.to_array(tensor)
            added = offset if tensor.name == f"{LAYER}.bias" else 0.0
            tensor.CopyFrom(numpy_helper.from_array((gain * values + added).astype(values.dtype), tensor.name))
    with atomic_file(Path(out)) as part:
        part.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
