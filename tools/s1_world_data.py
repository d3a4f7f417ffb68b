"""The training data of the bundled translator s1-world: every calibrated real set and simulated places.

python tools/s1_world_data.py SHARED_DATA OUT [--leave SET]

All pairs of a set are in the split train; those of the set that is left out are in the split test. Everything is sigma0
in decibels (gamma0 of terramesh5 is taken as it is) and reflectance times 10,000 of B4, B3, B2, B8. The desert has VV
alone, and its B8 is estimated from B4. Simulated places are town and country in four seasons, coasts and seas under
wind. splits.csv has the month where it is known.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from calibrated_sets import calibrated_sets, write_pairs
from saropt.curation.joining import join_roots
from saropt.roots import DataRoot
from saropt.roots.simulated_dates import write_simulated_dates
from saropt.simulate import SEASONS, DatesConfig, SceneConfig

MONTHS = {"spring": 4, "summer": 7, "autumn": 10, "winter": 1}


@dataclass(frozen=True)
class Simulated:
    """Some simulated places.

    Attributes:
        name: of their data root, without "simulated-".
        count: how many.
    """

    name: str
    count: int
    config: SceneConfig
    dates: DatesConfig | None = None


def simulated_places() -> list[Simulated]:
    """Town and country in four seasons; coasts and open sea under winds of 2 to 13 m/s, seen at 32 to 42 degrees."""
    places = [Simulated(season, 4, SceneConfig(season=season)) for season in SEASONS]
    for number, (wind, water) in enumerate(product((2.0, 5.0, 9.0, 13.0), (0.3, 0.6, 1.0))):
        sight = {"wind_ms": wind, "incidence_deg": 32.0 + 5.0 * (number % 3), "noise_floor_db": -30.0 + number % 4}
        coast = SceneConfig(season=SEASONS[number % 4], hills=0.2 * (water < 1.0), water=water, **sight)
        dates = DatesConfig(flooded=0.1 * (water < 1.0))
        places.append(Simulated(f"wind-{wind:g}-water-{water:g}", 1, coast, dates))
    return places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--leave", metavar="SET")
    arguments = parser.parse_args()
    parts = arguments.out.with_name(arguments.out.name + "-parts")
    parts.mkdir()
    roots = []
    for number, places in enumerate(simulated_places()):
        path = parts / f"simulated-{places.name}"
        write_simulated_dates(
            path, scenes=(places.count, 0, 0), size=256, seed=200 + number, config=places.config, dates=places.dates
        )
        table = path / "splits.csv"
        first, *rows = table.read_text().split()
        month = MONTHS[places.config.season]
        table.write_text("\n".join([f"{first},month", *(f"{row},{month}" for row in rows)]) + "\n")
        roots.append(path)
    for name, pairs in calibrated_sets(arguments.shared).items():
        split = "test" if name == arguments.leave else "train"
        licence = DataRoot.open(arguments.shared / name).licence
        roots.append(write_pairs(parts / name, name, [replace(pair, split=split) for pair in pairs], licence))
    join_roots(arguments.out, roots)


if __name__ == "__main__":
    main()
