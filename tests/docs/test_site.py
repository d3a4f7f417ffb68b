"""The documentation builds without a warning, its links lead somewhere, and no page asks another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]


class Links(HTMLParser):
    """Targets of a page: what it shows or runs, where it leads, and the places that can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.led: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if "src" in given:
            self.shown.append(given["src"])
        if "href" in given:
            (self.led if tag == "a" else self.shown).append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("mkdocs", "material", "mkdocstrings_handlers"):
        pytest.importorskip(module, reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    assert len(pages) > 35
    broken = []
    for path, links in pages.items():
        if path.name == "404.html":
            continue
        for target in [*links.led, *links.shown]:
            name, _, anchor = target.partition("#")
            if re.match(r"(https?|mailto|data):", target):
                continue
            goal = (path.parent / unquote(name)).resolve() if name else path
            goal = goal / "index.html" if goal.is_dir() else goal
            if not goal.exists() or (anchor and goal in pages and unquote(anchor) not in pages[goal].places):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []


def test_no_page_asks_another_host(site: Path) -> None:
    outside = [
        f"{path.name}: {target}"
        for path in site.rglob("*.html")
        for target in Links(path.read_text(encoding="utf-8")).shown
        if target.startswith(("http:", "https:", "//"))
    ]
    assert outside == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import[^;]*", styles) == []


def test_the_home_page_begins_with_pictures(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    body = text[text.index("<h1") :]
    assert body.index("<img") < body.index("<h2")
    assert all('alt="' in image for image in re.findall(r"<img[^>]*>", body))


def test_examples_in_docstrings_are_code(site: Path) -> None:
    text = (site / "api.html").read_text(encoding="utf-8")
    assert "<blockquote>" not in text
    assert text.count('class="language-pycon') > 20
