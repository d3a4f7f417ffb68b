"""Measure a bundled translator as it stands, and put the figures into its card in place of those of the same data.

    python tools/measure.py NAME [DATA:SPLIT ...] [--baselines-from DATA] [--learnt-from SET:SPLIT,... ...]

To be run after `tools/balance.py`, which changes pixels a little. --learnt-from puts the data sets, and their own
splits, that it was trained on into its card; with it alone nothing is measured.
"""

from __future__ import annotations

import argparse

import onnx

from bundle import learnt_from, measured
from saropt.artifacts import read_card
from saropt.artifacts.graph import write_graph
from saropt.inference.bundled import bundled_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("data", nargs="*", metavar="DATA:SPLIT")
    parser.add_argument("--baselines-from")
    parser.add_argument("--learnt-from", nargs="*", default=[], metavar="SET:SPLIT,...")
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
    sets = learnt_from(arguments.learnt_from) or card.training.sets
    training = card.training.model_copy(update={"sets": sets})
    write_graph(path, onnx.load(path), card.model_copy(update={"quality": quality, "training": training}))


if __name__ == "__main__":
    main()
