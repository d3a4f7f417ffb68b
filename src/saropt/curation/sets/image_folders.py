"""Folders of images, and what lies in them beside the images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from saropt.curation.sets.base import IMAGES, images
from saropt.domain import listed

_BESIDE = (
    *(".xml", ".msk", ".ovr", ".tfw", ".tifw", ".pgw", ".pngw", ".jgw", ".jpgw", ".wld", ".prj", ".hdr"),
    *(".db", ".ini", ".txt", ".md", ".csv", ".json", ".yaml", ".pdf"),
)
"""Suffixes of files that are no images but lie beside them."""


def images_by_role(folders: Mapping[str, Path], pattern: str = r"(.+)") -> tuple[dict[str, dict[str, Path]], list[str]]:
    """The images of the folder of each role (`images`), and a line for each folder that holds more: folders of images,
    and files that are none of these images.

    >>> for name in ("sar/a.png", "sar/a.png.aux.xml", "sar/b.jp2", "sar/more/c.png"):
    ...     Path(name).parent.mkdir(parents=True, exist_ok=True)
    ...     Path(name).touch()
    >>> images_by_role({"sar": Path("sar")})[1]
    ['sar: b.jp2, more are not taken; images are .tif, .tiff, .png, .jpg, .jpeg in the folder itself']
    """
    found = {role: images(folder, pattern) for role, folder in folders.items()}
    lines = []
    for role, folder in folders.items():
        taken = set(found[role].values())
        others = [path.name for path in sorted(folder.iterdir()) if path not in taken and _may_be_meant(path)]
        if others:
            verb = "is" if len(others) == 1 else "are"
            lines.append(
                f"{folder}: {listed(others)} {verb} not taken; images are {', '.join(IMAGES)} in the folder itself"
            )
    return found, lines


def _may_be_meant(path: Path) -> bool:
    """Whether a file may be an image that a user means, or a folder holds images."""
    if path.name.startswith((".", "__")):
        return False
    if path.is_dir():
        return any(file.suffix.lower() in IMAGES for file in path.rglob("[!.]*"))
    return path.suffix.lower() not in _BESIDE
