"""Where things are: terrain, water, hills, a street-grid plain of towns and farmland, river and roads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from saropt.simulate.covers import COVER_INDEX, SceneConfig
from saropt.simulate.terrain import (
    Shape,
    as_double,
    coarse_field,
    distance_to_path,
    resize,
    ridges,
    slopes,
    spectral_field,
)

SUPERBLOCK_M = 800.0
ARTERIAL_M = 24.0
HIGHWAY_M = 46.0
RIVER_M = 70.0
COARSE = 8
ROWS, THREADS = 64, 2


@dataclass(frozen=True)
class Layout:
    """Ground truth of a scene, all (H, W): `cover` uint8 index into `COVERS`, `elevation` float32 m, `east` and
    `north` float32 slopes, `object_id` uint32 hash of the field, roof or block a pixel belongs to, `crest` float32 in
    [0, 1] for how high on its hill a pixel lies, `canopy` float32 in [0, 1] for how closely trees stand on natural
    ground (forest above 0.5)."""

    cover: np.ndarray
    elevation: np.ndarray
    east: np.ndarray
    north: np.ndarray
    object_id: np.ndarray
    crest: np.ndarray
    canopy: np.ndarray


def mix(*keys: np.ndarray | int) -> np.ndarray:
    """uint32 hash of integer keys that broadcast together (finaliser of MurmurHash3; Appleby, 2008)."""
    value: np.ndarray = np.uint32(0x9E3779B9)  # type: ignore[assignment]
    with np.errstate(over="ignore"):
        for key in keys:
            value = (value ^ np.asarray(key).astype(np.uint32)) * np.uint32(0x85EBCA6B)
            value = (value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35)
            value = value ^ (value >> np.uint32(16))
    return np.asarray(value)


def uniform(hashed: np.ndarray, salt: int) -> np.ndarray:
    """float32 in [0, 1) from hashes, independent for every `salt`."""
    return (mix(hashed, salt) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def standardised(hashed: np.ndarray, salt: int) -> np.ndarray:
    """float32 from hashes, uniform with mean 0 and standard deviation 1."""
    return (uniform(hashed, salt) - np.float32(0.5)) * np.float32(np.sqrt(12.0))


def _split(along: np.ndarray, pitch: np.ndarray | np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Number of the interval of length `pitch` that each place lies in, int32, and the place within it, float32."""
    number = np.floor(along / pitch)
    return number.astype(np.int32), along - number * pitch


def _quantile(field: np.ndarray, fraction: float) -> float:
    return float(np.quantile(field[::4, ::4], fraction))


def _regional_height(rng: np.random.Generator, shape: Shape, extent_px: float) -> np.ndarray:
    """Smooth height without unit: hills at one end of the scene, the sea at the other. (H, W) float32."""
    bearing = rng.uniform(0, 2 * np.pi)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    tilt = np.float32(np.cos(bearing)) * x[None, :] + np.float32(np.sin(bearing)) * y[:, None]
    broad = coarse_field(rng, shape, 0.7 * extent_px, 5.5, 8)
    return np.float32(1.1) * tilt + broad + np.float32(0.03) * coarse_field(rng, shape, 0.12 * extent_px, 4.0, 4)


