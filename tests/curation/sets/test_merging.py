"""Which classes and values a merging of HRLULC may name."""

from __future__ import annotations

import pytest

from saropt.curation.sets.sen12jhl import read_merging
from saropt.errors import InputError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("300: [y, [3]]", "class 300 is not a whole number from 0 to 254"),
        ("-1: [y, [3]]", "class -1 is not a whole number"),
        ("255: [y, [3]]", "class 255 is not a whole number"),
        ("1.5: [y, [3]]", "class 1.5 is not a whole number"),
        ("true: [y, [3]]", "class True is not a whole number"),
        ("1: [y, [1.9, 2]]", "HRLULC value 1.9 is not a whole number from 0 to 255"),
        ("1: [y, [-1, 2]]", "HRLULC value -1 is not a whole number"),
        ("1: [y, [256]]", "HRLULC value 256 is not a whole number"),
        ("1: [y, '12']", "'12' is no list of HRLULC values"),
        ("1: [y, [3]]\n'1': [z, [4]]", "the key 1 stands there twice"),
    ],
)
def test_impossible_classes_and_values_of_a_merging_are_refused(tmp_path, text, told):
    (tmp_path / "merge.yaml").write_text(text)
    with pytest.raises(InputError, match=told):
        read_merging(tmp_path / "merge.yaml")


def test_a_merging_takes_every_value_of_eight_bits_but_that_of_unlabelled_pixels(tmp_path):
    (tmp_path / "merge.yaml").write_text("0: [low, [0, 2.0]]\n'254': [high, [255]]\n")
    names, table = read_merging(tmp_path / "merge.yaml")
    assert names == {0: "low", 254: "high"}
    assert {int(table[value]) for value in (0, 2)} == {0}
    assert (table[255], table[1]) == (254, 255)
