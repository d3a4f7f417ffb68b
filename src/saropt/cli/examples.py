"""Examples that end the help of every verb."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "saropt demo --out demo",
        "saropt translate scene.tif optical.tif --units sigma0_db",
        "saropt translate --help",
    ),
    "demo": ("saropt demo --out demo --open",),
    "models": ("saropt models", "saropt models s1-losangeles"),
    "methods": ("saropt methods", "saropt methods pix2pix"),
    "translate": (
        "saropt translate scene.tif out.tif --bands VH --units amplitude",
        "saropt translate S1A_IW_GRDH.SAFE.zip out.tif",
        "saropt translate scenes/ translations/ --model s1-losangeles --workers 2",
        "saropt translate now.tif out.tif --units sigma0_db --reference old.tif",
    ),
    "train": (
        "saropt train regression pairs --out run --max-steps 2000",
        "saropt train regression pairs --out run --max-steps 4000 --resume",
    ),
    "evaluate": ("saropt evaluate s1-losangeles run --data pairs --out report",),
    "score": ("saropt score translations --data pairs --split splits.csv --out mine.json",),
    "compare": ("saropt compare mine.json theirs.json",),
    "benchmark": ("saropt benchmark", "saropt benchmark paired-short --out results"),
    "export": (
        "saropt export run translator.onnx",
        "saropt export run small.onnx --int8 --data pairs",
    ),
    "reliability": (
        "saropt reliability translator.onnx reliable.onnx --data pairs --split val",
        "saropt translate scene.tif out.tif --model reliable.onnx --reliability",
    ),
    "blind": ("saropt blind study.answers.csv",),
    "serve": ("saropt serve scenes --open", "saropt serve scenes --blind study.yaml"),
    "data": (
        "saropt data simulate pairs --scenes 8,2,2 --units sigma0_db",
        "saropt data inspect pairs",
    ),
    "data fetch": (
        "saropt data fetch pairs --area area.geojson --dates 2023-05-01/2023-06-30",
        "saropt data fetch world --places s1-world-large --max-cloud 20",
    ),
    "data prepare": (
        "saropt data prepare sen12",
        "saropt data prepare sen12 downloads/sen12 pairs --set seed=1",
    ),
    "data calibrate": ("saropt data calibrate S1A_IW_GRDH.SAFE.zip scene.tif --pixel 10",),
    "data composite": (
        "saropt data composite S1A_IW_GRDH.SAFE.zip colours.tif",
        "saropt data composite sar.tif colours.tif --units sigma0_db",
    ),
    "data clean": ("saropt data clean pairs --report faults.json --write-splits splits.csv",),
    "data harmonise": ("saropt data harmonise floods floods-even --changed flooded",),
    "data join": ("saropt data join all floods-even more-floods",),
    "data filter": ("saropt data filter scene.tif filtered.tif --filter lee --units sigma0_db",),
    "data pauli": ("saropt data pauli hh.tif hv.tif vv.tif --out pauli.tif",),
    "data inspect": ("saropt data inspect scene.tif", "saropt data inspect pairs --html pairs.html"),
    "data simulate": ("saropt data simulate pairs --scenes 8,2,2 --units sigma0_db",),
    "segment": (
        "saropt segment train pairs --out segmenter --modality optical",
        "saropt segment predict segmenter optical.tif labels.tif",
    ),
    "segment train": ("saropt segment train pairs --out segmenter --modality optical",),
    "segment predict": ("saropt segment predict segmenter optical.tif labels.tif",),
    "match": ("saropt match sar.tif optical.tif --out points.csv",),
    "match scenes": (
        "saropt match scenes sar.tif optical.tif --out points.csv",
        "saropt match scenes sar.tif optical.tif --register registered.tif",
    ),
    "match train": ("saropt match train pairs --out matcher --max-steps 5000",),
}


def epilog(verb: str) -> str:
    r"""The last paragraph of a verb's help; `\b` tells click to keep its lines.

    >>> epilog("demo")
    '\x08\nExamples:\n  saropt demo --out demo --open'
    """
    return "\n  ".join(("\b\nExamples:", *EXAMPLES[verb]))
