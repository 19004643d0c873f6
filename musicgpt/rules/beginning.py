"""How a piece begins is tried several times, and the best beginning is taken: of a fugue the subject, of
another piece its first bars.

All that follows is made of a beginning: a subject is heard twenty times, and a prelude keeps its first
figure. What is good is said by bands that hold four fifths of Bach's, counted on the 44 fugues and 43
preludes of the train and validation splits (docs/log/2026-11.md): a subject has 8 to 29 notes, a range of a
fifth to a ninth, its highest note once, more than one duration, a clear key, an end on a stable degree (A.
Mann, *The Study of Fugue*, 1958). `beginnings.py` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenization.probe_tones import probe_tone_profiles
from tokenization.score import Note

from ..state import State
from .base import FORBIDDEN, Brief, Rule, beat_of
from .companions import stretto
from .fugue import VOICES
from .keys import HOME, triad
from .replay import harshness
from .schedule import Schedule
from .subject import FIFTH, Subject, dominant, in_key

# With fewer new tokens there is no choice of beginnings.
LEAST_TOKENS = 256
# Bars of a beginning that is no subject.
BARS = 2
# Bands of Bach's beginnings, and what is outside by so much costs 1: notes, semitones, bits, ticks from note
# to note (compared as octaves; the band of subjects is the faster half, since the model's are slow), shares.
SUBJECTS = {
    "notes": (12.0, 25.0, 6.0),
    "range": (8.0, 14.0, 3.0),
    "rhythm": (0.8, 1.75, 0.4),
    "pace": (np.log2(6.0), np.log2(12.5), 0.4),
    "steps": (0.45, 0.86, 0.2),
    "repeated": (0.0, 0.1, 0.15),
    "commonest": (0.45, 0.8, 0.2),
}
OPENINGS = {
    "pace": (np.log2(5.3), np.log2(10.0), 0.5),
    "rhythm": (1.0, 2.0, 0.4),
    "alike": (0.65, 1.0, 0.3),
    "same": (0.0, 0.2, 0.15),
    "range": (20.0, 36.0, 6.0),
    "pitches": (9.0, 20.0, 3.0),
    "harsh": (0.0, 0.12, 0.08),
    "classes": (6.0, 9.0, 2.0),
}
# A rhythm that is drawn (`prelude_type`) is met within so many bits; so many further ones cost 1.
NEAR, DRAWN = 0.15, 0.3
# What costs 1 or so: each further climax, one in the first note, an end off the triad, a head of one length
# that only steps; no answer on the keyboard; no stretto.
CLIMAX, AT_ONCE, UNSTABLE, PLAIN, UNANSWERED, NO_STRETTO = 0.5, 0.5, 0.7, 0.7, 5.0, 0.3
# ... and an exposition in which a higher voice would not state it higher, as the keyboard ends.
DISORDERED = 2.0
HEAD = 5
# The key is clear where it correlates by so much better than any other with the time that pitch classes
# sound (Krumhansl, *Cognitive Foundations of Musical Pitch*, 1990); without a lead it costs so much, and at
# most so many times that.
CLEAR, KEY, MOST = 0.15, 1.3, 2.5
_PROFILES = probe_tone_profiles()


class Beginning(Rule):
    """Lets the tokens of the best beginning come first. `generate.compose_ids` gives it these."""

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.tokens: list[list[int]] = [[] for _ in range(brief.rows)]

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only to pieces that begin, of which nothing is given, where there is room to choose."""
        return not brief.is_continuation and brief.frame is None and brief.max_new_tokens >= LEAST_TOKENS

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        place = state.tokens - self.brief.prompt.tokens
        rows = [row for row, tokens in enumerate(self.tokens) if place < len(tokens)]
        if not rows:
            return None
        added = np.zeros(scores.shape, dtype=np.float32)
        for row in rows:
            added[row] = FORBIDDEN
            added[row, self.tokens[row][place]] = 0
        return added


def is_over(brief: Brief, state: State) -> np.ndarray:
    """Whether each row has come to the end of its beginning: to the second voice, or beyond the first
    bars, `(rows,)`.
    """
    if brief.form == "fugue":
        return (state.onset >= 0).sum(axis=1) > 1
    return state.bar >= BARS


def order_penalty(brief: Brief, subject: Sequence[Note]) -> float:
    """What there is against a subject after which a higher voice could not state it higher."""
    plan = Schedule(brief.voices or VOICES, brief.mode, keyboard=brief.keyboard)
    heard = Subject(subject, subject[0].onset, brief.bar_ticks, brief.mode, brief.keyboard)
    return DISORDERED * (not plan.is_in_order(heard))


