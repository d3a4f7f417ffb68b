"""The self-contained HTML page of `saropt data inspect --html`."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.curation.distribution import Distribution, Histogram, Picture, class_colours
from saropt.curation.inspection import Facts
from saropt.files import write_text

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 340, 150, 8, 22
_SPLIT_COLOURS = {"train": "#1667b7", "val": "#c2410c", "test": "#15803d"}


def write_page(
    path: str | Path, title: str, description: Mapping[str, str], sides: Sequence[Facts], found: Distribution
) -> Path:
    """Write the results of `inspect_root` or `inspect_raster` and of `distribution_of` as one self-contained HTML file.

    Raises:
        InputError: it cannot be written.

    >>> from saropt.curation.inspection import inspect_root
    >>> from saropt.curation.distribution import distribution_of
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = write_simulated_root("root", scenes=(1, 0, 0), size=64)
    >>> write_page("root.html", "root", *inspect_root(root), distribution_of(root)).name
    'root.html'
    """
    path = Path(path)
    classes = list(found.class_pixels)
    colours = {name: _hex(colour) for name, colour in zip(classes, class_colours(len(classes)), strict=True)}
    splits = {split: _SPLIT_COLOURS.get(split, "#1667b7") for h in found.histograms for split in h.by_split}
    parts = [
        f"<h1>{escape(title)}</h1>",
        _facts(description),
        *(f"<h2>{escape(next(iter(side.facts)))}</h2>{_facts(side.facts)}{_quantiles(side)}" for side in sides),
    ]
    if found.class_pixels:
        parts.append(f"<h2>Classes</h2>{_class_table(found.class_pixels, colours)}")
    looked, there = found.sampled
    parts.append(
        f"<h2>Distributions</h2><p>Of {looked} of {there} rasters; ends of the axes hold what lies beyond.</p>"
    )
    parts.append(_cards([(h, h.by_split, splits) for h in found.histograms]))
    by_class = [(h, h.by_class, colours) for h in found.histograms if h.by_class]
    if by_class:
        parts.append(f"<h2>Distributions by class</h2>{_cards(by_class)}")
    parts.append(f"<h2>Pictures</h2>{_pictures(found.pictures)}")
    body = "\n".join(parts)
    style = (files("saropt.curation") / "inspection.css").read_text(encoding="utf-8")
    head = (
        f'<meta charset="utf-8"><title>{escape(title)}: saropt data inspect</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{style}</style>'
    )
    text = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>{body}</main></body></html>\n'
    write_text(path, text)
    return path


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd{' class=warn' if name == 'warning' else ''}>{escape(value)}</dd>"
        for name, value in facts.items()
        if value
    )
    return f"<dl>{rows}</dl>"


def _quantiles(side: Facts) -> str:
    head = "".join(f"<th>{escape(level)}</th>" for level in side.levels)
    rows = "".join(
        f"<tr><th>{escape(band)}</th>{''.join(f'<td>{value:.5g}</td>' for value in values)}</tr>"
        for band, values in side.quantiles.items()
    )
    return f'<div class="scroll"><table><tr><th>band</th>{head}</tr>{rows}</table></div>'


def _class_table(pixels: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> str:
    splits = list(next(iter(pixels.values())))
    totals = {split: sum(own[split] for own in pixels.values()) for split in splits}
    head = "".join(f"<th>{split}</th>" for split in splits)
    rows = ""
    for name, own in pixels.items():
        shares = "".join(f"<td>{f'{own[s] / totals[s]:.1%}' if totals[s] else '-'}</td>" for s in splits)
        patch = f'<i style="background:{colours[name]}"></i>'
        rows += f'<tr><th class="legend"><span>{patch}{escape(name)}</span></th>{shares}</tr>'
    return f'<div class="scroll"><table><tr><th>share of labelled pixels</th>{head}</tr>{rows}</table></div>'


def _cards(rows: Sequence[tuple[Histogram, Mapping[str, NDArray[np.int64]], Mapping[str, str]]]) -> str:
    cards = []
    for histogram, table, colours in rows:
        legend = "".join(
            f'<li><i style="background:{colours[key]}"></i>{escape(key)}</li>' for key in table if table[key].any()
        )
        heading = f"{histogram.role} {histogram.band} ({histogram.units})"
        plot = _plot(histogram, table, colours)
        cards.append(f'<div class="card"><h3>{escape(heading)}</h3>{plot}<ul class="legend">{legend}</ul></div>')
    return f'<div class="cards">{"".join(cards)}</div>'


def _plot(histogram: Histogram, table: Mapping[str, NDArray[np.int64]], colours: Mapping[str, str]) -> str:
    shares = {key: counts / counts.sum() for key, counts in table.items() if counts.sum()}
    top = max((float(share.max()) for share in shares.values()), default=1.0)
    floor = _HEIGHT - _BOTTOM
    x = np.linspace(_LEFT, _WIDTH - _LEFT, len(histogram.edges) - 1)
    lines = []
    for key, share in shares.items():
        y = floor - share / top * (floor - 6)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(f'<polyline points="{points}" stroke="{colours[key]}"/>')
    middle = (histogram.edges[0] + histogram.edges[-1]) / 2
    labels = "".join(
        f'<text x="{place}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{value:.4g}</text>'
        for place, anchor, value in (
            (_LEFT, "start", histogram.edges[0]),
            (_WIDTH // 2, "middle", middle),
            (_WIDTH - _LEFT, "end", histogram.edges[-1]),
        )
    )
    axis = f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _LEFT}" y1="{floor}" y2="{floor}"/>'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{axis}{"".join(lines)}{labels}</svg>'


def _pictures(pictures: Sequence[tuple[str, str, Mapping[str, Picture]]]) -> str:
    figures = []
    for split, name, sides in pictures:
        shots = ""
        for side, shot in sides.items():
            shots += f'<img src="{_uri(shot)}" alt="{escape(side)} of {escape(name)}">'
        caption = f"{f'{split}: ' if split else ''}{name} ({', '.join(sides)})"
        figures.append(f'<figure><div class="strip">{shots}</div><figcaption>{escape(caption)}</figcaption></figure>')
    return f'<div class="pairs">{"".join(figures)}</div>'


def _uri(picture: Picture) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _hex(colour: NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour)
