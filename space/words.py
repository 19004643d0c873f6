"""The page's words in English and Spanish, from the file that its modules read, too."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from .assets import STATIC

if TYPE_CHECKING:
    import gradio as gr


@cache
def translations() -> gr.I18n:
    """The words for Gradio, which takes the visitor's language from the browser."""
    import gradio as gr

    return gr.I18n(**json.loads((STATIC / "words.json").read_text("utf-8")))


def say(key: str) -> Any:
    """A phrase that the browser puts into the visitor's language."""
    return translations()(key)
