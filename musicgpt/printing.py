"""A score as a PDF to print: verovio engraves its systems, typst sets them on pages. Both are wheels that
need nothing else (extra `pdf`).

verovio makes one picture of every system; which systems share a page is decided here, so that no staff is
ever cut, every page but the last is filled to its foot, and the last one has at least two systems. The staff
is 6.5 mm high, as in editions for the piano, or a little smaller where that saves a page with next to nothing
on it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from tokenization import musicxml_text
from tokenization.errors import MusicGPTError
from tokenization.heading import COMPOSER, subtitle_of, title_of
from tokenization.midi_writer import write_whole
from tokenization.score import Score

# Width and height of the sheets in millimetres, by typst's names for them.
PAPERS = {"a4": (210.0, 297.0), "us-letter": (215.9, 279.4)}
MARGIN, FOOT = 15.0, 18.0  # at the sides and the top; at the foot, where the page's number stands
HEADING = 27.0  # what title, subtitle and composer take on the first page
# Heights of a staff; the next one is tried where the last page has less than `SPARSE` of it filled.
STAVES, SPARSE = (6.5, 6.1, 5.8), 0.4
UNITS_A_STAFF = 72  # the same in verovio's units at scale 100
LEAST_GAP, WIDEST_GAP = 4.0, 14.0  # between two systems: never less; on the last page never more
# verovio's units left of a system, for its brace and the number of its bar, and right of it, for its bar line.
INDENT, OUTDENT = 40, 6
# Of those spacings of notes (verovio's spacingLinear) the first is taken with which the last system is full
# as well, else the first of all.
SPACINGS = (0.25, 0.26, 0.24, 0.27, 0.23, 0.28, 0.22, 0.29, 0.21, 0.31, 0.19, 0.33, 0.17)
FULL = 0.7  # of the width: from here on a last system is spread over the whole of it
_MUSIC_FONT = "Leipzig"
_NARROWER = 0.85  # verovio leaves room for letters that much narrower than those of the text font here
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class System:
    """One line of music as a picture.

    Attributes:
        svg (`str`): black on nothing, as wide as the page between its margins.
        height (`float`): millimetres.
    """

    svg: str
    height: float


def write_pdf(score: Score, path: str | os.PathLike, paper: str = "a4") -> None:
    """Write a score as a PDF, whole or not at all; for arguments and errors see `pdf_bytes`."""
    write_whole(path, pdf_bytes(score, paper))


def pdf_bytes(score: Score, paper: str = "a4") -> bytes:
    """A score as a PDF: title, subtitle and composer (`tokenization.heading`), systems over the whole width,
    numbered pages.

    The same score gives the same bytes.

    Args:
        score (`Score`): with at least one note.
        paper (`str`): `"a4"` or `"us-letter"`.

    Raises:
        ModuleNotFoundError: without the extra `pdf`, naming it.
        MusicGPTError: for an unknown paper, or where there is nothing to print.
    """
    if paper not in PAPERS:
        raise MusicGPTError(f"Unknown paper {paper!r}: it must be one of {', '.join(PAPERS)}.")
    if not len(score):
        raise MusicGPTError("There are no notes to print.")
    typst = require("typst")
    width, height = PAPERS[paper]
    systems, pages = _laid_out(musicxml_text(score), width - 2 * MARGIN, height - MARGIN - FOOT)
    data = {
        "title": _short(title_of(score)),
        "subtitle": _short(subtitle_of(score)),
        "composer": _short(score.info.get(COMPOSER, "")),
        "pages": pages,
        "paper": paper,
        "width": width - 2 * MARGIN,
        "heading": HEADING,
        "margin": MARGIN,
        "foot": FOOT,
    }
    files = {f"{number}.svg": system.svg.encode() for number, system in enumerate(systems)}
    project = {"main.typ": _PAGES.encode(), "data.json": json.dumps(data).encode(), **files}
    return typst.compile(
        project, format="pdf", ignore_system_fonts=True, timestamp=datetime.fromtimestamp(0, UTC)
    )


def _laid_out(musicxml: str, width: float, height: float) -> tuple[list[System], list[dict[str, Any]]]:
    """Systems and pages with the largest staff that leaves no last page nearly empty, else the largest."""
    tried = []
    for staff in STAVES:
        systems = engrave_systems(musicxml, width, staff)
        pages = arrange([system.height for system in systems], height)
        tried.append((systems, pages))
        on_last = sum(systems[k].height for k in pages[-1]["systems"])
        if len(pages) < len(tried[0][1]):
            return systems, pages
        if len(pages) == 1 or on_last > SPARSE * height:
            break
    return tried[0]


def require(name: str) -> ModuleType:
    """A package of the extra `pdf`.

    Raises:
        ModuleNotFoundError: saying what to install.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"PDF needs the package {name}: pip install 'musicgpt-wtc[pdf]'", name=name
        ) from error


