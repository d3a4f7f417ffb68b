"""The files that a virtual raster (VRT) reads from, and all that a scene reads."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from saropt.errors import InputError
from saropt.files.polarisation_files import polarisation_files

_MOST_BYTES = 16 << 20
_SOURCES = ("SourceFilename", "SourceDataset", "OverviewFilename")


def read_vrt(path: Path) -> ElementTree.Element:
    """The XML of a virtual raster.

    Raises:
        InputError: it is none, is too long, or has entities.

    >>> Path("a.vrt").write_text("<VRTDataset/>")
    13
    >>> read_vrt(Path("a.vrt")).tag
    'VRTDataset'
    """
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise InputError(path, "is no virtual raster that is taken: too long, or with entities")
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, OSError, RecursionError) as error:
        raise InputError(path, "is no readable virtual raster") from error


def vrt_sources(path: Path) -> list[tuple[str, Path]]:
    """The files that a virtual raster reads, each with the name that it has there.

    Raises:
        InputError: as `read_vrt`.

    >>> source = '<SourceFilename relativeToVRT="1">b.tif</SourceFilename>'
    >>> _ = Path("a.vrt").write_text(f"<VRTDataset>{source}</VRTDataset>")
    >>> vrt_sources(Path("a.vrt"))
    [('b.tif', PosixPath('b.tif'))]
    """
    found = []
    for element in read_vrt(path).iter():
        if element.tag in _SOURCES:
            name = (element.text or "").strip()
            relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
            found.append((name, path.parent / name if relative else Path(name)))
    return found


def files_behind(path: str | Path) -> list[Path]:
    """The files that a scene reads beside the one of its path: the sources of a VRT, or the files of a product that has
    one for each polarisation; nothing for other scenes.

    >>> files_behind("scene.tif")
    []
    """
    path = Path(path)
    if path.suffix.lower() != ".vrt" or not path.is_file():
        return polarisation_files(path)
    try:
        return [source for _, source in vrt_sources(path)]
    except InputError:  # reading it says what is wrong
        return []
