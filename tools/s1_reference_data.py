"""The training data of the bundled translator s1-reference: real and simulated places with earlier optical images.

python tools/s1_reference_data.py SHARED_DATA OUT

Real places are the train split of sen12mscr14, with its cloudy images as the earlier ones and, a second time, with the
clear image itself (a pseudo-reference: training then hides or replaces parts of it); sen1floods11-spain1 and
terramesh5, as pseudo-references. Simulated places at two dates of all seasons come beside them. Everything is sigma0 in
decibels (gamma0 of terramesh5 is taken as it is) and reflectance times 10,000 of B4, B3, B2, B8.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from calibrated_sets import calibrated_sets, write_pairs
from saropt.curation.joining import join_roots
from saropt.roots import DataRoot
from saropt.roots.simulated_dates import write_simulated_dates
from saropt.simulate import DatesConfig, SceneConfig

SEASONS = (("spring", "autumn"), ("summer", "winter"), ("autumn", "summer"), ("winter", "spring"))


def real_roots(shared: Path, out: Path) -> list[Path]:
    sets = calibrated_sets(shared)
    root = DataRoot.open(shared / "sen12mscr14")
    pairs = [pair for pair in sets["sen12mscr14"] if pair.split != "test"]
    cloudy = [replace(pair, earlier=root.path / "optical_reference" / pair.optical.name) for pair in pairs]
    clear = [pair for pair in pairs if pair.split == "train"]
    spain, mesh = "sen1floods11-spain1", "terramesh5"
    others = [replace(pair, split="train") for name in (spain, mesh) for pair in sets[name]]
    licence = "; ".join(DataRoot.open(shared / name).licence for name in (spain, mesh))
    return [
        write_pairs(out / "cloudy", "cloudy", cloudy, root.licence, references=True),
        write_pairs(out / "clear", "clear", clear, root.licence, references=True),
        write_pairs(out / "clear-again", "clear-again", clear, root.licence, references=True),
        write_pairs(out / "others", "others", others, licence, references=True),
    ]


def main() -> None:
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    parts = out.with_name(out.name + "-parts")
    parts.mkdir()
    roots = []
    for number, (before, now) in enumerate(SEASONS):
        path = parts / f"simulated-{before}-{now}"
        dates = DatesConfig(before, crops=0.25, built=0.04, flooded=0.12, clouds=0.25, gaps=0.03)
        write_simulated_dates(
            path, scenes=(8, 1, 0), size=256, seed=100 + number, config=SceneConfig(season=now), dates=dates
        )
        roots.append(path)
    join_roots(out, [*roots, *real_roots(shared, parts)])


if __name__ == "__main__":
    main()
