"""The list of methods that is shown without torch is that of the registry."""

from __future__ import annotations

from saropt.cli.methods import listed_methods, method_row
from saropt.methods import get_method, list_methods


def test_the_listed_methods_are_those_of_the_registry() -> None:
    own = [name for name in list_methods() if get_method(name).__module__.startswith("saropt.")]
    assert listed_methods() == [method_row(get_method(name)) for name in own]
