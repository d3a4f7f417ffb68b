"""The card: round trip, versions, strictness."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from saropt.artifacts import FORMAT_VERSION, parse_card
from saropt.radiometry import DbClip


def changed(card, **changes) -> str:
    return json.dumps({**json.loads(card.model_dump_json()), **changes})


def described(image: dict | None = None, **changes) -> dict:
    """A direction of a card as JSON, with changes to its input and to itself."""
    sar = {"role": "sar", "bands": ["VV"], "units": "sigma0_db", "dtype": "float32", "recipe": {"kind": "db_clip"}}
    optical = {**sar, "role": "optical", "units": "uint8", "dtype": "uint8", "recipe": {"kind": "eight_bit"}}
    return {"network": "resnet", "stride": 4, "inputs": [{**sar, **(image or {})}], "outputs": [optical], **changes}


def test_round_trip(card):
    again = parse_card(card.model_dump_json())
    assert again == card
    assert again.images["sar"].make_recipe() == DbClip()
    assert again.format_version == FORMAT_VERSION == 2


def test_images_by_direction(card):
    assert card.source("sar2opt") == card.images["sar"]
    assert card.target("sar2opt") == card.images["optical"]


def test_frozen(card):
    with pytest.raises(ValidationError, match="frozen"):
        card.realism = 0.1


@pytest.mark.parametrize("extra", [{}, {"sampler": "ddim"}])
def test_another_version_says_so_whatever_else_changed(card, extra):
    with pytest.raises(ValueError, match="format version 3; this saropt reads versions 1 to 2"):
        parse_card(changed(card, format_version=3, **extra))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "card: colour: Extra inputs"),
        ({"directions": {}}, "card: directions"),
        ({"directions": {"sar2sar": {**described(), "network": "resnet"}}}, "card: directions.*sar2sar"),
        ({"directions": {"opt2sar": described()}}, "opt2sar has the inputs and outputs of sar2opt"),
        ({"directions": {"night2day": described()}}, "is no direction"),
        ({"directions": {"sar2opt": described(stride=0)}}, "card: directions.sar2opt.stride"),
        ({"directions": {"sar2opt": described(inputs=[])}}, "card: directions.sar2opt.inputs"),
        ({"directions": {"sar2opt": described({"optional": True})}}, "the first input cannot be optional"),
        ({"gsd_m": -10}, "card: gsd_m"),
        ({"realism": 1.5}, "card: realism"),
        ({"sar": None}, "card: sar"),
        ({"directions": {"sar2opt": described({"role": "radar"})}}, "unknown role"),
        ({"format_version": "new"}, "format version new"),
        ({"directions": {"sar2opt": described({"bands": []})}}, "bands"),
        ({"directions": {"sar2opt": described({"recipe": {"kind": "magic"}})}}, "unknown recipe"),
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
