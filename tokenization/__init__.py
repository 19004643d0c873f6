"""Scores, score files, the 150 tokens and the tokenizers.

Names are imported when they are first used, so that `tokenization.score` costs no more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "errors": ("MusicGPTError", "ScoreError", "ScoreReadError", "TokenError"),
    "key": ("Key",),
    "score": ("Meter", "Note", "Score"),
    "codec": ("decode", "encode", "first_error", "prefix_ids", "token_errors"),
    "key_finding": ("estimate_key",),
    "voices": ("infer_voices",),
    "reading": ("read_score", "read_score_bytes"),
    "midi_writer": ("midi_bytes", "write_midi"),
    "musicxml_writer": ("musicxml_text", "write_musicxml"),
    "tokenization_musicgpt": ("MusicGPTTokenizer",),
    "tokenization_musicgpt_fast": ("MusicGPTTokenizerFast",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)

if TYPE_CHECKING:
    from .codec import decode, encode, first_error, prefix_ids, token_errors
    from .errors import MusicGPTError, ScoreError, ScoreReadError, TokenError
    from .key import Key
    from .key_finding import estimate_key
    from .midi_writer import midi_bytes, write_midi
    from .musicxml_writer import musicxml_text, write_musicxml
    from .reading import read_score, read_score_bytes
    from .score import Meter, Note, Score
    from .tokenization_musicgpt import MusicGPTTokenizer
    from .tokenization_musicgpt_fast import MusicGPTTokenizerFast
    from .voices import infer_voices


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
