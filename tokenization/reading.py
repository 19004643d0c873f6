"""`read_score`: any score file as a `Score`."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .errors import ScoreReadError
from .key import C_MAJOR, Key
from .key_finding import estimate_key
from .midi_reader import read_midi
from .parts import RawScore, build_score, check_size
from .score import Score

# What is imported only when it is needed, by name: it stays out of a model's folder on the Hub.
_LATER = {
    **dict.fromkeys((".musicxml", ".xml", ".mxl"), ("musicxml_reader", "read_musicxml")),
    ".tsv": ("note_table", "read_note_table"),
}
SUFFIXES = (".mid", ".midi", *_LATER)
SURE = 0.1  # confidence of an estimated key that overrules a declared C major


def _reader(suffix: str) -> Callable[[bytes], RawScore]:
    """The reader for a file name's ending.

    Raises:
        ScoreReadError: in a model's folder, which reads MIDI alone.
    """
    if suffix not in _LATER:
        return read_midi
    module, function = _LATER[suffix]
    try:
        return getattr(import_module(f".{module}", __package__), function)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.{module}":
            raise
        raise ScoreReadError(
            f"Files that end in {suffix} are read where the package musicgpt-wtc is installed; the code in a"
            " model's folder reads MIDI alone."
        ) from error


def read_score_bytes(
    data: bytes,
    suffix: str,
    key: Key | str | None = None,
    form: str | None = None,
    source: str | None = None,
    staff_voices: bool = False,
) -> Score:
    """Read a score from the bytes of a file.

    Args:
        data (`bytes`): the file's content.
        suffix (`str`): the ending that says what it is: one of `SUFFIXES`.
        key (`Key` or `str`, *optional*): the key; else the declared one, else an estimate.
        form (`str`, *optional*): `"prelude"` or `"fugue"`.
        source (`str`, *optional*): where it comes from, kept on the score.
        staff_voices (`bool`): see `read_score`.

    Raises:
        ScoreReadError: if it is no such score, or too large.
        ScoreError: for an unknown key or form.
    """
    suffix = suffix.lower()
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if suffix not in SUFFIXES:
        raise ScoreReadError(
            f"Cannot read a file that ends in {suffix!r}: a score ends in {', '.join(SUFFIXES)}."
        )
    check_size(len(data))
    raw = _reader(suffix)(data)
    score = build_score(raw, key=key, form=form, source=source, staff_voices=staff_voices)
    return score if raw.key_is_sure else settle_key(score, declared=raw.key, asked=key)


def read_score(
    path: str | os.PathLike, key: Key | str | None = None, form: str | None = None, staff_voices: bool = False
) -> Score:
    """Read a score file: MIDI (`.mid`), MusicXML (`.musicxml`, `.xml`, `.mxl`) or a note table (`.tsv`).

    What had to be left out or changed stands in the score's `notices`.

    Args:
        path (`str` or path): the file.
        key (`Key` or `str`, *optional*): the key; else the declared one, else an estimate.
        form (`str`, *optional*): `"prelude"` or `"fugue"`.
        staff_voices (`bool`): where the notation has layers in place of parts (most preludes), each staff,
            that is each hand, is one voice, which may then hold chords; by default voices are separated
            there. MIDI has no staves and is read as always.

    Raises:
        ScoreReadError: if the file is missing, too large, or no such score.
        ScoreError: for an unknown key or form.
    """
    path = Path(path)
    try:
        check_size(path.stat().st_size)
        data = path.read_bytes()
        score = read_score_bytes(
            data, path.suffix, key=key, form=form, source=path.name, staff_voices=staff_voices
        )
    except OSError as error:
        raise ScoreReadError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ScoreReadError as error:
        raise ScoreReadError(f"{path.name}: {error}") from error
    return score if score.title else score.replace(title=path.stem)


def settle_key(score: Score, declared: Key | None, asked: Key | str | None) -> Score:
    """The score with a key: the one asked for, else the one the file declares, else an estimate with a
    notice.

    C major is what programs write into MIDI files where nobody declared a key; it gives way to an estimate of
    at least `SURE`.
    """
    if asked is not None or (declared is not None and declared != C_MAJOR):
        return score
    key, confidence = estimate_key(score)
    if declared is not None and (key == declared or confidence < SURE):
        return score
    return score.replace(
        key=key, notices=(*score.notices, f"key estimated as {key} (confidence {confidence:.2f})")
    )
