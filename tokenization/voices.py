"""Which part each note belongs to, where a score does not say: voice separation.

The piece is cut into contigs in which the same notes sound, as in Chew and Wu, "Separating voices in
polyphonic music: a contig mapping approach" (CMMR 2004); inside a contig the voices stand in the order of
their pitches. Contigs are then connected by the costs that McLeod and Steedman, "HMM-based voice separation
of MIDI performance" (JNMR 45, 2016) use: leaps and silences inside a voice are dear, a note that is held
keeps its voice. Connections are found for the whole piece at once, by a Viterbi search over "which voices
sound now" in place of the greedy growth from the fullest contigs. Two neighbouring voices may cross, at a
price.
"""

from __future__ import annotations

from bisect import insort
from functools import lru_cache
from itertools import combinations

import numpy as np

from .errors import ScoreError
from .note import DURATION, ONSET, PITCH
from .vocabulary import MAX_VOICES, TICKS_PER_QUARTER

# Prices, in semitones of leap; chosen on the fugues of the train split (docs/LOG.md).
SILENCE_PRICE = 8.0  # of a silence in a voice, by the square root of its quarters, up to MAX_SILENCE of them
MAX_SILENCE = 6.2
BREAK_PRICE = 30.0  # a held note changes its voice
CROSSING_PRICE = 8.0  # two neighbouring voices are crossed in this contig
REGISTER_PRICE = 0.1  # a semitone of distance from the voice's usual pitch
# A number of voices counts when that many notes sound together for this share of the time, the end left out:
# final chords are full.
FULL_SHARE = 0.08
_LARGEST_CHORD = 16
_END = 8 * TICKS_PER_QUARTER