def can_print() -> bool:
    """Whether the extra `pdf` is installed."""
    return all(find_spec(name) for name in ("typst", "verovio"))


def verovio_toolkit(musicxml: str, options: dict[str, Any]) -> Any:
    """A toolkit of verovio that has laid out a piece; it works in every thread and does not log.

    Raises:
        MusicGPTError: if verovio cannot read the text.
    """
    verovio = require("verovio")
    toolkit = verovio.toolkit(False)
    # The default path does not reach other threads than the importing one.
    toolkit.setResourcePath(str(_verovio_data()))
    verovio.enableLog(verovio.LOG_OFF)
    toolkit.setOptions(options)
    if not toolkit.loadData(musicxml):
        raise MusicGPTError("The score could not be engraved: verovio cannot read its MusicXML.")
    return toolkit


def _verovio_data() -> Path:
    return Path(require("verovio").__file__ or "").parent / "data"


def engrave_systems(musicxml: str, width: float, staff: float = STAVES[0]) -> list[System]:
    """The systems of a piece, from the first to the last.

    Args:
        musicxml (`str`): the piece.
        width (`float`): of a system in millimetres.
        staff (`float`): height of a staff in millimetres.

    Raises:
        MusicGPTError: if verovio cannot read the text.
    """
    units = round(width / staff * UNITS_A_STAFF)
    # A page too low for a second system holds one; verovio then cuts it to the height of what is on it.
    page = {"pageWidth": units, "pageHeight": 100, "adjustPageHeight": True, "scale": 100}
    page |= {"pageMarginLeft": INDENT, "pageMarginRight": OUTDENT, "pageMarginTop": 0, "pageMarginBottom": 0}
    music = {"breaks": "auto", "header": "none", "footer": "none", "minLastJustification": FULL}
    svg = {"svgViewBox": True, "svgRemoveXlink": True, "smuflTextFont": "none", "xmlIdSeed": 1}
    toolkit = verovio_toolkit(musicxml, page | music | svg)
    for spacing in (*SPACINGS, SPACINGS[0]):
        toolkit.setOptions({"spacingLinear": spacing})
        toolkit.redoLayout()
        if _is_full(toolkit.renderToSVG(toolkit.getPageCount())):
            break
    pages = [toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1)]
    return [System(_with_drawn_music(page), width * _size(page)[1] / _size(page)[0]) for page in pages]


def _size(svg: str) -> tuple[float, float]:
    """Width and height of a picture in its own units."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None
    return float(found[1]), float(found[2])


def _is_full(svg: str) -> bool:
    """Whether the staff lines of a system, in tenths of its page's units, reach its right edge."""
    ends = [int(end) for y, end, again in re.findall(r'd="M\d+ (\d+) L(\d+) (\d+)"', svg) if y == again]
    return max(ends, default=0) > 9.5 * (_size(svg)[0] - INDENT)


def _with_drawn_music(svg: str) -> str:
    """The picture with the notes in its texts (the tempo's) drawn, so that none needs a font for music."""
    ElementTree.register_namespace("", _SVG[1:-1])
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for place, text in enumerate(list(parent)):
            if text.tag == f"{_SVG}text" and any(
                span.get("font-family") == _MUSIC_FONT for span in text.iter(f"{_SVG}tspan")
            ):
                parent[place] = _drawn(text)
    return ElementTree.tostring(root, encoding="unicode").replace("currentColor", "black")


