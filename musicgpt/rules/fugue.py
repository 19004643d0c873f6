"""How a fugue goes: one voice alone makes the subject, the others answer it one after another, and it comes
back in other keys.

The subject is the model's, and so is everything that sounds against it. When the subject is over and who
states it where is decided here, as a teacher's plan of a fugue has it; its notes then are those that the
model may choose. Left alone, the model begins most fugues with several voices at once and states the subject
once (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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
from .base import BLOCK, DUR_TICKS, FORBIDDEN, HIGHEST, LOW, LOWEST, PITCHES, TIME_TICKS, Brief, Rule
from .companions import Countersubject, stretto
from .keys import HOME
from .replay import in_order
from .subject import FIFTH, FOURTH, Subject, can_be_inverted, dominant, in_key, inverted
from .takers import PASSED_OVER
from .tonal_plan import Plan as KeyPlan

# Notes that a subject of one, two, three, ... bars must have; with fewer it goes on.
LEAST_NOTES = (14, 10, 8, 6)
# Bars between the first answer and the third voice, if there is one (the codetta), and between the statements
# of the middle (episodes), each drawn: with one series of them all fugues had their entries in the same bars.
# Of Bach's statements nearly half come at once, or overlap. The keys of these statements, in turn.
CODETTAS = (0, 0, 1, 1, 1, 2)
EPISODES = (0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8)
MIDDLE_KEYS = {"major": (21, 5, 0, 7), "minor": (0, 14, 21, 16)}
# How much likelier the voice that has waited longest has the next statement than the one that has waited next
# longest, and so on: of Bach's three voices they have it in .48 and .36 of the cases.
WAITED = 1.8
# Chance that a statement has the countersubject against it, and how many notes that must have.
RETURNS, LEAST_NOTES_AGAINST = 0.9, 4
# From this share of the piece on statements come in stretto; none ends later than so many bars before the
# end.
LATE, BEFORE_CLOSE = 0.6, 2
# Share of the fugues that have their subject upside down as well, with every other statement from this share
# of the piece on: 10 of 40 of the train split do, from .2 to .65 on.
INVERTED, INVERTED_FROM = 0.25, 0.4
# Ticks that a voice rests before it states the subject again, drawn: more than half of Bach's run on into it.
# After an episode, where all are needed for its cadence, and among two voices the rest is no longer than the
# last number.
RESTS, SHORT_REST = (*[0] * 11, 12, 12, 24, 48, 48, 96, 144, 192, 192), 12
# Before a rest a voice ends on a beat, with no less than an eighth. Before its next note it begins none for
# which less than a sixteenth is left.
LAST, ROOM = 12, 6
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
RESTING = 2.0
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
# A tick after every piece's end.
FAR = 2**40


class Entry(NamedTuple):
    """A statement that is to come, in which key, the notes that it and what goes with it will have, in
    their order, whether that is a stretto, and how many ticks its voice rests before.
    """

    at: int
    key: int
    statement: list[Note]
    notes: list[Note]
    is_stretto: bool = False
    rest: int = 0

    def free_until(self, voice: int) -> int:
        """The tick at which a voice must have ended what it plays before: where its first note is, or the
        rest before; long after the entry where it has none.
        """
        first = next((note.onset for note in self.notes if note.voice == voice), FAR)
        return first - self.rest * self.rests(voice)

    def rests(self, voice: int) -> bool:
        """Whether a voice rests before it."""
        return self.rest > 0 and voice == self.statement[0].voice

    def last_onset(self, voice: int, beat: int) -> int:
        """The last tick at which the voice may begin a note before; `beat` has so many ticks."""
        until = self.free_until(voice)
        return (until - LAST) // beat * beat if self.rests(voice) else until - ROOM

    @property
    def end(self) -> int:
        """The tick at which its last note ends."""
        return max(note.onset + note.duration for note in self.notes)


class Plan:
    """The plan of one fugue.

    Args:
        voices (`int`): how many it will have.
        mode (`str`): `"major"` or `"minor"`.
        keys (callable, *optional*): gives the tonal plan.
        seed (`int`): of the piece.
        keyboard (pair of `int`): the lowest and the highest pitch.
        beat (`int`): its ticks.
    """

    def __init__(
        self,
        voices: int,
        mode: str,
        keys: Callable[[], KeyPlan] | None = None,
        seed: int = 0,
        keyboard: tuple[int, int] = (LOWEST, HIGHEST),
        beat: int = 24,
    ):
        self.voices, self.mode, self.keys, self.keyboard, self.beat = voices, mode, keys, keyboard, beat
        self.rng = np.random.default_rng((seed, 6))
        # Drawn by themselves, so that they move nothing else.
        self.times = np.random.default_rng((seed, 10))
        self.rests = np.random.default_rng((seed, 13))
        self.codetta = int(self.times.choice(CODETTAS))
        # Drawn by itself, so that it moves nothing else.
        self.inverts = bool(np.random.default_rng((seed, 8)).random() < INVERTED)
        self.subject: Subject | None = None
        self.countersubject: Countersubject | None = None
        self.answered: Entry | None = None  # the first answer, until its countersubject is known
        self.now: list[Note] = []  # what is left of the statement that goes on
        self.next: Entry | None = None
        self.registers: dict[int, float] = {}  # mean pitch of each voice's statement, the latest last
        self.middle = 0
        self.episodes: list[tuple[int, int]] = []  # ticks at which they begin and end
        self.written: list[Note] = []

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
        self.now = list(notes)
        self.bar = bar
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
        self.now, self.next = [], None

    def leave(self, voice: int) -> None:
        """A voice has something else to do: what the plan still has for it falls away."""
        self.now = [note for note in self.now if note.voice != voice]
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
                self.now = list(entry.notes)
            if len(self.registers) == 2 and self.countersubject is None:
                self.answered = entry
            self._schedule(entry.at)
        if self.answered and self.subject and self.tick >= self.answered.at + self.subject.length:
            self._hear_countersubject(self.answered)

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

    # What is to come

    def _schedule(self, last: int) -> None:
        """Decide on the statement after the one at the tick `last`."""
        assert self.subject is not None
        at = begins = last + self.subject.length
        others = dict(self.registers)
        if len(self.registers) < self.voices:
            at += self.codetta * self.bar * (len(self.registers) == 2)
            found = self._answer()
        else:
            at += int(self.times.choice(EPISODES)) * self.bar
            found = self._return(at, at == begins)
            if at > begins:
                self.episodes.append((begins, at))
                if found:
                    self._cadence_before(at)
        if found:
            voice, key, pitches = found
            self.registers.pop(voice, None)  # the latest stands last
            self.registers[voice] = sum(pitches) / len(pitches)
            statement = self.subject.statement(at, voice, pitches)
            self.next = Entry(at, key, statement, statement, rest=self._rest(at == begins))
            self._accompany(others)

    def _rest(self, at_once: bool) -> int:
        """Ticks that the voice of a statement rests before it, `at_once` where there is no episode."""
        rest = int(self.rests.choice(RESTS))
        return rest if at_once and self.voices > 2 else min(rest, SHORT_REST)

    def _cadence_before(self, at: int) -> None:
        """An episode ends with a cadence, into which the statement at the tick `at` falls; there is none
        while that goes on.
        """
        assert self.subject is not None
        if not self.keys:
            return
        plan, bar = self.keys(), at // self.bar
        end = -(-(at + self.subject.length) // self.bar)
        plan.at(end)  # draws its cadences
        plan.cadences = sorted({c for c in plan.cadences if not bar < c < end} | {bar})

    def _accompany(self, registers: dict[int, float]) -> None:
        """Put something against the next statement: near the end the subject in stretto, else the
        countersubject.
        """
        entry = self.next
        if entry is None or self.subject is None:
            return
        others = {v: mean for v, mean in registers.items() if v != entry.statement[0].voice}
        added = None
        if self._is_past(LATE, entry.at):
            keys = [entry.key, _fifth(entry.key, FIFTH), _fifth(entry.key, FOURTH)]
            added = stretto(
                self.subject, entry.statement, keys, self.bar // 4 if self.bar > 36 else 12, others
            )
        is_stretto = added is not None
        if added is None and self.countersubject and self.rng.random() < RETURNS:
            added = self.countersubject.against(entry.statement, entry.key, others)
        if added:
            notes = sorted([*entry.statement, *added], key=in_order)
            self.next = entry._replace(notes=notes, is_stretto=is_stretto)

    def _is_past(self, share: float, at: int) -> bool:
        """Whether so much of the piece is over at a tick."""
        return bool(self.keys) and at >= share * self.keys().bars * self.bar  # type: ignore[misc]

    def _hear_countersubject(self, answer: Entry) -> None:
        """Keep what the first voice has played against the answer, and put it against what comes next."""
        assert self.subject is not None
        self.answered, end = None, answer.at + self.subject.length
        others = {note.voice for note in self.written} - {answer.statement[0].voice}
        notes = [
            note._replace(duration=min(note.duration, end - note.onset))
            for note in self.written
            if note.voice in others and answer.at <= note.onset < end
        ]
        if len(notes) < LEAST_NOTES_AGAINST or len({note.voice for note in notes}) != 1:
            return
        self.countersubject = Countersubject(notes, answer.statement, answer.key, self.keyboard)
        self._accompany(self.registers)

    def _answer(self) -> tuple[int, int, list[int]] | None:
        """The next voice of the exposition, above or below those that have entered, its key and pitches: by
        turns dominant and tonic.
        """
        assert self.subject is not None
        transposed = dominant if len(self.registers) % 2 else in_key(HOME[self.mode])
        key = _fifth(HOME[self.mode], FIFTH) if len(self.registers) % 2 else HOME[self.mode]
        top, bottom = min(self.registers), max(self.registers)
        ways = [(top - 1, self.registers[top] + FIFTH), (bottom + 1, self.registers[bottom] - FIFTH)]
        if sum(self.subject.pitches) % 2:
            ways.reverse()
        found = [
            (v, key, pitches)
            for v, mean in ways
            if 0 <= v < self.voices and (pitches := self.subject.near(transposed, mean))
        ]
        # Where the keyboard ends, rather a voice in another's place than none.
        apart = [one for one in found if self._is_between(one[0], sum(one[2]) / len(one[2]))]
        return next(iter(apart or found), None)

    def is_in_order(self, subject: Subject) -> bool:
        """Whether higher voices state a subject higher in the exposition of a plan that has not begun."""
        self.subject, self.registers = subject, {subject.notes[0].voice: subject.mean}
        while len(self.registers) < self.voices:
            voice, _, pitches = self._answer() or (0, 0, [])
            mean = sum(pitches) / max(1, len(pitches))
            if not pitches or not self._is_between(voice, mean):
                return False
            self.registers[voice] = mean
        return True

    def _is_between(self, voice: int, mean: float) -> bool:
        """Whether the statements of higher voices are higher and those of lower ones lower."""
        return all(
            (other < voice) == (theirs > mean) and theirs != mean for other, theirs in self.registers.items()
        )

    def _return(self, at: int, at_once: bool = False) -> tuple[int, int, list[int]] | None:
        """A statement of the middle; `at_once` where it follows another one without an episode."""
        assert self.subject is not None
        key = MIDDLE_KEYS[self.mode][self.middle % 4]
        if self.keys:
            plan = self.keys()
            key = plan.at(at // self.bar).key
            if at + self.subject.length > (plan.bars - BEFORE_CLOSE) * self.bar:
                return None
        self.middle += 1
        voices = self._in_turn(at_once)
        for transposed in (inverted, in_key) if self._is_inverted(at) else (in_key,):
            for voice in voices:
                if pitches := self.subject.near(transposed(key), self.registers[voice]):
                    return voice, key, pitches
        return None

    def _in_turn(self, at_once: bool) -> list[int]:
        """The voices in the order in which they are asked for a statement: each is likelier by so much than
        the one that has waited next longest; at once the latest would have no breath.
        """
        voices = list(self.registers)
        weights = np.cumprod(np.full(len(voices), 1 / WAITED))
        order = self.times.choice(voices, len(voices), replace=False, p=weights / weights.sum()).tolist()
        return sorted(order, key=lambda voice: at_once and voice == voices[-1])

    def _is_inverted(self, at: int) -> bool:
        """Whether a statement of the middle is upside down."""
        assert self.subject is not None
        is_turn = self.inverts and self.middle % 2 == 0 and self._is_past(INVERTED_FROM, at)
        return is_turn and can_be_inverted(self.subject.pitches, self.mode)

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
        """The voices that have notes of the plan to play, or no room for another one before they do."""
        found = {note.voice for note in self.now}
        entry = self.next
        if entry and entry.at - entry.rest - LAST - self.beat < self.tick:
            found |= {v for v in range(MAX_VOICES) if entry.last_onset(v, self.beat) < self.tick}
        return found

    def _duration(self, bias: np.ndarray) -> None:
        """That of the plan's note; a voice that is to state the subject has ended before."""
        due = self.due
        if due and (self.pitch, self.voice) == (due.pitch, due.voice):
            place = int(NEAREST_DURATION[due.duration])
            _only(bias, "DUR", place, place)
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

    def registers(self) -> np.ndarray:
        """Of each piece the pitch about which each voice stated the subject last, `(rows, voices)`;
        `NO_PITCH` where it has not yet.
        """
        found = np.full((len(self.plans), MAX_VOICES), NO_PITCH)
        for row, plan in enumerate(self.plans):
            for voice, mean in plan.registers.items():
                found[row, voice] = round(mean)
        return found

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


def _fifth(key: int, semitones: int) -> int:
    """The key of the same mode so many semitones higher."""
    return (key + semitones) % 12 + key // 12 * 12


def _least_notes(bars: int) -> int:
    return LEAST_NOTES[min(bars, len(LEAST_NOTES)) - 1]


def _only(bias: np.ndarray, kind: str, first: int, last: int) -> None:
    """Of the tokens of a type against all but those from place `first` to `last`."""
    block = bias[BLOCK[kind]]
    block[:first] = block[last + 1 :] = FORBIDDEN


__all__ = ["Fugue", "Plan"]