@lru_cache(maxsize=64)
def _states(voices: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The ways to give `cells` simultaneous notes (highest first) to `voices` voices: voices `(ways, cells)`
    and prices `(ways,)`.
    """
    ways, prices = [], []
    for chosen in combinations(range(voices), cells):
        ways.append(chosen)
        prices.append(0.0)
        for i in range(cells - 1):
            if chosen[i + 1] == chosen[i] + 1:
                ways.append((*chosen[:i], chosen[i + 1], chosen[i], *chosen[i + 2 :]))
                prices.append(CROSSING_PRICE)
    return np.array(ways, dtype=np.int64).reshape(-1, cells), np.array(prices)


def _slices(array: np.ndarray) -> list[tuple[int, list[int]]]:
    """At each onset: the tick and the notes that sound then, highest first."""
    onsets = array[:, ONSET].tolist()
    ends = (array[:, ONSET] + array[:, DURATION]).tolist()
    falling = (-array[:, PITCH]).tolist().__getitem__
    slices: list[tuple[int, list[int]]] = []
    sounding: list[int] = []
    i = 0
    while i < len(onsets):
        now = onsets[i]
        sounding = [j for j in sounding if ends[j] > now]
        while i < len(onsets) and onsets[i] == now:
            insort(sounding, i, key=falling)
            i += 1
        slices.append((now, sounding))
    return slices


def _count_voices(array: np.ndarray, slices: list[tuple[int, list[int]]]) -> int:
    """How many voices a piece has: the largest number of notes that sound together for at least `FULL_SHARE`
    of it, at most five.

    The last two bars (eight quarters, at most a quarter of the piece) are not looked at.
    """
    ends = array[:, ONSET] + array[:, DURATION]
    begin, end = int(array[:, ONSET].min()), int(ends.max())
    times = np.array([now for now, _ in slices] + [end])
    lengths = np.diff(np.minimum(times, end - min(_END, (end - begin) // 4)))
    counts = np.array([min(MAX_VOICES, len(notes)) for _, notes in slices])
    share = [lengths[counts >= k].sum() / max(1, lengths.sum()) for k in range(1, MAX_VOICES + 1)]
    return max(k for k in range(1, MAX_VOICES + 1) if k == 1 or share[k - 1] >= FULL_SHARE)


def _cells(notes: list[int], voices: int, rows: list[list[int]]) -> list[list[int]]:
    """The sounding notes as at most `voices` groups: chords are formed of the neighbours that fit best into
    one voice.
    """
    if len(notes) > _LARGEST_CHORD:  # a cluster that no hand plays: shared out evenly
        return [notes[i * len(notes) // voices : (i + 1) * len(notes) // voices] for i in range(voices)]
    cells = [[j] for j in notes]
    while len(cells) > voices:

        def price(i: int) -> float:
            a, b = rows[cells[i][-1]], rows[cells[i + 1][0]]
            apart = a[PITCH] - b[PITCH]
            return apart + 12 * (a[ONSET] != b[ONSET]) + 6 * (a[DURATION] != b[DURATION])

        i = min(range(len(cells) - 1), key=price)
        cells[i : i + 2] = [cells[i] + cells[i + 1]]
    return cells


def infer_voices(array: np.ndarray, num_voices: int | None = None) -> np.ndarray:
    """Give every note a voice, 0 the highest part.

    Args:
        array (integer array of shape `(notes, 4)`): onset, duration, pitch, voice, in any order; the voice
            column is ignored.
        num_voices (`int`, *optional*): how many parts, 1 to 5; counted when not given.

    Returns:
        The voices, `int64` of shape `(notes,)`, in the order of `array`. Where more notes sound than there
        are voices, neighbouring notes share one.

    Raises:
        ScoreError: if `num_voices` is not 1 to 5.
    """
    if num_voices is not None and not 1 <= num_voices <= MAX_VOICES:
        raise ScoreError(f"Cannot separate into {num_voices} voices: it must be 1 to {MAX_VOICES}.")
    array = np.asarray(array, dtype=np.int64)
    if not len(array):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((-array[:, PITCH], array[:, ONSET]))
    ordered = array[order]
    slices = _slices(ordered)
    voices = num_voices or _count_voices(ordered, slices)
    result = np.empty(len(array), dtype=np.int64)
    result[order] = _search(ordered, slices, voices) if voices > 1 else 0
    return result


def _registers(slices: list[tuple[int, list[list[int]]]], pitches: list[int], voices: int) -> np.ndarray:
    """Each voice's usual pitch: the mean over the contigs in which all voices sound, shape `(voices,)`."""
    full = [cells for _, cells in slices if len(cells) == voices]
    return np.array([[pitches[cell[0]] for cell in cells] for cells in full], dtype=np.float64).mean(axis=0)


def _search(array: np.ndarray, sounding: list[tuple[int, list[int]]], voices: int) -> np.ndarray:
    """The cheapest path through the contigs; the voices of `array`, which is sorted by onset, with its
    `_slices`.
    """
    rows = array.tolist()
    note_ends = (array[:, ONSET] + array[:, DURATION]).tolist()
    slices = [(now, _cells(notes, voices, rows)) for now, notes in sounding]
    pitches = [row[PITCH] for row in rows]
    most = max(len(cells) for _, cells in slices)
    voices = min(voices, most)
    usual = _registers(slices, pitches, voices)
    last = usual[None, :].copy()  # (states, voices): the pitch that each voice had last
    ended = np.full((1, voices), -np.inf)  # (states, voices): when it ended
    total = np.zeros(1)
    held_by: dict[int, np.ndarray] = {}  # sounding note -> its voice in each state
    chosen: list[np.ndarray] = []
    for now, cells in slices:
        ways, prices = _states(voices, len(cells))
        top = np.array([pitches[cell[0]] for cell in cells], dtype=np.float64)
        # What it costs that this cell goes to this voice, given the state before: (states, cells, voices).
        silence = np.sqrt(np.minimum(np.maximum(now - ended, 0) / TICKS_PER_QUARTER, MAX_SILENCE))
        price = np.abs(top[None, :, None] - last[:, None, :]) + SILENCE_PRICE * silence[:, None, :]
        price += REGISTER_PRICE * np.abs(top[:, None] - usual)
        for i, cell in enumerate(cells):
            keeps = [held_by[j] for j in cell if j in held_by]
            if keeps:
                price[:, i, :] = BREAK_PRICE
                price[np.arange(len(price)), i, keeps[0]] = 0
        # (states, cells, voices) -> (states, ways)
        step = price[:, np.arange(len(cells))[None, :], ways].sum(axis=2)
        sums = total[:, None] + step
        best = sums.argmin(axis=0)
        chosen.append(best)
        total = sums[best, np.arange(len(ways))] + prices
        last, ended = last[best], ended[best]
        place = np.arange(len(ways))[:, None]
        last[place, ways] = top
        ends = np.array([max([note_ends[j] for j in cell]) for cell in cells], dtype=np.float64)
        ended[place, ways] = ends
        held_by = {j: ways[:, i] for i, cell in enumerate(cells) for j in cell}
    return _trace(slices, chosen, int(total.argmin()), voices, len(rows))


def _trace(
    slices: list[tuple[int, list[list[int]]]], chosen: list[np.ndarray], state: int, voices: int, count: int
) -> np.ndarray:
    """Follow the cheapest path back; each note takes the voice that it had when it began."""
    result = np.zeros(count, dtype=np.int64)
    for (_, cells), best in zip(reversed(slices), reversed(chosen), strict=True):
        way = _states(voices, len(cells))[0][state]
        for cell, voice in zip(cells, way.tolist(), strict=True):
            result[cell] = voice  # written last at the note's own onset, as the path is followed backwards
        state = int(best[state])
    return result
