"""The training data of the bundled translator s1-world: every calibrated real set and simulated places.

python tools/s1_world_data.py SHARED_DATA OUT [--leave SET]

All pairs of a set are in the split train; those of the set that is left out are in the split test. Everything is sigma0
in decibels (gamma0 of terramesh5 is taken as it is) and reflectance times 10,000 of B4, B3, B2, B8. The desert has VV
alone, and its B8 is estimated from B4. Simulated places come in spring, summer, autumn and winter. splits.csv has the
month where it is known.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from calibrated_sets import calibrated_sets, write_pairs
from saropt.curation.joining import join_roots
from saropt.roots import DataRoot
from saropt.roots.simulated_dates import write_simulated_dates
from saropt.simulate import SEASONS, SceneConfig

SIMULATED = 6
"""Simulated places of each season."""
MONTHS = {"spring": 4, "summer": 7, "autumn": 10, "winter": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--leave", metavar="SET")
    arguments = parser.parse_args()
    parts = arguments.out.with_name(arguments.out.name + "-parts")
    parts.mkdir()
    roots = []
    for number, season in enumerate(SEASONS):
        path = parts / f"simulated-{season}"
        config = SceneConfig(season=season)
        write_simulated_dates(path, scenes=(SIMULATED, 0, 0), size=256, seed=200 + number, config=config)
        table = path / "splits.csv"
        first, *rows = table.read_text().split()
        table.write_text("\n".join([f"{first},month", *(f"{row},{MONTHS[season]}" for row in rows)]) + "\n")
        roots.append(path)
    for name, pairs in calibrated_sets(arguments.shared).items():
        split = "test" if name == arguments.leave else "train"
        licence = DataRoot.open(arguments.shared / name).licence
        roots.append(write_pairs(parts / name, name, [replace(pair, split=split) for pair in pairs], licence))
    join_roots(arguments.out, roots)


if __name__ == "__main__":
    main()
