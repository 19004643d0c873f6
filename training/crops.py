"""Cutting pieces into token sequences that begin at a note, know where in the bar they begin, and carry the
prefix.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from tokenization.codec import encode_body, score_prefix_ids
from tokenization.score import ONSET, Meter, Score
from tokenization.vocabulary import EOS_ID, TICKS_PER_QUARTER, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID

TERMS = ("NOTE", "VOICE", "DUR", "TIME")  # of the published loss
PREFIX_ROOM = 6  # <bos>, MODE, FORM, METER, VOICES, TEMPO
_NOTE, _TIME, _METER = (TYPE_INDEX[name] for name in ("NOTE", "TIME", "METER"))


@dataclass(frozen=True)
class Piece:
    """One piece of the data set.

    Attributes:
        name (`str`): its id in the data set.
        score (`Score`): quantised, in C major or A minor.
        unit (`str`): what a split never divides and the bootstrap draws: the key number, or the piece itself
            where there is none.
        tempo (`float` or `None`): quarter notes a minute that its source declares.
        times (`float`): how often an epoch takes it.
    """

    name: str
    score: Score
    unit: str
    tempo: float | None = None
    times: float = 1.0

    def fingerprint(self) -> str:
        """SHA-256 of all that training takes from it."""
        score = self.score
        about = [
            self.name,
            self.unit,
            self.tempo,
            self.times,
            score.form,
            score.tempo_class,
            str(score.key),
            [str(m) for m in score.meters],
        ]
        digest = hashlib.sha256(json.dumps(about, default=str).encode())
        digest.update(np.ascontiguousarray(score.array, dtype="<i8").tobytes())
        return digest.hexdigest()

    @property
    def num_notes(self) -> int:
        """How many notes it has."""
        return len(self.score)

    @property
    def quarters(self) -> float:
        """Quarter notes from the first onset to the end."""
        return float(self.score.end - self.score.array[0, ONSET]) / TICKS_PER_QUARTER


@dataclass(frozen=True)
class Segment:
    """A stretch of a piece as tokens.

    Attributes:
        ids (`np.ndarray` of `int16`, shape `(tokens,)`): `<bos>`, prefix, first TIME, notes, and `<eos>` if
            the piece ends here. Narrow, since all of an epoch are in memory together.
        predicted (`np.ndarray` of `bool`, shape `(tokens,)`): which of them the model is to predict.
    """

    ids: np.ndarray
    predicted: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def meter_at(score: Score, onset: int) -> Meter:
    """The meter that holds at a tick."""
    return [meter for meter in score.meters if meter.onset <= onset][-1]


def cut_body(score: Score, start: int, stop: int) -> np.ndarray:
    """The ids of the notes `start <= i < stop` of a quantised score, without prefix, shape `(tokens,)`.

    The first TIME says where in its bar note `start` stands; the last note's TIME leads to note `stop` of the
    piece, although that note is not here any more. `<eos>` follows if `stop` is the end of the piece.
    """
    onset = int(score.array[start, ONSET])
    meter = meter_at(score, onset)
    # A whole piece keeps the silence before its first note, however long.
    base = meter.onset + (onset - meter.onset) // meter.bar_ticks * meter.bar_ticks if start else 0
    rows = score.array[start : stop + 1].copy()
    rows[:, ONSET] -= base
    meters = [meter._replace(onset=0)]
    meters += [
        m._replace(onset=m.onset - base)
        for m in score.meters
        if onset < m.onset <= int(rows[-1, ONSET]) + base
    ]
    body = encode_body(score.replace(notes=rows, meters=meters))
    if stop >= len(score):
        return np.append(body, EOS_ID)
    return body[:-4]  # the note after the last one was there only for the step that leads to it


def cut_prefix(score: Score, start: int) -> list[int]:
    """The whole prefix of a piece, with the meter that holds at note `start`."""
    ids = score_prefix_ids(score)
    name = meter_at(score, int(score.array[start, ONSET])).name
    return [TOKEN_TO_ID[f"METER_{name}"] if TYPE_OF_ID[i] == _METER else i for i in ids]


def drop_conditions(prefix: list[int], share: float, rng: np.random.Generator) -> list[int]:
    """The prefix with each token left out with probability `share`.

    A METER other than 4/4 always stays: without it the bars would count as 4/4 and every bar position would
    be wrong.
    """
    common = TOKEN_TO_ID["METER_4/4"]
    left_out = rng.random(len(prefix)) < share
    return [prefix[0]] + [
        token
        for token, out in zip(prefix[1:], left_out[1:], strict=True)
        if not out or (TYPE_OF_ID[token] == _METER and token != common)
    ]


def cut_segment(
    score: Score,
    start: int,
    length: int,
    prefix: list[int],
    predict_prefix: bool = True,
    context_notes: int = 0,
) -> Segment:
    """As much of a quantised score from note `start` on as fits into `length` tokens.

    The first `context_notes` notes of a crop from the middle of a piece are heard but not predicted: they
    follow the prefix there as they would never follow it in a piece, and a model that learns them begins its
    own pieces in the middle.
    """
    stop = min(len(score), start + notes_in(length) + 1)
    ids = np.concatenate([np.array(prefix, dtype=np.int64), cut_body(score, start, stop)])[:length]
    predicted = np.ones(len(ids), dtype=bool)
    predicted[: len(prefix)] = predict_prefix
    # In the middle of a piece the first TIME says where the cut fell, which is nothing to learn.
    predicted[len(prefix) : first_note(ids)] = predict_prefix and start == 0
    if start and context_notes:
        heads = np.flatnonzero(TYPE_OF_ID[ids] == _NOTE)
        predicted[len(prefix) : heads[min(context_notes, len(heads) - 1)]] = False
    predicted[0] = False
    return Segment(ids.astype(np.int16), predicted)


def first_note(ids: np.ndarray) -> int:
    """Index of the first NOTE token."""
    return int((TYPE_OF_ID[ids] == _NOTE).argmax())


def notes_in(length: int) -> int:
    """How many notes surely fit into `length` tokens beside the prefix and the first TIME."""
    return max(1, (length - PREFIX_ROOM - 1) // 4)


def tokens_by_note(score: Score) -> np.ndarray:
    """How many tokens each note of a quantised score takes, with those of the step after it and of a change
    of meter, shape `(notes,)`.
    """
    body = encode_body(score)
    note = np.cumsum(TYPE_OF_ID[body] == _NOTE) - 1
    return np.bincount(note[note >= 0], minlength=len(score))


def type_of_positions(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each token its place in the published loss: note and term.

    Args:
        ids (`np.ndarray` of shape `(tokens,)`): one segment.

    Returns:
        `(note, term)`, both of shape `(tokens,)`: the index of the note within the segment, and 0 NOTE, 1
        VOICE, 2 DUR, 3 TIME; both -1 for what counts in neither sum nor count (`<bos>`, prefix, first TIME,
        METER, `<eos>`). A TIME belongs to the note before it.
    """
    kinds = TYPE_OF_ID[ids]
    note = np.cumsum(kinds == _NOTE) - 1
    term = np.full(len(ids), -1, dtype=np.int64)
    for place, name in enumerate(TERMS):
        term[kinds == TYPE_INDEX[name]] = place
    term[note < 0] = -1
    return np.where(term < 0, -1, note), term
