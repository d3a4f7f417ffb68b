"""What the names of radiometrically terrain-corrected (RTC) products of Sentinel-1 say, which their tags may not."""

from __future__ import annotations

import re

UNITS_TAG = "PRODUCT_NAME_UNITS"
"""Stands for a tag with the units that the name of a product states."""
_HYP3 = re.compile(r"S1[A-D]_\w\w_(\d{8}T\d{6})_\w{3}_RTC\d+_[A-Z]_([gs])([pda])[a-z]{4}_")
_OPERA = re.compile(r"OPERA_L2_RTC-S1_T\d{3}-\d{6}-IW\d_(\d{8}T\d{6})Z_")
_CALIBRATIONS = {"g": "gamma0", "s": "sigma0"}


def facts_in_name(name: str) -> dict[str, str]:
    """Units and start of acquisition that the name of a product of ASF HyP3 or OPERA RTC-S1 states, as tags; empty for
    other names.

    HyP3's letters after the software say gamma0 or sigma0 (g, s) and power, decibels or amplitude (p, d, a). OPERA's
    backscatter is power of gamma0.

    >>> facts_in_name("S1A_IW_20230610T050000_DVP_RTC10_G_gduned_1A2B_VV")
    {'ACQUISITION_DATE': '20230610T050000', 'PRODUCT_NAME_UNITS': 'gamma0_db'}
    >>> facts_in_name("scene_VV")
    {}
    """
    if (match := _HYP3.match(name)) is not None:
        calibration = _CALIBRATIONS[match[2]]
        units = {"p": calibration, "d": f"{calibration}_db", "a": "amplitude"}[match[3]]
    elif (match := _OPERA.match(name)) is not None:
        units = "gamma0"
    else:
        return {}
    return {"ACQUISITION_DATE": match[1], UNITS_TAG: units}
