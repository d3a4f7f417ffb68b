"""Hook of mkdocs: pages that show a file from the root of the repository find its links again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
INCLUDED = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The text of a page; of an included file with links relative to docs/."""
    source = INCLUDED.get(page.file.src_uri)
    if source is None:
        return markdown
    text = (ROOT / source).read_text(encoding="utf-8")
    names = {name: page_name for page_name, name in INCLUDED.items()}
    return re.sub(r"\]\(([^)]+)\)", lambda match: f"]({_moved(match[1], names)})", text)


def _moved(target: str, names: dict[str, str]) -> str:
    path, _, anchor = target.partition("#")
    path = names.get(path, path.removeprefix("docs/"))
    if path == "methods":
        path = "methods/README.md"
    return f"{path}#{anchor}" if anchor else path
