"""Answers of a blind test: which of two pictures is real, and how often people were right.

`saropt serve --blind` asks and appends to a file, one row an answer; this module reads and summarises it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from saropt.errors import InputError
from saropt.evaluation.intervals import LEVEL, SHARE, Interval, interval
from saropt.progress import Tell, log_line

FIELDS = (
    "time",
    "study",
    "participant",
    "position",
    "trial",
    "method",
    "name",
    "row",
    "column",
    "real_side",
    "answer",
    "correct",
    "second_answer",
    "second_meant",
    "seconds",
)
"""Columns of the file of answers (docs/viewer.md, "Blind tests")."""

Row = dict[str, str]


@dataclass(frozen=True)
class Share:
    """How often the real picture was found.

    Attributes:
        name: the method, or "all".
        answers, correct: how many.
        participants: how many people they are from.
        low, high: exact 95 % interval of the share correct (Clopper and Pearson 1934), which takes answers as
            independent.
        p_value: probability of a count at least as unlikely from coin tosses (exact binomial test, two-sided).
        people: 95 % interval of the share drawn over participants (`saropt.evaluation.intervals`); None for fewer than
            five.
    """

    name: str
    answers: int
    correct: int
    participants: int
    low: float
    high: float
    p_value: float
    people: Interval | None

    @property
    def share(self) -> float:
        return self.correct / self.answers

    @property
    def verdict(self) -> str:
        """What the intervals say of guessing, in words: 50 % must lie outside both.

        >>> share_correct("all", [("a", True)] * 6 + [("b", False)] * 5).verdict
        'not distinguishable from guessing'
        """
        low = min(self.low, self.people.low if self.people else self.low)
        high = max(self.high, self.people.high if self.people else self.high)
        if low <= 0.5 <= high:
            return "not distinguishable from guessing"
        return "the real picture is told more often than by guessing" if low > 0.5 else "the guess is taken for real"


@dataclass(frozen=True)
class Summary:
    """What a file of answers says.

    Attributes:
        shares: one row a method, and a last one over all where there are several.
        second: second question's answer -> how often; left and right stand as "real" and "guess".

    >>> Summary((), {"real": 3}).second["real"]
    3
    """

    shares: tuple[Share, ...]
    second: dict[str, int]


def is_complete(line: str) -> bool:
    """Whether a last line without an end holds an answer: a killed server may have left it without some columns.

    >>> is_complete("2026-01-01,half"), is_complete("t,s,p,1,0,m,n,0,0,left,left,1,,,2.5")
    (False, True)
    """
    return len(next(csv.reader([line]), [])) == len(FIELDS) and line != ",".join(FIELDS)


def read_answers(path: Path, tell: Tell = log_line) -> list[Row]:
    """The rows of a file of answers.

    Args:
        tell: gets a line where the last row is incomplete, as a killed server leaves it, and is not counted.

    Raises:
        InputError: it cannot be read, has other columns, or holds an answer twice or one that contradicts itself.

    >>> read_answers(Path("unknown.csv"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown.csv: no such file
    """
    if not path.is_file():
        raise InputError(path, "no such file")
    try:
        text = path.read_bytes().decode("utf-8")
        end = text.rfind("\n") + 1
        last = text[end:]
        if last and not is_complete(last):
            text = text[:end]
            tell(f"{path}: the last line is incomplete and is not counted")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, "is no readable file of answers") from error
    first: dict[tuple[str, str, str], int] = {}
    for number, row in enumerate(rows, start=2):
        if not _is_answer(row):
            raise InputError(path, f"line {number} is no answer of a blind test")
        if row["correct"] != str(int(row["answer"] == row["real_side"])):
            words = f"{row['answer']} with correct {row['correct']}, and the real picture was {row['real_side']}"
            raise InputError(path, f"line {number} contradicts itself: {words}")
        earlier = first.setdefault((row["study"], row["participant"], row["position"]), number)
        if earlier != number:
            place = f"participant {row['participant']} to position {row['position']}"
            raise InputError(path, f"line {number} is a second answer of {place}, after line {earlier}")
    return rows


def _is_answer(row: Row) -> bool:
    return (
        tuple(row) == FIELDS
        and None not in row.values()
        and row["correct"] in ("0", "1")
        and {row["answer"], row["real_side"]} <= {"left", "right"}
        and row["position"].isdecimal()
        and bool(row["participant"])
    )


def summarise(rows: Sequence[Row]) -> Summary:
    """The share correct by method, with intervals.

    Raises:
        ValueError: there are no answers, or answers to several studies.

    >>> row = dict.fromkeys(FIELDS, "") | {"participant": "p1", "method": "pix2pix", "correct": "1"}
    >>> summarise([row, row | {"correct": "0"}]).shares[0].share
    0.5
    """
    if not rows:
        raise ValueError("holds no answer yet")
    if len({row["study"] for row in rows}) > 1:
        raise ValueError("holds answers to several studies: separate them by the column study")
    methods = sorted({row["method"] for row in rows})
    groups = [(method, [row for row in rows if row["method"] == method]) for method in methods]
    if len(methods) > 1:
        groups.append(("all", list(rows)))
    shares = [
        share_correct(name, ((row["participant"], row["correct"] == "1") for row in held)) for name, held in groups
    ]
    second = Counter(row["second_meant"] for row in rows if row["second_meant"])
    return Summary(tuple(shares), dict(second.most_common()))


def share_correct(name: str, answers: Iterable[tuple[str, bool]]) -> Share:
    """The share of correct answers, from pairs (participant, correct); at least one.

    >>> found = share_correct("all", [("a", True)] * 8 + [("b", True), ("b", False)])
    >>> found.correct, round(found.low, 3), round(found.high, 3), round(found.p_value, 4)
    (9, 0.555, 0.997, 0.0215)
    """
    from scipy.stats import binomtest

    given, right = Counter[str](), Counter[str]()
    for participant, correct in answers:
        given[participant] += 1
        right[participant] += correct
    test = binomtest(right.total(), given.total(), 0.5)
    exact = test.proportion_ci(LEVEL, method="exact")
    people = interval([right[one] for one in given], list(given.values()), limits=SHARE)
    ends = float(exact.low), float(exact.high)
    return Share(name, given.total(), right.total(), len(given), *ends, float(test.pvalue), people)
