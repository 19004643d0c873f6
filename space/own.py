"""A visitor's own music: typed, played or a file, and what is to be made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from musicgpt.composer import FUGUE_VOICES
from musicgpt.given import PARTS, Given, parse_melody
from tokenization import MusicGPTError, Score

from .controls import MOST_PROMPT_BARS
from .rendering import MAX_UPLOAD_NOTES
from .studio import Studio, Wish, plural
from .words import translated

LONGEST_TEXT = 4000
MAKES = ("fugue", "harmonise", "continue")


class OwnMusicError(MusicGPTError):
    """Music that a visitor gave and that cannot be used; the text says what to do."""


def _score_of(wish: Wish, text: Any) -> Score:
    """The notes that were given as text."""
    text = str(text or "")
    if len(text) > LONGEST_TEXT:
        raise OwnMusicError(f"The text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read.")
    score = parse_melody(text, wish.settings.meter or "4/4")
    if not 0 < len(score) <= MAX_UPLOAD_NOTES:
        raise OwnMusicError("There are no notes yet: write or play some, such as C5/8 B4/16 C5/16 G4/8.")
    return score.replace(key=wish.settings.key, source="own-music")


def read_own(studio: Studio, file: Any) -> Score:
    """A file that the page has sent.

    Args:
        studio (`Studio`): reads it.
        file (`dict`): `path` on this server, as the upload gave it.

    Raises:
        MusicGPTError: if it is none of the uploads, or cannot be read.
    """
    path = Path(str(file.get("path", ""))) if isinstance(file, dict) else Path()
    # The browser names the path: only what it has sent itself may be read.
    if not path.is_file() or not path.resolve().is_relative_to(studio.folders.uploads):
        raise OwnMusicError("The file is no longer there: please choose it again.")
    return studio.read_upload(str(path))


def summary(score: Score, language: str) -> str:
    """What was read in a file, in one line and in the visitor's language."""
    parts = [
        plural(len(score), "note"),
        plural(score.num_bars, "bar"),
        plural(score.num_voices, "voice"),
        str(score.key) if score.key else "",
        score.meters[0].name,
    ]
    return ", ".join(translated(part, language) for part in parts if part)


def own_wish(
    wish: Wish,
    what: str,
    text: Any = None,
    score: Score | None = None,
    bars: Any = None,
    part: str = "soprano",
) -> Wish:
    """The wish to make something of somebody's own music. Its notes stay; of a score, key and meter hold.

    Args:
        wish (`Wish`): the other settings.
        what (`str`): one of `MAKES`.
        text (`str`, *optional*), score (`Score`, *optional*): the music, as text for `parse_melody` or read.
        bars (`int`, *optional*): how many of them to keep when it is continued.
        part (`str`): which voice it is when it is harmonised.

    Raises:
        MusicGPTError: one sentence on what is wrong with the music.
    """
    if what not in MAKES:
        raise OwnMusicError(f"It is not said what to make: it must be one of {', '.join(MAKES)}.")
    settings = wish.settings if score is None else replace(wish.settings, key=None, meter=None)
    score = _score_of(wish, text) if score is None else score
    wish = replace(wish, settings=settings, link=None)
    if what == "continue":
        bars = min(max(1, bars), MOST_PROMPT_BARS) if isinstance(bars, int) else MOST_PROMPT_BARS
        settings = replace(settings, meter=None)
        return replace(wish, settings=settings, prompt=score, prompt_bars=min(bars, score.num_bars))
    if what == "fugue":
        given = Given.subject(score, settings.voices or FUGUE_VOICES, settings.meter)
    else:
        given = Given.melody(score, part, settings.voices or len(PARTS), settings.meter)
    return replace(wish, settings=replace(settings, form=None), given=given)


def wish_with_own(studio: Studio, wish: Wish, data: Any) -> Wish:
    """The same from what the page sends: `what`, `text` or `file`, `bars`, `part`."""
    if not isinstance(data, dict):
        raise OwnMusicError(f"It is not said what to make: it must be one of {', '.join(MAKES)}.")
    score = read_own(studio, data["file"]) if data.get("file") else None
    part = str(data.get("part") or "soprano")
    return own_wish(wish, str(data.get("what")), data.get("text"), score, data.get("bars"), part)
