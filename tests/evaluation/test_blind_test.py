"""Shares of correct answers against sums of binomial probabilities, and what is refused."""

from __future__ import annotations

import csv
from math import comb
from pathlib import Path

import numpy as np
import pytest

from saropt.cli import main
from saropt.errors import InputError
from saropt.evaluation.blind_test import FIELDS, read_answers, share_correct, summarise


def write(path: Path, rows: list[tuple[str, str, int, str]], study: str = "s") -> Path:
    """A file of answers from (participant, method, correct, what the second answer meant)."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, restval="", lineterminator="\n")
        writer.writeheader()
        for position, (participant, method, correct, meant) in enumerate(rows):
            writer.writerow(
                {
                    "study": study,
                    "participant": participant,
                    "method": method,
                    "position": position,
                    "real_side": "left",
                    "answer": "left" if correct else "right",
                    "correct": correct,
                    "second_meant": meant,
                }
            )
    return path


def upper_tail(n: int, k: int, p: float) -> float:
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@pytest.mark.parametrize(("n", "k"), [(10, 9), (37, 18), (200, 131), (4, 0), (5, 5)])
def test_exact_interval_and_test(n: int, k: int) -> None:
    """At its ends, each tail of the binomial distribution holds 2.5 % (Clopper and Pearson 1934)."""
    found = share_correct("all", [("a", index < k) for index in range(n)])
    if k > 0:
        assert upper_tail(n, k, found.low) == pytest.approx(0.025, abs=1e-6)
    else:
        assert found.low == 0
    if k < n:
        assert 1 - upper_tail(n, k + 1, found.high) == pytest.approx(0.025, abs=1e-6)
    else:
        assert found.high == 1
    chances = [comb(n, i) / 2**n for i in range(n + 1)]
    assert found.p_value == pytest.approx(sum(chance for chance in chances if chance <= chances[k] * (1 + 1e-9)))
    assert found.people is None


def test_interval_over_people_is_wider_when_people_differ() -> None:
    """Ten people who are always right or always wrong are ten measurements, not two hundred."""
    answers = [(f"p{person}", person < 7) for person in range(10) for _ in range(20)]
    found = share_correct("all", answers)
    assert found.people is not None
    assert found.low > 0.5
    assert found.people.holds(0.5)
    assert found.verdict == "not distinguishable from guessing"
    even = share_correct("all", [(f"p{p}", right) for p in range(10) for right in [True] * (18 - p % 3) + [False] * 3])
    assert even.verdict == "the real picture is told more often than by guessing"
    assert share_correct("all", [("a", False)] * 20).verdict == "the guess is taken for real"


def test_one_person_who_errs_leaves_the_interval_sensible() -> None:
    answers = [(f"p{person}", person < 5 or number < 5) for person in range(6) for number in range(8)]
    found = share_correct("all", answers)
    assert found.people is not None
    assert 0.7 < found.people.low < found.people.high <= 1.0
    assert found.verdict == "the real picture is told more often than by guessing"


def test_summary_by_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"p{p}", "ab"[i % 2], int(rng.random() < (0.9 if i % 2 else 0.5)), "real") for p in range(6) for i in range(20)
    ]
    file = write(tmp_path / "answers.csv", rows)
    found = summarise(read_answers(file))
    assert [one.name for one in found.shares] == ["a", "b", "all"]
    for one in found.shares:
        held = [row for row in rows if one.name in ("all", row[1])]
        assert (one.answers, one.correct) == (len(held), sum(row[2] for row in held))
        assert one.participants == 6
        assert one.people is not None
    assert found.second == {"real": 120}
    assert main(["blind", str(file)]) == 0
    out = capsys.readouterr().out
    assert "not distinguishable" in out
    assert "real 120" in out


def test_a_last_line_counts_where_it_is_complete_and_is_told_where_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "answers.csv", [("p", "a", 1, ""), ("p", "a", 0, "")])
    text = file.read_text()
    file.write_text(text[:-1])
    told: list[str] = []
    assert len(read_answers(file, told.append)) == 2
    assert told == []
    file.write_text(text[: text.rindex("left")])
    assert main(["blind", str(file)]) == 0
    assert capsys.readouterr().err == f"saropt: warning: {file}: the last line is incomplete and is not counted\n"
    assert len(read_answers(file)) == 1


def test_answers_that_stand_twice_or_contradict_themselves_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "answers.csv", [("p", "a", 1, ""), ("q", "a", 0, "")])
    text = file.read_text()
    file.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(InputError, match="line 4 is a second answer of participant p to position 0, after line 2"):
        read_answers(file)
    file.write_text(text.replace("left,left,1", "left,left,0"))
    with pytest.raises(
        InputError, match="line 2 contradicts itself: left with correct 0, and the real picture was left"
    ):
        read_answers(file)


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "answers.csv", [("p", "a", 1, ""), ("p", "a", 0, "")])
    text = file.read_text()
    file.write_text(text + "half a li")
    assert len(read_answers(file)) == 2
    for broken in (
        "a,b\n1,2\n",
        text.replace("left,1,", "left,maybe,", 1),
        text.replace("left,1,", "up,0,", 1),
        text + "1,2\n",
        text + "1" + ",2" * 30 + "\n",
    ):
        file.write_text(broken)
        with pytest.raises(InputError, match="is no answer of a blind test"):
            read_answers(file)
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputError, match="no readable file"):
        read_answers(file)
    several = [dict.fromkeys(FIELDS, "1") | {"study": study} for study in "ab"]
    with pytest.raises(ValueError, match="several studies"):
        summarise(several)
    write(file, [])
    assert main(["blind", str(file)]) == 2
    assert capsys.readouterr().err == f"saropt: error: {file}: holds no answer yet\n"
