"""Keypoints, matches and tie points between scenes; registration; matching rates (no torch)."""

from saropt.matching.features import Features, Matcher
from saropt.matching.geometry import fit_transform
from saropt.matching.rates import Rates, match_pair
from saropt.matching.register import register, units_to_register, unknown_units
from saropt.matching.registry import MATCHERS, find_matcher
from saropt.matching.rift import RiftLike
from saropt.matching.scene_matching import SceneMatch, match_scenes
from saropt.matching.sift import Sift
from saropt.matching.tie_points import check_tie_points_path, write_tie_points
from saropt.matching.translated import match_translated

__all__ = [
    "MATCHERS",
    "Features",
    "Matcher",
    "Rates",
    "RiftLike",
    "SceneMatch",
    "Sift",
    "check_tie_points_path",
    "find_matcher",
    "fit_transform",
    "match_pair",
    "match_scenes",
    "match_translated",
    "register",
    "units_to_register",
    "unknown_units",
    "write_tie_points",
]
