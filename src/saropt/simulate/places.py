"""Covers of one place: those of the season, and water under wind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from saropt.simulate.covers import COVERS, NEAR_INFRARED, Cover, SceneConfig
from saropt.simulate.seasons import covers_of

# Colour (B4, B3, B2) and B8 of water under wind: between clear sea (a TerraMesh coast) and muddy floods (Sen1Floods11).
_STIRRED: dict[str, tuple[tuple[float, float, float], float]] = {
    "sea": ((0.15, 0.23, 0.27), 0.09),
    "inland water": ((0.22, 0.28, 0.28), 0.16),
}
LAKE_WIND = 0.6
"""Wind over inland water as a share of that over the sea: land slows it. Our choice."""

# CMOD5.N (Hersbach, ECMWF Technical Memorandum 554, 2008): c1 to c13, the part that does not depend on wind direction.
_CMOD = (0.0, -0.6878, -0.7957, 0.3380, -0.1728, 0.0, 0.0040, 0.1103, 0.0159, 6.7329, 2.7713, -2.2885, 0.4971, -0.7250)


def water_backscatter(wind_ms: float, incidence_deg: float) -> tuple[float, float]:
    """Mean sigma0 of open water in dB, VV and VH, without the noise of a sensor.

    VV is the mean term B0 of CMOD5.N. VH is 0.592 U - 35.6 dB (Vachon and Wolfe, IEEE GRSL 8, 2011), which
    depends on the wind speed U alone.

    Args:
        wind_ms: wind speed at 10 m in m/s, neutral stability.
        incidence_deg: incidence angle, degrees.

    >>> [round(level, 1) for level in water_backscatter(10.0, 38.0)]
    [-14.4, -29.7]
    """
    c = _CMOD
    x = (incidence_deg - 40.0) / 25.0
    gamma = c[9] + c[10] * x + c[11] * x**2
    s, threshold = (c[7] + c[8] * x) * wind_ms, c[12] + c[13] * x
    rise = 1.0 / (1.0 + np.exp(-max(s, threshold)))
    if s < threshold:
        rise *= (s / threshold) ** (threshold * (1.0 - rise))
    level = c[1] + c[2] * x + c[3] * x**2 + c[4] * x**3 + (c[5] + c[6] * x) * wind_ms
    return float(10.0 * (level + gamma * np.log10(rise))), 0.592 * wind_ms - 35.6


def covers_at(config: SceneConfig) -> tuple[Cover, ...]:
    """The covers of a scene: those of its season, with water under its wind.

    >>> windy = covers_at(SceneConfig(wind_ms=10.0))
    >>> [(cover.name, round(cover.vv_db, 1)) for cover in windy if cover.label == 1]
    [('sea', -14.4), ('inland water', -18.0)]
    """
    covers = list(covers_of(config.season))
    for place, cover in enumerate(covers):
        if config.wind_ms is not None and cover.name in _STIRRED:
            wind = config.wind_ms * (1.0 if cover.name == "sea" else LAKE_WIND)
            vv_db, vh_db = water_backscatter(wind, config.incidence_deg)
            covers[place] = replace(cover, vv_db=vv_db, vh_db=vh_db, colour=_STIRRED[cover.name][0])
    return tuple(covers)


def near_infrared_at(config: SceneConfig) -> list[float]:
    """Level of each cover in band 8: that of autumn, and more where the season makes it greener than autumn does.

    >>> len(near_infrared_at(SceneConfig(season="spring"))) == len(COVERS)
    True
    """
    levels = []
    for now, then in zip(covers_of(config.season), COVERS, strict=True):
        greener = (now.colour[1] - now.colour[0]) - (then.colour[1] - then.colour[0])
        level = NEAR_INFRARED[now.name] + 2.0 * greener
        if config.wind_ms is not None and now.name in _STIRRED:
            level = _STIRRED[now.name][1]
        levels.append(min(max(level, 0.05), 1.0))
    return levels
