"""Phase congruency from log-Gabor filters (Kovesi, "Image Features from Phase Congruency", Videre 1(3), 1999; moments
after Kovesi, "Phase Congruency Detects Corners and Edges", DICTA 2003)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Float = NDArray[np.float32]

_TINY = 1e-4
_CUTOFF, _SHARPNESS = 0.5, 3.0


@dataclass(frozen=True)
class Bank:
    """Log-Gabor filters.

    Attributes:
        scales, orientations: how many; orientations divide pi evenly.
        shortest: wavelength of the finest scale in pixels; each next one is `growth` times longer.
        bandwidth: standard deviation of the radial Gaussian over the centre frequency.
        noise: noise threshold in standard deviations of the estimated noise response over its mean.
    """

    scales: int = 4
    orientations: int = 6
    shortest: float = 3.0
    growth: float = 1.6
    bandwidth: float = 0.75
    noise: float = 1.0


DEFAULT_BANK = Bank()


@dataclass(frozen=True)
class Congruency:
    """Maps of one image.

    Attributes:
        largest, smallest: (h, w) moments of phase congruency: edges, corners.
        strongest: (h, w) uint8 index of the orientation whose amplitude, summed over scales, is greatest: the maximum
            index map (MIM) of Li, Hu & Ai (RIFT, IEEE TIP 2020).
    """

    largest: Float
    smallest: Float
    strongest: NDArray[np.uint8]


def phase_congruency(image: NDArray, bank: Bank = DEFAULT_BANK) -> Congruency:
    """Moments of phase congruency and the maximum index map of an image (h, w).

    Filtering is periodic: values within about two of the longest wavelengths from the frame mix with the far side.

    >>> edge = np.repeat([[0.0, 1.0]], 64, axis=0).repeat(32, axis=1)
    >>> maps = phase_congruency(edge)
    >>> maps.largest.shape, maps.strongest.dtype.name
    ((64, 64), 'uint8')
    """
    xx = yy = xy = np.zeros(image.shape, np.float32)
    best = np.full(image.shape, -1.0, np.float32)
    strongest = np.zeros(image.shape, np.uint8)
    for index, responses in enumerate(_responses(image, bank)):
        amplitudes = np.abs(responses)
        total = amplitudes.sum(0)
        wins = total > best
        best, strongest = np.where(wins, total, best), np.where(wins, np.uint8(index), strongest)
        angle = index * np.pi / bank.orientations
        weight = _congruency(responses, amplitudes, total, bank)
        x, y = weight * np.float32(np.cos(angle)), weight * np.float32(np.sin(angle))
        xx, yy, xy = xx + x * x, yy + y * y, xy + x * y
    half = 2.0 / bank.orientations
    spread = np.sqrt(4.0 * xy**2 + (xx - yy) ** 2)
    return Congruency(half * (xx + yy + spread) / 2.0, half * (xx + yy - spread) / 2.0, strongest)


def _responses(image: NDArray, bank: Bank) -> Iterator[NDArray[np.complex64]]:
    """(scales, h, w) complex responses, one orientation after another; even part real, odd part imaginary."""
    h, w = image.shape
    centred = np.asarray(image, np.float32) - np.float32(image.mean())
    spectrum = fft.fft2(centred / max(float(centred.std()), 1e-12))
    fy, fx = np.meshgrid(fft.fftfreq(h), fft.fftfreq(w), indexing="ij")
    radius = np.hypot(fx, fy)
    radius[0, 0] = 1.0
    low_pass = 1.0 / (1.0 + (radius / 0.45) ** 30)
    radial = []
    for scale in range(bank.scales):
        centre = 1.0 / (bank.shortest * bank.growth**scale)
        ring = np.exp(-(np.log(radius / centre) ** 2) / (2.0 * np.log(bank.bandwidth) ** 2)) * low_pass
        ring[0, 0] = 0.0
        radial.append(ring)
    rings = np.stack(radial).astype(np.float32) * spectrum
    direction = np.arctan2(-fy, fx)
    for index in range(bank.orientations):
        away = np.abs(np.angle(np.exp(1j * (direction - index * np.pi / bank.orientations))))
        sector = (np.cos(np.minimum(away * bank.orientations / 2.0, np.pi)) + 1.0) / 2.0
        yield fft.ifft2(rings * sector.astype(np.float32), overwrite_x=True)


def _congruency(responses: NDArray[np.complex64], amplitudes: Float, total: Float, bank: Bank) -> Float:
    """Phase congruency of one orientation, in [0, 1): energy above the noise over amplitude, for broad spectra."""
    mean = responses.sum(0)
    mean /= np.abs(mean) + _TINY
    aligned = responses * mean.conj()
    energy = (aligned.real - np.abs(aligned.imag)).sum(0)
    rayleigh = np.median(amplitudes[0]) / np.sqrt(np.log(4.0))
    rayleigh *= (1.0 - (1.0 / bank.growth) ** bank.scales) / (1.0 - 1.0 / bank.growth)
    threshold = rayleigh * (np.sqrt(np.pi / 2.0) + bank.noise * np.sqrt((4.0 - np.pi) / 2.0))
    width = (total / (amplitudes.max(0) + _TINY) - 1.0) / (bank.scales - 1)
    weight = 1.0 / (1.0 + np.exp((_CUTOFF - width) * _SHARPNESS))
    return (weight * np.maximum(energy - threshold, 0.0) / (total + _TINY)).astype(np.float32)
