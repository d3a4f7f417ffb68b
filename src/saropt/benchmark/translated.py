"""A labelled data root of translations, for segmenters that are to learn from them."""

from __future__ import annotations

import shutil
from pathlib import Path

from saropt.errors import InputError
from saropt.files import atomic_folder
from saropt.inference import Translator
from saropt.inference.requests import TranslateOptions
from saropt.progress import Progress, silent
from saropt.roots import DataRoot
from saropt.roots.description import write_description
from saropt.scenes.nodata import copy_beside

SPLITS = ("train", "val")


def write_translated_root(root: DataRoot, translator: Translator, path: Path, progress: Progress = silent) -> Path:
    """Translate the train and val rasters of a data root, and write them with their labels as a data root of that role.

    Args:
        translator: of one input.
        path: the folder; it appears when it is whole.

    Raises:
        InputError: several inputs, no labels, or whatever translation refuses.
    """
    direction = translator.direction
    if len(direction.inputs) != 1 or not root.classes:
        raise InputError(root.path, f"needs labels and one input to train segmenters on {direction}")
    source, role = direction.inputs[0], direction.output
    names = [name for name, split in root.splits.items() if split in SPLITS]
    with atomic_folder(path) as part:
        for number, name in enumerate(names):
            label = root.raster("label", name)
            for place in (part / role / name, part / "label" / name):
                place.parent.mkdir(parents=True, exist_ok=True)
            options = TranslateOptions(units=root.images[source].units)
            translator.run(root.raster(source, name), part / role / f"{name}.tif", options)
            copied = part / "label" / f"{name}{label.suffix}"
            shutil.copyfile(label, copied)
            copy_beside(label, copied)
            progress(number + 1, len(names), f"translating {name}")
        description = {
            "name": f"{root.name}, {direction}",
            "gsd_m": root.gsd_m,
            "paired": False,
            role: {"bands": list(translator.target.bands), "units": translator.target.units},
            "classes": dict(root.classes),
            "ignore_index": root.ignore_index,
            "licence": root.licence,
        }
        write_description(part, description, [(name, root.splits[name]) for name in names])
    return path
