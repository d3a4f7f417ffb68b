"""A suite by polarisation: rows that learn from one band of the SAR images and are tested on each band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from saropt.benchmark.suite import RunSpec, Suite, merged
from saropt.domain import match_bands
from saropt.errors import InputError
from saropt.roots import DataRoot

_SAR = "sar"


def by_polarisation(suite: Suite, bands: Sequence[str]) -> Suite:
    """The suite with each row once for each SAR band alone, tested on that band and on each of the others, and once for
    all bands together.

    Args:
        bands: of the SAR images of the data.

    Raises:
        InputError: there is one band only.

    >>> from saropt.benchmark import load_suite
    >>> [run.name for run in by_polarisation(load_suite("cran-polarisations"), ("VV", "VH")).runs][-5:]
    ['CRAN, VV', 'CRAN, VV on VH', 'CRAN, VH', 'CRAN, VH on VV', 'CRAN, VV + VH']
    """
    if len(bands) < 2:
        raise InputError(suite.name, f"compares polarisations: the SAR images have {', '.join(bands)} only")
    runs = []
    for run in suite.runs:
        for band in bands:
            runs += [_row(run, (band,), None), *(_row(run, (band,), other) for other in bands if other != band)]
        runs.append(_row(run, bands, None))
    return suite.model_copy(update={"runs": tuple(runs)})


def _row(run: RunSpec, bands: Sequence[str], tested_on: str | None) -> RunSpec:
    name = f"{run.name}, {' + '.join(bands)}" + ("" if tested_on is None else f" on {tested_on}")
    config = merged(run.config, {"data": {"bands": {_SAR: list(bands)}}})
    return run.model_copy(update={"name": name, "config": config, "tested_on": tested_on})


def with_other_band(root: DataRoot, run: RunSpec) -> DataRoot:
    """The data root that a row is tested on. For a row tested on another band than its own, the two swap their names.

    >>> from pathlib import Path
    >>> from saropt.roots import ImageSpec
    >>> root = DataRoot(Path(), "r", 1.0, {"sar": ImageSpec(("VV", "VH"), "sigma0_db")}, {})
    >>> run = RunSpec(name="", method="cran", config={"data": {"bands": {"sar": ["VV"]}}}, tested_on="VH")
    >>> seen = with_other_band(root, run)
    >>> seen.name, seen.images["sar"].bands
    ('r, VH in place of VV', ('VH', 'VV'))
    """
    if run.tested_on is None:
        return root
    (own,) = run.config["data"]["bands"][_SAR]
    image = root.image(_SAR)
    here, there = match_bands((run.tested_on, own), image.bands)
    bands = list(image.bands)
    bands[here], bands[there] = bands[there], bands[here]
    images = {**root.images, _SAR: replace(image, bands=tuple(bands), by_place=True)}
    return replace(root, name=f"{root.name}, {run.tested_on} in place of {own}", images=images)
