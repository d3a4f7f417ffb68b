"""Quad-polarised views of a simulated scene: the covariance of HH, HV, VV under reflection symmetry, with speckle."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from saropt.simulate.covers import COVERS
from saropt.simulate.scene import SimulatedScene

COVARIANCE = ("C11", "C22", "C33", "C13")

# HH over VV in dB, coherence of HH and VV, phase between them in degrees, by the kind of scattering (Cloude & Pottier,
# IEEE TGRS 34(2), 1996, sec. V; C-band ratios within Ulaby & Dobson, 1989): a slightly rough surface has VV above HH,
# high coherence and no phase; trees have low coherence; a dihedral of ground and wall has HH above VV and a phase
# towards 180 degrees.
_SURFACE, _WATER, _VOLUME, _CROP, _DIHEDRAL, _TOWN = (
    (-1.0, 0.85, 5.0),
    (-1.5, 0.9, 0.0),
    (0.0, 0.35, 10.0),
    (-0.3, 0.6, 15.0),
    (2.0, 0.6, 155.0),
    (0.8, 0.45, 110.0),
)
_KINDS: dict[str, tuple[float, float, float]] = {
    "sea": _WATER,
    "inland water": _WATER,
    "forest": _VOLUME,
    "dry shrub": _CROP,
    "green crop": _CROP,
    "orchard": _VOLUME,
    "park": _CROP,
    "houses": _TOWN,
    "street": _TOWN,
    "yard": _SURFACE,
    "roof": _SURFACE,
    "facade": _DIHEDRAL,
}


def quad_pol_covariance(
    scene: SimulatedScene, looks: int = 4, seed: int | None = None, psf_px: float = 0.0
) -> dict[str, np.ndarray]:
    """The covariance C3 of the lexicographic vector [HH, sqrt(2) HV, VV] as a multilooked product holds it.

    VV and HV powers are the scene's own clean sigma0 (HV = VH); HH, its coherence with VV and their phase follow the
    cover. Every look is a circular Gaussian vector of that covariance (Goodman, Ann. Math. Stat. 34, 1963), so that the
    sum is complex Wishart.

    Args:
        looks: whole number of independent looks.
        seed: of the speckle; the scene's own when None.
        psf_px: standard deviation of the point spread that correlates the speckle, in pixels.

    Returns:
        C11, C22, C33 (H, W) float32 and C13 (H, W) complex64; C12 and C23 are zero in expectation and left out.

    Raises:
        ValueError: fewer than one look.

    >>> from saropt.simulate import simulate_scene
    >>> sorted(quad_pol_covariance(simulate_scene(64, seed=1), looks=4))
    ['C11', 'C13', 'C22', 'C33']
    """
    if looks < 1 or looks != int(looks):
        raise ValueError(f"looks must be a whole number of at least 1, got {looks}")
    rng = np.random.default_rng([scene.seed if seed is None else seed, 3])
    table = np.array([_KINDS.get(cover.name, _SURFACE) for cover in COVERS], np.float32)
    ratio, coherence, phase = (table[:, column][scene.cover] for column in range(3))
    vv, hv = np.sqrt(scene.sigma0_clean[0]), np.sqrt(scene.sigma0_clean[1])
    hh = vv * np.power(np.float32(10.0), ratio / 20.0)
    turn = coherence * np.exp(1j * np.deg2rad(phase))
    rest = np.sqrt(1.0 - coherence**2)
    out = {name: np.zeros(scene.cover.shape, np.complex128 if name == "C13" else np.float64) for name in COVARIANCE}
    for _ in range(int(looks)):
        first, second, third = (_circular(rng, scene.cover.shape, psf_px) for _ in range(3))
        own_vv, own_hh, own_hv = vv * first, hh * (turn * first + rest * second), np.sqrt(2.0) * hv * third
        out["C11"] += np.abs(own_hh) ** 2
        out["C22"] += np.abs(own_hv) ** 2
        out["C33"] += np.abs(own_vv) ** 2
        out["C13"] += own_hh * own_vv.conj()
    return {name: (sum_ / looks).astype(np.complex64 if name == "C13" else np.float32) for name, sum_ in out.items()}


def _circular(rng: np.random.Generator, shape: tuple[int, ...], psf_px: float) -> np.ndarray:
    """Circular complex Gaussian field of unit power, correlated by the point spread."""
    field = rng.standard_normal((2, *shape)) / np.sqrt(2.0)
    if psf_px > 0:
        radius = int(3.0 * psf_px + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / psf_px) ** 2)
        kernel /= np.sqrt((kernel**2).sum())
        for axis in (1, 2):
            field = ndimage.correlate1d(field, kernel, axis=axis, mode="wrap")
    return field[0] + 1j * field[1]
