"""What the simulated ground is made of: land covers, their classes, backscatter and colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES: dict[int, str] = {1: "water", 2: "forest", 3: "fields", 4: "built-up", 5: "roads", 6: "bare or shrub"}
BANDS = ("VV", "VH")
OPTICAL_BANDS = ("B4", "B3", "B2")


@dataclass(frozen=True)
class Cover:
    """One land cover.

    Backscatter levels are means at 35-40 degrees of incidence, inside the C-band ranges of Ulaby & Dobson, Handbook
    of Radar Scattering Statistics for Terrain (Artech House, 1989), shifted within them to what Sentinel-1 IW shows
    over southern California. Colours are Sentinel-2 top-of-atmosphere B4, B3, B2 relative to the bright end
    (99 % quantile) of a scene, hence the bluish cast.

    Attributes:
        label: key of `CLASSES`.
        vv_db, vh_db: mean sigma0, dB.
        texture_order: order of the gamma texture that multiplies the mean (K distribution; Jakeman & Pusey, 1976);
            inf has none.
        colour: mean (B4, B3, B2) in [0, 1].
        object_contrast: standard deviation of brightness between objects (fields, roofs) of this cover, relative.
        pixel_contrast: standard deviation of brightness between pixels, absolute.
        object_db: standard deviation of sigma0 between objects, dB.

    >>> [cover.name for cover in COVERS if cover.vv_db > -5]
    ['roof', 'facade']
    """

    name: str
    label: int
    vv_db: float
    vh_db: float
    texture_order: float
    colour: tuple[float, float, float]
    object_contrast: float = 0.0
    pixel_contrast: float = 0.02
    object_db: float = 0.0


_INF = float("inf")
COVERS: tuple[Cover, ...] = (
    Cover("sea", 1, -20.0, -28.0, _INF, (0.15, 0.32, 0.52), 0.0, 0.006),
    Cover("inland water", 1, -20.5, -28.0, _INF, (0.16, 0.27, 0.36), 0.15, 0.008),
    Cover("forest", 2, -10.0, -16.0, 10.0, (0.30, 0.35, 0.42), 0.0, 0.025),
    Cover("dry shrub", 6, -13.5, -21.0, 10.0, (0.47, 0.42, 0.46), 0.0, 0.020),
    Cover("ploughed field", 3, -12.5, -21.0, _INF, (0.46, 0.42, 0.46), 0.16, 0.018, 1.0),
    Cover("green crop", 3, -10.5, -17.0, _INF, (0.29, 0.44, 0.42), 0.18, 0.018, 1.0),
    Cover("stubble field", 3, -13.5, -20.5, _INF, (0.66, 0.61, 0.61), 0.12, 0.018, 1.0),
    Cover("orchard", 3, -10.5, -16.5, 6.0, (0.38, 0.43, 0.46), 0.12, 0.030, 1.0),
    Cover("park", 3, -11.5, -19.0, 3.0, (0.30, 0.45, 0.43), 0.20, 0.045),
    Cover("houses", 4, -6.0, -14.2, 0.75, (0.55, 0.64, 0.735), 0.06, 0.075, 0.8),
    Cover("street", 4, -11.0, -19.5, 0.8, (0.60, 0.67, 0.73), 0.14, 0.050),
    Cover("yard", 4, -12.0, -19.5, 0.5, (0.59, 0.65, 0.72), 0.12, 0.060),
    Cover("roof", 4, -4.5, -12.0, 0.8, (0.93, 0.96, 0.98), 0.17, 0.040),
    Cover("facade", 4, 0.0, -6.0, 0.8, (0.80, 0.83, 0.88), 0.17, 0.080),
    Cover("road", 5, -17.0, -25.0, _INF, (0.68, 0.73, 0.78), 0.0, 0.040),
    Cover("sand", 6, -15.0, -23.0, _INF, (0.94, 0.94, 0.92), 0.0, 0.030),
    Cover("bare ground", 6, -14.5, -22.5, _INF, (0.70, 0.64, 0.64), 0.15, 0.030),
)
NEAR_INFRARED: dict[str, float] = {
    **{"sea": 0.05, "inland water": 0.09, "forest": 0.82, "dry shrub": 0.66, "ploughed field": 0.58, "green crop": 1.0},
    **{"stubble field": 0.84, "orchard": 0.84, "park": 0.88, "houses": 0.72, "street": 0.64, "yard": 0.66},
    **{"roof": 0.96, "facade": 0.82, "road": 0.7, "sand": 1.0, "bare ground": 0.82},
}
"""Autumn level of each cover in Sentinel-2's band 8, relative to the bright end of the visible bands. Our choice:
vegetation is two to three times as bright there as in green, water dark."""
COVER_INDEX: dict[str, int] = {cover.name: index for index, cover in enumerate(COVERS)}
LABEL_OF_COVER = np.array([cover.label for cover in COVERS], dtype=np.uint8)


@dataclass(frozen=True)
class SceneConfig:
    """What a simulated scene holds and how it is seen. Fractions are of the scene's area, angles in degrees.

    Attributes:
        hills: fraction of the scene that is hilly.
        water: fraction under the sea or the large lake.
        fields, commerce: fractions of the plain that are farmland and large buildings; the rest is mostly houses.
        forest: fraction of the hills under forest.
        river, highways: whether to draw them.
        relief_m: height of the hills over the plain.
        incidence_deg, look_azimuth_deg: radar geometry; 78 is Sentinel-1 ascending, looking east by north.
        sun_elevation_deg, sun_azimuth_deg: 38 and 160 are a November morning over Los Angeles.
        speckle: whether `sigma0` carries speckle at all.
        psf_px: standard deviation of the radar's point spread in pixels; it correlates speckle and blurs the ground.
            0.9 gives the correlation (0.74, 0.3, 0.05 at 1, 2, 3 pixels) that Sentinel-1 IW GRD shows over calm water.
        noise_floor_db: noise-equivalent sigma0 added before speckle; None adds none.
        season: "autumn", "winter", "spring" or "summer": look of what grows, in both images.
        clouds: fraction of the optical image under clouds; their shadows come on top.
        change: fraction of the fields that were ploughed, sown or harvested between the SAR and the optical date.
        wind_ms: wind speed over the sea in m/s: water is rough and stirred up; None leaves it nearly calm and blue.

    >>> SceneConfig(season="winter", clouds=0.1).incidence_deg
    38.0
    """

    hills: float = 0.28
    water: float = 0.06
    fields: float = 0.17
    commerce: float = 0.16
    forest: float = 0.5
    river: bool = True
    highways: bool = True
    relief_m: float = 340.0
    incidence_deg: float = 38.0
    look_azimuth_deg: float = 78.0
    sun_elevation_deg: float = 38.0
    sun_azimuth_deg: float = 160.0
    speckle: bool = True
    psf_px: float = 0.9
    noise_floor_db: float | None = -29.0
    season: str = "autumn"
    clouds: float = 0.0
    change: float = 0.0
    wind_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("hills", "water", "fields", "commerce", "forest", "clouds", "change"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a fraction in [0, 1], got {getattr(self, name)}")
        if self.season not in ("autumn", "winter", "spring", "summer"):
            raise ValueError(f"season is autumn, winter, spring or summer, not {self.season!r}")
        if self.wind_ms is not None and not 1.0 <= self.wind_ms <= 25.0:
            raise ValueError("wind_ms must lie in [1, 25] m/s")
        if self.hills + self.water > 1.0 or self.fields + self.commerce > 1.0:
            raise ValueError("hills + water and fields + commerce must not exceed 1")
        if not 10.0 <= self.incidence_deg <= 70.0 or not 5.0 <= self.sun_elevation_deg <= 90.0:
            raise ValueError("incidence_deg must lie in [10, 70] and sun_elevation_deg in [5, 90]")
        if not 0.0 <= self.psf_px <= 10.0 or not 0.0 <= self.relief_m <= 5000.0:
            raise ValueError("psf_px must lie in [0, 10] and relief_m in [0, 5000]")
