"""The files that a virtual raster (VRT) reads from."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from saropt.errors import InputError

_MOST_BYTES = 16 << 20
_SOURCES = ("SourceFilename", "SourceDataset", "OverviewFilename")


def virtual_root(path: Path) -> ElementTree.Element:
    """The XML of a virtual raster.

    Raises:
        InputError: it is none, is too long, or has entities.

    >>> Path("a.vrt").write_text("<VRTDataset/>")
    13
    >>> virtual_root(Path("a.vrt")).tag
    'VRTDataset'
    """
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise InputError(path, "is no virtual raster that is taken: too long, or with entities")
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, OSError, RecursionError) as error:
        raise InputError(path, "is no readable virtual raster") from error


def virtual_sources(path: Path) -> dict[str, Path]:
    """The files that a virtual raster names, by the name that it gives them.

    Raises:
        InputError: as `virtual_root`.

    >>> source = '<SourceFilename relativeToVRT="1">b.tif</SourceFilename>'
    >>> _ = Path("a.vrt").write_text(f"<VRTDataset>{source}</VRTDataset>")
    >>> virtual_sources(Path("a.vrt"))
    {'b.tif': PosixPath('b.tif')}
    """
    found = {}
    for element in virtual_root(path).iter():
        if element.tag in _SOURCES:
            name = (element.text or "").strip()
            relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
            found[name] = path.parent / name if relative else Path(name)
    return found
