"""Blind tests: crops of true rasters and of their translations, side by side and without names.

A study is a YAML file of the one who asks. The order of its trials and the sides of the pictures are drawn anew for
each participant from the study and the participant's code, so a server that starts again goes on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator

from saropt.domain import rgb_bands
from saropt.errors import InputError, counted
from saropt.evaluation.blind_test import FIELDS, is_complete, read_answers
from saropt.files import Lock, read_yaml, validated
from saropt.roots.names import SUFFIXES, find_raster
from saropt.roots.one_grid import check_one_grid
from saropt.scenes import Scene, Window

Side = Literal["left", "right"]
Text = Annotated[str, Field(min_length=1, max_length=300)]
SIDES: tuple[Side, Side] = ("left", "right")
MOST_PARTICIPANTS = 1000
_LEAST_VALID = 0.99
_OTHER_UNITS = 100.0


class StudyFile(BaseModel):
    """What a study file holds.

    Attributes:
        name: title of the page.
        truth: folder of true rasters.
        translations: method -> folder of its translations, with the names of the true rasters.
        trials: pairs that each participant sees.
        side: of the square crops, in pixels.
        seed: of the crops, their order and their sides.
        question: a second one about the same two pictures.
        answers: to choose from for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Text
    truth: Text
    translations: dict[Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")], Text] = Field(min_length=1, max_length=8)
    trials: int = Field(20, ge=1, le=200)
    side: int = Field(256, ge=32, le=1024)
    seed: int = Field(0, ge=0)
    question: Text | None = None
    answers: list[Annotated[str, Field(min_length=1, max_length=60)]] = Field(
        ["left", "right", "both", "neither"], min_length=2, max_length=8
    )

    @field_validator("answers")
    @classmethod
    def _differ(cls, answers: list[str]) -> list[str]:
        if len({answer.casefold() for answer in answers}) < len(answers):
            raise ValueError("two of them are the same")
        return answers


@dataclass(frozen=True)
class Trial:
    """A crop of a true raster and of one translation of it; `pixels` is a hash of both."""

    method: str
    name: str
    truth: Path
    guess: Path
    row: int
    column: int
    pixels: str = ""


@dataclass(frozen=True)
class Place:
    """Where a participant stands: trials done, and the trial that comes, None at the end."""

    done: int
    trial: int | None


class Study:
    """A blind test that is being asked.

    Args:
        file: YAML, see `StudyFile`; its folders are relative to `folder`.
        folder: of the rasters.

    Raises:
        InputError: the file, a raster, or answers from before do not fit.
    Entered, it holds the file of answers for this process (BusyError: another server asks this study).

    >>> from saropt.scenes import write_array
    >>> for name in ("truth", "guess"):
    ...     Path(name).mkdir()
    ...     _ = write_array(f"{name}/a.tif", np.ones((3, 64, 64), np.uint8))
    >>> _ = Path("s.yaml").write_text("{name: s, truth: truth, translations: {m: guess}, side: 32, trials: 4}")
    >>> with Study(Path("s.yaml"), Path()) as study:
    ...     study.answer("p1", 0, "left", None)
    Place(done=1, trial=1)
    """

    def __init__(self, file: Path, folder: Path) -> None:
        self.settings = validated(StudyFile, read_yaml(file), file)
        self.answers_file = file.with_name(f"{file.stem}.answers.csv")
        self.trials = _drawn(self.settings, file, folder)
        told = [(one.method, one.name, one.row, one.column, one.pixels) for one in self.trials]
        content = json.dumps([self.settings.model_dump(), told]).encode()
        self.key = hashlib.sha256(content).hexdigest()[:12]
        self._lock = threading.Lock()
        self._shown: dict[tuple[str, int], float] = {}
        self._file_lock = Lock(
            self.answers_file.with_suffix(".lock"), self.answers_file, "another saropt serve writes answers there"
        )
        self._done: dict[str, int] = {}
        if self.answers_file.exists():
            for row in read_answers(self.answers_file):
                if row["study"] != self.key:
                    raise InputError(self.answers_file, "holds answers to another version of this study: move it away")
                self._done[row["participant"]] = self._done.get(row["participant"], 0) + 1

    def __enter__(self) -> Self:
        self._file_lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._file_lock.release()

    def place(self, participant: str) -> Place:
        """Where a participant stands; who has not answered yet stands at the first trial."""
        done = self._done.get(participant, 0)
        return Place(done, done if done < len(self.trials) else None)

    def picture(self, participant: str, position: int) -> bytes:
        """PNG of both crops of the participant's present trial, left and right, in one picture: nothing but the pixels
        tells which is which.

        Raises:
            KeyError: it is not the participant's present trial.
            InputError: a raster cannot be read, or has changed.
        """
        if self.place(participant).trial != position:
            raise KeyError(position)
        number, real = self._arranged(participant, position)
        truth, guess = crops(self.trials[number], self.settings.side)
        halves = (truth, guess) if real == "left" else (guess, truth)
        buffer = io.BytesIO()
        Image.fromarray(np.hstack(halves)).save(buffer, "PNG")
        self._shown.setdefault((participant, position), time.monotonic())
        return buffer.getvalue()

    def answer(self, participant: str, position: int, answer: Side, second: str | None) -> Place:
        """Keep an answer; it is on the disk when this returns.

        Raises:
            KeyError: it is not the participant's present trial.
            ValueError: an answer to the second question is missing or not among those offered, or too many take part.
        """
        offered = self.settings.answers if self.settings.question is not None else [None]
        if second not in offered:
            raise ValueError(f"the second question's answers: {', '.join(map(str, offered))}")
        with self._lock:
            if participant not in self._done and len(self._done) >= MOST_PARTICIPANTS:
                raise ValueError("no more participants are taken")
            if self.place(participant).trial != position:
                raise KeyError(position)
            number, real = self._arranged(participant, position)
            shown = self._shown.pop((participant, position), None)
            trial = self.trials[number]
            side = (second or "").casefold()
            meant = second if side not in SIDES else "real" if side == real else "guess"
            self._append(
                {
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    "study": self.key,
                    "participant": participant,
                    "position": position + 1,
                    "trial": number,
                    "method": trial.method,
                    "name": trial.name,
                    "row": trial.row,
                    "column": trial.column,
                    "real_side": real,
                    "answer": answer,
                    "correct": int(answer == real),
                    "second_answer": second or "",
                    "second_meant": meant or "",
                    "seconds": "" if shown is None else round(time.monotonic() - shown, 1),
                }
            )
            self._done[participant] = position + 1
        return self.place(participant)

    def _arranged(self, participant: str, position: int) -> tuple[int, Side]:
        """Which trial a participant sees there, and on which side the true crop is."""
        seed = int.from_bytes(hashlib.sha256(f"{self.key} {participant}".encode()).digest()[:8], "big")
        generator = np.random.default_rng([self.settings.seed, seed])
        order = generator.permutation(len(self.trials))
        sides = generator.integers(0, 2, len(self.trials))
        return int(order[position]), SIDES[int(sides[position])]

    def _append(self, row: dict[str, Any]) -> None:
        """One line more, behind the last complete one; what is incomplete is cut off."""
        line = io.StringIO(newline="")
        writer = csv.DictWriter(line, FIELDS, lineterminator="\n")
        with open(self.answers_file, "a+b") as stream:
            stream.seek(0)
            held = stream.read()
            end = held.rfind(b"\n") + 1
            if end < len(held):
                if is_complete(held[end:].decode("utf-8", "replace")):
                    line.write("\n")
                else:
                    stream.truncate(end)
            if not end:
                writer.writeheader()
            writer.writerow(row)
            stream.write(line.getvalue().encode())
            stream.flush()
            os.fsync(stream.fileno())


def crops(trial: Trial, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The true and the translated crop, (side, side, 3) each. Pixels that are not valid in both are black in both;
    what is not 8 bits is stretched from 2 to 98 % of each band of the true crop, both by the same numbers.

    Raises:
        InputError: a raster cannot be read, or has changed since the study began.
    """
    truth, guess, valid, content = _read_both(trial, side)
    if content != trial.pixels:
        reason = "this raster or its translation has changed since the study began: start the server again"
        raise InputError(trial.truth, reason)
    low, high = np.zeros(3), np.full(3, 255.0)
    if not (truth.dtype == guess.dtype == np.uint8) and valid.any():
        low, high = np.percentile(truth[valid], (2, 98), axis=0)
    shown = []
    for pixels in (truth, guess):
        unit = np.clip((pixels.astype(np.float64) - low) / np.maximum(high - low, 1e-12), 0, 1)
        unit[~valid] = 0
        shown.append(np.rint(unit * 255).astype(np.uint8))
    return shown[0], shown[1]


def _read_both(trial: Trial, side: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_], str]:
    """The numbers of both crops, which pixels are valid in both, and a hash of all that."""
    (truth, real), (guess, made) = (_read(path, trial, side) for path in (trial.truth, trial.guess))
    valid = real & made
    content = hashlib.sha256()
    for array in (truth, guess, valid):
        content.update(array.dtype.str.encode() + array.tobytes())
    return truth, guess, valid, content.hexdigest()


def _read(path: Path, trial: Trial, side: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(side, side, 3) numbers as red, green and blue, and their validity; one band as grey. They have the stored type
    where the file states no scale or offset."""
    with Scene.open(path) as scene:
        read = scene.read_stored if scene.scaling is None else scene.read
        values, valid = read(Window(trial.row, trial.column, side, side))
        places = rgb_bands(scene.band_names)
    return np.moveaxis(values[list(places)], 0, -1), valid & np.isfinite(values).all(axis=0)


def _drawn(settings: StudyFile, file: Path, folder: Path) -> list[Trial]:
    """The study's trials, methods and rasters in turn. No two show the same ground of a true raster: who sees a
    picture again, beside another one, knows that it is real."""
    generator = np.random.default_rng(settings.seed)
    free: dict[Path, dict[tuple[int, int], None]] = {}
    rounds = []
    for method, place in settings.translations.items():
        pairs = _pairs(settings, method, folder / place, folder / settings.truth)
        generator.shuffle(pairs)
        for truth, _ in pairs:
            if truth not in free:
                free[truth] = _places(truth, settings.side, generator)
        rounds.append((method, deque(_crops(method, *pair, settings.side, free[pair[0]]) for pair in pairs)))
    trials: list[Trial] = []
    while (count := len(trials)) < settings.trials:
        method, rasters = rounds[count % len(rounds)]
        trial = _next(rasters)
        if trial is None:
            found = f"only {counted(count, 'valid crop')} of {settings.side} pixels that overlap no other"
            fewer = f"trials: takes at most {count}, or side: fewer" if count else "side: takes fewer"
            raise InputError(file, f"{found}, for {method} has no more: {fewer}")
        trials.append(trial)
    return trials


def _next(rasters: deque[Iterator[Trial]]) -> Trial | None:
    """The next crop of a method, its rasters in turn; None when all are used up."""
    while rasters:
        crops_left = rasters.popleft()
        trial = next(crops_left, None)
        if trial is not None:
            rasters.append(crops_left)
            return trial
    return None


def _pairs(settings: StudyFile, method: str, guesses: Path, truths: Path) -> list[tuple[Path, Path]]:
    for place in (guesses, truths):
        if not place.is_dir():
            raise InputError(place, "no such folder")
    found = sorted(path for path in guesses.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    pairs = [(truth, path) for path in found if (truth := find_raster(truths, path.stem)) is not None]
    if not pairs:
        raise InputError(guesses, f"no raster has the name of one in {truths}")
    for truth, guess in pairs:
        with Scene.open(truth) as one, Scene.open(guess) as other:
            check_one_grid(guess, "translation and true raster", other, one)
            if len({rgb_bands(scene.band_names) == (0, 0, 0) for scene in (one, other)}) > 1:
                raise InputError(guess, f"it has colours and {truth} has not, or the other way round")
            if "complex" in one.dtype or "complex" in other.dtype:
                raise InputError(guess, "complex pixels cannot be shown")
            if (one.dtype == "uint8") != (other.dtype == "uint8"):
                raise InputError(guess, f"it holds {other.dtype}, {truth} {one.dtype}: both need the same units")
            if min(one.width, one.height) < settings.side:
                raise InputError(guess, f"is smaller than the study's crops of {settings.side} pixels")
    return pairs


def _places(truth: Path, side: int, generator: np.random.Generator) -> dict[tuple[int, int], None]:
    """Rows and columns of as many crops as fit into a raster side by side, in a random order, from a random corner."""
    with Scene.open(truth) as scene:
        rows, columns = (
            range(int(generator.integers(0, size % side + 1)), size - side + 1, side)
            for size in (scene.height, scene.width)
        )
    places = [(row, column) for row in rows for column in columns]
    generator.shuffle(places)
    return dict.fromkeys(places)


def _crops(method: str, truth: Path, guess: Path, side: int, free: dict[tuple[int, int], None]) -> Iterator[Trial]:
    """The crops of a pair with hardly an invalid pixel in either raster, at places that they take away from `free`."""
    for place in list(free):
        if place not in free:
            continue
        trial = Trial(method, truth.stem, truth, guess, *place)
        true, guessed, valid, pixels = _read_both(trial, side)
        if valid.mean() >= _LEAST_VALID:
            _check_scale(trial, true[valid], guessed[valid])
            del free[place]
            yield replace(trial, pixels=pixels)


def _check_scale(trial: Trial, true: NDArray[Any], guessed: NDArray[Any]) -> None:
    """Refuse a translation that would be all black or all white, as its numbers are of other units."""
    if true.dtype == guessed.dtype == np.uint8:
        return
    spans = [np.percentile(values.astype(np.float64), (2, 98)) for values in (guessed, true)]
    small, large = sorted(float(np.abs(span).max()) for span in spans)
    opposite = spans[0][1] < 0 < spans[1][0] or spans[1][1] < 0 < spans[0][0]
    if opposite or (small > 0 and large / small > _OTHER_UNITS):
        made, real = (f"{low:.4g}..{high:.4g}" for low, high in spans)
        raise InputError(
            trial.guess, f"its values lie in {made}, those of {trial.truth} in {real}: both need the same units"
        )
