"""Sequences: what has just been played comes again at once on other degrees, once or twice.

Most episodes of the fugues and many passages of the preludes go on so: a model, and its links a step lower or
higher, all voices together (Schoenberg, *Fundamentals of Musical Composition*, 1967; Caplin, *Classical
Form*, 1998). The model is the composer's own, a bar or half of one, in a fugue often the end of a statement
with what is set against it. Where it is fit, the links are written out of it, along the scale of the tonal
plan's key.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tokenization.score import ONSET, Note
from tokenization.vocabulary import TIME_TYPE, VOICE_TYPE

from ..state import State
from .base import VOCAB_SIZE, Brief
from .replay import Replay, faults, harshness, in_reach, limit_durations, limit_steps, passage
from .tonal_plan import Planned

# Chances of a model at a beginning of a bar at which there is room for its links, in fugues and elsewhere,
# and of half a bar as the model.
IN_FUGUES, ELSEWHERE, HALF = 0.9, 0.18, 0.3
# Links after the model, by their chances; those of half a bar are twice as many.
LINKS = (0.5, 0.5)
# Steps of the scale from link to link, and their weights.
INTERVALS = {-1: 6.0, 1: 2.0, -2: 2.0, 2: 1.0, 3: 0.5, -4: 0.5}
# A model has so many notes, and no more of its struck pairs are dissonant.
LEAST_NOTES, HARSHEST = 5, 0.25
# Bars at the beginning and at the end without a sequence.
EDGE = 2


class Model(NamedTuple):
    """A passage that is to be a model: ticks at which it begins and ends, how many links follow, and the tick
    at which others have notes again.
    """

    begin: int
    end: int
    links: int
    limit: int


class Sequences(Planned):
    """Chooses models, and writes their links."""

    memory = ("rngs", "looked", "models", "replays")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.chance = IN_FUGUES if brief.form == "fugue" else ELSEWHERE
        self.rngs = [np.random.default_rng((seed, 4)) for seed in brief.seeds]
        self.looked = np.full(brief.rows, -1)
        self.models: list[Model | None] = [None] * brief.rows
        self.replays: list[Replay | None] = [None] * brief.rows

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        closing = self.is_closing(state)
        added = None
        for row in range(state.rows):
            if closing[row]:
                self.models[row] = self.replays[row] = None
            elif self._goes_on(state, row):
                added = np.zeros((state.rows, VOCAB_SIZE), dtype=np.float32) if added is None else added
                self._add(state, row, added[row])
        return added

    def _goes_on(self, state: State, row: int) -> bool:
        """Whether there is something to say in a row, after what was written."""
        replay, model = self.replays[row], self.models[row]
        if replay and not replay.follow(state, row):
            self.replays[row] = replay = None
        if model and state.kind[row] == TIME_TYPE and state.ticks[row] >= model.end:
            self.models[row], self.replays[row] = None, self._links(state, row, model)
        elif not model and not replay and state.kind[row] == TIME_TYPE:
            self._look(state, row)
        return bool(self.models[row] or self.replays[row])

    def _add(self, state: State, row: int, added: np.ndarray) -> None:
        replay, model = self.replays[row], self.models[row]
        if replay:
            replay.add(state, row, added)
        elif model:
            self._prepare(state, row, model, added)

    # When

    def _look(self, state: State, row: int) -> None:
        """Whether a model begins here."""
        bar, ticks, now = int(state.bar[row]), int(state.bar_ticks[row]), int(state.ticks[row])
        free_from, free_until, offset = self._free(row, ticks)
        number = (now - offset) // ticks
        if number == self.looked[row] or (now - offset) % ticks:
            return
        self.looked[row] = number
        rng = self.rngs[row]
        # Drawn in any case, so that one decision does not move all later ones.
        begins, half, links = rng.random() < self.chance, rng.random() < HALF, 1 + (rng.random() < LINKS[1])
        length = ticks // 2 if half and ticks % 4 == 0 else ticks
        links *= ticks // length
        end = now + length
        if not begins or bar < EDGE or free_from > end:
            return
        plan = self.plan(row)
        limit = min(free_until, (plan.bars - EDGE - 1) * ticks)
        bars_end = plan.at(bar).end
        inside = [(c - 1) * ticks for c in [*plan.cadences, bars_end] if c * ticks > now]
        limit = min([limit, *inside])
        links = min(links, (limit - end) // length)
        if links >= 1:
            self.models[row] = Model(now, end, int(links), free_until)

    def _free(self, row: int, bar: int) -> tuple[int, int, int]:
        """Ticks from which and until which no rule has notes of its own, and the place in the bar at which
        models begin.
        """
        begins, ends, place = 0, 2**40, 0
        for rule in self.brief.earlier:
            if hasattr(rule, "gap"):
                after, before, offset = rule.gap(row)
                begins, ends, place = max(begins, after), min(ends, before), max(place, offset)
        return begins, ends, place

    # What

    def _prepare(self, state: State, row: int, model: Model, added: np.ndarray) -> None:
        """The model ends where its link can begin: no note is held beyond the first of its voice there."""
        now = int(state.ticks[row])
        notes = state.notes[row, : state.num_notes[row]]
        inside = notes[notes[:, ONSET] >= model.begin]
        length = model.end - model.begin
        first = int(inside[0, ONSET]) if len(inside) else now
        limit_steps(added, now, first + length)
        if state.kind[row] == VOICE_TYPE:
            own = inside[inside[:, 3] == state.note_voice[row], ONSET]
            limit_durations(added, now, (int(own[0]) if len(own) else now) + length)

    def _links(self, state: State, row: int, model: Model) -> Replay | None:
        """The links of a model, if it is fit for them."""
        array = state.notes[row, : state.num_notes[row]]
        before = array[(array[:, ONSET] < model.begin) & (array[:, ONSET] + array[:, 1] > model.begin)]
        notes = [Note(*note) for note in array[array[:, ONSET] >= model.begin].tolist()]
        if not self._is_fit(notes, {int(n[3]) for n in before}, model):
            return None
        key = self.plan(row).at(int(state.bar[row])).key
        ways, length = list(INTERVALS), model.end - model.begin
        weights = np.array(list(INTERVALS.values()))
        order = self.rngs[row].choice(len(ways), size=len(ways), replace=False, p=weights / weights.sum())
        low, high = self.brief.keyboard
        for steps in [ways[i] for i in order.tolist()]:
            links = [
                note
                for k in range(1, model.links + 1)
                for note in passage(notes, k * length, key, key, k * steps)
            ]
            pitches = [note.pitch for note in links]
            if min(pitches) < low or max(pitches) > high or not in_reach(links):
                continue
            if faults([*notes, *links]) <= faults(notes) * (model.links + 1):
                return Replay([n._replace(duration=min(n.duration, model.limit - n.onset)) for n in links])
        return None

    def _is_fit(self, notes: list[Note], held: set[int], model: Model) -> bool:
        """Whether a passage is worth to be heard again."""
        voices = {note.voice for note in notes}
        lines = [[note.pitch for note in notes if note.voice == voice] for voice in voices]
        first = {note.voice: note.onset for note in reversed(notes)}
        length = model.end - model.begin
        return (
            len(notes) >= LEAST_NOTES * (length / (96 if length > 48 else 48) if length < 96 else 1)
            and any(len(set(line)) >= 3 for line in lines)
            and held <= voices
            and harshness(notes) <= HARSHEST
            and all(note.onset + note.duration <= first[note.voice] + length for note in notes)
        )
