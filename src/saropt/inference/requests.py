"""The options of a translator, and the result of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from pathlib import Path

from saropt.domain import SCENE_INPUTS, Direction, Role, check_scene_input, list_roles
from saropt.errors import OptionError
from saropt.files import same_place
from saropt.files.polarisation_files import polarisation_files
from saropt.scenes.metadata import check_band_list

Units = str | Mapping[Role, str] | None
"""Units of the scene, or role -> units of the inputs; None for those of the card."""
Raster = str | Path | tuple[str | Path, ...]
"""Path or address of a raster, or those of several dates of one."""


@dataclass(frozen=True)
class LoadOptions:
    """How a translator file is loaded.

    Attributes:
        direction: needed for files that translate in several directions.
        backend: a registered runtime ("onnx", "openvino", "torch"), or "auto" for the one of the file's suffix.
        precision: "fp32", or "bf16" where the runtime has it.
        device: "cpu", "cuda" or "auto".
        realism: blend of the file's two ends, 0 (closest to the truth on average) to 1 (sharpest, partly invented); the
            card's value when None.
        steps: steps of a sampler; the card's when None.
        reliability: whether runs also write the half-width within which most true values lie (`ReliabilityCard`).
        speckle: looks of the simulated speckle on a SAR image, which the network gives smooth; its seed is that of the
            samples. None for no speckle.
        compile: whether torch.compile makes code for the network: a minute or less before the first window, then up to
            four times as fast. Results differ by rounding.

    Raises:
        OptionError: a value out of range, or a text where a number belongs.

    >>> LoadOptions(realism=0.5).backend
    'auto'
    """

    direction: Direction | None = None
    backend: str = "auto"
    precision: str = "fp32"
    device: str = "auto"
    realism: float | None = None
    steps: int | None = None
    reliability: bool = False
    speckle: float | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        if self.direction is not None:
            object.__setattr__(self, "direction", Direction.parse(self.direction))
        _check_numbers(self, "realism", "steps", "speckle")
        if self.realism is not None and not 0.0 <= self.realism <= 1.0:
            raise OptionError("realism", self.realism, "must lie between 0 and 1")
        if self.speckle is not None and not 1.0 <= self.speckle <= 1e4:
            raise OptionError("speckle", f"{self.speckle:g}", "must be a number of looks from 1 to 10,000")
        if self.precision not in ("fp32", "bf16"):
            raise OptionError("precision", self.precision, "must be fp32 or bf16")
        if self.device not in ("auto", "cpu", "cuda"):
            raise OptionError("device", self.device, "must be auto, cpu or cuda")


@dataclass(frozen=True)
class TranslateOptions:
    """How a scene is translated.

    Attributes:
        bands: bands of the scene by name or 1-based number, put in the card's order where the file names them; those
            that the card names when None. Kept as a tuple.
        units: units of the scene, or role -> units of the inputs; where they are not given those that tags or names of
            bands state, else those of the card.
        reference, reference_sar: path or address of an earlier optical or SAR image of the place, on any grid; also a
            Sentinel-2 or Sentinel-1 product. Of SAR also several dates, whose temporal mean is taken
            (`saropt.inference.temporal_mean`); kept as a tuple.
        reference_mask: raster that is not 0 where the earlier optical image must not be used (cloud, shadow), beside
            the clouds that the scene classification of a Sentinel-2 L2A product tells of.
        keep_clear: optical image of today in the bands, units and type of the output; its valid pixels are kept as they
            are.
        keep_clear_mask: raster that is not 0 where `keep_clear` must not be used.
        inputs: role -> path or address of other inputs that the translator takes, on any grid.
        nodata: a stored value of the scene that is no measurement, beside those that it declares.
        pixel: side in metres of the UTM pixels that a Sentinel-1 product is projected to by its control points; None
            for radar geometry.
        dem: raster of terrain heights, by which a Sentinel-1 product is put on a UTM grid (of 10 m unless `pixel` says
            else) and its backscatter made that of flat ground; also one that is given as `reference_sar`.
        geoid: height in metres of the geoid above the ellipsoid WGS 84, for a `dem` of heights above sea level; 0 when
            None.
        month, latitude, incidence: of translators that take them, the month of the acquisition (1 to 12), the latitude
            of the scene's centre in degrees, north positive, and the incidence angle there in degrees; unknown when
            None.
        read_scene_inputs: take those of the three that are not given from the scene's tags and georeference, where it
            has them.
        tile: side of the windows in pixels; the card's when None.
        samples: of translators that draw samples, how many; one when None. Of more than one the image is the mean, and
            a second product holds their standard deviation.
        seed: of the noise of the samples; 0 when None.
        resume: continue an interrupted translation of the same scene with the same settings; what it left is replaced.
        overwrite: replace an existing output. What the earlier run wrote beside it and this one does not is removed.
        staging: folder where an output for an address is made; one in the temporary folder when None.
        stac: write a STAC item beside a local output, with the same name and .json.

    Raises:
        OptionError: a value out of range, a text where a number belongs, or one band that is no list.

    >>> TranslateOptions(tile=512).resume
    False
    """

    bands: Sequence[str | int] | None = None
    units: Units = None
    reference: str | Path | None = None
    reference_sar: str | Path | Sequence[str | Path] | None = None
    reference_mask: str | Path | None = None
    keep_clear: str | Path | None = None
    keep_clear_mask: str | Path | None = None
    inputs: Mapping[Role, str | Path] = field(default_factory=dict)
    nodata: float | None = None
    pixel: float | None = None
    dem: str | Path | None = None
    geoid: float | None = None
    month: float | None = None
    latitude: float | None = None
    incidence: float | None = None
    read_scene_inputs: bool = False
    tile: int | None = None
    samples: int | None = None
    seed: int | None = None
    resume: bool = False
    overwrite: bool = False
    staging: str | Path | None = None
    stac: bool = False

    def __post_init__(self) -> None:
        _check_numbers(self, "nodata", "pixel", "geoid", "tile", "samples", "seed", *SCENE_INPUTS)
        if self.bands is not None:
            check_band_list(self.bands)
            object.__setattr__(self, "bands", tuple(self.bands))
        given = {role: raster for role, raster in self.inputs.items() if raster is not None}
        object.__setattr__(self, "inputs", given)
        if self.reference_sar is not None:
            object.__setattr__(self, "reference_sar", check_dates("reference_sar", self.reference_sar))
        for name, least in (("tile", 1), ("samples", 1), ("pixel", 1e-3)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise OptionError(name, value, "must be positive")
        if self.geoid is not None and (self.dem is None or not abs(self.geoid) <= 200):
            reason = "is for a terrain model, and none is given" if self.dem is None else "must be within 200 m"
            raise OptionError("geoid", f"{self.geoid:g}", reason)
        check_scene_inputs(self.given_scene_inputs)
        if self.reference_mask is not None and self.reference is None:
            raise OptionError("reference_mask", self.reference_mask, "masks an earlier image, and none is given")
        if self.keep_clear_mask is not None and self.keep_clear is None:
            raise OptionError("keep_clear_mask", self.keep_clear_mask, "masks an image of today, and none is given")

    @property
    def given_scene_inputs(self) -> dict[str, float]:
        """Name -> value of the scene inputs that are given.

        >>> TranslateOptions(month=7, latitude=37.5).given_scene_inputs
        {'month': 7, 'latitude': 37.5}
        """
        return {name: getattr(self, name) for name in SCENE_INPUTS if getattr(self, name) is not None}

    @property
    def companions(self) -> dict[str, Raster]:
        """The rasters that come with the scene, by field.

        >>> TranslateOptions(reference="old.tif").companions
        {'reference': 'old.tif'}
        """
        return {name: getattr(self, name) for name in COMPANIONS if getattr(self, name) is not None}

    @property
    def all_inputs(self) -> dict[Role, Raster]:
        """Role -> path or address of all inputs but the scene."""
        earlier = {role: getattr(self, name) for name, role in _ROLES.items() if getattr(self, name) is not None}
        return {**self.inputs, **earlier}

    @property
    def files(self) -> list[tuple[str, str | Path]]:
        """Role or field, and path or address, of each raster beside the scene; of each date of one.

        >>> TranslateOptions(reference_sar=["a.tif", "b.tif"]).files
        [('reference_sar', 'a.tif'), ('reference_sar', 'b.tif')]
        """
        given: dict[str, Raster] = {**self.inputs, **self.companions}
        terrain = [] if self.dem is None else [("dem", self.dem)]
        return [*((name, path) for name, raster in given.items() for path in dates_in(raster)), *terrain]

    def sources_of(self, scene: str | Path) -> list[str]:
        """All that the products of a scene are made from, each file or address once.

        >>> TranslateOptions(reference="old.tif").sources_of("scene.tif")
        ['scene.tif', 'old.tif']
        """
        given = [scene, *(path for _, path in self.files)]
        return list(dict.fromkeys(str(file) for path in given for file in (*polarisation_files(path),) or (path,)))

    def with_companions(self, given: Mapping[str, Raster]) -> TranslateOptions:
        """The same options with other rasters that come with the scene.

        Args:
            given: field -> path or address, of several dates a tuple; fields are those of `COMPANIONS`. What is none
                of them is the role of a further input.

        >>> TranslateOptions().with_companions({"reference": "old.tif", "dem": "heights.tif"}).inputs
        {'dem': 'heights.tif'}
        """
        fields = {name: raster for name, raster in given.items() if name in COMPANIONS}
        inputs = dict(self.inputs) | {role: raster for role, raster in given.items() if role not in COMPANIONS}
        return replace(self, inputs=inputs, **fields)  # type: ignore[arg-type]


def _check_numbers(options: object, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if value is not None and not isinstance(value, Real):
            raise OptionError(name, value, "must be a number")


def dates_in(raster: str | Path | Sequence[str | Path]) -> tuple[str | Path, ...]:
    """The dates of a raster: itself where it is one.

    >>> dates_in("a.tif"), dates_in(("a.tif", "b.tif"))
    (('a.tif',), ('a.tif', 'b.tif'))
    """
    return (raster,) if isinstance(raster, str | Path) else tuple(raster)


def check_dates(name: str, raster: str | Path | Sequence[str | Path]) -> Raster:
    """A raster, or of several dates a tuple.

    Args:
        name: the option that gives it.

    Raises:
        OptionError: there is none, or one is given twice.

    >>> check_dates("reference_sar", ["a.tif"]), check_dates("reference_sar", ["a.tif", "b.tif"])
    ('a.tif', ('a.tif', 'b.tif'))
    """
    dates = dates_in(raster)
    if not dates:
        raise OptionError(name, None, "names no raster: an empty list")
    for place, date in enumerate(dates):
        if any(same_place(date, other) for other in dates[:place]):
            raise OptionError(name, str(date), "is given twice: a date counts once")
    return dates[0] if len(dates) == 1 else dates


def check_scene_inputs(given: Mapping[str, float]) -> None:
    """Refuse a scene input that is out of range.

    Args:
        given: name -> value.

    Raises:
        OptionError: one is.

    >>> check_scene_inputs({"latitude": 95.0})
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: latitude='95': must be between -90 and 90 degrees
    """
    for name, value in given.items():
        try:
            check_scene_input(name, value)
        except ValueError as error:
            raise OptionError(name, f"{value:g}", str(error)) from error


_ROLES = {"reference": "optical_reference", "reference_sar": "sar_reference"}
EARLIER_IMAGES = tuple(_ROLES)
COMPANIONS = tuple(one.name for one in fields(TranslateOptions) if one.name.startswith(("reference", "keep_clear")))
"""Fields of `TranslateOptions` that name rasters of the scene's own place; columns of a list of scenes (.csv)."""


