"""The same ground at two dates: fields harvested or built on, floods, clouds and gaps, with the exact change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from saropt.simulate.covers import COVER_INDEX, LABEL_OF_COVER, SceneConfig
from saropt.simulate.layout import Layout, build_layout, uniform
from saropt.simulate.optical import paint
from saropt.simulate.radar import clean_sigma0, gamma_texture, observe
from saropt.simulate.scene import check_size
from saropt.simulate.seasons import cast_clouds, change_fields
from saropt.simulate.terrain import spectral_field

CHANGES: dict[int, str] = {0: "unchanged", 1: "other crop", 2: "built on", 3: "flooded"}
_FIELDS = ("ploughed field", "green crop", "stubble field", "orchard", "park")
_BUILT = ("roof", "yard", "road", "bare ground")
_FLOODED_RELIEF_M = 6.0
_GAP_PX = 12


@dataclass(frozen=True)
class DatesConfig:
    """What happens between two dates. Shares lie in [0, 1].

    Attributes:
        before: season of the earlier date; that of the later one is `SceneConfig.season`.
        crops: share of the fields with another crop at the later date.
        built: share of the fields that were built on.
        flooded: share of the level ground under water at the later date.
        clouds: share of the earlier optical image under clouds; their shadows come on top.
        gaps: share of the earlier optical image without data, in stripes.

    Raises:
        ValueError: a share outside [0, 1].

    >>> DatesConfig(flooded=0.2).before
    'summer'
    """

    before: str = "summer"
    crops: float = 0.2
    built: float = 0.03
    flooded: float = 0.1
    clouds: float = 0.2
    gaps: float = 0.05

    def __post_init__(self) -> None:
        for name in ("crops", "built", "flooded", "clouds", "gaps"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True)
class SimulatedDates:
    """Ground at two dates; all arrays share one grid of `gsd_m` metres.

    Attributes:
        sigma0, sigma0_before: (2, H, W) float32, linear, VV and VH, with noise and speckle.
        optical, optical_before: (4, H, W) float32 in [0, 1], B4, B3, B2, B8 relative to the bright end of the visible
            bands; the later one is clear.
        clouded: (H, W) bool, where a cloud or its shadow hides the ground from `optical_before`.
        missing: (H, W) bool, where `optical_before` has no data.
        change: (H, W) uint8, keys of `CHANGES`.
        label: (H, W) uint8, keys of `CLASSES` at the later date.

    >>> two = simulate_dates(32, seed=0, dates=DatesConfig(gaps=0.0))
    >>> bool(two.missing.any())
    False
    """

    sigma0: np.ndarray
    sigma0_before: np.ndarray
    optical: np.ndarray
    optical_before: np.ndarray
    clouded: np.ndarray
    missing: np.ndarray
    change: np.ndarray
    label: np.ndarray
    gsd_m: float
    seed: int


def simulate_dates(
    size: int | tuple[int, int],
    seed: int,
    *,
    gsd_m: float = 10.0,
    looks: float = 4.4,
    config: SceneConfig | None = None,
    dates: DatesConfig | None = None,
) -> SimulatedDates:
    """Simulate one place at two dates; equal arguments give equal arrays.

    Args:
        size, seed, gsd_m, looks, config: as for `simulate_scene`; `config.season` is that of the later date.
        dates: what happens in between.

    Raises:
        ValueError: an argument outside its range.

    >>> two = simulate_dates(64, seed=0)
    >>> two.optical.shape, two.optical_before.shape, sorted(set(two.change.ravel().tolist()) - {0}) != []
    ((4, 64, 64), (4, 64, 64), True)
    """
    shape = (size, size) if isinstance(size, int) else size
    check_size(shape, seed, gsd_m, looks)
    config, dates = config or SceneConfig(), dates or DatesConfig()
    seeds = np.random.SeedSequence([seed, 2]).spawn(9)

    def stream(number: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(seeds[number]))

    before = build_layout(stream(0), shape, gsd_m, config)
    after, change = _happen(stream(1), before, gsd_m, config, dates)
    earlier = replace(config, season=dates.before)
    texture_before = gamma_texture(stream(5), before, earlier)
    new_texture = gamma_texture(stream(8), after, config)
    texture = np.where(after.cover == before.cover, texture_before, new_texture)
    optical_before, clouded = paint(stream(2), before, earlier, near_infrared=True), np.zeros(shape, bool)
    if dates.clouds:
        clouded_look = replace(earlier, clouds=dates.clouds)
        optical_before, clouded = cast_clouds(stream(3), optical_before, gsd_m, clouded_look)
    return SimulatedDates(
        sigma0=observe(stream(4), clean_sigma0(texture, after, config), looks, 0.0, config),
        sigma0_before=observe(stream(6), clean_sigma0(texture_before, before, earlier), looks, 0.0, earlier),
        optical=paint(stream(2), after, config, near_infrared=True),
        optical_before=optical_before,
        clouded=clouded,
        missing=_stripes(stream(7), shape, dates.gaps),
        change=change,
        label=LABEL_OF_COVER[after.cover],
        gsd_m=float(gsd_m),
        seed=seed,
    )


def _happen(
    rng: np.random.Generator, before: Layout, gsd_m: float, config: SceneConfig, dates: DatesConfig
) -> tuple[Layout, np.ndarray]:
    """The layout at the later date, and what changed (H, W) uint8."""
    change = np.zeros(before.cover.shape, np.uint8)
    after, other = change_fields(before, replace(config, change=dates.crops))
    change[other] = 1
    cover = after.cover.copy()
    fields = np.isin(before.cover, [COVER_INDEX[name] for name in _FIELDS])
    built = fields & (uniform(before.object_id, 41) < dates.built)
    kinds = np.array([COVER_INDEX[name] for name in _BUILT], np.uint8)
    blocks = ndimage.zoom(rng.integers(len(kinds), size=[-(-side // 4) for side in cover.shape]), 4, order=0)
    cover[built] = kinds[blocks[: cover.shape[0], : cover.shape[1]][built]]
    change[built] = 2
    water = np.isin(before.cover, [COVER_INDEX["sea"], COVER_INDEX["inland water"]])
    level = before.elevation + _FLOODED_RELIEF_M * spectral_field(rng, cover.shape, 3000.0 / gsd_m, beta=3.0)
    plain = ~water & (np.hypot(before.east, before.north) < 0.05)
    if dates.flooded and plain.any():
        flooded = plain & (level < np.quantile(level[plain], dates.flooded))
        standing = flooded & ~np.isin(before.cover, [COVER_INDEX[name] for name in ("forest", "roof", "facade")])
        cover[standing] = COVER_INDEX["inland water"]
        change[standing] = 3
    return replace(after, cover=cover), change


def _stripes(rng: np.random.Generator, shape: tuple[int, int], share: float) -> np.ndarray:
    """Slanted stripes without data over a share of the image, as of a sensor's failed lines or the edge of a swath."""
    if not share:
        return np.zeros(shape, bool)
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]]
    period = _GAP_PX / share
    return np.asarray((row + 0.2 * column + rng.uniform(0.0, period)) % period < _GAP_PX)