def _drawn(text: ElementTree.Element) -> ElementTree.Element:
    """A text of runs (`tspan` with a size) as a group: its glyphs, then its words beside them."""
    x, y = float(text.get("x", "0")), text.get("y", "0")
    group, words = ElementTree.Element(f"{_SVG}g"), ElementTree.Element(f"{_SVG}text")
    for span in text.iter(f"{_SVG}tspan"):
        size = float(span.get("font-size", "0px").removesuffix("px"))
        if span.get("font-family") == _MUSIC_FONT:
            for character in span.text or "":
                path, advance = _glyph(f"{ord(character):04X}")
                drawn = ElementTree.SubElement(
                    group, f"{_SVG}g", transform=f"translate({x:g},{y}) scale({size / 1000:g})"
                )
                ElementTree.SubElement(drawn, f"{_SVG}path", d=path, transform="scale(1,-1)")
                x += advance * size / 1000
        elif span.text and span.text.strip():
            ElementTree.SubElement(
                words, f"{_SVG}tspan", {"font-size": f"{_NARROWER * size:.0f}px"}
            ).text = span.text
    words.attrib |= {"x": f"{x:g}", "y": y}
    group.append(words)
    return group


@cache
def _glyph(code: str) -> tuple[str, float]:
    """Outline and advance width of a glyph of verovio's music font, in thousandths of the font's size."""
    outline = (_verovio_data() / _MUSIC_FONT / f"{code}.xml").read_text(encoding="utf-8")
    metrics = (_verovio_data() / f"{_MUSIC_FONT}.xml").read_text(encoding="utf-8")
    path = re.search(r' d="([^"]+)"', outline)
    advance = re.search(rf'c="{code}"[^>]* h-a-x="([\d.]+)"', metrics)
    return path[1] if path else "", float(advance[1]) if advance else 0.0


def arrange(heights: list[float], height: float) -> list[dict[str, Any]]:
    """Which systems stand on which page, and how far apart.

    Args:
        heights (list of `float`): of the systems.
        height (`float`): of a page between its margins; the first one has `HEADING` less. All in one unit.

    Returns:
        list of `dict`: of each page the `systems` (their numbers) and the `gap` between two of them.
    """
    pages: list[list[int]] = [[]]
    for number, own in enumerate(heights):
        taken = sum(heights[k] + LEAST_GAP for k in pages[-1])
        if pages[-1] and taken + own > _room(height, len(pages) - 1):
            pages.append([])
        pages[-1].append(number)
    if len(pages) > 1 and len(pages[-1]) == 1 and len(pages[-2]) > 2:
        pages[-1].insert(0, pages[-2].pop())
    found: list[dict[str, Any]] = []
    for place, page in enumerate(pages):
        left = _room(height, place) - sum(heights[k] for k in page)
        gap = left / max(1, len(page) - 1)
        if place == len(pages) - 1:
            gap = min(gap, found[-1]["gap"] if found else WIDEST_GAP, WIDEST_GAP)
        found.append({"systems": page, "gap": max(0.0, gap)})
    return found


def _room(height: float, page: int) -> float:
    return height - (0.0 if page else HEADING)


def _short(text: str, limit: int = 120) -> str:
    """A line for the heading, which has room for two of them."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


_PAGES = """\
#let data = json("data.json")
#let mm(x) = x * 1mm
#set document(title: data.title, author: data.composer, date: none)
#set page(
  paper: data.paper,
  margin: (left: mm(data.margin), right: mm(data.margin), top: mm(data.margin), bottom: mm(data.foot)),
  footer-descent: 6mm,
  footer: context if counter(page).get().first() > 1 { align(center, text(size: 10pt, counter(page).display())) },
)
#set text(font: "Libertinus Serif", size: 10pt, lang: "en", hyphenate: false)
#set par(spacing: 0pt, leading: 0.4em)
#set block(spacing: 0pt)
#block(width: 100%, height: mm(data.heading), {
  set align(center)
  text(size: if data.title.len() > 50 { 14pt } else { 20pt }, data.title)
  v(2.5mm)
  text(size: 10pt, data.subtitle)
  place(bottom + right, dy: -6mm, text(size: 10pt, style: "italic", data.composer))
})
#for (number, page) in data.pages.enumerate() {
  if number > 0 { pagebreak() }
  for (place, system) in page.systems.enumerate() {
    if place > 0 { v(mm(page.gap)) }
    image(str(system) + ".svg", width: mm(data.width), alt: "system " + str(system + 1))
  }
}
"""
