"""How a fugue goes: one voice alone makes the subject, the others answer it one after another, and it comes
back in other keys.

The subject is the model's, and so is everything that sounds against it. When the subject is over is decided
here, and who states it when in `schedule.py`; its notes then are those that the model may choose. Left alone,
the model begins most fugues with several voices at once and states the subject once (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tokenization.score import Note
from tokenization.vocabulary import (
    DUR_TYPE,
    DURATIONS,
    MAX_VOICES,
    NEAREST_DURATION,
    NOTE_TYPE,
    OFFSET,
    PITCH_MAX,
    PITCH_MIN,
    TIME_STEPS,
    TIME_TYPE,
    VOICE_TYPE,
)

from ..state import NO_PITCH, State
from .base import BLOCK, DUR_TICKS, FORBIDDEN, LOW, PITCHES, TIME_TICKS, Brief, Rule
from .registers import registers
from .schedule import FAR, LAST, ROOM, Schedule
from .subject import Subject
from .takers import PASSED_OVER
from .tonal_plan import Plan as KeyPlan

# Notes that a subject of one, two, three, ... bars must have; with fewer it goes on.
LEAST_NOTES = (14, 10, 8, 6)
# Voices of a fugue for which no number was asked.
VOICES = 3
# The first voice alone leaps no further, in semitones, and has no wider range: left alone, the model may run
# up a scale to the end of the keyboard.
LEAP, RANGE = 12, 14
# ... and after a leap another one loses so many nats, half as many where it turns elsewhere: subjects are no
# broken chords. In the WTC 4 % of a subject's steps go on with a leap in one direction, in ours 21 % did.
CHORD, STEP = 2.5, 2
# ... and a figure that has come twice does not go on for a third time.
THIRD_TIME = 3.0
# Divides the logits of the subject's NOTE tokens, which will be heard many times.
SUBJECT_TEMPERATURE = 0.8
# A subject's duration loses so many nats where it has been that of so many notes running.
MONOTONY, ALIKE = 3.0, 6
# Semitones within which a note suits a voice, wherever the others are.
NEAR = 5
# A step loses so many nats for each voice that it leaves silent: voices go on without rests, until they rest
# for long.
RESTING = 3.0
# A step to a time at which all voices that could strike still sound loses so many.
UNTIMELY = 6.0
# For ticks left until a note of the plan: which steps lead past it, or so near to it that no TIME token is as
# short, or no note: the model would rather add notes for ever than take two steps. The last row but one
# stands for all that are longer, the last one for a note that should have come.
_AWKWARD = {left for left in range(12) if left == 1 or left not in (0, *TIME_STEPS)}
_LEADS_ASTRAY = np.array(
    [
        [left < step or left - step in _AWKWARD for step in TIME_STEPS]
        for left in (*range(max(TIME_STEPS) + 13), -1)
    ]
)


class Plan(Schedule):
    """The plan of one fugue, and what it says of the next token."""

    @property
    def due(self) -> Note | None:
        """The note of the plan that is to be struck now."""
        return self.now[0] if self.now and self.now[0].onset == self.tick else None

    def take(self, notes: list[Note], bar: int) -> None:
        """Begin with a subject that is given.

        Args:
            notes (list of `Note`): at least two, of one voice; `bar` (`int`): ticks of a bar.
        """
        first, end = notes[0].onset, notes[-1].onset + notes[-1].duration
        length = (first - end) // bar * -bar  # whole bars
        self.subject = Subject(notes, first, length, self.mode, self.keyboard)
        self.registers[notes[0].voice] = self.subject.mean
        self.bar = bar
        self._begin(notes)
        self._schedule(first)

    @property
    def gap(self) -> tuple[int, int, int]:
        """Ticks from which and until which nothing is stated, and the place in the bar at which statements
        begin.
        """
        if self.subject is None:
            return FAR, FAR, 0
        begins = max((note.onset + note.duration for note in self.now), default=0)
        return begins, self.next.at if self.next else FAR, self.subject.start % self.bar

    def stop(self) -> None:
        """No more statements: the piece is about to end."""
        self.now, self.next, self.silent = [], None, None

    def leave(self, voice: int) -> None:
        """A voice has something else to do: what the plan still has for it falls away."""
        self.now = [note for note in self.now if note.voice != voice]
        if self.silent and self.silent.voice == voice:
            self.silent = None
        if self.next and self.next.statement[0].voice == voice:
            self.next = None
        elif self.next:
            self.next = self.next._replace(notes=[note for note in self.next.notes if note.voice != voice])

    # What happened

    def follow(self, state: State, row: int) -> None:
        """Take note of what was written since, and begin what is due.

        Args:
            state (`State`): of all pieces; `row` (`int`): which is this one.
        """
        self._look(state, row)
        if self.kind == DUR_TYPE:
            note = Note(*state.notes[row, state.num_notes[row] - 1].tolist())
            self.written.append(note)
            if self.now and (note.onset, note.voice) == (self.now[0].onset, self.now[0].voice):
                self.now.pop(0)
        if self.now and self.tick > self.now[0].onset:
            self.now = []  # it was missed
        if self.kind != TIME_TYPE:
            return
        if self.subject is None and self.first >= 0 and self.tick == self._boundary():
            self._end_subject()
        if self.next and self.tick >= self.next.at:
            entry, self.next = self.next, None
            if entry.at == self.tick:
                self._begin(entry.notes)
            if len(self.registers) == 2 and self.countersubject is None:
                self.answered = entry
            self._schedule(entry.at)
        if self.answered and self.subject and self.tick >= self.answered.at + self.subject.length:
            self._hear_countersubject(self.answered)

    def _begin(self, notes: Sequence[Note]) -> None:
        """A statement begins, with what goes with it."""
        self.now = list(notes)
        self.begins = {note.voice: note.onset for note in reversed(notes)}

    def _look(self, state: State, row: int) -> None:
        """Where the piece stands, as numbers and lists of voices."""
        self.kind, self.tick = int(state.kind[row]), int(state.ticks[row])
        self.bar, self.first = int(state.bar_ticks[row]), int(state.first_onset[row])
        self.pitch, self.voice = int(state.note_pitch[row]), int(state.note_voice[row])
        self.pitches, self.ends = state.pitch[row].tolist(), state.end[row].tolist()

    def add(self, bias: np.ndarray) -> None:
        """Adds to the logits of the next token, `(vocab_size,)`, what the plan has to say, after `follow`."""
        if self.kind == DUR_TYPE:
            self._step(bias)
        elif self.kind == TIME_TYPE:
            self._pitch(bias)
        elif self.kind == NOTE_TYPE:
            self._voice(bias)
        elif self.kind == VOICE_TYPE:
            self._duration(bias)

    @property
    def has_subject_to_make(self) -> bool:
        """Whether the next token is a note of the subject."""
        return self.subject is None and self.kind == TIME_TYPE

    def _boundary(self) -> int:
        """The tick, whole bars after the first note, at which the subject may end next: when its last note
        has ended.
        """
        last = self.written[-1] if self.written else Note(self.first, 1, 0, 0)
        return self.first - (self.first - last.onset - last.duration) // self.bar * self.bar  # rounded up

    def _room(self) -> int:
        """Ticks that a note of the subject may last: one that may be its last one not beyond the bar line."""
        bars = (self.tick - self.first) // self.bar + 1
        is_enough = len(self.written) + 1 >= _least_notes(bars)
        longest = TIME_STEPS[-1]  # a longer one would overlap the next
        return (
            min(longest, max(DURATIONS[0], self.first + bars * self.bar - self.tick))
            if is_enough
            else longest
        )

    def _end_subject(self) -> None:
        notes = self.written
        bars = (self.tick - self.first) // self.bar
        if len(notes) < _least_notes(bars):
            return
        self.subject = Subject(notes, self.first, self.tick - self.first, self.mode, self.keyboard)
        self.registers[notes[0].voice] = self.subject.mean
        self._schedule(self.tick - self.subject.length)

    # What may come next

    def _step(self, bias: np.ndarray) -> None:
        """No step beyond a note of the plan; the notes of the subject come one after another."""
        steps = bias[BLOCK["TIME"]]
        self._limit(steps)
        if self.subject is None:
            early = self.written[-1].duration > TIME_TICKS
            steps[early if (steps[~early] == 0).any() else 0] = FORBIDDEN  # if need be all but TIME_0
        elif not self.due:
            below = [v for v in self._free() if v > self.voice and self.ends[v] <= self.tick]
            if not below:
                steps[0] = FORBIDDEN  # TIME_0: no voice is left below
            self._go_on(steps, below)
            self._only_planned(bias)

    def _go_on(self, steps: np.ndarray, below: list[int]) -> None:
        """Steps to where no voice is free yet are less likely, and steps that leave one silent; `below` are
        the voices that may still strike now.
        """
        now = self.tick
        ends = {voice: self.ends[voice] - now for voice in self._free() if self._has_entered(voice)}
        for voice, end in ends.items():
            if end > 0 or (end == 0 and voice in below):
                steps -= RESTING * (end < TIME_TICKS)
        planned = self.now[0].onset - now if self.now else -1
        if ends:
            steps[(TIME_TICKS > 0) & (min(ends.values()) > TIME_TICKS) & (planned != TIME_TICKS)] -= UNTIMELY

    def _has_entered(self, voice: int) -> bool:
        return self.pitches[voice] != NO_PITCH

    def _only_planned(self, bias: np.ndarray) -> None:
        """Where every voice that has entered is the plan's, nothing comes before its next note."""
        if self.now and not self.due and not self._free():
            bias[BLOCK["NOTE"]] = FORBIDDEN
            left = self.now[0].onset - self.tick
            longest = TIME_TICKS[left >= TIME_TICKS].max()
            bias[BLOCK["TIME"]][longest != TIME_TICKS] = FORBIDDEN

    def _limit(self, steps: np.ndarray) -> None:
        limits = [self.now[0].onset] if self.now else []
        limits += [self.next.at] if self.next else []
        if self.subject is None and self.first >= 0:
            limits.append(self._boundary())
        if limits:
            left = max(-1, min(min(limits) - self.tick, len(_LEADS_ASTRAY) - 2))
            steps[_LEADS_ASTRAY[left]] = FORBIDDEN

    def _pitch(self, bias: np.ndarray) -> None:
        """The note of the plan, or first one of a voice above it; or a further step, where the first one was
        not enough.
        """
        due = self.due
        self._limit(bias[BLOCK["TIME"]])
        if self.subject is None:
            if self.written:
                pitches = [note.pitch for note in self.written]
                low = max(self.pitch - LEAP, max(pitches) - RANGE, self.keyboard[0])
                high = min(self.pitch + LEAP, min(pitches) + RANGE, self.keyboard[1])
                bias[BLOCK["NOTE"]] -= self._broken_chord() + self._third_time()
                _only(bias, "NOTE", min(low, high) - PITCH_MIN, max(low, high) - PITCH_MIN)
        elif due:
            place = due.pitch - PITCH_MIN
            above = self._above(due)
            _only(bias, "NOTE", place, PITCH_MAX - PITCH_MIN if above else place)
            if any(self.tick - self.bar < self.ends[voice] <= self.tick for voice in above):
                bias[OFFSET["NOTE"] + place] -= PASSED_OVER
        elif reserved := [v for v in self._reserved() if self._has_entered(v)]:
            # A note that only these voices would take must not be given to another one.
            own = np.abs(PITCHES[:, None] - [self.pitches[v] for v in reserved]).min(axis=1)
            others = [p for v, p in enumerate(self.pitches) if v not in reserved and p != NO_PITCH]
            apart = np.abs(PITCHES[:, None] - others).min(axis=1) if others else np.zeros(len(PITCHES))
            bias[BLOCK["NOTE"]][(apart > NEAR) & (apart > own)] = FORBIDDEN
            self._only_planned(bias)

    def _broken_chord(self) -> np.ndarray:
        """Nats against a leap of the subject after a leap, most where it goes on as that one or back to
        where it came from, `(pitches,)`.
        """
        now, before = self.written[-1].pitch, self.written[max(0, len(self.written) - 2)].pitch
        leaps, moved = PITCHES - now, now - before
        if abs(moved) <= STEP:
            return np.zeros(len(PITCHES))
        goes_on = (leaps * moved > 0) | (before == PITCHES)
        return CHORD * (np.abs(leaps) > STEP) * np.where(goes_on, 1.0, 0.5)

    def _third_time(self) -> np.ndarray:
        """Nats against the note with which the subject would go on repeating what it has repeated,
        `(pitches,)`.
        """
        pitches = [note.pitch for note in self.written]
        goes_on = {
            pitches[-k] for k in range(2, 9) if len(pitches) >= 2 * k and pitches[-k:] == pitches[-2 * k : -k]
        }
        return THIRD_TIME * np.isin(PITCHES, list(goes_on))

    def _above(self, due: Note) -> list[int]:
        """The voices above that of a note of the plan that may still strike with it; notes are written from
        the highest voice down.
        """
        struck = [note.voice for note in self.written[-MAX_VOICES:] if note.onset == self.tick]
        reserved = self._reserved()
        between = range(max(struck, default=-1) + 1, due.voice)
        return [v for v in between if self._has_entered(v) and v not in reserved]

    def _voice(self, bias: np.ndarray) -> None:
        """The plan's note for the plan's voice, all others for others; no voice enters without the
        subject.
        """
        due = self.due
        allowed = [due.voice] if due and self.pitch == due.pitch else self.may_strike()
        voices = bias[BLOCK["VOICE"]]
        voices[[v for v in range(MAX_VOICES) if v not in allowed]] = FORBIDDEN

    def may_strike(self) -> list[int]:
        """The voices that may strike something else than the plan's note now."""
        return self._above(self.due) if self.due else self._free() or list(range(self.voices))

    def _free(self) -> list[int]:
        """The voices that may strike what they like; those that have not entered wait for their turn, if they
        will get one.
        """
        entered = [v for v in range(MAX_VOICES) if self._has_entered(v)]
        is_planned = self.subject is None or self.next or len(self.registers) == self.voices
        reserved = self._reserved()
        return [v for v in (entered if is_planned else range(self.voices)) if v not in reserved]

    def _reserved(self) -> set[int]:
        """The voices that have notes of the plan to play, or no room for another one before they do, or are
        silent.
        """
        found = {note.voice for note in self.now if self.begins[note.voice] < self.tick + ROOM}
        entry = self.next
        if entry and entry.at - entry.rest - LAST - self.beat < self.tick:
            found |= {v for v in range(MAX_VOICES) if entry.last_onset(v, self.beat) < self.tick}
        if self.silent and self.silent.begin < self.tick:
            found.add(self.silent.voice)
        return found

    def _duration(self, bias: np.ndarray) -> None:
        """That of the plan's note; a voice that is to state the subject has ended before."""
        due = self.due
        if due and (self.pitch, self.voice) == (due.pitch, due.voice):
            place = int(NEAREST_DURATION[due.duration])
            _only(bias, "DUR", place, place)
        elif self.voice in {note.voice for note in self.now}:
            bias[BLOCK["DUR"]][self.tick + DUR_TICKS > self.begins[self.voice]] = FORBIDDEN
        elif self.silent and self.voice == self.silent.voice:
            bias[BLOCK["DUR"]][DUR_TICKS < LAST] = FORBIDDEN
        elif self.next:
            ends = self.tick + DUR_TICKS
            is_wrong = ends > self.next.free_until(self.voice)
            if self.next.rests(self.voice):
                is_last = ends > self.next.last_onset(self.voice, self.beat)
                is_wrong |= is_last & ((DUR_TICKS < LAST) | (self.tick % self.beat > 0))
            bias[BLOCK["DUR"]][is_wrong] = FORBIDDEN
        elif self.subject is None:
            bias[BLOCK["DUR"]][self._room() < DUR_TICKS] = FORBIDDEN
            latest = {note.duration for note in self.written[-ALIKE:]}
            if len(self.written) >= ALIKE and len(latest) == 1:
                bias[OFFSET["DUR"] + int(NEAREST_DURATION[latest.pop()])] -= MONOTONY


