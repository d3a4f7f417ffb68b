"""Synthetic paired, labelled SAR and optical scenes with known truth."""

from saropt.simulate.covers import BANDS, CLASSES, COVER_INDEX, COVERS, OPTICAL_BANDS, Cover, SceneConfig
from saropt.simulate.dates import CHANGES, DatesConfig, SimulatedDates, simulate_dates
from saropt.simulate.polarimetric import COVARIANCE, quad_pol_covariance
from saropt.simulate.radar import amplitude_q99, gamma_speckle, slope_gain
from saropt.simulate.scene import SimulatedScene, simulate_scene
from saropt.simulate.seasons import SEASONS, covers_of

__all__ = [
    "BANDS",
    "CHANGES",
    "CLASSES",
    "COVARIANCE",
    "COVERS",
    "COVER_INDEX",
    "OPTICAL_BANDS",
    "SEASONS",
    "Cover",
    "DatesConfig",
    "SceneConfig",
    "SimulatedDates",
    "SimulatedScene",
    "amplitude_q99",
    "covers_of",
    "gamma_speckle",
    "quad_pol_covariance",
    "simulate_dates",
    "simulate_scene",
    "slope_gain",
]
