"""Write the zip that QGIS installs (Plugins, Install from ZIP): python integrations/qgis/make_zip.py [OUT]."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent / "saropt_provider"


def make_zip(out: Path) -> Path:
    """The sources and the metadata, below the name of the plug-in."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted([*FOLDER.glob("*.py"), FOLDER / "metadata.txt"]):
            archive.write(path, f"{FOLDER.name}/{path.name}")
    return out


if __name__ == "__main__":
    print(make_zip(Path(sys.argv[1] if len(sys.argv) > 1 else "saropt_provider.zip")))
