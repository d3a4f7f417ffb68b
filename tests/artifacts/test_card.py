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


def with_output(**changes) -> dict:
    """A direction of a card as JSON, with changes to its output."""
    made = described()
    return {**made, "outputs": [{**made["outputs"][0], **changes}]}


def reliable(**changes) -> dict:
    """A direction of a card as JSON, with a reliability."""
    fields = {"alpha": 0.1, "scale": [2.0], "budget": 9.0, "data": ["a"], "scenes": 20, "coverage": 0.9}
    return described(reliability={**fields, "least_coverage": 0.8, **changes})


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
        (
            {"directions": {"sar2opt": described({"recipe": {"kind": "db_clip", "high": 1e999}})}},
            "high inf is not finite",
        ),
        (
            {"directions": {"sar2opt": described({"units": "bananas"})}},
            "units 'bananas' are none of SAR; known: sigma0_db",
        ),
        ({"directions": {"sar2opt": described({"bands": ["VV", "VV"]})}}, "bands VV, VV: one stands twice"),
        ({"directions": {"sar2opt": described({"dtype": "foo"})}}, "'foo' is no data type of pixels"),
        ({"directions": {"sar2opt": with_output(dtype="float16")}}, "float16 is not written; outputs are uint8"),
        ({"directions": {"sar2opt": with_output(dtype="int8")}}, "int8 is not written"),
        ({"directions": {"sar2opt": with_output(dtype="complex64")}}, "complex64 is not written"),
        ({"directions": {"sar2opt": with_output(recipe={"kind": "db_clip"}, units="metres")}}, "does not take metres"),
        ({"directions": {"sar2opt": with_output(product="../x")}}, "is no name of a product"),
        ({"directions": {"sar2opt": with_output(product="origin")}}, "first output is origin, not image"),
        (
            {"directions": {"sar2opt": with_output(recipe={"kind": "multiple_of_mean"}, units="amplitude")}},
            "recipe multiple_of_mean needs a statistic for each of the 1 bands, not 0",
        ),
        (
            {"directions": {"sar2opt": with_output(units="reflectance x 10000", recipe={"kind": "reflectance"})}},
            "uint8 holds 0..255, the recipe gives 0..4000 in reflectance x 10000",
        ),
        (
            {"directions": {"sar2opt": with_output(dtype="uint16", units="sigma0_db", recipe={"kind": "db_clip"})}},
            "uint16 holds 0..65535, the recipe gives -30..5 in sigma0_db",
        ),
        (
            {
                "directions": {
                    "sar2opt": with_output(units="amplitude", recipe={"kind": "q99_amplitude"}, statistics=[800.0])
                }
            },
            "uint8 holds 0..255, the recipe gives 0..800 in amplitude",
        ),
        (
            {"directions": {"sar2opt": with_output(units="reflectance", recipe={"kind": "reflectance", "scale": 1.0})}},
            "uint8 holds whole numbers only, the recipe gives 0..0.4 in reflectance",
        ),
        ({"directions": {"sar2opt": described(stride=100_000)}}, "sar2opt.stride: Input should be less"),
        *(
            ({"directions": {"sar2opt": described(receptive_field=field)}}, "sar2opt.receptive_field: Input should be")
            for field in (-5, 0, 100_000)
        ),
        *(({"directions": {"sar2opt": reliable(scale=[x])}}, "scale.0: Input should") for x in (-1.0, 0.0, 1e999)),
        ({"directions": {"sar2opt": reliable(scale=[1.0, 2.0])}}, "reliability.scale has 2 numbers for 1 band"),
        ({"name": "two\nlines"}, "name: must be one line of printable text"),
        ({"directions": {"sar2opt": reliable(budget=1e999)}}, "budget: Input should be a finite"),
    ],
)
def test_unfit_fields_are_named_in_one_line(card, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_card(changed(card, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "output",
    [
        {"dtype": "int16", "units": "sigma0_db", "recipe": {"kind": "db_clip"}},
        {"units": "reflectance x 255", "recipe": {"kind": "reflectance", "scale": 255.0, "high": 1.2}},
        {"units": "amplitude", "recipe": {"kind": "multiple_of_mean"}, "statistics": [180.0]},
        {"units": "uint8", "recipe": {"kind": "multiple_of_quantile"}, "statistics": [4.0]},
        {"dtype": "float32", "units": "reflectance", "recipe": {"kind": "reflectance", "scale": 1.0}},
    ],
)
def test_types_that_hold_the_range_of_their_recipe(card, output):
    parse_card(changed(card, directions={"sar2opt": with_output(**output)}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3"])
def test_no_card_at_all(text):
    with pytest.raises(ValueError, match="card"):
        parse_card(text)


def test_features_of_the_scenes_are_those_of_the_bands(card):
    fields = {"scenes": [[0.1], [0.3]], "spread": [0.1], "threshold": 1.0}
    training = json.loads(card.training.model_dump_json())
    for name, direction in (("VV median", "sar2opt"), ("B4 median", None), ("HH median", "no"), ("VV mode", "no")):
        text = changed(card, training={**training, "seen": {"features": [name], **fields}})
        if direction == "no":
            with pytest.raises(ValueError, match="seen tells of other bands than those of the inputs"):
                parse_card(text)
        else:  # of the output: a file of the way back, written by an earlier version
            assert (parse_card(text).seen_by("sar2opt") is not None) == (direction is not None)


def test_a_missing_place_is_not_named(card):
    with pytest.raises(ValueError, match=r"^card: direction sar2opt: the first input cannot be optional"):
        parse_card(changed(card, directions={"sar2opt": described({"optional": True})}))
