"""Passages that come again, moved along a scale: which notes they have, and how the tokens are led to write
them.

`sequences.py` and `returns.py` say when. Pitches are those of the tokens: C major or A minor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from tokenization.score import Note
from tokenization.vocabulary import DUR_TYPE, NEAREST_DURATION, NOTE_TYPE, PITCH_MIN, TIME_TYPE, VOICE_TYPE

from ..state import State
from .base import BLOCK, DUR_TICKS, FORBIDDEN, TIME_TICKS

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
# Degrees of minor that are raised on the way to the tonic: the sixth and the seventh, from 0.
_RAISED = (5, 6)
PERFECT = (0, 7)
# Semitones that a hand spans.
TENTH = 16
_DISSONANT = (1, 2, 6, 10, 11)


def scale_of(key: int) -> tuple[int, ...]:
    """Semitones above the tonic of a key, 0 to 11 major from C, 12 to 23 natural minor."""
    return _MINOR if key >= 12 else _MAJOR


def moved(pitches: Sequence[int], key: int, to_key: int, steps: int = 0) -> list[int]:
    """A line on other degrees, or on the same ones of another key.

    Args:
        pitches (sequence of `int`): of one voice, in time.
        key, to_key (`int`): whose degrees they are, and whose they become; the tonic of the second is taken
            at or above that of the first.
        steps (`int`): of the scale, up.

    A note that alters a degree alters the new one, too. Minor's raised sixth and seventh are raised where
    they come from a key of the same mode unmoved; else the seventh is raised where it rises to the tonic.
    """
    found = []
    is_same = steps == 0 and (key >= 12) == (to_key >= 12)
    for i, pitch in enumerate(pitches):
        degree, altered = degree_of(pitch, key)
        octave, place = divmod(degree + steps, 7)
        if not is_same:
            altered = 0 if key >= 12 and degree % 7 in _RAISED and altered > 0 else altered
            if to_key >= 12 and place == 6 and i + 1 < len(pitches):
                altered = int(degree_of(pitches[i + 1], key)[0] == degree + 1)
        found.append(to_key % 12 + 12 * octave + scale_of(to_key)[place] + altered)
    return found


def degree_of(pitch: int, key: int) -> tuple[int, int]:
    """Steps of the key's scale from its tonic at MIDI 0 to 11, and semitones by which the pitch is above that
    step: 0 or 1.
    """
    octave, above = divmod(pitch - key % 12, 12)
    scale = scale_of(key)
    place = max(i for i, step in enumerate(scale) if step <= above)
    return 7 * octave + place, above - scale[place]


def passage(notes: Iterable[Note], ticks: int, key: int, to_key: int, steps: int = 0, octaves: int = 0):
    """Notes, later by so many ticks and moved as `moved` moves the line of each voice; sorted as tokens
    are.
    """
    lines: dict[int, list[Note]] = {}
    for note in sorted(notes, key=in_order):
        lines.setdefault(note.voice, []).append(note)
    found = []
    for line in lines.values():
        pitches = moved([note.pitch for note in line], key, to_key, steps)
        found += [
            note._replace(onset=note.onset + ticks, pitch=pitch + 12 * octaves)
            for note, pitch in zip(line, pitches, strict=True)
        ]
    return sorted(found, key=in_order)


def in_order(note: Note) -> tuple[int, int, int]:
    """The order in which the tokens have notes: in time, from the highest voice down."""
    return note.onset, note.voice, -note.pitch


def _chords(notes: Iterable[Note]) -> dict[int, list[Note]]:
    """By onset the notes that begin together."""
    found: dict[int, list[Note]] = {}
    for note in notes:
        found.setdefault(note.onset, []).append(note)
    return found


def faults(notes: Sequence[Note]) -> int:
    """How many parallel fifths and octaves, and sharp dissonances struck together, the notes have."""
    count = 0
    sounding: dict[int, Note] = {}
    for _, chord in sorted(_chords(notes).items()):
        struck = {note.voice: note for note in chord}
        before = {v: sounding[v] for v in struck if v in sounding}
        sounding.update(struck)
        for a, b in combinations(sorted(struck), 2):
            interval = (struck[a].pitch - struck[b].pitch) % 12
            count += interval in (1, 11)
            if interval in PERFECT and a in before and b in before:
                count += _are_parallel(before[a], before[b], struck[a], struck[b])
    return count


def _are_parallel(a: Note, b: Note, then_a: Note, then_b: Note) -> bool:
    """Whether two voices go on to the same interval, both from notes that lasted so long."""
    same = (a.pitch - b.pitch) % 12 == (then_a.pitch - then_b.pitch) % 12
    moves = a.pitch != then_a.pitch and b.pitch != then_b.pitch
    return same and moves and min(a.onset + a.duration, b.onset + b.duration) >= then_a.onset


def harshness(notes: Sequence[Note]) -> float:
    """Share of the pairs of notes struck together that are dissonant; 0 where there is none."""
    pairs = [pair for chord in _chords(notes).values() for pair in combinations(chord, 2)]
    intervals = [abs(a.pitch - b.pitch) % 12 for a, b in pairs]
    return sum(interval in _DISSONANT for interval in intervals) / max(1, len(intervals))


def in_reach(notes: Iterable[Note]) -> bool:
    """Whether two hands can strike them: of those that begin together each is within a tenth of the highest
    or of the lowest.
    """
    chords = [[note.pitch for note in chord] for chord in _chords(notes).values()]
    return not any(max(chord) - TENTH > pitch > min(chord) + TENTH for chord in chords for pitch in chord)


class Replay:
    """Notes that are to come, all of them in their order and nothing else, from the first one's onset on.

    Args:
        notes (sequence of `Note`): at least one, sorted by `in_order`.
    """

    def __init__(self, notes: Sequence[Note]):
        self.left = list(notes)
        self.begins = self.left[0].onset
        self.first: dict[int, int] = {}  # of each voice its first onset
        for note in notes:
            self.first.setdefault(note.voice, note.onset)

    def follow(self, state: State, row: int) -> bool:
        """Take note of what was written; whether anything is left, and possible."""
        now = int(state.ticks[row])
        if self.left and state.kind[row] == DUR_TYPE and now == self.left[0].onset:
            last = state.notes[row, state.num_notes[row] - 1].tolist()
            if (last[0], last[2], last[3]) != (now, self.left[0].pitch, self.left[0].voice):
                return False  # another rule wanted another note: those that are left would be a cluster
            self.left.pop(0)
        return bool(self.left) and now <= self.left[0].onset

    def add(self, state: State, row: int, added: np.ndarray) -> None:
        """Adds to the logits of the row's next token, `(vocab_size,)`, after `follow`."""
        now, kind, note = int(state.ticks[row]), state.kind[row], self.left[0]
        if now < self.begins:
            limit_steps(added, now, self.begins)
            if kind == VOICE_TYPE and (end := self.first.get(int(state.note_voice[row]))) is not None:
                limit_durations(added, now, end)
        elif kind == DUR_TYPE or (kind == TIME_TYPE and now < note.onset):
            only(added, "TIME", _longest_step(note.onset - now))
        elif kind == TIME_TYPE:
            only(added, "NOTE", note.pitch - PITCH_MIN)
        elif kind == NOTE_TYPE and state.note_pitch[row] == note.pitch:
            only(added, "VOICE", note.voice)
        elif kind == VOICE_TYPE and state.note_voice[row] == note.voice:
            only(added, "DUR", int(NEAREST_DURATION[note.duration]))


def limit_steps(added: np.ndarray, now: int, line: int) -> None:
    """No step past a tick."""
    added[BLOCK["TIME"]][now + TIME_TICKS > line] = FORBIDDEN


def limit_durations(added: np.ndarray, now: int, end: int) -> None:
    """No note that sounds past a tick."""
    added[BLOCK["DUR"]][(now + DUR_TICKS > end) & (DUR_TICKS.min() < DUR_TICKS)] = FORBIDDEN


def only(added: np.ndarray, kind: str, place: int) -> None:
    """Of all tokens this one of its type."""
    block = np.full(BLOCK[kind].stop - BLOCK[kind].start, FORBIDDEN, dtype=np.float32)
    block[place] = added[BLOCK[kind]][place]
    added[:] = FORBIDDEN
    added[BLOCK[kind]] = block


def _longest_step(ticks: int) -> int:
    """Place of the longest step that is not longer."""
    possible = np.flatnonzero(ticks >= TIME_TICKS)
    return int(possible[TIME_TICKS[possible].argmax()])
