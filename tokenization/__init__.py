"""Scores, score files, the 150 tokens and the tokenizers.

Names are imported when they are first used, so that `tokenization.score` costs no more than numpy. With the
first of a tokenizer or the processor `AutoTokenizer` and `AutoProcessor` know them all.
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
    "processing_musicgpt": ("MusicGPTProcessor",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_KNOWN_BY_NAME = ("MusicGPTTokenizer", "MusicGPTTokenizerFast", "MusicGPTProcessor")
__all__ = sorted(_HOME_OF)

if TYPE_CHECKING:
    from .codec import decode, encode, first_error, prefix_ids, token_errors
    from .errors import MusicGPTError, ScoreError, ScoreReadError, TokenError
    from .key import Key
    from .key_finding import estimate_key
    from .midi_writer import midi_bytes, write_midi
    from .musicxml_writer import musicxml_text, write_musicxml
    from .processing_musicgpt import MusicGPTProcessor
    from .reading import read_score, read_score_bytes
    from .score import Meter, Note, Score
    from .tokenization_musicgpt import MusicGPTTokenizer
    from .tokenization_musicgpt_fast import MusicGPTTokenizerFast
    from .voices import infer_voices


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _KNOWN_BY_NAME:
        _register()
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def _register() -> None:
    """Make `AutoTokenizer` and `AutoProcessor` know ours. They look a folder's class up by its name alone, so
    that these classes stand in the place of the config, which lives in a package that this one does not
    import.
    """
    from transformers import AutoProcessor, AutoTokenizer

    from .processing_musicgpt import MusicGPTProcessor
    from .tokenization_musicgpt import MusicGPTTokenizer
    from .tokenization_musicgpt_fast import MusicGPTTokenizerFast

    AutoTokenizer.register(
        MusicGPTTokenizerFast,
        slow_tokenizer_class=MusicGPTTokenizer,
        fast_tokenizer_class=MusicGPTTokenizerFast,
        exist_ok=True,
    )
    AutoProcessor.register(MusicGPTProcessor, MusicGPTProcessor, exist_ok=True)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
