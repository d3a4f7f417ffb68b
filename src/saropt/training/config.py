"""The configuration of one training run: a YAML preset, then `--set key=value`, then the command line's own flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from saropt.domain import Role, describe_role
from saropt.errors import InputError, OptionError
from saropt.files import load_yaml, read_yaml, validated
from saropt.training.config_version_1 import upgrade, upgrade_data
from saropt.training.presets import find_preset


class Section(BaseModel):
    """Base of all sections of a configuration: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _known(role: Role) -> Role:
    return describe_role(role).name


KnownRole = Annotated[Role, AfterValidator(_known)]
Split = Literal["train", "val", "test"]
Bands = Annotated[tuple[str, ...], Field(min_length=1)]


class DataConfig(Section):
    """Windows and how they are normalised and varied.

    Attributes:
        crop: window side in pixels.
        batch_size: windows per step.
        splits: role -> split that its windows come from, "train" where a role is not named. Splits may differ for
            methods that need no pairs: these can train on the SAR images that they are to translate ("test") and other
            optical ones.
        bands: role -> bands to use, in order; all of a role that is not named.
        recipes: role -> `Recipe.to_dict()`. By default 8-bit for uint8 rasters, q99 for amplitude, dB clip for every
            other SAR unit and reflectance x10000 for other optical rasters.
        max_rasters: train on at most so many rasters of each split that windows come from, drawn at random by
            `rasters_seed` (of pairs, so many pairs); all when None. Their number stands in the card.
        balance_tag: tag of the SAR rasters, such as REGION, whose values share the windows, and of the optical ones too
            where the data are unpaired; by area alone when None.
        balance: how evenly they share them, from 0 (by area) to 1 (equally).
        sar_gain_db: largest random gain of SAR images, in dB.
        sar_contrast: largest random contrast of SAR images that are 8-bit stretches, as a factor.
        speckle_probability: how often SAR images get more speckle.
        optical_gain: largest random gain of optical bands, as a factor.
    """

    crop: int = Field(256, ge=8)
    batch_size: int = Field(1, ge=1)
    splits: dict[KnownRole, Split] = Field(default_factory=dict)
    bands: dict[KnownRole, Bands] = Field(default_factory=dict)
    recipes: dict[KnownRole, dict[str, Any]] = Field(default_factory=dict)
    max_rasters: int | None = Field(None, ge=1)
    rasters_seed: int = Field(0, ge=0)
    balance_tag: str | None = None
    balance: float = Field(1.0, ge=0.0, le=1.0)
    flips: bool = True
    sar_gain_db: float = Field(0.0, ge=0.0, le=20.0)
    sar_contrast: float = Field(1.0, ge=1.0, le=4.0)
    speckle_probability: float = Field(0.0, ge=0.0, le=1.0)
    optical_gain: float = Field(1.0, ge=1.0, le=4.0)

    _version_1 = model_validator(mode="before")(upgrade_data)

    def split(self, role: Role) -> Split:
        """The split of a role.

        >>> DataConfig(splits={"sar": "test"}).split("sar"), DataConfig().split("sar")
        ('test', 'train')
        """
        return self.splits.get(role, "train")

    def describe_splits(self, roles: Sequence[Role]) -> str:
        """Where the windows of these roles come from, in words for the card.

        >>> DataConfig(splits={"sar": "test"}).describe_splits(["sar", "optical"])
        'test (SAR), train (optical)'
        """
        splits = {role: self.split(role) for role in roles}
        if len(set(splits.values())) == 1:
            return next(iter(splits.values()))
        return ", ".join(f"{split} ({describe_role(role).title})" for role, split in splits.items())


class LoopConfig(Section):
    """What the training loop reads: steps, precision, saving, early stopping.

    Attributes:
        max_minutes: stop after this many minutes of training, without validation and saving; learning rates and phases
            then go by the time, so that methods can be compared at equal time. Such a run is not repeatable to the bit.
        accumulate: batches whose gradients are averaged before each optimizer step, as if they were one bigger batch of
            accumulate * data.batch_size windows, in the memory of `data.batch_size`. The same to rounding where a
            loss is a mean over images; not where it is a mean over labelled pixels, where random numbers are drawn, or
            where BatchNorm takes statistics from each batch (the discriminator of pix2pix).
        ema: decay of the averaged weights, with warm-up (1 + s) / (10 + s); 0 switches averaging off.
        clip: largest gradient norm per optimizer step; 0 for none.
        validate_every, checkpoint_every: in steps; 0 for never.
        validation_windows: number of fixed random windows of the val split.
        select: "last", or "best" for the weights with the best validation figure.
        patience: stop after this many validations in a row without a better figure; 0 trains to max_steps.
    """

    max_steps: int = Field(10_000, ge=1)
    max_minutes: float | None = Field(None, gt=0.0)
    seed: int = Field(0, ge=0, lt=2**63)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accumulate: int = Field(1, ge=1)
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    clip: float = Field(0.0, ge=0.0)
    log_every: int = Field(50, ge=1)
    validate_every: int = Field(500, ge=0)
    validation_windows: int = Field(24, ge=1)
    checkpoint_every: int = Field(1000, ge=0)
    select: Literal["last", "best"] = "last"
    patience: int = Field(0, ge=0)


