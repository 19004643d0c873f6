"""A visitor's own music: typed, played or a file, and what is to be made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from musicgpt.given import Given, parse_melody
from tokenization import MusicGPTError, Score

from .controls import MOST_PROMPT_BARS
from .rendering import MAX_UPLOAD_NOTES
from .studio import Studio, Wish, plural

LONGEST_TEXT = 4000
MAKES = ("fugue", "harmonise", "continue")


class OwnMusicError(MusicGPTError):
    """Music that a visitor gave and that cannot be used; the text says what to do."""


def _score_of(studio: Studio, wish: Wish, text: Any, file: Any) -> Score:
    """The notes that were given, from a file or from text."""
    if file:
        return read_own(studio, file)
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


def summary(score: Score, name: str) -> str:
    """What was read in a file, in one line."""
    parts = [
        plural(len(score), "note"),
        plural(score.num_bars, "bar"),
        plural(score.num_voices, "voice"),
        str(score.key) if score.key else "",
        score.meters[0].name,
    ]
    return f"{name}: {', '.join(filter(None, parts))}"


def wish_with_own(studio: Studio, wish: Wish, data: Any) -> Wish:
    """The wish to make something of the visitor's own music. Its notes stay; of a file, key and meter hold.

    Args:
        studio (`Studio`): reads files.
        wish (`Wish`): from the controls.
        data (`dict`): `what` (one of `MAKES`), `text` or `file`, `bars` of it to keep, `part`.

    Raises:
        MusicGPTError: one sentence on what is wrong with the music.
    """
    if not isinstance(data, dict) or data.get("what") not in MAKES:
        raise OwnMusicError(f"It is not said what to make: it must be one of {', '.join(MAKES)}.")
    score = _score_of(studio, wish, data.get("text"), data.get("file"))
    settings = wish.settings
    if data.get("file"):
        settings = replace(settings, key=None, meter=None)
    wish = replace(wish, settings=settings, link=None)
    if data["what"] == "continue":
        bars = data.get("bars")
        bars = min(max(1, bars), MOST_PROMPT_BARS) if isinstance(bars, int) else MOST_PROMPT_BARS
        return replace(
            wish, settings=replace(settings, meter=None), prompt=score, prompt_bars=min(bars, score.num_bars)
        )
    if data["what"] == "fugue":
        given = Given.subject(score, settings.voices or 3, settings.meter)
        return replace(wish, settings=replace(settings, form=None), given=given)
    voices = max(settings.voices or 4, 2)
    given = Given.melody(score, str(data.get("part") or "soprano"), voices, settings.meter)
    return replace(wish, settings=replace(settings, form=None), given=given)
