"""Synthetic paired, labelled SAR and optical scenes with known truth."""

from saropt.simulate.covers import BANDS, CLASSES, COVER_INDEX, COVERS, OPTICAL_BANDS, Cover, SceneConfig
from saropt.simulate.radar import amplitude_q99, gamma_speckle, slope_gain
from saropt.simulate.scene import SimulatedScene, simulate_scene

__all__ = [
    "BANDS",
    "CLASSES",
    "COVERS",
    "COVER_INDEX",
    "OPTICAL_BANDS",
    "Cover",
    "SceneConfig",
    "SimulatedScene",
    "amplitude_q99",
    "gamma_speckle",
    "simulate_scene",
    "slope_gain",
]
