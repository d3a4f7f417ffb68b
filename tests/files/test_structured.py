"""Small files of others do not grow into large memory or deep recursion."""

import pytest
import yaml

from saropt.artifacts import parse_card
from saropt.curation.stac import read_area
from saropt.errors import InputError
from saropt.evaluation.compare import read_submission
from saropt.files import check_not_input, digest_file, digest_files, load_json, load_xml, load_yaml, same_place
from saropt.roots import DataRoot
from saropt.roots.names import check_name


def test_aliases_that_grow():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    with pytest.raises(yaml.YAMLError, match="aliases that grow"):
        load_yaml(bomb)
    assert load_yaml("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "[" * 100 + "]" * 100, "&a [*a]", "2001-99-99", "{}: {[1]: 2}"])
def test_yaml_that_is_refused(text):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)


def test_deep_json_and_xml():
    with pytest.raises(ValueError, match="nested too deeply"):
        load_json("[" * 100_000)
    with pytest.raises(ValueError, match="nested more than"):
        load_xml(b"<a>" * 100 + b"</a>" * 100)
    with pytest.raises(ValueError, match="document type"):
        load_xml(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')


def test_deep_files_of_others_are_one_line(tmp_path):
    """Cards, submissions and areas are read by the same reader."""
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ValueError, match=r"card: is no JSON \(nested too deeply\)"):
        parse_card(path.read_text())
    with pytest.raises(InputError, match="is not a JSON file"):
        read_submission(path)
    with pytest.raises(InputError, match="is no GeoJSON file with a polygon: nested too deeply"):
        read_area(str(path))


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", "", "a\0b", "a\\b", ".", "a//b"])
def test_names_are_no_paths(name):
    with pytest.raises(InputError, match="is no name of a raster"):
        check_name(name, "splits.csv")


def test_a_root_with_a_name_that_leaves_it(tmp_path):
    (tmp_path / "dataset.yaml").write_text(
        "name: x\ngsd_m: 10\nsar: {bands: [VH], units: sigma0_db}\noptical: {bands: [B4], units: uint8}\n"
    )
    (tmp_path / "splits.csv").write_text("name,split\n../../evil,train\n")
    with pytest.raises(InputError, match="line 2"):
        DataRoot.open(tmp_path)
    (tmp_path / "splits.csv").write_text("name,split\n" + "x" * 200_000 + ",train\n")
    with pytest.raises(InputError, match="field"):
        DataRoot.open(tmp_path)


def test_paired_is_no_text(tmp_path):
    (tmp_path / "dataset.yaml").write_text(
        'name: x\ngsd_m: 10\npaired: "false"\nsar: {bands: [V], units: sigma0}\noptical: {bands: [B], units: uint8}\n'
    )
    (tmp_path / "splits.csv").write_text("name,split\na,train\n")
    with pytest.raises(InputError, match="paired must be true or false"):
        DataRoot.open(tmp_path)


def test_places_and_contents(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.symlink_to(first)
    assert same_place(first, second)
    assert not same_place(first, tmp_path / "c")
    with pytest.raises(InputError, match="is an input"):
        check_not_input(second, [first])
    before = digest_files([first])
    state = first.stat()
    first.write_text("2")
    import os

    os.utime(first, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert digest_files([first]) != before


@pytest.mark.parametrize(("place", "seen"), [(0, True), (100, False), (150, True), (200, False), (299, True)])
def test_a_digest_of_pieces_sees_first_middle_and_last(tmp_path, place, seen):
    content = bytearray(300)
    (tmp_path / "a").write_bytes(content)
    content[place] = 1
    (tmp_path / "b").write_bytes(content)
    digests = [digest_file(tmp_path / name, whole=96, pieces=3) for name in ("a", "b")]
    assert (digests[0] != digests[1]) == seen
    assert digest_file(tmp_path / "a", whole=300, pieces=3) != digest_file(tmp_path / "b", whole=300, pieces=3)
