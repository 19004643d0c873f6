"""What is given, as the tokens count it: the notes that must come, and the room between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tokenization.errors import MusicGPTError
from tokenization.note import DURATION, ONSET, PITCH, VOICE
from tokenization.vocabulary import (
    DURATIONS,
    MAX_STEP,
    MAX_VOICES,
    PITCH_MAX,
    PITCH_MIN,
    TICKS_PER_QUARTER,
    fitting_durations,
    fitting_pitches,
)

# A tick that no piece reaches, and the room of a voice without end.
NEVER = FAR = 1 << 30
TOKENS_A_NOTE = 4
# Bars of given notes behind the last region that are written too: they say how good the seam is.
TAIL = 1
# Mean pitches of the highest and the lowest voice that states a subject.
HIGH, LOW = 74, 50
# The longest subject: strettos are looked for at all distances, which takes notes^2 * beats of memory.
MOST_SUBJECT_NOTES, MOST_SUBJECT_BARS = 256, 64


class GivenError(MusicGPTError):
    """What is given cannot stay or cannot be composed around; the text names the place and what to do."""


class Region(NamedTuple):
    """Where notes may be written: from a tick up to another (`None`: without end), in some voices."""

    start: int
    end: int | None
    voices: tuple[int, ...]

    def holds(self, notes: np.ndarray) -> np.ndarray:
        """Which notes, `(n, 4)`, begin in it."""
        onsets, end = notes[:, ONSET], NEVER if self.end is None else self.end
        return (onsets >= self.start) & (onsets < end) & np.isin(notes[:, VOICE], self.voices)


class Bars(NamedTuple):
    """A meter: the tick from which it holds, ticks of a bar, and its token."""

    onset: int
    ticks: int
    token: int


class Frame(NamedTuple):
    """What is given of a piece from where it is composed on. Ticks are those of the tokens, pitches too.

    Attributes:
        notes (array of shape `(n + 1, 4)`): the notes to come, in the order of the tokens, as the tokens have
            them; the last row stands for the end and has its tick as onset, `NEVER` where there is none.
        room (`(ticks, voices)`): how long a new note that begins at a tick in a voice may last, 0 where none
            may. The last row holds from there on.
        meters (list of pairs): tick and token of each change of meter to come.
        one_by_one (`bool`): whether a voice strikes one new note after another.
        lowest, highest (`(voices,)`): pitches of new notes.
        final (`int`, *optional*): tick of the last chord, where notes may be written up to the end of a piece
            whose end is given.
        phrases (tuple of `int`): ticks of the chords with which phrases end.
    """

    notes: np.ndarray
    room: np.ndarray
    meters: list[tuple[int, int]]
    one_by_one: bool
    lowest: np.ndarray
    highest: np.ndarray
    final: int | None = None
    phrases: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """Tick of the end, `NEVER` where there is none."""
        return int(self.notes[-1, ONSET])

    @property
    def is_bounded(self) -> bool:
        """Whether the piece ends where what is given says."""
        return self.end < NEVER

    @property
    def closes(self) -> int:
        """Tick from which on no new note may begin."""
        return int(np.flatnonzero(self.room.any(axis=1)).max(initial=-1)) + 1


def is_given(frame: Frame, onset: int, pitch: int, voice: int) -> bool:
    """Whether a note of the tokens is one of those that are given."""
    notes = frame.notes[:-1]
    return bool((notes[:, [ONSET, PITCH, VOICE]] == (onset, pitch, voice)).all(axis=1).any())


def frame_between(
    notes: np.ndarray,
    regions: Sequence[Region],
    meters: Sequence[Bars],
    voices: int,
    begins: int,
    read: int = 0,
    transposition: int = 0,
    one_by_one: bool = True,
    ranges: Sequence[tuple[int, int]] | None = None,
    phrases: Sequence[int] = (),
) -> Frame:
    """The frame of given notes and of regions in which others may be written.

    Args:
        notes (array of shape `(n, 4)`): all given notes; onsets and all other ticks are those of the tokens.
        regions (sequence of `Region`), meters (sequence of `Bars`): of the piece.
        voices (`int`): how many it has.
        begins (`int`): tick from which on it is written; `read`: that up to which changes of meter have been
            read.
        transposition (`int`): semitones from these notes to the tokens'.
        one_by_one, ranges, phrases: as for `Given`.

    Raises:
        GivenError: for a silence that is longer than tokens can say.
    """
    ends = [region.end for region in regions]
    end = None if None in ends else max(end for end in ends if end is not None)
    last = NEVER
    if end is not None:
        last = _tail(notes[notes[:, ONSET] >= end, ONSET], end, TAIL * _bars_at(meters, end).ticks)
    room = _room(notes, regions, voices, end)
    due = as_tokens(notes[(notes[:, ONSET] >= begins) & (notes[:, ONSET] <= last)], transposition)
    due = np.concatenate([due, [[last, 0, -1, MAX_VOICES]]])
    _refuse_long_silence(due, room, begins)
    changes = [(bars.onset, bars.token) for bars in meters[1:] if bars.onset > read]
    limits = np.array(ranges or [(PITCH_MIN - transposition, PITCH_MAX - transposition)] * voices)
    limits = np.clip(limits + transposition, PITCH_MIN, PITCH_MAX)
    final = _final(notes, _bars_at(meters, end - 1), end) if end is not None and last == end else None
    return Frame(due, room, changes, one_by_one, limits[:, 0], limits[:, 1], final, tuple(phrases))


def as_tokens(array: np.ndarray, transposition: int) -> np.ndarray:
    """Notes, `(n, 4)`, with durations and pitches that tokens have; of those that tokens cannot tell apart
    one.
    """
    found = array.copy()
    found[:, DURATION] = fitting_durations(array[:, DURATION])
    found[:, PITCH] = fitting_pitches(array[:, PITCH] + transposition)
    found = found[np.lexsort((-found[:, PITCH], found[:, VOICE], found[:, ONSET]))]
    same = np.zeros(len(found), dtype=bool)
    same[1:] = (np.diff(found[:, [ONSET, PITCH, VOICE]], axis=0) == 0).all(axis=1)
    return found[~same]


def has_chords(notes: np.ndarray) -> bool:
    """Whether some voice has a note that begins before its last one has ended; notes `(n, 4)`."""
    for voice in np.unique(notes[:, VOICE]):
        line = notes[notes[:, VOICE] == voice]
        if (line[1:, ONSET] < line[:-1, ONSET] + line[:-1, DURATION]).any():
            return True
    return False


def subject_voice(mean: float, voices: int) -> int:
    """The voice whose register a melody of this mean pitch lies in."""
    return int(np.abs(np.linspace(HIGH, LOW, voices) - mean).argmin())


def behind_subject(melody: np.ndarray, bar: int, voice: int, voices: int) -> tuple[Region, Region]:
    """Where a fugue goes on from its subject, notes `(n, 4)` of a voice, in bars of so many ticks: the voice
    behind it, the others whole bars after its beginning, where the answer comes.

    Raises:
        GivenError: for one that is too long.
    """
    first, last = int(melody[0, ONSET]), int((melody[:, ONSET] + melody[:, DURATION]).max())
    bars = -((first - last) // bar)
    if len(melody) > MOST_SUBJECT_NOTES or bars > MOST_SUBJECT_BARS:
        raise GivenError(
            f"The subject has {len(melody)} notes in {bars} bars; it may have {MOST_SUBJECT_NOTES} notes in"
            f" {MOST_SUBJECT_BARS} bars: give a shorter one."
        )
    others = tuple(v for v in range(voices) if v != voice)
    return Region(last, None, (voice,)), Region(first + bars * bar, None, others)


def check_regions(regions: Sequence[Region], voices: int) -> None:
    """Raises `GivenError` where there are none, or one that is empty or in a voice that is not there."""
    if not regions:
        raise GivenError("There is no region in which notes may be written: give one or more.")
    for start, end, own in regions:
        if start < 0 or (end is not None and end <= start) or not own:
            raise GivenError(f"The region from tick {start} to {end} in voices {list(own)} is empty.")
        if min(own) < 0 or max(own) >= min(voices, MAX_VOICES):
            raise GivenError(
                f"A region has the voices {list(own)}; the piece has {voices}, from 0 to at most"
                f" {MAX_VOICES - 1}."
            )


def refuse_too_much(frame: Frame, regions: Sequence[Region], limit: int) -> None:
    """Raises `GivenError` where so many tokens would not suffice for the given notes and for one a quarter of
    each voice of the regions.
    """
    if not frame.is_bounded:
        return
    quarters = sum((end - start) * len(voices) // TICKS_PER_QUARTER for start, end, voices in regions if end)
    needed = TOKENS_A_NOTE * (len(frame.notes) + quarters)
    if needed > limit:
        raise GivenError(
            f"This would take {needed} tokens or more, and there is room for {limit}: revise fewer bars, or"
            " give the melody in parts."
        )


def refuse_long_subject(notes: int, limit: int) -> None:
    """Raises `GivenError` where so many tokens would not suffice for a subject of so many notes and for its
    answer.
    """
    taken = TOKENS_A_NOTE * notes
    if limit < 2 * taken:
        raise GivenError(
            f"The subject takes {taken} of the {limit} tokens, so no answer has room. Give at least"
            f" {2 * taken}, or a shorter subject."
        )


def _bars_at(meters: Sequence[Bars], tick: int) -> Bars:
    """The meter where a tick lies."""
    return [bars for bars in meters if bars.onset <= tick][-1]


def _final(notes: np.ndarray, bars: Bars, end: int) -> int:
    """Tick of the last chord of a piece that ends where its last region does, in a bar of that meter: the
    last onset of a given note that sounds to the end, else the last bar line.
    """
    sounding = notes[(notes[:, ONSET] + notes[:, DURATION] >= end) & (notes[:, ONSET] < end), ONSET]
    return int(sounding.max()) if len(sounding) else end - 1 - (end - 1 - bars.onset) % bars.ticks


def _tail(onsets: np.ndarray, end: int, ticks: int) -> int:
    """The last of the onsets behind a tick, `(n,)`, up to so many ticks from the first, or up to a silence
    that tokens cannot say; the tick itself where there is none.
    """
    if not len(onsets):
        return end
    onsets = np.append(end, onsets[onsets <= onsets[0] + ticks])
    gaps = np.flatnonzero(np.diff(onsets) > MAX_STEP)
    return int(onsets[gaps[0] if len(gaps) else -1])


def _room(notes: np.ndarray, regions: Sequence[Region], voices: int, end: int | None) -> np.ndarray:
    """`Frame.room`, from all given notes, `(n, 4)`."""
    sounding = int((notes[:, ONSET] + notes[:, DURATION]).max(initial=0))
    ticks = max(sounding, *(region.start for region in regions), end or 0, 0) + 2
    is_open = np.zeros((ticks, voices), dtype=bool)
    for start, stop, own in regions:
        is_open[max(0, start) : stop, list(own)] = True
    for onset, duration, _, voice in notes.tolist():
        if voice < voices:
            is_open[max(0, onset) : max(0, onset + duration), voice] = False
    # How far it is to the next tick that is not open.
    tick = np.arange(ticks)[:, None]
    closed = np.where(is_open, FAR, tick)
    closed[-1] = np.where(is_open[-1], FAR, ticks - 1)
    following = np.minimum.accumulate(closed[::-1], axis=0)[::-1]
    return np.where(is_open, np.minimum(following - tick, FAR), 0)


def _refuse_long_silence(notes: np.ndarray, room: np.ndarray, begins: int) -> None:
    """Raises where no step leads from one place at which a note can stand to the next."""
    last = int(notes[-1, ONSET])
    free = np.flatnonzero((room >= DURATIONS[0]).any(axis=1))
    places = np.unique(np.concatenate([[begins], free, notes[:, ONSET]]))
    places = places[(places >= begins) & (places <= last)]
    gap = int(np.diff(places).max(initial=0)) if last < NEVER else 0
    if gap > MAX_STEP:
        raise GivenError(
            f"There is a silence of {gap / TICKS_PER_QUARTER:g} quarters among the given notes, longer than"
            f" the {MAX_STEP / TICKS_PER_QUARTER:.1f} that can be written: free a voice, or close it."
        )
