"""What two hands can play on the keyboard of the Well-Tempered Clavier, C2 to C6.

No note lies beyond it in the key that sounds, no hand strikes more than a tenth, no hand is empty for long.
In Bach's preludes the left hand is without a note for at most a bar in three of four, in his fugues, of which
the exposition is left out here, for four.
"""

from __future__ import annotations

import numpy as np

from tokenization.score import ONSET, PITCH
from tokenization.vocabulary import DUR_TYPE, MAX_VOICES, OFFSET, PITCH_MAX, TIME_TYPE

from ..state import NO_PITCH, State
from .base import BLOCK, FORBIDDEN, PITCHES, Brief, Rule
from .replay import TENTH

# Nats against what a hand could not strike together, and hold while other notes sound on. It is not
# forbidden: where the order of voices leaves nothing else, a wide chord is less bad than a wrong one.
STRUCK, HELD = 12.0, 1.0
# C4: below it the left hand plays, from it on the right one. Bars that a hand rests before notes in it gain,
# nats for each further bar, and at most so many.
MIDDLE, REST, GAIN, LARGEST_GAIN = 60, 0.75, 2.0, 6.0
# Nats against two notes nearer than a fourth where the higher one lies below C3.
MUDDY, DEEP, FOURTH = 2.0, 48, 5
# No more notes are struck together than there are voices and one, or these and one. The model may strike a
# cluster of twelve with a lowest voice that has begun to play chords.
FEWEST = 4
# As many notes are looked at.
_LAST = 8
# (hand, voice): whether it is the left one.
_IS_LEFT = np.array([[True], [False]])


