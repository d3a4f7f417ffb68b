"""The time between two days or moments that a person writes."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_WEEK = re.compile(r"\d{4}-?W\d\d(?!-?\d)")
"""A week without the number of a day, as 2023-W18: Python takes it for its Monday."""


def period_of(first: str, last: str) -> tuple[datetime, datetime]:
    """First and last moment, UTC, from a day or time to a later one. A day without a time of day is meant whole; a time
    without an offset from UTC is UTC.

    Raises:
        ValueError: one is neither a day nor a time, as a week is not, or the last one is before the first.

    >>> [moment.isoformat() for moment in period_of("2023-05-01", "2023-05-02T12:00+09:00")]
    ['2023-05-01T00:00:00+00:00', '2023-05-02T03:00:00+00:00']
    >>> period_of("2023-05-01", "2023-05-01")[1].isoformat()
    '2023-05-02T00:00:00+00:00'
    """
    start, end = _moment(first), _moment(last)
    if _is_day(last):
        end += min(timedelta(days=1), datetime.max.replace(tzinfo=UTC) - end)
    if start > end or (_is_day(last) and start == end):
        raise ValueError(f"'{first}/{last}' ends before it begins")
    return start, end


def in_utc(moment: datetime) -> datetime:
    """A moment in UTC; without an offset it is UTC already.

    >>> in_utc(datetime(2023, 5, 1)).isoformat()
    '2023-05-01T00:00:00+00:00'
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moment(text: str) -> datetime:
    try:
        if _WEEK.match(text):
            raise ValueError("a week")
        return in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        reason = "is neither a day nor a time, such as 2023-05-01 or 2023-05-01T10:30Z"
        raise ValueError(f"{text!r} {reason}") from None


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
