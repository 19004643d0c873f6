"""Cleaning and normalising as stages: each takes a score and gives back a changed one and how many notes it
changed.

The order matters and is fixed (`STAGES`): what drops notes comes before the voices are numbered by their mean
pitch, the key before the transposition, and all stages together change nothing when they are run a second
time. What the readers of `tokenization` had to change themselves (grace notes, the grid, silent bars) is
counted from their notices.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tokenization.key import Key
from tokenization.parts import ranked
from tokenization.score import DURATION, VOICE, Score, without_duplicates
from tokenization.sounding import sounding

from .keys import best_key, checked_key, key_on_signature
from .ornaments import collapse_trills
from .pieces import Piece
from .repeats import fold_repeats

# What each count of the report means, in the order of the stages.
COUNTS = {
    "grace_notes": "grace notes left out (they take no time; tokens hold none)",
    "grid": "notes moved onto the grid of 24 ticks a quarter",
    "excerpt": "notes left out because they belong to the next piece in the file",
    "voices": "notes whose voice was inferred, or renumbered from the top",
    "duplicates": "notes dropped that stand twice in one voice",
    "overlaps": "notes shortened because their voice strikes the pitch again",
    "repeats": "notes of written-out repeats, or of first endings, left out",
    "ornaments": "notes of written-out trills drawn together into the one they adorn",
    "key": "pieces whose key the notes had to tell",
    "transposed": "notes moved to C major or A minor",
    "tempo": "pieces whose tempo class was taken from their pace",
    "token_durations": "durations rounded to the 32 of the tokens (in `input_ids` only)",
    "token_pitches": "pitches moved by octaves into the tokens' range (in `input_ids` only)",
    "token_duplicates": "notes that fell together with another (in `input_ids` only)",
    "token_silences": "silences shortened to what the tokens reach (in `input_ids` only)",
    "token_meters": "meters replaced by one that has a token (in `input_ids` only)",
}


class Cleaned(NamedTuple):
    """A score in C major or A minor, ready for its row, and how much each stage changed (keys of
    `COUNTS`).
    """

    score: Score
    changes: dict[str, int]


# Stages that make notes disappear, so that the catalogue's count is less by what they count.
DROPPING = ("excerpt", "duplicates", "repeats", "ornaments")
Stage = Callable[[Score, Piece | None], tuple[Score, int]]


def order_voices(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """Voices numbered without gaps from the highest mean pitch down, at most five.

    The readers give labelled parts their place and infer voices where the labels are layers of the notation;
    this makes the numbers what the tokens mean by them. All notes count as changed where the reader had to
    infer them.
    """
    old = score.array[:, VOICE]
    used, groups = np.unique(old, return_inverse=True)
    new = ranked(score.array, groups, len(used))
    inferred = any(notice.startswith("voices inferred") for notice in score.notices)
    changed = len(score) if inferred else int((new != old).sum())
    if (new == old).all():
        return score, changed
    array = score.array.copy()
    array[:, VOICE] = new
    return score.replace(notes=array), changed


def drop_duplicates(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """Of notes with the same onset, voice and pitch only the longest stays. Unisons of two voices are music
    and stay.
    """
    dropped = len(score) - len(kept := without_duplicates(score.array))
    return (score.replace(notes=kept), dropped) if dropped else (score, 0)


def cut_overlaps(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """A note ends where its own voice strikes the same pitch again: no instrument can do otherwise, and MIDI
    cannot say it.

    Voices that hold a pitch which another voice strikes are left alone, and so are notes of other pitches (a
    voice may hold a chord).
    """
    cut = sounding(score)
    shortened = cut.array[:, DURATION] < without_duplicates(score.array)[:, DURATION]
    return (cut, int(shortened.sum())) if shortened.any() else (score, 0)


def cut_excerpt(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """Only the bars of the file that are the piece."""
    if piece is None or piece.only_bars is None:
        return score, 0
    excerpt = score.first_bars(piece.only_bars)
    return excerpt, len(score) - len(excerpt)


def fold_written_repeats(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """Written-out repeats folded back, for files that are known to write them out: elsewhere a repetition may
    be composed.
    """
    return fold_repeats(score) if piece is not None and piece.written_out else (score, 0)


def draw_ornaments(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """Written-out trills as the one note that they adorn, for files that are known to write them out:
    elsewhere they may be composed.
    """
    return collapse_trills(score) if piece is not None and piece.written_out else (score, 0)


def settle_key(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """The catalogue's key; else the file's, checked; else the one that fits the notes best (`keys`). Counts 1
    where the notes decided.
    """
    if piece is not None and piece.tonic and piece.mode:
        return score.replace(key=Key.parse(f"{piece.tonic} {piece.mode}")), 0
    if piece is not None and piece.tonic:
        return score.replace(key=key_on_signature(score, piece.tonic)), 1
    estimated = score.key is None or any(notice.startswith("key estimated") for notice in score.notices)
    key = best_key(score) if estimated else checked_key(score, score.key)  # type: ignore[arg-type]
    if key == score.key and not estimated:
        return score, 0
    notices = [notice for notice in score.notices if not notice.startswith("key estimated")]
    notices.append(f"the notes say {key}" + ("" if estimated else f", the file declares {score.key}"))
    return score.replace(key=key, notices=notices), 1


def normalise(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """To C major or A minor by the nearest way; `Score.transposition` and `original_key` lead back."""
    moved = score.normalised()
    if moved.original_key is None:
        moved = moved.replace(original_key=score.key)
    return moved, len(score) if moved.transposition else 0


def tempo_class(score: Score, piece: Piece | None = None) -> tuple[Score, int]:
    """Slow, moderate or fast, from the number of onsets a second (`tokenization.score.PACE_LIMITS`)."""
    return score.with_tempo_class(), int(score.tempo_class is None)


STAGES: dict[str, Stage] = {
    "excerpt": cut_excerpt,
    "ornaments": draw_ornaments,
    "repeats": fold_written_repeats,
    "duplicates": drop_duplicates,
    "overlaps": cut_overlaps,
    "voices": order_voices,
    "key": settle_key,
    "transposed": normalise,
    "tempo": tempo_class,
}
# What was done while reading, as the notices say it.
_BY_READER = {
    "grace_notes": re.compile(r"^(\d+) grace notes? left out"),
    "grid": re.compile(r"^(\d+) notes? moved onto the grid"),
    "repeats": re.compile(r"^(\d+) notes? of a first ending left out"),
}


def clean(score: Score, piece: Piece | None = None) -> Cleaned:
    """Run all stages over a score as it was read.

    Args:
        score: with at least one note.
        piece: what the catalogue says of it; without, the score's own fields are taken.
    """
    changes = dict.fromkeys(COUNTS, 0)
    for notice in score.notices:
        for name, pattern in _BY_READER.items():
            if match := pattern.search(notice):
                changes[name] += int(match[1])
    for name, stage in STAGES.items():
        score, count = stage(score, piece)
        changes[name] += count
    return Cleaned(score, changes)
