"""Measure a bundled translator as it stands, and put the figures into its card in place of those of the same data.

    python tools/measure.py NAME DATA:SPLIT [...] [--baselines-from DATA]

To be run after `tools/balance.py`, which changes pixels a little.
"""

from __future__ import annotations

import argparse

import onnx

from bundle import measured
from saropt.artifacts import read_card
from saropt.artifacts.graph import write_graph
from saropt.inference.bundled import bundled_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("data", nargs="+", metavar="DATA:SPLIT")
    parser.add_argument("--baselines-from")
    arguments = parser.parse_args()
    path = bundled_folder() / f"{arguments.name}.onnx"
    card = read_card(path)
    quality = dict(card.quality)
    for item in arguments.data:
        data, _, split = item.rpartition(":")
        for row, found in measured(path, card, data, split, arguments.baselines_from).items():
            old = quality.get(row)
            figures = "  ".join(f"{key} {value:.4f}" for key, value in found.items())
            print(f"{row:70} {figures} (psnr before: {'none' if old is None else old['psnr']})")
            quality[row] = found
    write_graph(path, onnx.load(path), card.model_copy(update={"quality": quality}))


if __name__ == "__main__":
    main()
