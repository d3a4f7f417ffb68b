"""What s1-world is worth with VV alone and with VH alone, beside both and beside the mean colour of its training data.

    python tools/one_band.py DATA:FILE [...]

FILE is a translator that was trained on the split train of DATA; the split test is scored. Prints PSNR in dB, mean over
tiles of 256 pixels, by data and by the bands that are given.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from saropt.evaluation.metrics import psnr
from saropt.evaluation.tiles import tile_windows
from saropt.inference import Translator
from saropt.radiometry import to_unit_range
from saropt.roots import DataRoot
from saropt.scenes import open_scene

ABSENT_DB = -34.0
"""Of the desert's VH, which `calibrated_sets` writes below this, none was measured."""
UNITS, DTYPE = "reflectance x 10000", "uint16"
Pair = tuple[NDArray, NDArray, NDArray]


def pairs(root: DataRoot, split: str) -> list[Pair]:
    """SAR and optical pixels of each place, and where both are valid."""
    found = []
    for name in (name for name, part in root.splits.items() if part == split):
        with open_scene(root.raster("sar", name)) as sar, open_scene(root.raster("optical", name)) as optical:
            (radar, seen), (truth, valid) = sar.read(), optical.read()
        found.append((radar, to_unit_range(truth, UNITS, DTYPE), seen & valid))
    return found


def by_tile(image: NDArray, pair: Pair) -> list[float]:
    """PSNR of an image of [0, 1] on each whole tile, or on a smaller place as it is."""
    _, truth, valid = pair
    places = [np.s_[..., w.row : w.row + w.height, w.col : w.col + w.width] for w in tile_windows(*valid.shape)]
    return [psnr(image[at], truth[at], valid[at]) for at in places if valid[at].any()]


def main() -> None:
    for item in sys.argv[1:]:
        data, _, file = item.partition(":")
        root, model = DataRoot.open(data), Translator.load(file)
        trained = np.concatenate([truth[:, valid] for _, truth, valid in pairs(root, "train")], axis=1)
        colour = trained.mean(axis=1)[:, None, None]
        rows: dict[str, list[float]] = {"VV, VH": [], "VV": [], "VH": [], "train mean": []}
        bands = model.source.bands
        for pair in pairs(root, "test"):
            radar, truth, valid = pair
            rows["train mean"] += by_tile(np.broadcast_to(colour, truth.shape), pair)
            for row in list(rows)[:3]:
                given = [band for band in row.split(", ") if np.median(radar[bands.index(band)][valid]) > ABSENT_DB]
                if given != row.split(", "):
                    continue
                places = [bands.index(band) for band in given]
                made = model.translate_array(radar[places], units="sigma0_db", valid=valid, bands=given)
                rows[row] += by_tile(to_unit_range(made, UNITS, DTYPE), pair)
        print(f"{data}: " + ", ".join(f"{row} {np.mean(found):.2f}" for row, found in rows.items() if found))


if __name__ == "__main__":
    main()