def _districts(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Voronoi cells of seven points in three kinds of street orientation, the first the most common. (H, W) uint8."""
    y, x = (np.arange(n, dtype=np.float32) for n in shape)
    nearest = np.full(shape, np.inf, np.float32)
    kind = np.zeros(shape, np.uint8)
    for number in range(7):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        distance = (y[:, None] - np.float32(row)) ** 2 + (x[None, :] - np.float32(column)) ** 2
        closer = distance < nearest
        nearest[closer] = distance[closer]
        kind[closer] = (0, 0, 1, 0, 2, 0, 0)[number]
    return kind


@dataclass(frozen=True)
class _Plain:
    """What the cover of a plain follows from.

    Attributes:
        inner: (H, W) number of the district of each pixel.
        seam: (H, W) whether a pixel borders on another district.
        use: coarse field that says what the land is used for.
        angles: direction of the street grid of each district, radians.
        origin: shift of the street grids in metres.
        salt: of the hashes.
        side: side of a superblock in metres.
        farmed: values of `use` below which there are farms, and above which there is commerce.
    """

    inner: np.ndarray
    seam: np.ndarray
    use: np.ndarray
    angles: np.ndarray
    origin: np.ndarray
    salt: int
    side: np.float32
    farmed: tuple[float, float]
    gsd_m: float
    config: SceneConfig


def _town_and_country(
    rng: np.random.Generator, shape: Shape, gsd_m: float, config: SceneConfig, extent_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cover and object hash of a plain divided into rotated street-grid districts."""
    height, width = shape
    step = COARSE
    coarse = (max(8, -(-height // step)), max(8, -(-width // step)))
    use = spectral_field(rng, coarse, max(0.5 * extent_m / gsd_m / step, 4.0), beta=2.5)
    angles = np.deg2rad([rng.uniform(-2, 2), rng.uniform(-38, -12), rng.uniform(12, 38)]).astype(np.float32)
    inner = _districts(rng, shape)
    salt = int(rng.integers(1 << 31))
    origin = rng.uniform(0, SUPERBLOCK_M, size=(2,)).astype(np.float32)

    side = np.float32(min(SUPERBLOCK_M, extent_m / 7))
    farmed = np.quantile(use, config.fields), np.quantile(use, 1 - 0.7 * config.commerce)
    seam = np.zeros(shape, bool)
    seam[:, 1:] |= inner[:, 1:] != inner[:, :-1]
    seam[1:] |= inner[1:] != inner[:-1]
    plain = _Plain(inner, seam, use, angles, origin, salt, side, farmed, gsd_m, config)
    cover, objects = np.empty(shape, np.uint8), np.empty(shape, np.uint32)

    def fill(rows: slice) -> None:
        cover[rows], objects[rows] = _streets(plain, rows)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, [slice(row, min(row + ROWS, height)) for row in range(0, height, ROWS)]))
    return cover, objects


def _streets(plain: _Plain, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Cover and object hash of some rows of the plain; each pixel depends on its position alone."""
    inner, seam, use, origin = plain.inner[rows], plain.seam[rows], plain.use, plain.origin
    side, salt, farmed, gsd_m, config = plain.side, plain.salt, plain.farmed, plain.gsd_m, plain.config
    index = COVER_INDEX
    shape = inner.shape
    y = np.arange(rows.start, rows.stop, dtype=np.float32) * np.float32(gsd_m)
    x = np.arange(shape[1], dtype=np.float32) * np.float32(gsd_m)
    cosine, sine = np.cos(plain.angles)[inner], np.sin(plain.angles)[inner]
    p = x[None, :] * cosine + y[:, None] * sine + origin[0]
    q = -x[None, :] * sine + y[:, None] * cosine + origin[1]
    (i, u), (j, v) = _split(p, side), _split(q, side)
    cell = mix(i, j, inner, salt)

    cp, cq = (i + np.float32(0.5)) * side - origin[0], (j + np.float32(0.5)) * side - origin[1]
    scale = np.float32(1 / (gsd_m * COARSE))
    column = np.clip((cp * cosine - cq * sine) * scale, 0, use.shape[1] - 1).astype(np.int32)
    row = np.clip((cp * sine + cq * cosine) * scale, 0, use.shape[0] - 1).astype(np.int32)
    zone = use[row, column]
    chance = uniform(cell, 1)
    farm = zone < farmed[0]
    trade = (zone > farmed[1]) | (~farm & (chance < 0.35 * config.commerce))

    turned = uniform(cell, 2) < 0.5
    a, b = np.where(turned, v, u), np.where(turned, u, v)

    # houses: blocks of about 90 x 200 m between narrow streets
    short, long = np.float32(side / max(1.0, round(side / 92))), np.float32(side / max(1.0, round(side / 200)))
    (block_a, in_a), (block_b, in_b) = _split(a, short), _split(b, long)
    block = mix(cell, block_a, block_b)
    street = (in_a < 11.0) | (in_b < 11.0)
    cover = np.where(street, index["street"], index["houses"]).astype(np.uint8)
    luck = uniform(block, 3)
    cover[(luck < 0.022) | ((chance > 0.955) & ~farm)] = index["park"]
    cover[((chance > 0.93) & (chance < 0.955)) & ~farm] = index["bare ground"]

    # commerce: large roofs in yards; the wall towards the radar makes a bright line
    coarser = np.array([1.0, 1.0, 1.5, 2.0], np.float32)[(uniform(cell, 12) * 4).astype(np.uint8)]
    lot_a, lot_b = side / np.rint(6 / coarser), side / np.rint(4 / coarser)
    (slot_a, from_a), (slot_b, from_b) = _split(a, lot_a), _split(b, lot_b)
    slot = mix(cell, slot_a, slot_b, 7)
    fill_a, fill_b = 0.35 + 0.55 * uniform(slot, 4), 0.35 + 0.57 * uniform(slot, 5)
    from_a, from_b = from_a - 12.0, from_b - 12.0
    roof = (from_a > 0) & (from_b > 0) & (from_a < fill_a * lot_a - 12.0) & (from_b < fill_b * lot_b - 12.0)
    roof &= uniform(slot, 6) < 0.9
    along = np.where(turned, from_b, from_a)
    wall = roof & (along < 17.0)
    shops = trade | ((luck > 0.95) & ~farm)
    cover = np.where(shops, np.where(wall, index["facade"], np.where(roof, index["roof"], index["yard"])), cover)

    # fields: each superblock cut into 2 to 5 by 2 to 4 strips
    cut_p = side / (2 + np.floor(4 * uniform(cell, 8)))
    cut_q = side / (2 + np.floor(3 * uniform(cell, 9)))
    (field_p, in_p), (field_q, in_q) = _split(u, cut_p), _split(v, cut_q)
    field = mix(cell, field_p, field_q, 11)
    crops = np.array(["ploughed field", "green crop", "stubble field", "orchard", "bare ground", "houses"])
    shares = np.cumsum([0.36, 0.22, 0.18, 0.14, 0.05])
    crop = np.array([index[name] for name in crops], np.uint8)[np.digitize(uniform(field, 10), shares)]
    track = (in_p < 5.0) | (in_q < 5.0)
    cover = np.where(farm, np.where(track, index["bare ground"], crop), cover)

    edge = np.minimum(np.minimum(u, side - u), np.minimum(v, side - v))
    half_width = np.where(farm, ARTERIAL_M / 4, ARTERIAL_M / 2) * (1.0 if side == SUPERBLOCK_M else 0.6)
    cover = np.where((edge < half_width) | seam, index["road"], cover).astype(np.uint8)
    return cover, np.where(farm, field, np.where(shops, slot, block))


def build_layout(rng: np.random.Generator, shape: Shape, gsd_m: float, config: SceneConfig) -> Layout:
    """Terrain and covers of a scene of `shape` pixels of `gsd_m` metres."""
    index = COVER_INDEX
    extent_m = max(min(max(shape) * gsd_m, 9000.0), 8 * gsd_m)
    low = _regional_height(rng, shape, extent_m / gsd_m)
    uplift = low + np.float32(0.09) * coarse_field(rng, shape, 0.15 * extent_m / gsd_m, 3.0, 4)
    hill_level = _quantile(uplift, 1 - config.hills) if config.hills > 0 else float(uplift.max()) + 1.0
    sea_level = _quantile(low, config.water) if config.water > 0 else float(low.min()) - 1.0

    cover, object_id = _town_and_country(rng, shape, gsd_m, config, extent_m)
    spread = max(_quantile(uplift, 0.98) - _quantile(uplift, 0.5), 1e-3)
    rise = np.clip((uplift - hill_level) / spread, 0.0, 1.2)
    crest = ridges(rng, shape, max(2200.0 / gsd_m, 16.0))
    crest -= crest.min()
    crest /= max(float(crest.max()), 1e-6)
    relief = config.relief_m * min(1.0, extent_m / 6000.0)
    plain = np.clip(low - sea_level, 0.0, None) * np.float32(6.0)
    foot = np.minimum(rise * 3.0, 1.0)
    elevation = (plain + relief * (0.35 * rise + 1.15 * crest * foot * (0.4 + 0.6 * rise))).astype(np.float32)

    step = max(1, max(shape) // 80)
    coarse = resize(low[::step, ::step], (80, 80))
    across = bool(rng.integers(2))
    bends = 1.2 * coarse_field(rng, (80, 8), 18.0, 2.0, 1)[:, 0]
    hill = (uplift > hill_level) & (crest * rise + rise > 0.015)
    if config.river:
        cost = coarse - coarse.min() + 0.1
        river = distance_to_path(cost.T if across else cost, shape[::-1] if across else shape, bends)
        river = (river.T if across else river) * np.float32(gsd_m)
        valley = as_double(np.exp, -((river / 350.0) ** 2))
        elevation -= (elevation - plain) * valley * 0.9

    east, north = slopes(elevation, gsd_m)
    scrub = coarse_field(rng, shape, 2500.0 / gsd_m, 2.6, 2)
    wooded = scrub + 1.6 * north + 0.6 * rise
    canopy: np.ndarray = np.zeros(shape, np.float32)
    if hill.any():
        canopy = 1.0 / (1.0 + as_double(np.exp, -4.0 * (wooded - np.quantile(wooded[hill][::7], 1 - config.forest))))
        cover[hill] = np.where(canopy[hill] > 0.5, index["forest"], index["dry shrub"])
    if config.river:
        width = RIVER_M * min(1.0, extent_m / 5000.0) * (0.75 + 0.25 * as_double(np.tanh, scrub))
        cover[river < width * 0.7] = index["bare ground"]
        wet_bank = (river < width * 1.4) & (scrub > 0.5)
        cover[wet_bank] = index["forest"]
        canopy[wet_bank] = 1.0
        bridge = (cover == index["road"]) & ~hill
        water = (river < width * 0.5) & ~bridge
        cover[water] = index["inland water"]
    _ponds(rng, cover, hill, shape, gsd_m)
    if config.highways:
        _highways(rng, cover, low, hill, sea_level, shape, gsd_m)
    _sea(cover, low, sea_level, gsd_m, extent_m)

    wet = cover <= index["inland water"]
    elevation[cover == index["sea"]] = 0.0
    east[wet] = 0.0
    north[wet] = 0.0
    return Layout(cover, elevation, east, north, object_id, crest.astype(np.float32), canopy)


def _ponds(rng: np.random.Generator, cover: np.ndarray, hill: np.ndarray, shape: Shape, gsd_m: float) -> None:
    """A few reservoirs on the plain."""
    count = round(shape[0] * shape[1] * gsd_m**2 / 2.5e7)
    for _ in range(count):
        row, column = rng.integers(shape[0]), rng.integers(shape[1])
        radius = rng.uniform(90.0, 260.0) / gsd_m
        squash, angle, wave = rng.uniform(0.5, 1.0), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, size=3)
        if hill[row, column]:
            continue
        reach = int(radius * 1.5) + 2
        rows = slice(max(row - reach, 0), row + reach)
        columns = slice(max(column - reach, 0), column + reach)
        patch = cover[rows, columns]
        y, x = np.mgrid[rows.start : rows.start + patch.shape[0], columns.start : columns.start + patch.shape[1]]
        dx, dy = x - column, y - row
        along, over = dx * np.cos(angle) + dy * np.sin(angle), (dy * np.cos(angle) - dx * np.sin(angle)) / squash
        bearing = np.arctan2(over, along)
        outline = radius * (1 + sum(0.12 * np.cos(k * bearing + wave[k - 2]) for k in (2, 3, 4)))
        span = np.hypot(along, over)
        patch[span < outline + 25.0 / gsd_m] = COVER_INDEX["bare ground"]
        patch[span < outline] = COVER_INDEX["inland water"]


def _highways(
    rng: np.random.Generator,
    cover: np.ndarray,
    low: np.ndarray,
    hill: np.ndarray,
    sea_level: float,
    shape: Shape,
    gsd_m: float,
) -> None:
    """One highway down and one across the scene, around hills and water where it can."""
    step = max(1, max(shape) // 60)
    hilly = resize(hill[::step, ::step].astype(np.float32), (60, 60))
    wet = resize((low[::step, ::step] < sea_level).astype(np.float32), (60, 60))
    width_m = HIGHWAY_M * min(1.0, max(shape) * gsd_m / 5000.0)
    for across in (False, True):
        target = rng.uniform(0.25, 0.75) * 60
        cost = 0.15 + 2.0 * hilly + 4.0 * wet + 0.35 * np.abs(coarse_field(rng, (60, 60), 25.0, 2.5, 1))
        cost = (cost.T if across else cost) + 0.008 * np.abs(np.arange(60) - target)[None, :]
        distance = distance_to_path(cost, shape[::-1] if across else shape, np.zeros(60))
        distance = (distance.T if across else distance) * np.float32(gsd_m)
        dry = low > sea_level
        cover[(distance < width_m * 0.5 + 14.0) & dry & (cover != COVER_INDEX["inland water"])] = COVER_INDEX["park"]
        cover[(distance < width_m * 0.5) & dry] = COVER_INDEX["road"]


def _sea(cover: np.ndarray, low: np.ndarray, sea_level: float, gsd_m: float, extent_m: float) -> None:
    """Sea below `sea_level`, with a beach along it."""
    down, right = np.gradient(low)
    shore_m = (low - sea_level) / np.maximum(np.hypot(down, right), 1e-6) * np.float32(gsd_m)
    cover[(low > sea_level) & (shore_m < 55.0 * min(1.0, extent_m / 5000.0))] = COVER_INDEX["sand"]
    cover[low <= sea_level] = COVER_INDEX["sea"]
