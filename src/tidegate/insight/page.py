# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page out of sections; nothing is loaded from anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STYLE = """
:root { --ink: #1c2b33; --muted: #5b6b75; --line: #e3e9ec; --sea: #0b6e8f; --good: #2e7d55; --bad: #b93826; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f7f8; color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", sans-serif; }
header { background: #10252e; color: #fff; padding: 2.2rem 1.5rem 4.2rem; }
header > div, main { max-width: 1020px; margin: 0 auto; }
header h1 { margin: 0; font-size: 1.7rem; letter-spacing: -0.01em; }
header p { margin: .3rem 0 0; color: #a9c3cd; }
main { margin-top: -2.8rem; padding: 0 1rem 3rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); gap: .7rem; }
.tile, section { background: #fff; border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: .75rem .9rem; }
.tile b { display: block; font-size: 1.35rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: .82rem; }
.good b { color: var(--good); } .bad b { color: var(--bad); }
section { margin-top: 1rem; padding: 1.1rem 1.3rem 1.2rem; }
h2 { margin: 0 0 .2rem; font-size: 1.08rem; }
section p { margin: .1rem 0 .7rem; color: var(--muted); max-width: 78ch; font-size: .92rem; }
svg, img { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, thead td { border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 600; text-align: left; }
th, td { padding: .3rem .7rem .3rem 0; white-space: nowrap; }
td + td, th + th, td + th { text-align: right; }
tr + tr td { border-top: 1px solid #f0f3f5; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: .9rem; }
.gallery figure { margin: 0; }
.gallery figure > div { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 3px; }
.gallery figcaption { font-size: .82rem; color: var(--muted); margin-top: .2rem; }
footer { text-align: center; color: var(--muted); font-size: .82rem; padding-bottom: 2rem; }
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure at the head of the page; ``good`` colours it."""

    value: str
    label: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part: ``note`` is plain text, ``body`` is HTML; ``facts`` its numbers for the JSON beside the page."""

    title: str
    note: str
    body: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def page(
    title: str, subtitle: str, tiles: Iterable[Tile], sections: Iterable[Section], *, style: str = "", script: str = ""
) -> str:
    """Put the page together; ``style`` (CSS) and ``script`` (JavaScript) are added to what every page has."""
    colour = {None: "", True: " good", False: " bad"}
    heads = "\n".join(
        f'<div class="tile{colour[tile.good]}"><b>{escape(tile.value)}</b><span>{escape(tile.label)}</span></div>'
        for tile in tiles
    )
    parts = "\n".join(
        f"<section>\n<h2>{escape(section.title)}</h2>\n<p>{escape(section.note)}</p>\n{section.body}\n</section>"
        for section in sections
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        f"<header><div><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></div></header>\n"
        f'<main>\n<div class="tiles">\n{heads}\n</div>\n{parts}\n</main>\n'
        f"<footer>made by tidegate; this file needs nothing else</footer>\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is text, the others are figures."""
    top = "".join(f"<th>{escape(name)}</th>" if name else "<td></td>" for name in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return scrolled(f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>")


def scrolled(body: str) -> str:
    """HTML that scrolls sideways where the screen is narrow, by keyboard too."""
    return f'<div class="scroll" tabindex="0">{body}</div>'


def picture(image: NDArray[np.uint8], text: str) -> str:
    """An image (H, W, 3) RGB inside the page; ``text`` says what it shows."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'


def gallery(figures: Iterable[tuple[Sequence[str], str]]) -> str:
    """Pictures as ``picture`` makes them, those of one figure side by side above its caption."""
    shown = (
        f"<figure><div>{''.join(pictures)}</div><figcaption>{escape(caption)}</figcaption></figure>"
        for pictures, caption in figures
    )
    return f'<div class="gallery">{"".join(shown)}</div>'


def picture_file(path: Path, text: str) -> str:
    """An SVG file, inline."""
    content = path.read_text("utf-8")
    return f'<div role="img" aria-label="{escape(text)}">{content[content.index("<svg") :]}</div>'
