"""The matching gap: SAR against optical tiles of one place, raw and after a translation, with SIFT and RIFT-like.

    python benchmarks/matching.py DATA [--model s1-losangeles] [--realism 0..1] [--matcher FILE] [--splits val test]

DATA is a paired data root. Prints the rates of `saropt evaluate --match` (docs/matching.md).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from saropt import Translator
from saropt.domain import SAR_TO_OPTICAL
from saropt.evaluation import tile_windows
from saropt.evaluation.tiles import Pixels, open_rasters
from saropt.matching import Rates, find_matcher, match_pair
from saropt.roots import DataRoot
from saropt.scenes import Window


def grey(pixels: Pixels) -> np.ndarray:
    return pixels.in_unit_range("the image").mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="s1-losangeles")
    parser.add_argument("--realism", type=float)
    parser.add_argument("--matcher", type=Path, help="a trained matcher beside SIFT and RIFT-like")
    parser.add_argument("--splits", nargs="+", default=["val", "test"])
    arguments = parser.parse_args()
    root = DataRoot.open(arguments.data)
    translator = Translator.load(arguments.model, direction=SAR_TO_OPTICAL, realism=arguments.realism)
    matchers = [find_matcher(name) for name in ("sift", "rift", *([arguments.matcher] if arguments.matcher else []))]
    for split in arguments.splits:
        rates = {(kind, m): (Rates(), [0.0]) for kind in ("raw", "translated") for m in matchers}
        for name in root.names(split):
            with open_rasters(root, name, ("sar", "optical")) as rasters:
                place = rasters.read(Window(0, 0, *rasters.shape))
            sar, target = place.images["sar"], translator.target
            made = translator.translate_array(sar.values, units=sar.units, valid=sar.valid)
            translated = Pixels(made, place.valid, target.units, tuple(target.bands), np.dtype(target.dtype))
            images = {"raw": grey(sar), "translated": grey(translated)}
            truth = grey(place.images["optical"])
            for window in tile_windows(*truth.shape):
                area = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
                for (kind, matcher), (found, seconds) in rates.items():
                    start = time.perf_counter()
                    found.add(match_pair(matcher, images[kind][area], truth[area], place.valid[area]))
                    seconds[0] += time.perf_counter() - start
        for (kind, matcher), (found, seconds) in rates.items():
            scores = found.summary()
            shown = "  ".join(f"{key} {scores[key]:6.2%}" for key in ("pmr", "ir", "ir_ed"))
            pace = f"{seconds[0] / found.tiles:.2f} s per tile"
            print(f"{split:5} {kind:10} {matcher.name:9} {shown}  {found.tiles} tiles, {pace}")


if __name__ == "__main__":
    main()
