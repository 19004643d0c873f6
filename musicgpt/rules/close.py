"""How a piece ends: with a cadence, dominant and tonic, in its last bar but one and its last.

The model has read some two hundred ends and predicts `<eos>` too faintly to end by it: left alone, pieces run
on until they are stopped, in the middle of a phrase. So the rule decides when it is time, at a bar line, and
then says what an authentic cadence is made of (Piston, *Harmony*, 1941); which notes of it sound where is
left to the model. Pitches are those of the tokens: C major or A minor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenization.score import DURATION, ONSET, PITCH
from tokenization.vocabulary import (
    DUR_TYPE,
    DURATIONS,
    EOS_ID,
    MAX_VOICES,
    NEAREST_DURATION,
    NOTE_TYPE,
    OFFSET,
    PITCH_MIN,
    TIME_TYPE,
    TYPE_INDEX,
    TYPE_OF_ID,
    VALUE_OF_ID,
    VOICE_TYPE,
)

from ..state import NO_PITCH, State
from .base import BLOCK, DUR_TICKS, FORBIDDEN, NO_END, VOCAB_SIZE, Brief, Rule
from .keys import HOME, TONIC, dominant_seventh, last_beat, triad
from .replay import TENTH

# A piece of no asked length is closed when it has at least as many bars and notes as the first pair says, and
# as many bars or as many notes as the second; in a continuation only the new ones count. The bar of the final
# chord comes on top.
SHORTEST = (16, 200)
ENOUGH = (23, 400)
# With fewer new tokens than this there is no room for a close: the piece just ends at a bar line.
LEAST_TOKENS = 256
# Tokens of a final chord for each voice and at its end; and no bar is taken to have fewer tokens than this.
VOICE_TOKENS, END_TOKENS, SHORTEST_BAR = 4, 1, 24
# Where no length was asked for the cadence begins where fewer than so many of the largest of the last bars
# would fit.
BARS_LEFT = 2.4
# Where one was asked for, what is left goes into so many bars, of which each may be a little fuller than
# usual.
FULLER = 0.4
# Share of the fugues and of other pieces in 4/4 whose final chord comes in the middle of its bar.
LATE, LATE_ELSEWHERE = 0.65, 0.45
# With so many tokens more than the chord needs no other note is begun before it, and with so many more than
# these none before the dominant.
HURRY, HASTE = 10, 20
# The chord before the end and that of the end; the last third of minor may be raised.
DOMINANT = {mode: dominant_seventh(key) for mode, key in HOME.items()}
TRIAD = {"major": triad(HOME["major"]), "minor": (*triad(HOME["minor"]), 1)}
THIRDS = {"major": TRIAD["major"][1:2], "minor": (TRIAD["minor"][1], TRIAD["minor"][3])}
# No voice leaps further into the final chord, in semitones.
_LEAP = 12
# What the dominant lacks is not asked for any more in the last ticks before the bar line, where it would only
# be a cluster.
_LATEST = 6
# Notes that may sound in the last beat.
_LOOKED_AT = 32
# Notes up to so many semitones above the bass are likely to become the bass.
_NEAR = 4
_IS = {name: np.equal(TYPE_OF_ID, TYPE_INDEX[name]) for name in ("NOTE", "VOICE", "DUR", "TIME")}
_PITCH = np.where(_IS["NOTE"], VALUE_OF_ID, 0)
_TICKS = np.where(_IS["TIME"] | _IS["DUR"], VALUE_OF_ID, 0)
# What is added to the logits, for each number of ticks, so that no note lasts longer.
_TOO_LONG = np.where(np.arange(DURATIONS[-1] + 1)[:, None] < DUR_TICKS, FORBIDDEN, 0.0).astype(np.float32)
_EVERYTHING = np.ones(VOCAB_SIZE, dtype=bool)
_NOT_THE_END = np.arange(VOCAB_SIZE) != EOS_ID


def _only(token: int) -> np.ndarray:
    return np.arange(VOCAB_SIZE) == token


def _of_classes(classes: Sequence[int]) -> np.ndarray:
    """True for the notes of these pitch classes, and for all that are no notes."""
    return ~_IS["NOTE"] | np.isin(_PITCH % 12, classes)


class Cadence:
    """The cadence of one piece: what may come next from the bar before the final chord on.

    Args:
        state (`State`): of all pieces; this one is at the beginning of a bar: the dominant comes at its end,
            the final chord with the next bar.
        row (`int`): which it is.
        mode (`str`): `"major"` or `"minor"`.
        lowest (`int`): pitch of the final chord.
        is_late (`bool`): the final chord comes in the middle of its bar.
    """

    def __init__(self, state: State, row: int, mode: str, lowest: int = PITCH_MIN, is_late: bool = False):
        self.row, self.mode, self.lowest = row, mode, lowest
        self._look(state)
        begun = self.now - int(state.bar_position[row])
        self.line = begun + self.bar
        late = self.line - last_beat(self.bar) - self.now  # below 0: too late for a dominant in this bar
        if late < 0 or (late == 0 and self.kind != TIME_TYPE):
            self.line += self.bar
        self.last = self.bar // 2 if is_late else self.bar  # ticks of the final chord
        self.line += self.bar - self.last
        self.dominant_from = self.line - last_beat(self.bar)
        self.prepared = False  # whether a note begins under the dominant
        self.root = False  # whether the bass has the dominant's root
        self.left: list[int] | None = None  # voices of the final chord still to come, once it is reached
        self.written: list[int] = []  # pitches of the final chord

    def _look(self, state: State) -> None:
        """Where the piece stands, as numbers."""
        row = self.row
        self.now, self.bar, self.kind = int(state.ticks[row]), int(state.bar_ticks[row]), int(state.kind[row])
        self.pitch, self.voice = int(state.note_pitch[row]), int(state.note_voice[row])
        self.pitches, self.ends = state.pitch[row].tolist(), state.end[row].tolist()
        self.voices = np.flatnonzero(state.is_active()[row]).tolist()
        self.notes = state.notes[row, max(0, state.num_notes[row] - _LOOKED_AT) : state.num_notes[row]]

    def allowed(self, state: State, left: int, pedal: int = -1) -> list[np.ndarray]:
        """Masks of the next token, `(vocab_size,)`, the most important first; a later one counts where it
        leaves something. `left` is how many tokens there may still be, `pedal` the voice that holds one.
        """
        self._look(state)
        spare = left - chord_tokens(len(self.voices)) - HURRY
        self.hurries, self.hastens = spare <= 0, spare <= HASTE
        if self.left is None and self.now >= self.line:
            self.line = self.now
            self.left = [voice for voice in self.voices if not self._goes_on(voice)]
        if self.left is not None:
            return self._in_chord(self.left)
        if self.kind == NOTE_TYPE:
            self.prepared |= self.now >= self.dominant_from
            return [_EVERYTHING]
        if self.kind == VOICE_TYPE:
            may_go_on = self.pitch % 12 in DOMINANT[self.mode] or self.voice == pedal
            ends = self.line if may_go_on else self.dominant_from
            return [self.now + _TICKS <= self.line, self.now + _TICKS <= ends]
        return self._before_chord()

    def _before_chord(self) -> list[np.ndarray]:
        """A step, not beyond the bar line and not past the dominant; a note of the dominant, and low ones its
        root until it was there.
        """
        now, root = self.now, DOMINANT[self.mode][0]
        if self.kind == DUR_TYPE:
            in_bass = self.voice == max(self.voices)
            self.root |= now >= self.dominant_from and self.pitch % 12 == root and in_bass
        missing = self._missing() if now < self.line - _LATEST and self._can_strike() else []
        reach = now + _TICKS * _IS["TIME"]
        # Where no duration is left before the bar line a note would sound on after it.
        fits = (reach == self.line) | (reach <= self.line - DURATIONS[0])
        masks = [_NOT_THE_END, fits]
        if self.hurries or (self.hastens and now < self.dominant_from):  # by the longest steps
            to = self.line if self.hurries else self.dominant_from
            longest = reach[_IS["TIME"] & fits & (reach <= to)].max(initial=now)
            return [*masks, _IS["TIME"] & (reach == longest)]
        if not self.prepared or missing:
            masks.append(reach < self.line)
        if now >= self.dominant_from:
            wanted = _of_classes(missing or DOMINANT[self.mode])
            if self.voices and not self.root:
                bass = self.pitches[max(self.voices)]
                wanted = np.where(bass + _NEAR < _PITCH, wanted, _of_classes([root]))
            masks += [_of_classes(DOMINANT[self.mode]), wanted]
        return masks

    def _can_strike(self) -> bool:
        """Whether some voice does not sound until the final chord."""
        return any(self.ends[voice] < self.line for voice in self.voices)

    def _missing(self) -> list[int]:
        """Pitch classes of which one is still to sound under the dominant: its root; the leading note or the
        note above the tonic.
        """
        sounds = self.notes[:, ONSET] + self.notes[:, DURATION] > self.dominant_from
        heard = set((self.notes[sounds, PITCH] % 12).tolist())
        # A pedal may have been struck long ago.
        heard |= {self.pitches[v] % 12 for v in self.voices if self.ends[v] > self.dominant_from}
        root, third, fifth, _ = DOMINANT[self.mode]
        return [c for part in ((root,), (third, fifth)) if heard.isdisjoint(part) for c in part]

    def _goes_on(self, voice: int) -> bool:
        """Whether a voice sounds on into the final chord, and may."""
        fits = (TONIC[self.mode],) if voice == max(self.voices) else TRIAD[self.mode]
        return self.ends[voice] > self.line and self.pitches[voice] % 12 in fits

    def _in_chord(self, left: list[int]) -> list[np.ndarray]:
        if not left:
            return [_only(EOS_ID)]
        if self.kind == NOTE_TYPE:
            return [_only(OFFSET["VOICE"] + left[0])]
        if self.kind == VOICE_TYPE:
            return [_only(OFFSET["DUR"] + int(NEAREST_DURATION[self.last]))]
        if self.kind == DUR_TYPE:
            self.written.append(self.pitch)
            left.pop(0)
            return [_only(OFFSET["TIME"])]
        return self._chord_note(left)

    def _chord_note(self, left: list[int]) -> list[np.ndarray]:
        """A note of the triad, in the bass the tonic, below the voice above and with room for those below,
        such that two hands can strike the chord, not far from where the voice was; in the last voice above
        the bass the third, if it is not there, but not in the highest.
        """
        below = len(left) - 1
        first = self.written[0] if self.written else 0
        # The highest note that the right hand does not reach is the left one's, which has the bass, too.
        in_left = [pitch for pitch in self.written if first - TENTH > pitch]
        lowest = np.where(first - TENTH > _PITCH, in_left[0] if in_left else _PITCH, 0) - TENTH
        lowest = np.maximum(lowest, self.lowest)
        lowest += (TONIC[self.mode] - lowest) % 12
        # Of the triad there is a note at least every five semitones.
        room: np.ndarray = (lowest + 5 * below <= _PITCH) & (
            (self.written[-1] > _PITCH) if self.written else True
        )
        classes = TRIAD[self.mode] if below else (TONIC[self.mode],)
        masks: list[np.ndarray] = [_IS["NOTE"], _of_classes(classes), room]
        thirds = set(THIRDS[self.mode])
        if there := thirds & {pitch % 12 for pitch in self.written}:
            masks.append(_of_classes([c for c in range(12) if c not in thirds - there]))
        last = self.pitches[left[0]]
        if last != NO_PITCH:
            masks.append(np.abs(_PITCH - last) <= _LEAP)
        heard = {self.pitches[v] % 12 for v in self.voices if self.ends[v] > self.line}
        if below == 1 and left[0] != min(self.voices) and heard.isdisjoint(THIRDS[self.mode]):
            masks.append(_of_classes(THIRDS[self.mode]))
        return masks


class Close(Rule):
    """Ends pieces with a cadence: those of no asked length when they are long enough, the others before their
    tokens are used up. The model ends none itself.
    """

    memory = ("bars", "cadences")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.bars = np.repeat(brief.prompt.bar, brief.rows)  # when last looked at
        self.read = (int(brief.prompt.bar[0]), int(brief.prompt.num_notes[0]))
        self.cadences: dict[int, Cadence] = {}  # by row
        self.target = brief.ask("target_bars")

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only where there is room for a close, and what is given does not say where the piece ends."""
        return brief.max_new_tokens >= LEAST_TOKENS and not brief.is_bounded

    def closing(self) -> np.ndarray:
        """Which pieces are about to end, bool of shape `(rows,)`."""
        found = np.zeros(self.brief.rows, dtype=bool)
        if self.cadences:
            found[list(self.cadences)] = True
        return found

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        if (state.bar > self.bars).any():
            for row in np.flatnonzero((state.bar > self.bars) & self._is_time(state)).tolist():
                self.cadences.setdefault(row, self._cadence(state, row, self._is_late(state, row)))
            self.bars = state.bar.copy()
        # A bar may have more tokens than any before.
        if self.brief.left(state) <= chord_tokens(MAX_VOICES) + HURRY + HASTE + 1:
            for row in np.flatnonzero(self._room(state) <= HURRY + HASTE + 1).tolist():
                self.cadences.setdefault(row, self._cadence(state, row))
        voiced = state.after(VOICE_TYPE)
        if not len(voiced) and not self.cadences:
            return NO_END
        added = np.tile(NO_END, (len(scores), 1))
        if len(voiced):
            added[voiced, BLOCK["DUR"]] = _TOO_LONG[self._longest(state, voiced)]
        pedals = self.brief.ask("pedals") if self.cadences else None  # of a later rule
        for row, cadence in self.cadences.items():
            pedal = int(pedals()[row]) if pedals else -1
            added[row] = _forbid(scores[row], cadence.allowed(state, self.brief.left(state), pedal))
        return added

    def _longest(self, state: State, at: np.ndarray) -> np.ndarray:
        """How many ticks notes of the rows `at` may last, `(n,)`: not beyond the next bar, or where the
        tokens are nearly used up this one, or they would sound on after the final chord.
        """
        bar, bars, two = state.bar_ticks[at], 2, 2 * np.maximum.reduce(state.bar_tokens, axis=1)
        if self.brief.left(state) - chord_tokens(MAX_VOICES) <= max(two.tolist()):
            bars = 1 + (self._room(state) > two)[at]
        return np.minimum(np.maximum(bars * bar - state.bar_position[at], bar // 8), DURATIONS[-1])

    def _cadence(self, state: State, row: int, is_late: bool = False) -> Cadence:
        return Cadence(state, row, self.brief.mode, self.brief.keyboard[0], is_late)

    def _is_late(self, state: State, row: int) -> bool:
        """Whether the final chord of a piece comes in the middle of its bar."""
        is_common = self.brief.meter in (None, "4/4") and state.bar_ticks[row] == 96
        share = LATE if self.brief.form == "fugue" else LATE_ELSEWHERE
        draw = np.random.default_rng((self.brief.seeds[row], 14)).random()
        return bool(self.brief.ends and is_common and draw < share)

    def _room(self, state: State) -> np.ndarray:
        """How many tokens there may still be before the final chord, `(rows,)`."""
        return self.brief.left(state) - chord_tokens(state.is_active().sum(axis=1))

    def bars_left(self, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Into how many bars like the last ones what is left of the tokens goes, without the final chord, the
        tokens that each may have, and those that the last ones had, `(rows,)` each.
        """
        known = np.maximum((state.bar_tokens > 0).sum(axis=1), 1)
        usual = np.maximum(state.bar_tokens.sum(axis=1) / known, SHORTEST_BAR)
        room = self._room(state)
        bars = np.maximum(1, np.floor(room / usual + FULLER))
        return bars, room / bars, usual

    def _is_time(self, state: State) -> np.ndarray:
        """In which pieces the bar that begins is to be the last before the final chord, `(rows,)`."""
        if self.brief.ends:
            longest = np.maximum(state.bar_tokens.max(axis=1), SHORTEST_BAR)
            full = self._room(state) < BARS_LEFT * longest
        else:
            full = self.bars_left(state)[0] <= 1
        bars, notes = state.bar + 1, state.num_notes
        asked = (bars >= self.brief.min_bars) & (notes >= self.brief.min_notes)
        bars, notes = bars - self.read[0], notes - self.read[1]
        if self.brief.bars is not None:
            return full | (asked & (state.bar + 2 >= self.brief.bars))
        if self.target is not None:
            return full | (self.brief.ends & asked & (state.bar + 2 >= self.target()))
        long = (bars >= SHORTEST[0]) & (notes >= SHORTEST[1]) & ((bars >= ENOUGH[0]) | (notes >= ENOUGH[1]))
        return full | (self.brief.ends & asked & long)


def chord_tokens(voices: Any) -> Any:
    """Tokens of a final chord of so many voices, and of the end after it."""
    return VOICE_TOKENS * voices + END_TOKENS


def _forbid(scores: np.ndarray, masks: list[np.ndarray]) -> np.ndarray:
    """What is added to the scores of one row, `(vocab_size,)`: -inf where a mask says no, mask by mask, as
    long as something is left.
    """
    possible = scores > FORBIDDEN
    for mask in masks:
        if (possible & mask).any():
            possible = possible & mask
    return np.where(possible, 0.0, FORBIDDEN)
