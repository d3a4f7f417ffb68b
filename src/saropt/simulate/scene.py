"""One simulated scene: SAR, optical, labels and terrain on one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saropt.simulate.covers import LABEL_OF_COVER, SceneConfig
from saropt.simulate.layout import build_layout
from saropt.simulate.optical import paint
from saropt.simulate.radar import clean_sigma0, gamma_texture, observe
from saropt.simulate.seasons import cast_clouds, change_fields

MIN_SIZE = 32
MAX_PIXELS = 1 << 28


@dataclass(frozen=True)
class SimulatedScene:
    """A paired, labelled scene with known truth; every array shares one north-up grid of `gsd_m` metres.

    Attributes:
        sigma0: (2, H, W) float32, linear, VV and VH, with thermal noise, speckle and calibration gain.
        sigma0_clean: (2, H, W) float32, the same ground without noise, speckle or gain.
        optical: (3, H, W) float32 in [0, 1], B4, B3, B2 relative to the bright end of the scene.
        label: (H, W) uint8, keys of `CLASSES`.
        cover: (H, W) uint8, index into `COVERS`: the finer truth below `label`.
        elevation: (H, W) float32, metres.
        hidden: (H, W) bool, where a cloud or its shadow hides the ground from the optical image.
        changed: (H, W) bool, fields that are another crop in the optical image than in the SAR image and the label.

    >>> scene = simulate_scene(64, seed=1)
    >>> scene.sigma0.shape, scene.optical.shape, scene.gsd_m
    ((2, 64, 64), (3, 64, 64), 10.0)
    """

    sigma0: np.ndarray
    sigma0_clean: np.ndarray
    optical: np.ndarray
    label: np.ndarray
    cover: np.ndarray
    elevation: np.ndarray
    hidden: np.ndarray
    changed: np.ndarray
    gsd_m: float
    seed: int


def check_size(shape: tuple[int, int], seed: int, gsd_m: float, looks: float) -> None:
    """Refuse sizes, seeds, pixels and looks that cannot be simulated.

    Raises:
        ValueError: one is outside its range.

    >>> check_size((64, 64), 0, 10.0, 4.4)
    """
    if min(shape) < MIN_SIZE or shape[0] * shape[1] > MAX_PIXELS:
        raise ValueError(f"size must be at least {MIN_SIZE} a side and {MAX_PIXELS} pixels at most, got {shape}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if not 1.0 <= gsd_m <= 100.0:
        raise ValueError(f"gsd_m must lie in 1..100 m, got {gsd_m}")
    if not 1.0 <= looks <= 1e6:
        raise ValueError(f"looks must be at least 1, got {looks}")


def simulate_scene(
    size: int | tuple[int, int],
    seed: int,
    *,
    gsd_m: float = 10.0,
    looks: float = 4.4,
    sar_gain_db: float = 0.0,
    config: SceneConfig | None = None,
) -> SimulatedScene:
    """Simulate a scene; equal arguments give equal arrays.

    Layout, texture, speckle, colour and clouds draw from separate streams of `seed`, so that `looks`, `sar_gain_db` or
    `config.speckle` change the SAR image and nothing else.

    Args:
        size: pixels per side, or (H, W); at least 32.
        seed: not negative.
        gsd_m: ground size of a pixel, 1 to 100 m.
        looks: equivalent number of looks of the speckle, at least 1; Sentinel-1 IW GRD has 4.4.
        sar_gain_db: calibration gain on `sigma0`.
        config: contents and geometry.

    Raises:
        ValueError: an argument outside its range.

    >>> scene = simulate_scene(64, seed=0)
    >>> scene.sigma0.shape, scene.optical.shape, scene.label.shape
    ((2, 64, 64), (3, 64, 64), (64, 64))
    """
    height, width = (size, size) if isinstance(size, int) else size
    check_size((height, width), seed, gsd_m, looks)
    if not abs(sar_gain_db) <= 40.0:
        raise ValueError(f"sar_gain_db must lie in -40..40, got {sar_gain_db}")
    config = config or SceneConfig()
    streams = [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(seed).spawn(5)]
    layout = build_layout(streams[0], (height, width), gsd_m, config)
    later, changed = change_fields(layout, config) if config.change else (layout, np.zeros((height, width), bool))
    optical, hidden = paint(streams[3], later, config), np.zeros((height, width), bool)
    if config.clouds:
        optical, hidden = cast_clouds(streams[4], optical, gsd_m, config)
    clean = clean_sigma0(gamma_texture(streams[1], layout, config), layout, config)
    return SimulatedScene(
        sigma0=observe(streams[2], clean, looks, sar_gain_db, config),
        sigma0_clean=clean,
        optical=optical,
        label=LABEL_OF_COVER[layout.cover],
        cover=layout.cover,
        elevation=layout.elevation,
        hidden=hidden,
        changed=changed,
        gsd_m=float(gsd_m),
        seed=seed,
    )
