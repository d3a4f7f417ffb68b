"""Say in the card of a bundled translator by how much its first SAR band is above the second, where one is missing.

    python tools/band_difference.py NAME DIFFERENCE

DIFFERENCE is in network values; see `saropt.artifacts.ImageCard`. The weights stay as they are.
"""

from __future__ import annotations

import sys

import onnx

from saropt.artifacts import read_card
from saropt.artifacts.graph import write_graph
from saropt.inference.bundled import bundled_folder


def main() -> None:
    name, difference = sys.argv[1], float(sys.argv[2])
    path = bundled_folder() / f"{name}.onnx"
    card = read_card(path)
    directions = {}
    for key, described in card.directions.items():
        inputs = tuple(
            image.model_copy(update={"band_difference": difference}) if image.partial else image
            for image in described.inputs
        )
        directions[key] = described.model_copy(update={"inputs": inputs})
    write_graph(path, onnx.load(path), card.model_copy(update={"directions": directions}))


if __name__ == "__main__":
    main()