def further_roles() -> list[Role]:
    """Roles of inputs that no field of `TranslateOptions` names, those of plug-ins among them; they too are columns of
    a list of scenes.

    >>> "dem" in further_roles(), "sar_reference" in further_roles()
    (True, False)
    """
    return [role for role in list_roles() if role not in _ROLES.values()]


def inputs_by_role(given: Sequence[str]) -> dict[Role, str]:
    """Role -> raster, from texts such as "dem=heights.tif".

    Raises:
        OptionError: a text names no raster, a role that is unknown or has an option of its own, or a role twice.

    >>> inputs_by_role(["dem=heights.tif"])
    {'dem': 'heights.tif'}
    """
    inputs: dict[Role, str] = {}
    own = {role: f"--{name.replace('_', '-')}" for name, role in _ROLES.items()}
    for text in given:
        role, _, raster = text.partition("=")
        if not role or not raster:
            raise OptionError("input", text, "must be ROLE=FILE, such as dem=heights.tif")
        if role in own:
            raise OptionError("input", text, f"{role} has an option of its own: {own[role]}")
        if role not in further_roles():
            raise OptionError("input", text, f"{role} is no role of an input: {', '.join(further_roles())}")
        if role in inputs:
            raise OptionError("input", text, f"gives {role} twice")
        inputs[role] = raster
    return inputs


@dataclass(frozen=True)
class SceneResult:
    """The result of a run over a scene.

    Attributes:
        products: product name -> path or address of the raster; the first one is the image.
        seam: of networks that see their whole window, the mean absolute difference of neighbouring windows where they
            overlap, in network values; None where any tiling gives the same picture.
        warnings: one line each.
        ignored: roles of given inputs that were not used.

    >>> SceneResult({"image": Path("optical.tif")}).path.name
    'optical.tif'
    """

    products: Mapping[str, Path | str]
    seam: float | None = None
    warnings: tuple[str, ...] = ()
    ignored: tuple[Role, ...] = ()

    @property
    def path(self) -> Path | str:
        """The first product."""
        return next(iter(self.products.values()))
