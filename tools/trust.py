"""Add to a bundled translator what it saw in training, and its map of reliability.

    python tools/trust.py NAME TRAIN:SPLIT [DATA:SPLIT[:FILE] ...]

TRAIN is the data root that it was trained on. The scenes of DATA, 10 or more in all, calibrate the map; where it was
trained on them, FILE is a translator of the same method, trained without them.
"""

from __future__ import annotations

import sys

import onnx

from saropt.artifacts import read_card
from saropt.artifacts.graph import write_graph
from saropt.evaluation.calibration import CalibrationSet, calibrate_reliability
from saropt.files import atomic_file
from saropt.inference import Translator
from saropt.inference.bundled import bundled_folder
from saropt.inference.familiarity import scene_inputs_in_training, seen_in_training
from saropt.roots import DataRoot


def main() -> None:
    name, train, *data = sys.argv[1:]
    path = bundled_folder() / f"{name}.onnx"
    root, _, split = train.rpartition(":")
    card = read_card(path)
    image = next(iter(card.directions.values())).inputs[0]
    seen = seen_in_training(DataRoot.open(root), image, split)
    described = {"seen": seen, "scene_inputs": scene_inputs_in_training(DataRoot.open(root), image.role, split)}
    told = card.model_copy(update={"training": card.training.model_copy(update=described)})
    write_graph(path, onnx.load(path), told)
    print(f"{name}: {0 if seen is None else len(seen.scenes)} training scenes described")
    if data:
        sets = []
        for item in data:
            place, split, *file = item.split(":")
            sets.append(CalibrationSet(DataRoot.open(place), split, Translator.load(file[0]) if file else None))
        with atomic_file(path, suffix=".onnx") as part:
            found = calibrate_reliability(Translator.load(path), sets, part)
        print(f"{found.scenes} scenes: {found.coverage:.3f} inside, {found.least_coverage:.3f} in the worst; {found}")


if __name__ == "__main__":
    main()
