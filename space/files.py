"""The row of links that download a piece."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from musicgpt.printing import can_print

from .words import ENGLISH, translated

_LABELS = {
    "pdf": "Score (PDF)",
    "mid": "MIDI",
    "musicxml": "MusicXML",
    "png": "Picture (PNG)",
    "mp3": "Sound (MP3)",
}


def address(path: str) -> str:
    """Where the browser finds a file, relative to the page (so that it also works behind a proxy's
    prefix).
    """
    return f"gradio_api/file={quote(path)}"


def files_html(files: dict[str, str], language: str = ENGLISH) -> str:
    """Links that download the files under their own names."""
    labels = {kind: translated(label, language) for kind, label in _LABELS.items()}
    links = [
        (
            f'<a class="mg-file" href="{escape(address(path))}"'
            f' download="{escape(Path(path).name)}">{label}</a>'
            if (path := files.get(kind))
            else f'<span class="mg-file mg-missing">{label}</span>'
        )
        for kind, label in labels.items()
        if kind != "pdf" or can_print()
    ]
    return f'<div class="mg-files">{"".join(links)}</div>'
