"""What MkDocs asks while it builds the site (mkdocs.yml, `hooks`)."""

from __future__ import annotations

import re

_TYPE = re.compile(r"<code>([^<]*`[^<]*)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Docstrings name types as transformers' own do (`str`, *optional*); tables of parameters show them as
    code, where the marks are noise.
    """
    return _TYPE.sub(lambda match: f"<code>{re.sub(r'[`*]', '', match[1])}</code>", html)