class Fugue(Rule):
    """Gives fugues their plan."""

    after = ("DUR", "TIME", "NOTE", "VOICE")
    memory = ("plans", "_due")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.closing = brief.ask("closing")
        self.keys, self.pedals = brief.ask("key_plans"), brief.ask("pedals")
        self.plans = [
            Plan(
                brief.voices or VOICES,
                brief.mode,
                self._keys_of(row),
                brief.seeds[row],
                brief.keyboard,
                brief.beat,
                registers(brief.voices or VOICES, brief.transposition),
            )
            for row in range(brief.rows)
        ]
        if brief.frame is not None:
            for plan in self.plans:
                plan.take([Note(*note) for note in brief.frame.notes[:-1].tolist()], brief.bar_ticks)
        self._due = np.full((brief.rows, 3), NO_PITCH)

    @classmethod
    def applies(cls, brief: Brief) -> bool:
        """Only to fugues from their first note on."""
        return brief.form == "fugue" and not brief.is_continuation and not brief.is_bounded

    def _keys_of(self, row: int) -> Callable[[], KeyPlan] | None:
        """What gives the tonal plan of a piece."""
        keys = self.keys
        return (lambda: keys()[row]) if keys else None

    def select(self, rows: np.ndarray) -> None:
        """As of every rule; and the keys of a plan are those of its row."""
        super().select(rows)
        for row, plan in enumerate(self.plans):
            plan.keys = self._keys_of(row)

    def due(self) -> np.ndarray:
        """Of each row pitch, voice and duration of the note of the plan that is to be struck now, `(rows,
        3)`; `NO_PITCH` where there is none.
        """
        return self._due

    def may_strike(self) -> np.ndarray:
        """Of each row which voices may strike something else now, bool of shape `(rows, voices)`."""
        found = np.zeros((len(self.plans), MAX_VOICES), dtype=bool)
        for row, plan in enumerate(self.plans):
            found[row, plan.may_strike()] = True
        return found

    def gap(self, row: int) -> tuple[int, int, int]:
        """Of a piece ticks from which and until which nothing is stated, and the place in the bar at which
        statements begin.
        """
        return self.plans[row].gap

    def episodes(self) -> list[list[tuple[int, int]]]:
        """Of each piece the ticks at which its episodes begin and end, the one to come last."""
        return [plan.episodes for plan in self.plans]

    def stated(self) -> list[list[Note]]:
        """The notes of each piece's statement that goes on, and of the next."""
        return [plan.now + (plan.next.notes if plan.next else []) for plan in self.plans]

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        closing = self.closing() if self.closing else None
        pedals = self.pedals() if self.pedals else None
        added = np.zeros(scores.shape, dtype=np.float32)
        for row, plan in enumerate(self.plans):
            if closing is not None and closing[row]:
                plan.stop()
            plan.follow(state, row)
            if pedals is not None and pedals[row] >= 0:
                plan.leave(int(pedals[row]))
            plan.add(added[row])
            if plan.has_subject_to_make:
                added[row] += (1 / SUBJECT_TEMPERATURE - 1) * np.maximum(scores[row], LOW)
            note = plan.due
            self._due[row] = (note.pitch, note.voice, note.duration) if note else NO_PITCH
        return added


def _least_notes(bars: int) -> int:
    return LEAST_NOTES[min(bars, len(LEAST_NOTES)) - 1]


def _only(bias: np.ndarray, kind: str, first: int, last: int) -> None:
    """Of the tokens of a type against all but those from place `first` to `last`."""
    block = bias[BLOCK[kind]]
    block[:first] = block[last + 1 :] = FORBIDDEN
