"""Presets are what their method pages say: recipes, bands, loss weights, epochs, and where each value is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from saropt.training.presets import list_presets

PAGES = Path(__file__).parents[2] / "docs" / "methods"
PAGE_OF = {
    **{"cran": "cran", "cran-refine": "cran", "shift-cyclegan": "shift-cyclegan", "tuigan": "tuigan"},
    **dict.fromkeys(("unet-dsd", "hat-dsd", "s2oformer-dsd"), "dsd"),
}
SOURCES = ("paper", "code", "slides", "poster", "CycleGAN", "chosen")
ABSENT = "–"
SAVING = {"engine.sample_every", "engine.checkpoint_every"}


def settings(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def table_of(page: str) -> tuple[list[str], list[list[str]]]:
    """The columns and the rows of a page's table of settings."""
    lines = (PAGES / f"{page}.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| setting |") and "from |" in line)
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[0], rows[2:]


@pytest.mark.parametrize(("preset", "page"), PAGE_OF.items())
def test_a_preset_is_what_its_page_says(preset, page):
    columns, rows = table_of(page)
    place = columns.index(preset)
    said = {row[0].strip("`"): yaml.safe_load(row[place]) for row in rows if row[place] != ABSENT}
    values = yaml.safe_load(list_presets()[preset].read_text(encoding="utf-8"))
    held = settings({section: values.get(section, {}) for section in ("arguments", "data", "engine")})
    assert said == {key: value for key, value in held.items() if key not in SAVING}


@pytest.mark.parametrize("page", sorted(set(PAGE_OF.values())))
def test_every_value_has_a_source(page):
    _, rows = table_of(page)
    assert all(row[-1].startswith(SOURCES) for row in rows)
