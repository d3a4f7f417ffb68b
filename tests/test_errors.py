"""No message about an address holds what may be secret, whoever wrote the message."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from saropt.errors import InputError, OptionError, SaroptError

SIGNED = "https://me:SECRET@example.com/a.tif?sig=SECRET"
ADDRESSES = [SIGNED, "s3://me:SECRET@bucket/a.tif", "/vsicurl/https://example.com/a.tif?sig=SECRET", Path(SIGNED)]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_message_holds_a_secret(address: str | Path) -> None:
    several = (str(address), f"{address}2")
    errors = [
        SaroptError(f"cannot reach {address}"),
        InputError(address, "exists already", remedy="overwrite"),
        InputError("b.tif", f"has the same name as {address}: both would be written to {address}"),
        InputError("list.csv", f"has the cell {f'{address};;'!r} in the column reference_sar"),
        OptionError("reference", address, f"is none, and neither is '{address}'"),
        OptionError("reference_sar", several, "are given twice"),
        InputError("list.csv", str(OptionError("reference_sar", address, "is given twice"))),
    ]
    for error in errors:
        for text in (str(error), error.command_line_text(), str(pickle.loads(pickle.dumps(error)))):
            assert "SECRET" not in text
            assert "a.tif" in text


def test_what_stands_around_an_address_stays() -> None:
    named = InputError("b.tif", f"has the same name as {SIGNED}: both ('{SIGNED}', {SIGNED}).")
    plain = "https://example.com/a.tif"
    assert str(named) == f"b.tif: has the same name as {plain}: both ('{plain}', {plain})."
    assert str(OptionError("reference", SIGNED, "is none")) == f"reference='{plain}': is none"
    served = "http://127.0.0.1:8000: refused, http://127.0.0.1:8000/a.tif too"
    assert str(SaroptError(served)) == served


def test_names_of_local_files_stay() -> None:
    for name in ("a?b#c@d.tif", "C:/a?b.tif", "x:/a@b.tif"):
        assert str(InputError(name, f"is not {name}")) == f"{name}: is not {name}"
        assert OptionError("dem", Path(name), "is none").command_line_text() == f"--dem {name}: is none"


def test_long_words_stay_as_they_are() -> None:
    for text in ("x" * 200_000, f"{'x' * 200_000} http://a/b"):
        assert str(SaroptError(text)) == text


def test_a_colon_in_the_name_of_a_folder_is_no_address() -> None:
    assert str(InputError("data/logs:/run?1.tif", "is damaged")) == "data/logs:/run?1.tif: is damaged"
