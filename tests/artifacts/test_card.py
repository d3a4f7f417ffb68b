"""The card: round trip, versions, strictness."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from saropt.artifacts import FORMAT_VERSION, parse_card
from saropt.radiometry import DbClip


def changed(card, **changes) -> str:
    return json.dumps({**json.loads(card.model_dump_json()), **changes})


def test_round_trip(card):
    again = parse_card(card.model_dump_json())
    assert again == card
    assert again.sar.make_recipe() == DbClip()
    assert again.format_version == FORMAT_VERSION == 1


def test_sides_by_direction(card):
    assert card.source("sar2opt") is card.target("opt2sar") is card.sar
    assert card.source("opt2sar") is card.target("sar2opt") is card.optical


def test_frozen(card):
    with pytest.raises(ValidationError, match="frozen"):
        card.realism = 0.1


@pytest.mark.parametrize("extra", [{}, {"sampler": "ddim"}])
def test_another_version_says_so_whatever_else_changed(card, extra):
    with pytest.raises(ValueError, match="format version 2; this saropt reads version 1"):
        parse_card(changed(card, format_version=2, **extra))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "card: colour: Extra inputs"),
        ({"directions": {}}, "card: directions"),
        ({"directions": {"sar2sar": {"network": "resnet", "stride": 4}}}, "card: directions.sar2sar"),
        ({"directions": {"sar2opt": {"network": "resnet", "stride": 0}}}, "card: directions.sar2opt.stride"),
        ({"gsd_m": -10}, "card: gsd_m"),
        ({"realism": 1.5}, "card: realism"),
        ({"sar": None}, "card: sar"),
        ({"format_version": "new"}, "format version new"),
        ({"optical": {"bands": [], "units": "uint8", "dtype": "uint8", "recipe": {"kind": "eight_bit"}}}, "bands"),
        ({"optical": {"bands": ["a"], "units": "u", "dtype": "uint8", "recipe": {"kind": "magic"}}}, "unknown recipe"),
    ],
)
def test_unfit_fields_are_named_in_one_line(card, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_card(changed(card, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3"])
def test_no_card_at_all(text):
    with pytest.raises(ValueError, match="card"):
        parse_card(text)