def subject_penalty(notes: Sequence[Note], mode: str, bar: int, meter: str | None = None) -> float:
    """What there is against a subject of two notes or more, in bars of so many ticks; in a meter of halves it
    goes half as fast. 0 for nothing.
    """
    pitches, steps = np.array([note.pitch for note in notes]), np.diff([note.pitch for note in notes])
    times = np.diff([note.onset for note in notes])
    found = {
        "notes": len(notes),
        "range": pitches.max() - pitches.min(),
        "rhythm": _bits(times),
        "pace": np.log2(times.mean()) - bool(meter and meter.endswith("/2")),
        "steps": np.mean((np.abs(steps) <= 2) & (steps != 0)),
        "repeated": np.mean(steps == 0),
        "commonest": np.unique(times, return_counts=True)[1].max() / len(times),
    }
    total = _outside(found, SUBJECTS)
    top = np.flatnonzero(pitches == pitches.max())
    total += CLIMAX * (len(top) - 1) + AT_ONCE * (top[0] == 0)
    total += UNSTABLE * (pitches[-1] % 12 not in triad(HOME[mode]))
    head = slice(0, HEAD - 1)
    total += PLAIN * (len(set(times[head])) == 1 and np.abs(steps[head]).max() <= 2)
    length = (notes[-1].onset + notes[-1].duration - notes[0].onset + bar - 1) // bar * bar
    subject = Subject(notes, notes[0].onset, length, mode)
    answer = subject.near(dominant, subject.mean)
    if answer is None:
        return total + UNANSWERED
    answered = subject.statement(notes[0].onset + length, notes[0].voice, answer)
    first = subject.statement(0, 0, subject.near(in_key(HOME[mode]), subject.mean) or pitches.tolist())
    keys = [HOME[mode], (HOME[mode] + FIFTH) % 12 + HOME[mode] // 12 * 12]
    has_stretto = stretto(subject, first, keys, beat_of(bar, meter), {1: subject.mean - 9}) is not None
    return total + NO_STRETTO * (not has_stretto) + _key_penalty([*notes, *answered], mode)


def opening_penalty(notes: Sequence[Note], mode: str, bar: int, bits: float | None = None) -> float:
    """What there is against the first bars of a prelude, whose durations have so many bits where a rhythm is
    drawn; 0 for nothing.
    """
    onsets, pitches = sorted({note.onset for note in notes}), [note.pitch for note in notes]
    bars: list[set[tuple[int, int]]] = [
        {(note.onset % bar, note.pitch) for note in notes if note.onset // bar == k} for k in range(BARS)
    ]
    places = [{place for place, _ in one} for one in bars]
    found = {
        "pace": np.log2(BARS * bar / len(onsets)),
        "rhythm": _bits(np.array([note.duration for note in notes])),
        "alike": _shared(*places),
        "same": _shared(*bars),
        "range": max(pitches) - min(pitches),
        "pitches": len(set(pitches)),
        "harsh": harshness(notes),
        "classes": len({pitch % 12 for pitch in pitches}),
    }
    bands = OPENINGS if bits is None else {**OPENINGS, "rhythm": (bits - NEAR, bits + NEAR, DRAWN)}
    return _outside(found, bands) + _key_penalty(notes, mode)


def _outside(found: dict[str, float], bands: dict[str, tuple[float, float, float]]) -> float:
    """How far values are outside of their bands, all together."""
    return float(
        sum(
            max(0.0, low - found[name], found[name] - high) / scale
            for name, (low, high, scale) in bands.items()
        )
    )


def _key_penalty(notes: Sequence[Note], mode: str) -> float:
    """What it costs that notes are heard in another key, or only faintly in this one."""
    ticks, pitches = [note.duration for note in notes], [note.pitch % 12 for note in notes]
    weights = np.bincount(pitches, weights=ticks, minlength=12)
    fits = _PROFILES @ (weights - weights.mean()) / max(1e-9, float(np.linalg.norm(weights - weights.mean())))
    lead = fits[HOME[mode]] - np.delete(fits, HOME[mode]).max()
    return KEY * float(np.clip(1 - lead / CLEAR, 0, MOST))


def _bits(values: np.ndarray) -> float:
    """Entropy in bits."""
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(shares * np.log2(shares)).sum())


def _shared(one: set, other: set) -> float:
    return len(one & other) / max(1, len(one | other))
