"""The configuration of one training run: a YAML preset, then `--set key=value`, then the command line's own flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saropt.errors import InputError, SaroptError


class Section(BaseModel):
    """Base of all sections of a configuration: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """Windows and how they are normalised and varied.

    Attributes:
        crop: window side in pixels.
        batch_size: windows per step.
        sar_split, optical_split: splits that the windows come from; they may differ for methods that need no pairs,
            which can so train on the very SAR images that they are to translate ("test") and other optical ones.
        sar_bands, optical_bands: bands to use, in order; all when None.
        sar_recipe, optical_recipe: `Recipe.to_dict()`; None takes 8-bit for uint8 rasters, q99 for amplitude, dB clip
            for every other SAR unit and reflectance x10000 for other optical rasters.
        balance_tag: tag of the SAR rasters, such as REGION, whose values share the windows, and of the optical ones too
            where the data are unpaired; by area alone when None.
        balance: how evenly they share them, from 0 (by area) to 1 (equally).
    """

    crop: int = Field(256, ge=8)
    batch_size: int = Field(1, ge=1)
    sar_split: Literal["train", "val", "test"] = "train"
    optical_split: Literal["train", "val", "test"] = "train"
    sar_bands: tuple[str, ...] | None = None
    optical_bands: tuple[str, ...] | None = None
    sar_recipe: dict[str, Any] | None = None
    optical_recipe: dict[str, Any] | None = None
    balance_tag: str | None = None
    balance: float = Field(1.0, ge=0.0, le=1.0)
    flips: bool = True
    sar_gain_db: float = Field(0.0, ge=0.0, le=20.0)
    speckle_probability: float = Field(0.0, ge=0.0, le=1.0)
    optical_gain: float = Field(1.0, ge=1.0, le=4.0)

    @property
    def split(self) -> str:
        """Where the windows come from, in a word for the card."""
        same = self.sar_split == self.optical_split
        return self.sar_split if same else f"{self.sar_split} (SAR), {self.optical_split} (optical)"


class EngineConfig(Section):
    """Steps, precision, saving.

    Attributes:
        max_minutes: stop after so many minutes of training, without validation and saving; learning rates and phases
            then go by the time, so that methods can be compared at equal time. Such a run is not repeatable to the bit.
        accumulate: batches whose gradients are averaged before each optimizer step, as if they were one bigger batch of
            accumulate * data.batch_size windows, in the memory of `data.batch_size`. The same to rounding where a
            loss is a mean over images; not where it is a mean over labelled pixels, where random numbers are drawn, or
            where BatchNorm takes statistics from each batch (the discriminator of pix2pix).
        checkpoint_activations: keep only the inputs of the generators' blocks and compute what is inside again for the
            backward pass: the same gradients in less memory and more time.
        strategy: how several devices share the work. "ddp": each holds all networks; "fsdp": each holds a part of the
            weights, gradients, averages and optimizer state, for networks that do not fit on one. Equal to rounding.
            One device has nothing to share.
        compile: compile the generators' forwards (torch.compile), for training only; the first steps take minutes, and
            results differ by rounding. Needs a C++ compiler. Such a run is not resumed to the bit.
        ema: decay of the averaged weights, with warm-up (1 + s) / (10 + s); 0 switches averaging off.
        clip: largest gradient norm per optimizer step; 0 for none.
        validate_every, sample_every, checkpoint_every: in steps; 0 for never.
        validation_windows: fixed windows of the val split; of unpaired data, which have no truth, only samples come.
        select: "last", or "best" for the averaged weights with the lowest validation MAE (a milestone's weights are
            then the best up to that milestone); "best" needs paired data.
        patience: stop after so many validations in a row without a new lowest figure; 0 trains to max_steps. The figure
            is the MAE that "best" goes by or, on unpaired data, that of the round trips through both directions.
    """

    max_steps: int = Field(10_000, ge=1)
    max_minutes: float | None = Field(None, gt=0.0)
    seed: int = Field(0, ge=0)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accumulate: int = Field(1, ge=1)
    checkpoint_activations: bool = False
    strategy: Literal["ddp", "fsdp"] = "ddp"
    compile: bool = False
    ema: float = Field(0.999, ge=0.0, lt=1.0)
    clip: float = Field(1.0, ge=0.0)
    log_every: int = Field(50, ge=1)
    validate_every: int = Field(500, ge=0)
    validation_windows: int = Field(24, ge=1)
    sample_every: int = Field(1000, ge=0)
    checkpoint_every: int = Field(1000, ge=0)
    select: Literal["last", "best"] = "last"
    patience: int = Field(0, ge=0)


class SupervisedEngineConfig(Section):
    """Steps, precision, saving of runs of one network; keys shared with `EngineConfig` mean what they mean there.

    Attributes:
        validation_windows: fixed windows of the val split.
        select: "best" for the weights with the highest score on them (pixel accuracy of segmenters, matching score of
            matchers), or "last".
    """

    max_steps: int = Field(5_000, ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    clip: float = Field(0.0, ge=0.0)
    log_every: int = Field(50, ge=1)
    validate_every: int = Field(250, ge=0)
    validation_windows: int = Field(64, ge=1)
    checkpoint_every: int = Field(500, ge=0)
    select: Literal["best", "last"] = "best"


class CardConfig(Section):
    """What the translator file's card says beside what the run knows itself.

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
    """A whole run; `arguments` are validated by the method's own config class."""

    method: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    data: DataConfig = DataConfig()
    engine: EngineConfig = EngineConfig()
    card: CardConfig = CardConfig()


def read_config(method: str, path: Path | None, settings: Sequence[str]) -> TrainingConfig:
    """The configuration of `saropt train METHOD [--config FILE] [--set key=value ...]`.

    Args:
        method: method name; a preset for another method is refused.
        path: YAML preset, or None for the defaults.
        settings: dotted assignments such as "engine.seed=3" or "arguments.lambda_l1=50".

    Raises:
        InputError: unreadable file, unknown key or unfit value; one line.
    """
    values: dict[str, Any] = {"method": method}
    if path is not None:
        values = read_yaml(path)
        if values.setdefault("method", method) != method:
            raise InputError(path, f"is a preset for {values['method']!r}, not for {method!r}")
    apply_settings(values, settings)
    if values["method"] != method:
        raise InputError("--set method", f"the method is {method!r} already: name another one in its place")
    return validated(TrainingConfig, values, path or "configuration")


def validated(model: type[BaseModel], values: dict[str, Any], source: str | Path) -> Any:
    """`model` from `values`, with pydantic's complaint as one line.

    Raises:
        InputError: an unknown key or an unfit value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(source, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def dump_config(config: BaseModel) -> str:
    """YAML that `read_yaml` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: no such file, unreadable, or no mapping.
    """
    if not path.is_file():
        raise InputError(path, "no such file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(path, f"is not readable YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise InputError(path, "must hold a mapping")
    return values


def apply_settings(values: dict[str, Any], settings: Sequence[str]) -> None:
    """Put `--set key=value` assignments with dotted keys into nested `values`, in place.

    Raises:
        InputError: one does not read key=value, or cannot be set there.
    """
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise InputError(f"--set {setting}", "must read key=value, for example engine.seed=3")
        try:
            _assign(values, key.split("."), yaml.safe_load(value))
        except (yaml.YAMLError, TypeError) as error:
            raise InputError(f"--set {setting}", "cannot be set there") from error


def _assign(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise SaroptError(f"--set: {key} is not a section")
    values[keys[-1]] = value
