"""Registries: names, order, and plug-ins that cannot be imported."""

from __future__ import annotations

import sys

import pytest

from saropt.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with one plug-in that works and one that does not."""
    info = tmp_path / "plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[saropt.things]\nbroken = broken_thing\ngood = good_thing\n")
    (tmp_path / "broken_thing.py").write_text("import no_such_module\n")
    (tmp_path / "good_thing.py").write_text("import sys\nsys.things.add('good', 7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("broken_thing", "good_thing"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    registry = Registry[int]("thing", "saropt.things")
    monkeypatch.setattr(sys, "things", registry, raising=False)
    return registry


def test_a_broken_plugin_is_one_line_and_the_others_stay(package, caplog):
    package.add("own", 1)
    assert list(package) == ["own", "good"]
    assert package["good"] == 7
    (record,) = caplog.records
    assert "broken of saropt.things is left out: ModuleNotFoundError" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_plugin_that_would_end_the_program_is_one_line(package, caplog, tmp_path):
    (tmp_path / "broken_thing.py").write_text("import sys\nsys.exit('no licence')\n")
    assert list(package) == ["good"]
    assert [record.getMessage() for record in caplog.records] == [
        "plug-in broken of saropt.things is left out: SystemExit: no licence"
    ]


def test_names_are_taken_once():
    registry = Registry[int]("thing", "saropt.none")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="thing 'one' is registered twice"):
        registry.add("one", 2)
    registry.register("two")(2)
    assert registry.names("t*") == ["two"]
    assert "three" not in registry
