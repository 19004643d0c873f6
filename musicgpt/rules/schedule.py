"""When the subject of a fugue comes back, in which voice and key, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tokenization.score import Note

from .base import HIGHEST, LOWEST
from .companions import Countersubject, stretto
from .keys import HOME
from .replay import in_order
from .subject import FIFTH, FOURTH, Subject, can_be_inverted, dominant, in_key, inverted
from .tonal_plan import Plan as KeyPlan

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
# The bass after an episode, whose cadence needs it, and each of two voices rest no longer than the second
# number.
RESTS, SHORT_REST = (*[0] * 11, 12, 24, 48, 48, 96, 192, 384, 384, 768), 12
# Chance that of more than two voices one falls silent where a statement begins. It rests until its own next
# statement, which comes so many ticks later or more, drawn, and before that share of the piece; but for no
# more than the other share of it: then it comes back before.
SILENT, SILENCES, HEARD_AGAIN, LONGEST = 0.36, (192, 192, 384, 384, 576), 0.8, 0.15
# Before a rest a voice ends on a beat, with no less than an eighth. Before its next note it begins none for
# which less than a sixteenth is left.
LAST, ROOM = 12, 6
# A tick after every piece's end.
FAR = 2**40


class Entry(NamedTuple):
    """A statement that is to come, in which key, the notes that it and what goes with it will have, in
    their order, and how many ticks its voice rests before.
    """

    at: int
    key: int
    statement: list[Note]
    notes: list[Note]
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


class Silence(NamedTuple):
    """A voice that rests after a tick, and will state the subject at another one or later."""

    voice: int
    begin: int
    until: int


class Schedule:
    """Which voice of a fugue states the subject when, and in which key.

    Args:
        voices (`int`): how many it will have.
        mode (`str`): `"major"` or `"minor"`.
        keys (callable, *optional*): gives the tonal plan.
        seed (`int`): of the piece.
        keyboard (pair of `int`): the lowest and the highest pitch.
        beat (`int`): its ticks.
        places (sequence of `float`): the middle of each voice's register, as far as it is known.

    Attributes:
        bar (`int`): ticks of a bar.
        subject (`Subject` or `None`): once it is known.
        now (list of `Note`): what is left of the statement that goes on.
        begins (dict): of each voice that it has, or had, the tick of the first note.
        next (`Entry` or `None`): the next statement.
        silent (`Silence` or `None`): a voice that rests for longer.
        registers (dict): mean pitch of each voice's statement, the latest last.
        episodes (list): ticks at which they begin and end.
        written (list of `Note`): the notes of the piece.
    """

    bar: int

    def __init__(
        self,
        voices: int,
        mode: str,
        keys: Callable[[], KeyPlan] | None = None,
        seed: int = 0,
        keyboard: tuple[int, int] = (LOWEST, HIGHEST),
        beat: int = 24,
        places: Sequence[float] = (),
    ):
        self.voices, self.mode, self.keys, self.keyboard, self.beat = voices, mode, keys, keyboard, beat
        self.places = places
        # Each drawn by itself, so that none moves another.
        self.rng = np.random.default_rng((seed, 6))
        self.times = np.random.default_rng((seed, 10))
        self.rests = np.random.default_rng((seed, 13))
        self.silences = np.random.default_rng((seed, 16))
        self.inverts = bool(np.random.default_rng((seed, 8)).random() < INVERTED)
        self.codetta = int(self.times.choice(CODETTAS))
        self.subject: Subject | None = None
        self.countersubject: Countersubject | None = None
        self.answered: Entry | None = None  # the first answer, until its countersubject is known
        self.now: list[Note] = []
        self.begins: dict[int, int] = {}
        self.next: Entry | None = None
        self.silent: Silence | None = None
        self.registers: dict[int, float] = {}
        self.middle = 0
        self.episodes: list[tuple[int, int]] = []
        self.written: list[Note] = []

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
            rest = self._rest(voice, last, at, at == begins)
            self._fall_silent(voice, last, at)
            self.registers.pop(voice, None)  # the latest stands last
            self.registers[voice] = sum(pitches) / len(pitches)
            statement = self.subject.statement(at, voice, pitches)
            self.next = Entry(at, key, statement, statement, rest=rest)
            self._accompany(others)
        else:
            self.silent = None

    def _fall_silent(self, states: int, now: int, at: int) -> None:
        """A voice that has nothing to state may fall silent now; the one that `states` next, at the tick
        `at`, is silent no more.
        """
        if self.silent and self.silent.voice == states:
            self.silent = None
        elif self.silent is None and len(self.registers) == self.voices > 2 and self.keys:
            until = now + int(self.silences.choice(SILENCES))
            others = sorted({*self.registers} - {note.voice for note in self.now} - {states})
            may = at - now <= self._share(LONGEST) and until < self._share(HEARD_AGAIN)
            if self.silences.random() < SILENT and others and may:
                self.silent = Silence(int(self.silences.choice(others)), now, until)

    def _share(self, share: float) -> float:
        """The ticks of so much of the piece; none without a plan of how long it is."""
        return share * self.keys().bars * self.bar if self.keys else 0

    def _rest(self, voice: int, now: int, at: int, at_once: bool) -> int:
        """Ticks that the voice of a statement at the tick `at` rests before it, `at_once` where there is no
        episode: one that is silent stays so.
        """
        rest = int(self.rests.choice(RESTS))
        if self.silent and self.silent.voice == voice and at - self.silent.begin <= self._share(LONGEST):
            rest = at - now
        is_spared = at_once or voice < self.voices - 1
        return rest if is_spared and self.voices > 2 else min(rest, SHORT_REST)

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
        busy = {entry.statement[0].voice, self.silent.voice if self.silent else -1}
        others = {v: mean for v, mean in registers.items() if v not in busy}
        added = None
        if self._is_past(LATE, entry.at):
            keys = [entry.key, _fifth(entry.key, FIFTH), _fifth(entry.key, FOURTH)]
            added = stretto(self.subject, entry.statement, keys, self.beat, others)
        if added is None and self.countersubject and self.rng.random() < RETURNS:
            added = self.countersubject.against(entry.statement, entry.key, others)
        if added:
            notes = sorted([*entry.statement, *added], key=in_order)
            self.next = entry._replace(notes=notes)

    def _is_past(self, share: float, at: int) -> bool:
        """Whether so much of the piece is over at a tick."""
        return bool(self.keys) and at >= self._share(share)

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
        voices = self._in_turn(at, at_once)
        for transposed in (inverted, in_key) if self._is_inverted(at) else (in_key,):
            for voice in voices:
                middle = self.places[voice] if voice < len(self.places) else self.registers[voice]
                if pitches := self.subject.near(transposed(key), middle):
                    return voice, key, pitches
        return None

    def _in_turn(self, at: int, at_once: bool) -> list[int]:
        """The voices in the order in which they are asked for a statement: each is likelier by so much than
        the one that has waited next longest; at once the latest would have no breath. One that has been
        silent for long enough comes first, before that last.
        """
        voices = list(self.registers)
        weights = np.cumprod(np.full(len(voices), 1 / WAITED))
        order = self.times.choice(voices, len(voices), replace=False, p=weights / weights.sum()).tolist()
        order.sort(key=lambda voice: at_once and voice == voices[-1])
        if self.silent:
            quiet, comes = self.silent.voice, at >= self.silent.until
            order.sort(key=lambda voice: (voice == quiet) != comes)
        return order

    def _is_inverted(self, at: int) -> bool:
        """Whether a statement of the middle is upside down."""
        assert self.subject is not None
        is_turn = self.inverts and self.middle % 2 == 0 and self._is_past(INVERTED_FROM, at)
        return is_turn and can_be_inverted(self.subject.pitches, self.mode)


def _fifth(key: int, semitones: int) -> int:
    """The key of the same mode so many semitones higher."""
    return (key + semitones) % 12 + key // 12 * 12
