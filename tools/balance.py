"""Take the checkerboard out of a bundled translator of the network `naf_unet` or `reference_unet`.

    python tools/balance.py NAME

The last layer makes the four pixels of a 2x2 cell by 3x3 filters of their own, whose answers to a flat surface differ
after few steps: a pattern of period 2. Here the sum of each filter's nine weights, and its bias, are made those of the
mean of the four. What the filters say of detail stays. Both ends of the file are balanced; the file is written anew.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from saropt.artifacts import read_card
from saropt.files import atomic_file
from saropt.inference.bundled import bundled_folder

LAYERS = ("exit", "realism_delta/exit", "unet.exit")


def balanced(values: NDArray[np.float32], phases: int) -> NDArray[np.float32]:
    """Weights (bands * phases, channels, 3, 3) or biases (bands * phases,), in the order of the pixel shuffle."""
    taps = (2, 3) if values.ndim == 4 else ()
    sums = values.sum(axis=taps, dtype=np.float64, keepdims=True)
    cells = sums.reshape(-1, phases, *sums.shape[1:])
    change = (cells.mean(axis=1, keepdims=True) - cells).reshape(sums.shape)
    return (values + change * sums.size / values.size).astype(np.float32)


def main() -> None:
    (name,) = sys.argv[1:]
    path = bundled_folder() / f"{name}.onnx"
    (described,) = read_card(path).directions.values()
    phases = int(described.arguments.get("unshuffle", 2)) ** 2
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        layer, _, _ = tensor.name.rpartition(".")
        if layer in LAYERS:
            values = numpy_helper.to_array(tensor)
            made = balanced(values, phases)
            tensor.CopyFrom(numpy_helper.from_array(made, tensor.name))
            most, largest = np.abs(made - values).max(), np.abs(values).max()
            print(f"{name}, {tensor.name}: changed by up to {most:.2g} of {largest:.2g}")
    with atomic_file(path) as part:
        part.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
