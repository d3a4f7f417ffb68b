"""A labelled copy of a paired data root that has no labels: classes clustered from its optical images.

    python tools/pseudo_labels.py DATA OUT --classes 6

For methods that need labels in training, where no real ones are at hand. Mini-batch k-means on the features of
`saropt.networks.PseudoClasses`, fitted on the train split; the classes have no names and no meaning of their own.
The rasters are linked, not copied.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml

from saropt.networks import PseudoClasses
from saropt.radiometry import to_unit_range
from saropt.roots import DataRoot
from saropt.scenes import Scene, write_array

CROP, STEPS, BATCH = 256, 300, 4


def network_values(scene: Scene, units: str) -> tuple[torch.Tensor, np.ndarray]:
    """A raster as (1, C, H, W) in [-1, 1], and its validity."""
    values, valid = scene.read()
    return torch.from_numpy(to_unit_range(values, units, scene.dtype) * 2 - 1)[None], valid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--classes", type=int, default=6)
    arguments = parser.parse_args()
    root = DataRoot.open(arguments.data)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    classes = PseudoClasses(len(root.images["optical"].bands), "optical", arguments.classes)
    names = root.names("train")
    for _ in range(STEPS // 10):
        with Scene.open(root.raster("optical", rng.choice(names))) as scene:
            image, _ = network_values(scene, root.images["optical"].units)
        for _ in range(10):
            rows, cols = (rng.integers(0, max(1, side - CROP + 1), BATCH) for side in image.shape[2:])
            crops = [image[0, :, r : r + CROP, c : c + CROP] for r, c in zip(rows, cols, strict=True)]
            classes.update(torch.stack(crops))
    (arguments.out / "label").mkdir(parents=True)
    for side in ("sar", "optical"):
        os.symlink(root.path.resolve() / side, arguments.out / side)
    shutil.copy(root.path / "splits.csv", arguments.out / "splits.csv")
    described = yaml.safe_load((root.path / "dataset.yaml").read_text(encoding="utf-8"))
    described |= {"classes": {k + 1: f"cluster {k + 1}" for k in range(arguments.classes)}, "ignore_index": 0}
    (arguments.out / "dataset.yaml").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    shares = np.zeros(arguments.classes + 1)
    for name in (name for split in ("train", "val", "test") for name in root.names(split)):
        with Scene.open(root.raster("optical", name)) as scene:
            image, valid = network_values(scene, root.images["optical"].units)
            with torch.no_grad():
                label = classes(image).argmax(1)[0].numpy().astype(np.uint8) + 1
            label[~valid] = 0
            write_array(arguments.out / "label" / f"{name}.tif", label[None], georeference=scene.georeference)
        shares += np.bincount(label.ravel(), minlength=len(shares))
    print("share of each class:", " ".join(f"{share:.3f}" for share in (shares / shares.sum())[1:]))


if __name__ == "__main__":
    main()