class EngineConfig(LoopConfig):
    """The loop of `saropt train`.

    Attributes:
        checkpoint_activations: keep only the inputs of the generators' blocks and compute what is inside again for the
            backward pass: the same gradients in less memory and more time.
        strategy: how several devices share the work. "ddp": each holds all networks; "fsdp": each holds a part of the
            weights, gradients, averages and optimizer state, for networks that do not fit on one. Equal to rounding.
            One device has nothing to share.
        compile: compile the generators' forwards (torch.compile), for training only; the first steps take minutes, and
            results differ by rounding. Needs a C++ compiler. Such a run is not resumed to the bit.
        sample_every: sample pictures, in steps; 0 for never.
        select: "best" takes the averaged weights with the lowest validation MAE (a milestone's weights are then the
            best up to that milestone); it needs paired data.
        validation_windows: by default 24, or with `patience` all windows that tile the split: what ends a training must
            not hang on a few of them.
        patience: goes by the MAE that "best" goes by or, on unpaired data and in methods that look at no pairs, by that
            of the round trips through both directions.
    """

    ema: float = Field(0.999, ge=0.0, lt=1.0)
    clip: float = Field(1.0, ge=0.0)
    validation_windows: int | None = Field(None, ge=1)  # type: ignore[assignment]
    checkpoint_activations: bool = False
    strategy: Literal["ddp", "fsdp"] = "ddp"
    compile: bool = False
    sample_every: int = Field(1000, ge=0)


class SupervisedEngineConfig(LoopConfig):
    """The loop of runs of one network.

    Attributes:
        select: "best" takes the weights with the highest score (pixel accuracy of segmenters, matching score of
            matchers).
    """

    max_steps: int = Field(5_000, ge=1)
    validate_every: int = Field(250, ge=0)
    validation_windows: int = Field(64, ge=1)
    checkpoint_every: int = Field(500, ge=0)
    select: Literal["best", "last"] = "best"


class CardConfig(Section):
    """What the card of the file says in addition to what the run knows.

    Attributes:
        retreat: how far the fidelity end goes from the first phase's weights away from the realism end, as a share of
            the difference between the two. Chosen on validation windows.
        tile: side of the windows in which scenes are translated; the network's own when None.
    """

    name: str | None = None
    attribution: str = ""
    licence: str = "Apache-2.0"
    realism: float = Field(0.6, ge=0.0, le=1.0)
    retreat: float = Field(0.0, ge=0.0, le=1.0)
    notes: str = ""
    tile: int | None = Field(None, ge=1)


class TrainingConfig(Section):
    """A whole run; `arguments` are validated by the method's own config class.

    >>> TrainingConfig(method="pix2pix").engine.max_steps
    10000
    """

    method: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    data: DataConfig = DataConfig()
    engine: EngineConfig = EngineConfig()
    card: CardConfig = CardConfig()


def read_config(method: str, path: Path | None, settings: Sequence[str]) -> TrainingConfig:
    """The configuration of `saropt train METHOD [--config FILE] [--set key=value ...]`.

    Args:
        method: method name; a preset for another method is refused.
        path: YAML file or the name of a preset, or None for the defaults.
        settings: dotted assignments such as "engine.seed=3" or "arguments.lambda_l1=50".

    Raises:
        InputError: unreadable file, unknown key or unfit value; one line.

    >>> read_config("pix2pix", None, ["engine.seed=3"]).engine.seed
    3
    """
    values: dict[str, Any] = {"method": method}
    if path is not None:
        values = upgrade(read_yaml(find_preset(path)))
        if values.setdefault("method", method) != method:
            raise InputError(path, f"is a preset for {values['method']!r}, not for {method!r}")
    apply_settings(values, settings)
    if values["method"] != method:
        raise OptionError("settings", "method", f"the method is {method!r} already: name another one in its place")
    return validated(TrainingConfig, values, path or "configuration")


def dump_config(config: BaseModel) -> str:
    """YAML that `saropt.files.read_yaml` reads back.

    >>> "method: pix2pix" in dump_config(TrainingConfig(method="pix2pix"))
    True
    """
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def apply_settings(values: dict[str, Any], settings: Sequence[str]) -> None:
    """Put `--set key=value` assignments with dotted keys into nested `values`, in place; an entry of a list is named by
    its number, from 0.

    Raises:
        InputError: one does not read key=value, or cannot be set there.

    >>> values = {"engine": {"seed": 1}}
    >>> apply_settings(values, ["engine.seed=3"])
    >>> values
    {'engine': {'seed': 3}}
    """
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise OptionError("settings", setting, "must read key=value, for example engine.seed=3")
        try:
            _assign(values, key.split("."), load_yaml(value))
        except (yaml.YAMLError, TypeError) as error:
            raise OptionError("settings", setting, "cannot be set there") from error


def _assign(values: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = _entry(values, key) if isinstance(values, list) else values.setdefault(key, {})
        if not isinstance(values, dict | list):
            raise OptionError("settings", None, f"{key} is not a section")
    if isinstance(values, list):
        raise OptionError("settings", None, f"{keys[-1]}: an entry of a list cannot be replaced, only its settings")
    values[keys[-1]] = value


def _entry(values: list, key: str) -> Any:
    if not key.isdecimal() or int(key) >= len(values):
        raise OptionError("settings", None, f"{key}: the list has the entries 0 to {len(values) - 1}")
    return values[int(key)]
