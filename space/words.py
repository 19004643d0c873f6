"""The page's words in English and Spanish. What the browser says stands in `static/words.json`; what the
server says is English wherever it is made, and is put into the visitor's language here before it is sent:
into Spanish, or into a musician's English.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .assets import STATIC

if TYPE_CHECKING:
    import gradio as gr

ENGLISH = "en"
MESSAGES = Path(__file__).parent / "messages.json"
BETWEEN = " · "  # parts of a line, each of which is a phrase of its own
_HOLE = re.compile(r"\{(\w+)\}")
# Keys as `Key` writes them, in text and in words.
_KEY = re.compile(r"\b([A-G])(?:(#|-sharp)|b|-flat)(?= (?:major|minor)\b)")
# A phrase may stand in a phrase, such as the reason of a refusal, to this depth.
DEEPEST = 4


@cache
def translations() -> gr.I18n:
    """The words for Gradio, which takes the visitor's language from the browser."""
    import gradio as gr

    return gr.I18n(**json.loads((STATIC / "words.json").read_text("utf-8")))


def say(key: str) -> Any:
    """A phrase that the browser puts into the visitor's language."""
    return translations()(key)


def language_of(header: str | None) -> str:
    """The language to answer in: the first of ours that `Accept-Language` names, else English."""
    known = (ENGLISH, *_messages())
    named = (part.split(";")[0].strip()[:2].lower() for part in (header or "").split(","))
    return next((language for language in named if language in known), ENGLISH)


@cache
def _messages() -> dict[str, dict[str, str]]:
    """By language: English phrases, with `{names}` for what changes in them, and what they are there; in
    English those with words of statistics and machine learning.
    """
    return json.loads(MESSAGES.read_text("utf-8"))


class Phrase(NamedTuple):
    """A phrase in which something changes: what stands around its holes, their names, and what it is in the
    other language.
    """

    around: list[str]
    names: list[str]
    other: str

    def values(self, text: str) -> dict[str, str] | None:
        """What stands in the holes, each as short as can be; `None` where the text is no such phrase. A pass
        or two over the text, whatever a visitor has written into it: an expression with several holes can
        take minutes.
        """
        first, *between, last = self.around
        at, end, found = len(first), len(text) - len(last), []
        if not text.startswith(first) or not text.endswith(last):
            return None
        for part in between:
            place = text.find(part, at + 1, end)
            if place < 0:
                return None
            found.append(text[at:place])
            at = place + len(part)
        return dict(zip(self.names, [*found, text[at:end]], strict=True)) if at < end else None


@cache
def _phrases(language: str) -> list[Phrase]:
    """The phrases in which something changes, the most telling first."""
    parts = [(_HOLE.split(english), other) for english, other in _messages()[language].items()]
    phrases = [Phrase(all_[::2], all_[1::2], other) for all_, other in parts if len(all_) > 1]
    return sorted(phrases, key=lambda phrase: -len("".join(phrase.around)))


@lru_cache(4096)
def translated(text: str, language: str, depth: int = 0) -> str:
    """A phrase of the server in a language; what is not in the table stays English, with signs in its keys:
    C♯ minor.

    Args:
        text (`str`): one phrase, or several with `BETWEEN` between them.
        language (`str`): from `language_of`.
        depth (`int`): in how many phrases it stands.
    """
    if not text or depth > DEEPEST:
        return text
    if BETWEEN in text:
        return BETWEEN.join(translated(part, language, depth) for part in text.split(BETWEEN))
    if exact := _messages()[language].get(text):
        return exact
    for phrase in _phrases(language):
        if (values := phrase.values(text)) is not None:
            return phrase.other.format(
                **{name: translated(value, language, depth + 1) for name, value in values.items()}
            )
    if language == ENGLISH:
        return _KEY.sub(lambda key: f"{key[1]}{'♯' if key[2] else '♭'}", text)
    return text
