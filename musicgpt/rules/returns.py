"""Returns: the first bars of a prelude come again later on in another key, and what was there in other keys
comes again at home; an episode of a fugue comes again in the keys of a later one.

Bach's preludes state their opening again where a new key has been reached, and often where home has
(Ledbetter, *Bach's Well-tempered Clavier*, 2002): 18 % of the patterns of seven steps come back more than
eight bars away (`docs/metrics.md`). The notes are those of the opening, on the same degrees of the new key.
Of the fugues' patterns 25 % do; subject and countersubject return by the fugue's own plan (`fugue.py`), and
episodes that are transpositions of earlier ones are what Bach's are in most fugues of the first book.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from tokenization.score import ONSET, Note
from tokenization.vocabulary import TIME_TYPE

from ..state import State
from .base import VOCAB_SIZE, Brief
from .companions import stay_apart
from .replay import Replay, faults, in_order, in_reach, passage
from .subject import OCTAVE
from .tonal_plan import Planned

# Chances of a return of the opening with a new key, of what was there in another key at home, of the opening
# at home, where it would be a repetition, of an episode, and of each number of bars that return.
AWAY, FROM_AWAY, AT_HOME, EPISODE, BARS = 0.9, 0.9, 0.8, 0.65, {2: 0.2, 3: 0.4, 4: 0.4}
# Bars between the opening and its return, between two returns, and that are left after one.
FAR, APART, LEFT = 9, 5, 3
# Chance that voices are exchanged in a return; where it would have a bar note for note that has been there,
# they are in any case. Bach's bars that are an earlier one note for note are 1.3 % in preludes and .3 % in
# fugues.
# In inventions they are oftener.
EXCHANGED, IN_INVENTIONS = 0.4, 0.8
# In long preludes one bar in so many returns.
LONG = 7
# Notes that the opening must have in a bar.
LEAST_NOTES = 4
FOREVER = 2**40


class Returns(Planned):
    """Chooses where the opening returns, and writes it."""

    memory = ("rngs", "looked", "latest", "replays", "returned")

    def __init__(self, brief: Brief):
        super().__init__(brief)
        self.rngs = [np.random.default_rng((seed, 5)) for seed in brief.seeds]
        self.looked, self.latest = np.full(brief.rows, -1), np.full(brief.rows, -APART)
        self.returned: list[list[tuple[int, int]]] = [[] for _ in range(brief.rows)]  # bars of returns
        self.replays: list[Replay | None] = [None] * brief.rows

    def gap(self, row: int) -> tuple[int, int, int]:
        """Of a piece ticks from which and until which it plans no notes, and the place in the bar at which
        its phrases begin.
        """
        replay = self.replays[row]
        return (replay.left[-1].onset + 1, replay.begins, 0) if replay and replay.left else (0, FOREVER, 0)

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray | None:
        closing = self.is_closing(state)
        added = None
        for row in range(state.rows):
            if closing[row]:
                self.replays[row] = None
                continue
            if state.bar[row] != self.looked[row] and state.kind[row] == TIME_TYPE:
                self.looked[row] = state.bar[row]
                if self.replays[row] is None:
                    self._look(state, row)
            replay = self.replays[row]
            if replay and not replay.follow(state, row):
                self.replays[row] = replay = None
            if replay:
                added = np.zeros((state.rows, VOCAB_SIZE), dtype=np.float32) if added is None else added
                replay.add(state, row, added[row])
        return added

    def _look(self, state: State, row: int) -> None:
        """Whether something returns next."""
        episodes = self.brief.ask("episodes")
        if episodes:
            self._episode(state, row, episodes()[row])
        else:
            self._opening(state, row)

    def _opening(self, state: State, row: int) -> None:
        """Whether the opening returns with the next bar, where a section begins."""
        plan, bar, ticks = self.plan(row), int(state.bar[row]) + 1, int(state.bar_ticks[row])
        section = plan.at(bar)
        if section.first != bar:
            return
        rng, is_home = self.rngs[row], section.key == plan.home
        begin, end = self._from_away(row, bar) if is_home else (0, section.end - bar)
        chance = AWAY if not is_home else FROM_AWAY if begin else AT_HOME
        wanted = rng.random() < chance
        bars = int(rng.choice(list(BARS), p=list(BARS.values())))
        bars = max(bars, plan.bars // LONG)
        bars = min(bars, end - begin, section.end - bar, plan.bars - LEFT - bar)
        if not wanted or bars < 1 or bar - begin < FAR or bar - self.latest[row] < APART:
            return
        if self._begin(state, row, (begin * ticks, (begin + bars) * ticks), bar * ticks, FOREVER):
            self.latest[row] = bar
            self.returned[row] = [*self.returned[row], (bar, bar + bars)]
            plan.cadences = [c for c in plan.cadences if not bar < c <= bar + bars]

    def _from_away(self, row: int, bar: int) -> tuple[int, int]:
        """Bars of a section in another key that can come again at home, where the opening has not returned in
        them; those of the opening, `(0, bar)`, where there are none.
        """
        plan = self.plan(row)
        for section in plan.sections:
            if section.key == plan.home or section.first > bar - FAR:
                continue
            begin = max(
                [section.first, *(end for first, end in self.returned[row] if first == section.first)]
            )
            if section.end - begin >= min(BARS):
                return begin, section.end
        return 0, bar

    def _episode(self, state: State, row: int, episodes: list[tuple[int, int]]) -> None:
        """Whether the next episode of a fugue is an earlier one."""
        ticks = int(state.bar_ticks[row])
        if len(episodes) < 2 or episodes[-1][0] <= state.ticks[row] or len(episodes) == self.latest[row]:
            return
        self.latest[row] = len(episodes)
        begin, end = episodes[-1]
        known = [one for one in episodes[:-1] if begin - one[0] >= FAR * ticks]
        rng = self.rngs[row]
        if rng.random() >= EPISODE or not known:
            return
        source = known[int(rng.integers(len(known)))]
        length = min(end - begin, source[1] - source[0]) // ticks * ticks
        self._begin(state, row, (source[0], source[0] + length), begin, end)

    def _begin(self, state: State, row: int, source: tuple[int, int], at: int, end: int) -> bool:
        """Let a passage return at a tick on the degrees of its key there, nearest to where it was; not where
        it has too few notes or does not fit on the keyboard and into two hands. No note lasts beyond `end`.
        """
        plan, ticks = self.plan(row), int(state.bar_ticks[row])
        array = state.notes[row, : state.num_notes[row]]
        heard = bars_of([Note(*note) for note in array.tolist()], ticks)
        array = array[(array[:, ONSET] >= source[0]) & (array[:, ONSET] < source[1])]
        if len(array) < max(1, LEAST_NOTES * (source[1] - source[0]) // ticks):
            return False
        key, to_key = plan.at(source[0] // ticks).key, plan.at(at // ticks).key
        notes = [Note(*note) for note in array.tolist()]
        low, high = self.brief.keyboard
        inventions = self.brief.ask("inventions")
        is_invention = inventions is not None and inventions()[row]
        exchanges = self.rngs[row].random() < (IN_INVENTIONS if is_invention else EXCHANGED)
        for octaves in sorted((-1, 0, 1), key=lambda k: abs(12 * k + to_key % 12 - key % 12)):
            moved = passage(notes, at - source[0], key, to_key, octaves=octaves)
            ways = (exchanged, lambda notes: [notes]) if exchanges else (lambda notes: [notes], exchanged)
            for way in (way for made in ways for way in made(moved)):
                pitches = [note.pitch for note in way]
                fits = min(pitches) >= low and max(pitches) <= high and in_reach(way)
                if fits and heard.isdisjoint(bars_of(way, ticks)):
                    self.replays[row] = Replay(
                        [note._replace(duration=min(note.duration, end - note.onset)) for note in way]
                    )
                    return True
        return False


def bars_of(notes: Sequence[Note], ticks: int) -> set[frozenset[tuple[int, int]]]:
    """Of each bar with several notes these: places in the bar and pitches."""
    bars: dict[int, set[tuple[int, int]]] = {}
    for note in notes:
        bars.setdefault(note.onset // ticks, set()).add((note.onset % ticks, note.pitch))
    return {frozenset(bar) for bar in bars.values() if len(bar) > 2}


def exchanged(notes: Sequence[Note]) -> list[list[Note]]:
    """A passage with two neighbouring voices exchanged, one an octave or two lower and the other one higher
    (invertible counterpoint), in the ways in which voices stay in their places and no fault comes up; the
    ways that move least first.
    """
    voices, found = sorted({note.voice for note in notes}), []
    for a, b in pairwise(voices):
        for down, up in product((OCTAVE, 2 * OCTAVE), repeat=2):
            place = {a: (b, -down), b: (a, up)}
            way = [
                note._replace(voice=place[note.voice][0], pitch=note.pitch + place[note.voice][1])
                if note.voice in place
                else note
                for note in notes
            ]
            way.sort(key=in_order)
            lines = [[note for note in way if note.voice == voice] for voice in voices]
            keeps = all(stay_apart(high, low) for high, low in pairwise(lines))
            if keeps and faults(way) <= faults(notes):
                found.append((down + up, way))
    return [way for _, way in sorted(found, key=lambda one: one[0])]
