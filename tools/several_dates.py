"""What several dates of the earlier SAR image bring to s1-reference, beside one date and none.

    python tools/several_dates.py SHARED_DATA OUT

Simulated places of all seasons have one to four earlier dates that differ in speckle alone: the best case for a mean.
The two places of desert-months have the optical image of 1, 2, 4 and 6 months before, with the SAR image of that month
and of the two months before it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibrated_sets import SAND_B8
from s1_reference_data import SEASONS
from saropt.evaluation.ground import area_under
from saropt.evaluation.metrics import psnr_of
from saropt.inference import Translator
from saropt.roots.simulated import in_units
from saropt.roots.simulated_dates import OPTICAL_BANDS, as_reflectance
from saropt.scenes import open_scene, write_array
from saropt.simulate import BANDS, DatesConfig, SceneConfig, simulate_dates
from saropt.simulate.layout import build_layout
from saropt.simulate.radar import clean_sigma0, gamma_texture, observe

SIDE, LOOKS, SCENES_OF_EACH, FIRST_SEED, DATES = 256, 4.4, 8, 9000, 4
GAPS = (1, 2, 4, 6)
"""Months between the earlier optical image of the desert and today."""


@dataclass(frozen=True)
class Place:
    """One place: its scene, the earlier images, the true image in reflectance times 10,000, and kinds of ground."""

    name: str
    sar: Path
    optical: Path
    dates: list[Path]
    truth: NDArray
    kinds: dict[str, NDArray[np.bool_]]


def simulated(out: Path) -> Iterator[Place]:
    for number in range(SCENES_OF_EACH * len(SEASONS)):
        season, now = SEASONS[number % len(SEASONS)]
        config, seed = SceneConfig(season=now), FIRST_SEED + number
        dates = DatesConfig(season, crops=0.25, built=0.04, flooded=0.12, clouds=0.25, gaps=0.03)
        two = simulate_dates(SIDE, seed, looks=LOOKS, config=config, dates=dates)
        earlier = replace(config, season=season)
        streams = np.random.SeedSequence([seed, 2]).spawn(8)  # those of simulate_dates
        layout = build_layout(np.random.Generator(np.random.PCG64(streams[0])), (SIDE, SIDE), two.gsd_m, config)
        texture = gamma_texture(np.random.Generator(np.random.PCG64(streams[5])), layout, earlier)
        clean = clean_sigma0(texture, layout, earlier)
        others = [observe(np.random.default_rng([seed, date]), clean, LOOKS, 0.0, earlier) for date in range(1, DATES)]
        before = np.where(two.missing, 0, as_reflectance(two.optical_before))
        hidden, changed = two.missing | two.clouded, two.change > 0
        yield Place(
            f"simulated {number}",
            write(out / f"{number}_now.tif", in_units(two.sigma0, "sigma0_db"), BANDS),
            write(out / f"{number}_before.tif", before, OPTICAL_BANDS, nodata=0),
            [
                write(out / f"{number}_date{date}.tif", in_units(sigma0, "sigma0_db"), BANDS)
                for date, sigma0 in enumerate([two.sigma0_before, *others])
            ],
            as_reflectance(two.optical),
            {"changed": changed & ~hidden, "other": ~changed & ~hidden, "hidden": hidden},
        )


def desert(shared: Path, out: Path, gap: int) -> Iterator[Place]:
    root = shared / "desert-months"
    for place in ("p00", "p10"):
        for month in range(gap + 3, 13):
            (before, truth) = (read(root / "optical" / f"m{at:02d}_{place}.tif") for at in (month - gap, month))
            yield Place(
                f"desert {place} {month}, {gap} before",
                root / "sar" / f"m{month:02d}_{place}.tif",
                write(out / f"{place}_{month}_{gap}.tif", with_b8(before), OPTICAL_BANDS, nodata=0),
                [root / "sar" / f"m{month - back:02d}_{place}.tif" for back in range(gap, gap + 3)],
                truth,
                {"other": np.ones(truth.shape[1:], bool)},
            )


def read(path: Path | str) -> NDArray:
    with open_scene(path) as raster:
        return raster.read_stored()[0]


def write(path: Path, values: NDArray, bands: tuple[str, ...], nodata: float | None = None) -> Path:
    return write_array(path, values, band_names=bands, nodata=nodata)


def with_b8(visible: NDArray) -> NDArray:
    return np.concatenate([visible, visible[:1] * SAND_B8]).clip(0, 65535).astype(np.uint16)


def psnr(made: NDArray, truth: NDArray, where: NDArray[np.bool_]) -> float:
    difference = (made[: len(truth), where].astype(float) - truth[:, where]) / 10_000
    return psnr_of(float(np.square(difference).mean()))


def counts_by_score(likelihood: NDArray, where: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(likelihood[where], minlength=101)[:101]


def measure(translator: Translator, places: Iterator[Place], out: Path, counts: tuple[int, ...]) -> None:
    figures: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for place in places:
        for count in counts:
            given = {"reference_sar": place.dates[:count]} if count else {}
            image = translator.translate(place.sar, out / "made.tif", reference=place.optical, overwrite=True, **given)
            made, origin = read(image), read(out / "made_origin.tif")
            kinds = {"all": np.logical_or.reduce(list(place.kinds.values())), **place.kinds}
            for kind, where in kinds.items():
                if where.sum() >= 64:
                    figures[f"PSNR, {kind}"][count].append(psnr(made, place.truth, where))
            figures["PSNR of the copy, other"][count].append(psnr(read(place.optical), place.truth, kinds["other"]))
            figures["share from radar, %"][count].append(float(origin[0].mean()))
            figures["likelihood of change, mean, other, %"][count].append(float(origin[1][kinds["other"]].mean()))
            if "changed" in kinds:
                no, yes = (counts_by_score(origin[1], kinds[kind]) for kind in ("other", "changed"))
                if (area := area_under(no, yes)) is not None:
                    figures["AUC of change"][count].append(area)
    for name, rows in figures.items():
        one = np.array(rows[1])
        for count, row in rows.items():
            gain = np.array(row) - one
            spread = np.random.default_rng(0).choice(gain, (10_000, len(gain))).mean(axis=1)
            low, high = np.quantile(spread, [0.025, 0.975])
            print(
                f"{name:38s} {count} dates {np.mean(row):8.3f}, minus one date {gain.mean():+.3f} "
                f"({low:+.3f} to {high:+.3f}), {len(row)} scenes, higher in {(gain > 0).sum()}"
            )


def main() -> None:
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    translator = Translator.load("s1-reference")
    out.mkdir()
    print("simulated places")
    measure(translator, simulated(out), out, (0, 1, 2, 4))
    for gap in GAPS:
        print(f"desert-months, {gap} months between the earlier optical image and today")
        measure(translator, desert(shared, out, gap), out, (0, 1, 2, 3))


if __name__ == "__main__":
    main()
