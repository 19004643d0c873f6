"""What a visitor changes in the piece on the page: notes moved or locked, bars composed anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from musicgpt.given import Given
from tokenization import MusicGPTError, Score
from tokenization.score import ONSET, VOICE

from .rendering import MAX_UPLOAD_NOTES
from .session import Candidate, Session
from .studio import Wish

_EDITED = "_changed"
Notes = frozenset[tuple[int, int, int, int]]


class ChangeError(MusicGPTError):
    """A change that cannot be made to the piece; the text says why."""


def current(session: Session, data: Any) -> Candidate:
    """The piece on the page, if it is the one that the browser means.

    Raises:
        ChangeError: if there is none, or it has become another one.
    """
    candidate = session.current
    if candidate is None or not isinstance(data, dict) or data.get("take") != candidate.take:
        raise ChangeError("The piece has become another one meanwhile; please try again.")
    return candidate


def _rows(score: Score) -> Notes:
    return frozenset(map(tuple, score.array.tolist()))


def _given_rows(candidate: Candidate) -> Notes:
    """Notes that stay whatever is composed anew: those that were given or touched."""
    given = map(tuple, candidate.score.array[: candidate.num_prompt_notes].tolist())
    return (candidate.locked | frozenset(given)) & _rows(candidate.score)


def edited(session: Session, data: Any) -> Candidate:
    """The piece with other notes; what is new in it is locked.

    Args:
        session (`Session`): with the piece.
        data (`dict`): `take` and `notes`, rows of onset, duration, pitch and voice.

    Raises:
        MusicGPTError: if they are no notes.
    """
    before = current(session, data)
    notes = data.get("notes")
    if not isinstance(notes, list) or not 0 < len(notes) <= MAX_UPLOAD_NOTES:
        raise ChangeError(f"A piece has 1 to {MAX_UPLOAD_NOTES} notes.")
    score = before.score.replace(notes=notes)
    touched = _rows(score) - _rows(before.score)
    return Candidate(
        score,
        before.stem.removesuffix(_EDITED) + _EDITED,
        seed=before.seed,
        seconds=before.seconds,
        ended=before.ended,
        kin=before.take,
        locked=(_given_rows(before) | touched) & _rows(score),
    )


def _selection(score: Score, data: dict[str, Any]) -> tuple[tuple[int, int], list[int]]:
    """The selected bars, as the page counts them (from 1, an upbeat's bar included), and voices."""
    try:
        first, last = (int(bar) for bar in data["bars"])
        voices = sorted({int(voice) for voice in data["voices"]})
    except (KeyError, TypeError, ValueError) as error:
        raise ChangeError("Nothing is selected: choose bars and voices first.") from error
    if not 1 <= first <= last <= score.num_bars:
        raise ChangeError(f"Bars {first} to {last} are not there: the piece has {score.num_bars}.")
    return (first, last), voices


def locked(session: Session, data: Any) -> Candidate:
    """The piece with the selected notes locked, or set free where all of them are locked already."""
    before = current(session, data)
    (first, last), voices = _selection(before.score, data)
    array, lines = before.score.array, before.score.bar_lines()
    inside = (array[:, ONSET] >= lines[first - 1]) & (array[:, ONSET] < lines[last])
    chosen = frozenset(map(tuple, array[inside & np.isin(array[:, VOICE], voices)].tolist()))
    now = _given_rows(before)
    return replace(before, locked=now - chosen if chosen <= now else now | chosen, num_prompt_notes=0)


def revision(wish: Wish, session: Session, data: Any) -> Wish:
    """The wish to compose some bars and voices of the piece anew; everything else in it stays, and so does
    what is locked there.

    Raises:
        MusicGPTError: if nothing is selected, or all of it is locked.
    """
    before = current(session, data)
    bars, voices = _selection(before.score, data)
    shift = int(bool(before.score.pickup))  # in print an upbeat is bar 0
    given = Given.around(before.score, (bars[0] - shift, bars[1] - shift), voices)
    stays = _given_rows(before)
    kept = _rows(given.score) | stays
    if len(kept) == len(before.score):
        raise ChangeError("All that is selected is locked: set it free first.")
    given = given.with_score(notes=[list(note) for note in kept])
    settings = replace(
        wish.settings, key=None, meter=None, form=None, tempo=None, voices=None, max_new_tokens=None
    )
    return replace(wish, settings=settings, given=given, kin=before.take, locked=stays, link=None)
