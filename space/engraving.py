"""From MusicXML to engraved pages (SVG) and the times at which its notes sound, by verovio."""

from __future__ import annotations

import re
from typing import Any

from musicgpt.printing import verovio_toolkit

# Width of a page in CSS pixels, for a desk and for a telephone; a narrow page has fewer bars a line, not
# smaller notes.
WIDTHS = {"wide": 920, "narrow": 380}
# verovio's scale: 100 means staff spaces of 9 pixels.
SCALE = {"wide": 42, "narrow": 36}
PAGE_HEIGHT = 1300
_HIDDEN_FROM_READERS = re.compile(r"<desc>.*?</desc>|<title[^>]*>.*?</title>", re.DOTALL)


def engrave(musicxml: str, layout: str = "wide", excerpt: int = 0) -> dict[str, Any]:
    """Engrave a piece.

    Args:
        musicxml (`str`): the text of a MusicXML file.
        layout (`str`): a name in `WIDTHS`.
        excerpt (`int`): number of some bars that stand beside a piece on one page: the names (ids) in them
            are others, and the bars have no numbers.

    Returns:
        `dict`: `pages`, a list of SVG texts drawn in `currentColor`; `times`, a list of `[quarter notes from
        the start, ids of the notes that begin]` in rising order; `notes`, a list of `[id, quarter notes from
        the start, MIDI pitch]` of all notes that begin.

    Raises:
        MusicGPTError: if verovio cannot read the text.
    """
    scale = SCALE[layout]
    toolkit = verovio_toolkit(
        musicxml,
        {
            "pageWidth": WIDTHS[layout] * 100 // scale,
            "pageHeight": PAGE_HEIGHT * 100 // scale,
            "scale": scale,
            "adjustPageHeight": True,
            "header": "none",
            "footer": "none",
            "pageMarginLeft": 30,
            "pageMarginRight": 30,
            "pageMarginTop": 40,
            "pageMarginBottom": 30,
            "breaks": "auto",
            "svgViewBox": True,
            "svgRemoveXlink": True,
            "xmlIdSeed": 1 + excerpt,
            "mnumInterval": 10**6 if excerpt else 0,
        },
    )
    pages = [
        _HIDDEN_FROM_READERS.sub("", toolkit.renderToSVG(page))
        for page in range(1, toolkit.getPageCount() + 1)
    ]
    times = [[entry["qstamp"], entry["on"]] for entry in toolkit.renderToTimemap({}) if entry.get("on")]
    notes = [
        [name, quarter, toolkit.getMIDIValuesForElement(name).get("pitch")]
        for quarter, names in times
        for name in names
    ]
    return {"pages": pages, "times": times, "notes": notes}
