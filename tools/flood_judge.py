"""IoU of floods in translations, by segmenters that see today's image alone or both dates, and by thresholds.

    python tools/flood_judge.py TRAIN DATA TRANSLATOR OUT [--steps N] [--seeds N]

Segmenters are trained on the true images and labels of the train split of TRAIN. A threshold is one for all places:
near infrared below it, or darker than before by it; for each row it is the one that is best for that row. They label
the places of the test split of DATA on the true image, on translations with and without the earlier images, and on the
copy of the earlier image. TRAIN and DATA are roots of labelled floods with both dates, such as ombria-floods, with the
bands SWIR, near infrared and visible. Prints, by judge and by row, the IoU of flooded ground over all pixels.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.inference import Segmenter, TranslateOptions, Translator
from saropt.roots import DataRoot
from saropt.roots.description import write_description
from saropt.scenes import open_scene, write_array
from saropt.training import Loop, SegmenterTask, read_segmentation_config

DATES = ("today", "both dates")
MEDIAN, NEAR_INFRARED, BANDS = 64.0, 1, 3


def pixels(path: Path) -> NDArray:
    with open_scene(path) as scene:
        return scene.read()[0]


def seen_by(judge: str, today: NDArray, earlier: NDArray) -> NDArray:
    """What a segmenter sees, in multiples of the earlier image's median in each band: each place is stretched on its
    own."""
    images = today if judge == "today" else np.concatenate([today, earlier])
    medians = np.median(earlier, axis=(1, 2))
    scale = MEDIAN / np.maximum(np.resize(medians, len(images)), 1.0)
    return np.clip(np.rint(images * scale[:, None, None]), 0, 255).astype(np.uint8)


def labelled_root(train: DataRoot, judge: str, out: Path) -> DataRoot:
    """The root that a judge is trained on: its optical images have the bands that the judge sees."""
    names = [name for name, split in train.splits.items() if split == "train"]
    bands: list[str] = []
    for role in ("optical", "label"):
        (out / role).mkdir(parents=True, exist_ok=True)
    for name in names:
        today, earlier = (pixels(train.raster(role, name)) for role in ("optical", "optical_reference"))
        images = seen_by(judge, today, earlier)
        bands = [f"band {number + 1}" for number in range(len(images))]
        write_array(out / "optical" / f"{name}.tif", images, band_names=bands, overwrite=True)
        flooded = (pixels(train.raster("label", name)) > 0).astype(np.uint8)
        write_array(out / "label" / f"{name}.tif", flooded, band_names=["label"], overwrite=True)
    description = {
        "name": out.name,
        "gsd_m": 10.0,
        "paired": False,
        "optical": {"bands": bands, "units": "uint8"},
        "classes": {0: "not flooded", 1: "flooded"},
        "ignore_index": None,
        "licence": "that of the source",
    }
    write_description(out, description, ((name, "train" if place % 10 else "val") for place, name in enumerate(names)))
    return DataRoot.open(out)


def trained(root: DataRoot, out: Path, steps: int, seed: int) -> Segmenter:
    if not out.exists():
        settings = [f"engine.seed={seed}", f"engine.max_steps={steps}", "learning_rate=0.001", "data.crop=128"]
        settings += ["class_weights=median"]
        Loop(SegmenterTask, read_segmentation_config("optical", "compact", None, settings), root, out).run()
    return Segmenter.load(out)


def pictures(data: DataRoot, translator: Translator, name: str, work: Path) -> Iterator[tuple[str, NDArray]]:
    """Row -> today's image as that row has it."""
    roles = ("sar", "sar_reference", "optical_reference", "optical")
    sar, sar_before, before, today = (data.raster(role, name) for role in roles)

    def translation(options: TranslateOptions) -> NDArray:
        return pixels(translator.run(sar, work, options).path)

    yield "true image", pixels(today)
    both = TranslateOptions(reference=before, reference_sar=sar_before, overwrite=True)
    yield "translation", translation(both)
    yield "translation of SAR alone", translation(TranslateOptions(overwrite=True))
    yield "copy of the earlier image", pixels(before)


def dark(today: NDArray, earlier: NDArray) -> dict[str, NDArray[np.int64]]:
    """Name -> whole numbers of 0 to 510 that are low on water, or on what has become water."""
    seen = seen_by("both dates", today, earlier).astype(np.int64)
    now, before = seen[NEAR_INFRARED], seen[BANDS + NEAR_INFRARED]
    return {"dark in near infrared": now, "darker than before in near infrared": now - before + 255}


def best_threshold(counts: NDArray) -> float:
    """IoU of the values up to the best threshold.

    Args:
        counts: (2, 511) of pixels on flooded and other ground by value.
    """
    flooded, other = counts.cumsum(axis=1)
    return float((flooded / (flooded[-1] + other)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=DataRoot.open)
    parser.add_argument("data", type=DataRoot.open)
    parser.add_argument("translator", type=Translator.load)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    data: DataRoot = asked.data
    segmenters = {}
    for judge in DATES:
        root = labelled_root(asked.train, judge, asked.out / judge)
        for seed in range(asked.seeds):
            name = f"{judge}, seed {seed}"
            segmenters[name] = judge, trained(root, asked.out / name, asked.steps, seed)
    found: dict[tuple[str, str], NDArray] = defaultdict(lambda: np.zeros(2, np.int64))
    values: dict[tuple[str, str], NDArray] = defaultdict(lambda: np.zeros((2, 511), np.int64))
    for place in (place for place, split in data.splits.items() if split == "test"):
        flooded = pixels(data.raster("label", place))[0] > 0
        earlier = pixels(data.raster("optical_reference", place))
        for row, today in pictures(data, asked.translator, place, asked.out / "translation.tif"):
            for name, (judge, segmenter) in segmenters.items():
                called = segmenter.classify(seen_by(judge, today, earlier)) == 1
                found[name, row] += (called & flooded).sum(), (called | flooded).sum()
            for name, index in dark(today, earlier).items():
                values[name, row] += [np.bincount(index[kind], minlength=511) for kind in (flooded, ~flooded)]
    for (name, row), (both, either) in found.items():
        print(f"{name}: {row}: {both / either:.3f}")
    for (name, row), counts in values.items():
        print(f"{name}, one threshold: {row}: {best_threshold(counts):.3f}")


if __name__ == "__main__":
    main()
