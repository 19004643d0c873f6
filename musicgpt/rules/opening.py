"""How a piece begins: in its key.

Of the 87 movements of train and validation nearly all begin on the tonic or the dominant, preludes with the
tonic chord, subjects on the first or the fifth degree (A. Mann, *The Study of Fugue*, 1958). The model alone
begins on any note of the scale.
"""

from __future__ import annotations

import numpy as np

from ..state import State
from .base import BLOCK, FORBIDDEN, PITCHES, Brief, Rule
from .keys import HOME, triad

# Nats for a note of the tonic triad on a beat of a prelude's first bar, and against others.
CHORD = 1.5
# In the first bars the notes of the tonic triad gain so many nats, wherever they stand; others lose as many.
# In fugues it is more: their first voices are alone.
GAIN, IN_FUGUES, FIRST_BARS = 0.7, 1.0, 4
# A fugue's first voice, alone, loses so many nats for a pitch that it has just had: with the gain of the
# notes of the triad it would stay on one.
REPEATED = 0.5


class Opening(Rule):
    """The first notes are those of the tonic: of a fugue the first or fifth degree, of other pieces the triad
    at the first onset; in the first bars, and on the beats of a prelude's first, the triad is likelier."""

    after = ("TIME",)

    def __init__(self, brief: Brief):
        super().__init__(brief)
        root, third, fifth = triad(HOME[brief.mode])
        self.gain = IN_FUGUES if brief.form == "fugue" else GAIN
        self.begins = np.isin(PITCHES % 12, (root, fifth))
        self.chord = np.isin(PITCHES % 12, (root, third, fifth))

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only for pieces that begin."""
        return not brief.is_continuation

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        if min(state.bar.tolist()) >= FIRST_BARS and min(state.num_notes.tolist()) > 0:
            return None
        first = state.num_notes == 0
        together = ~first & (state.ticks == state.first_onset)
        home = ~first & (state.bar < FIRST_BARS)
        early = ~first & ~together & (state.bar == 0) & (state.bar_position % 24 == 0)
        added = np.zeros(scores.shape, dtype=np.float32)
        notes = added[:, BLOCK["NOTE"]]
        notes[home] = np.where(self.chord, self.gain, -self.gain)
        alone = home & (self.brief.form == "fugue") & ((state.onset >= 0).sum(axis=1) == 1)
        notes[alone & (state.bar_position % 24 > 0)] = 0  # between beats a subject moves freely
        for row in alone.nonzero()[0].tolist():
            notes[row] -= REPEATED * (state.note_pitch[row] == PITCHES)
        notes[first] = np.where(self.begins, 0, FORBIDDEN)
        if self.brief.form != "fugue":
            notes[early] += np.where(self.chord, 0, -CHORD)
        notes[together] = np.where(self.chord, 0, FORBIDDEN)
        return added
