"""The page's words in English and Spanish. What the browser says stands in `static/words.json`; what the
server says is English wherever it is made, and is put into the visitor's language here before it is sent.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .assets import STATIC

if TYPE_CHECKING:
    import gradio as gr

ENGLISH = "en"
MESSAGES = Path(__file__).parent / "messages.json"
BETWEEN = " · "  # parts of a line, each of which is a phrase of its own
_HOLE = re.compile(r"\\{(\w+)\\}")


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
    """By language: English phrases, with `{names}` for what changes in them, and what they are there."""
    return json.loads(MESSAGES.read_text("utf-8"))


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """The phrases in which something changes, the most telling first."""
    phrases = [(english, other) for english, other in _messages()[language].items() if "{" in english]
    phrases.sort(key=lambda phrase: -len(re.sub(r"\{\w+\}", "", phrase[0])))
    return [(re.compile(_HOLE.sub(r"(?P<\1>.+?)", re.escape(english))), other) for english, other in phrases]


@lru_cache(4096)
def translated(text: str, language: str) -> str:
    """A phrase of the server in a language; what is not in the table stays English.

    Args:
        text (`str`): one phrase, or several with `BETWEEN` between them.
        language (`str`): from `language_of`.
    """
    if language == ENGLISH or not text:
        return text
    if BETWEEN in text:
        return BETWEEN.join(translated(part, language) for part in text.split(BETWEEN))
    if exact := _messages()[language].get(text):
        return exact
    for pattern, other in _patterns(language):
        if found := pattern.fullmatch(text):
            return other.format(
                **{name: translated(value, language) for name, value in found.groupdict().items()}
            )
    return text
