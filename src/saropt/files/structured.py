"""YAML and JSON of others, within limits: small files must not grow into large memory or deep recursion."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import yaml

_MOST_CHARACTERS = 64 << 20
_MOST_NODES = 100_000
_MOST_DEPTH = 64


class _Loader(yaml.SafeLoader):
    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        _expanded_size(node, {}, 0)
        return self.construct_document(node)


def load_yaml(text: str) -> Any:
    """The value of a YAML document, as `yaml.safe_load` gives it.

    Raises:
        yaml.YAMLError: no YAML, a key that stands twice in a mapping, longer or deeper than the limits, or aliases that
            would grow beyond them.

    >>> load_yaml("a: [1, 2]")
    {'a': [1, 2]}
    """
    if len(text) > _MOST_CHARACTERS:
        raise yaml.YAMLError(f"longer than {_MOST_CHARACTERS} characters")
    try:
        return yaml.load(text.removeprefix("\ufeff"), Loader=_Loader)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    except (ValueError, TypeError, OverflowError, AttributeError, KeyError) as error:  # dates, numbers, tags
        raise yaml.YAMLError(" ".join(str(error).split()) or "a value that cannot be read") from error


def load_json(text: str | bytes) -> Any:
    """The value of a JSON document.

    Raises:
        ValueError: no JSON, or nested too deeply.

    >>> load_json("[1, 2]")
    [1, 2]
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def load_xml(content: bytes) -> ElementTree.Element:
    """The root of an XML document without entities of its own.

    Raises:
        ValueError: no such XML, or nested too deeply.

    >>> load_xml(b"<a><b>1</b></a>").findtext("b")
    '1'
    """
    if len(content) > _MOST_CHARACTERS or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("too long, or with a document type")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    level, depth = [root], 0
    while level := [child for element in level for child in element]:
        depth += 1
        if depth > _MOST_DEPTH:
            raise ValueError(f"nested more than {_MOST_DEPTH} levels deep")
    return root


def _expanded_size(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Number of nodes once every alias is written out."""
    if depth > _MOST_DEPTH:
        raise yaml.YAMLError(f"nested more than {_MOST_DEPTH} levels deep")
    if id(node) in known:
        if known[id(node)] < 0:
            raise yaml.YAMLError("an alias of itself")
        return known[id(node)]
    known[id(node)] = -1
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            raise yaml.YAMLError(f"the key {max(keys, key=keys.count)} stands there twice")
    size = 1
    for child in children:
        size += _expanded_size(child, known, depth + 1)
        if size > _MOST_NODES:
            raise yaml.YAMLError(f"aliases that grow to more than {_MOST_NODES} values")
    known[id(node)] = size
    return size