class Keyboard(Rule):
    """Keeps to the keyboard, to spans, and to both hands."""

    after = ("TIME", "DUR")
    memory = ("heard",)

    def __init__(self, brief: Brief):
        super().__init__(brief)
        low, high = brief.keyboard
        self.low, self.stated, self.pedals = low, brief.ask("stated"), brief.ask("pedals_struck")
        self.beyond = np.where((low > PITCHES) | (high < PITCHES), FORBIDDEN, 0.0).astype(np.float32)
        self.lowest = (brief.voices or MAX_VOICES) - 1
        self.most = max(FEWEST, brief.voices or 0)
        self.middle, self.deep = MIDDLE - brief.transposition, DEEP - brief.transposition
        self.heard = np.zeros((brief.rows, 2), dtype=np.int64)  # tick at which each hand last had a note
        self.is_low = self.middle > PITCHES
        # A row for each MIDI pitch that sounds, the last for none: with which pitches it is muddy.
        sounding = np.arange(PITCH_MAX + 2)[:, None]
        near = np.abs(PITCHES - sounding)
        self.muddy = (np.maximum(PITCHES, sounding) < self.deep) & (near > 0) & (near < FOURTH)
        self.muddy[NO_PITCH] = False

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        added, struck = np.zeros(scores.shape, dtype=np.float32), self._struck(state)
        begins = state.kind == DUR_TYPE
        if begins.any():
            # The lowest key is struck: together with it there is none for the lowest voice.
            full = begins & (state.note_pitch <= self.low) & (state.note_voice == self.lowest)
            many = begins & (np.add.reduce(struck != NO_PITCH, axis=1) > self.most)
            added[:, OFFSET["TIME"]] = np.where(full, FORBIDDEN, -STRUCK * many)  # TIME_0
        if not begins.all():
            self._add_notes(state, struck, added[:, BLOCK["NOTE"]])
        return added

    def _add_notes(self, state: State, struck: np.ndarray, notes: np.ndarray) -> None:
        """Adds to the logits of NOTE tokens, `(rows, pitches)`."""
        notes += self.beyond
        notes += self._hands(state)
        planned = self._planned(state)
        together = struck if planned is None else np.concatenate([struck, planned], axis=1)
        held = np.where(state.end > state.ticks[:, None], state.pitch, NO_PITCH)
        for price, pitches in ((STRUCK, together), (HELD, held)):
            if (wide := _is_wide(pitches)) is not None:
                notes -= price * wide
        notes -= MUDDY * np.logical_or.reduce(self.muddy[held], axis=1)

    def _hands(self, state: State) -> np.ndarray:
        """What notes gain that fill an empty hand, `(rows, pitches)`."""
        here = state.kind == TIME_TYPE  # others are in the middle of a note
        now, has_sounded, low = state.ticks[:, None], state.pitch != NO_PITCH, state.pitch < self.middle
        ends = np.where(has_sounded, np.minimum(state.end, now), 0)
        latest = np.maximum.reduce((low[:, None] == _IS_LEFT) * ends[:, None], axis=2)
        np.maximum(self.heard, latest, out=self.heard, where=here[:, None])
        if self.brief.form == "fugue":
            begins = here & (np.add.reduce(has_sounded, axis=1) < (self.brief.voices or 2))
            np.copyto(self.heard, now, where=begins[:, None])
        bars = (now - self.heard) / state.bar_ticks[:, None] - REST
        gain = np.minimum(np.maximum(GAIN * bars, 0), LARGEST_GAIN)
        return np.where(self.is_low, gain[:, :1], gain[:, 1:])

    def _planned(self, state: State) -> np.ndarray | None:
        """The pitches that a plan or a pedal will have struck now, `(rows, voices)`, `NO_PITCH` for none;
        `None` where that is in no row.
        """
        ticks = state.ticks.tolist()
        notes = [
            (row, voice, pitch)
            for row, (tick, pitch, voice) in enumerate(self.pedals() if self.pedals else ())
            if tick == ticks[row]
        ]
        for row, stated in enumerate(self.stated() if self.stated else ()):
            now = ticks[row]
            notes += [(row, note.voice, note.pitch) for note in stated if note.onset == now]
        if not notes:
            return None
        found = np.full((state.rows, MAX_VOICES), NO_PITCH)
        for row, voice, pitch in notes:
            found[row, voice] = pitch
        return found

    @staticmethod
    def _struck(state: State) -> np.ndarray:
        """The pitches of the notes that begin now, `(rows, up to 8)`; `NO_PITCH` for none."""
        places = state.num_notes[:, None] - 1 - np.arange(_LAST)
        notes = state.notes[np.arange(state.rows)[:, None], np.maximum(places, 0)]
        now = (places >= 0) & (notes[..., ONSET] == state.ticks[:, None])
        return np.where(now, notes[..., PITCH], NO_PITCH)


def _is_wide(together: np.ndarray) -> np.ndarray | None:
    """With which pitches notes would need a hand wider than a tenth, bool of shape `(rows, pitches)`, `None`
    for none; `together` holds pitches, `(rows, n)`. Two hands can hold notes of which each is within a tenth
    of the highest or of the lowest.
    """
    high = np.maximum.reduce(together, axis=1, keepdims=True)  # `NO_PITCH`, where there is none, is lower
    known = np.where(together == NO_PITCH, high, together)
    low = np.minimum.reduce(known, axis=1, keepdims=True)
    rows = (high - low > TENTH).nonzero()[0]
    if not len(rows):
        return None
    high, low, known = high[rows], low[rows], known[rows]
    # The lowest note that no hand at the bottom reaches, and the highest that none at the top does.
    beyond = np.minimum.reduce(np.where(known > low + TENTH, known, 999), axis=1, keepdims=True)
    below = np.maximum.reduce(np.where(known < high - TENTH, known, -999), axis=1, keepdims=True)
    others = np.where(low > PITCHES, below - TENTH > PITCHES, beyond < np.maximum(high, PITCHES) - TENTH)
    found = np.zeros((len(together), len(PITCHES)), dtype=bool)
    found[rows] = others | ((high - TENTH > PITCHES) & (low + TENTH < PITCHES))
    return found
