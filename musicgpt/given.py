"""What is given of a piece and stays: a subject, a voice, the bars around those that are composed anew.

A `Given` says two things: notes that the piece will have exactly as they are, and regions, in ticks and
voices, in which notes may be written beside them. `musicgpt/rules/given.py` sees to it while the piece is
made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np

from tokenization.key import STEPS
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Meter, Note, Score
from tokenization.vocabulary import MAX_VOICES, PITCH_MAX, PITCH_MIN, parse_meter

from .frame import GivenError, Region, behind_subject, check_regions, has_chords, subject_voice

PARTS = ("soprano", "alto", "tenor", "bass")
# MIDI pitches of the four voices of a choir (Piston, Harmony, 1941).
RANGES = {"soprano": (60, 81), "alto": (53, 76), "tenor": (48, 69), "bass": (38, 64)}
# A melody is read where each key's transposition to C major or A minor, up to six semitones, leaves it on
# the keyboard of the tokens.
LOWEST, HIGHEST = PITCH_MIN + 6, PITCH_MAX - 6
WHOLE = 96  # ticks
# A melody: notes of one voice, a file, or text for `parse_melody`.
Melody = Score | str | os.PathLike
_NOTE = re.compile(r"(?:([A-Ga-g])([#b♯♭]*)(-?\d)|([rR]))(?:/(\d+\.*(?:\+\d+\.*)*))?")
_SIGNS = {"#": 1, "♯": 1, "b": -1, "♭": -1}


@dataclass(frozen=True)
class Given:
    """Notes that stay, and where others may be written.

    Attributes:
        score (`Score`): the notes, in their own key, with the meters of the piece.
        regions (tuple of `Region`): no new note begins outside, or lasts beyond; nor where a given note of
            its voice sounds.
        voices (`int`): how many the piece has.
        is_subject (`bool`): whether the notes are the subject of a fugue.
        one_by_one (`bool`): whether a voice strikes new notes one after another only, without chords.
        ranges (tuple of pairs, *optional*): lowest and highest MIDI pitch of new notes, for each voice.
        work (`str`): what is done to the piece: behind its title.
        phrases (tuple of `int`): ticks at which the last chords of phrases begin.
    """

    score: Score
    regions: tuple[Region, ...]
    voices: int
    is_subject: bool = False
    one_by_one: bool = True
    ranges: tuple[tuple[int, int], ...] | None = None
    work: str = ""
    phrases: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_regions(self.regions, self.voices)

    @property
    def begins(self) -> int:
        """Tick from which on the piece is written, note by note; what stands before is read."""
        return 0 if self.is_subject else min(region.start for region in self.regions)

    @classmethod
    def subject(cls, melody: Melody, voices: int = 3, meter: str | None = None) -> Given:
        """A melody as the subject of a fugue.

        Args:
            melody (`Score`, `str` or path): one voice, two notes or more; a file, or text for `parse_melody`.
            voices (`int`): of the fugue; the one whose register is nearest begins.
            meter (`str`, *optional*): of a melody that is text.

        Raises:
            GivenError: if it is no melody.
        """
        score = as_melody(melody, meter)
        array = score.array
        voice = subject_voice(float(array[:, PITCH].mean()), voices)
        score = score.replace(notes=_in_voice(array, voice), form="fugue")
        regions = behind_subject(array, score.meters[0].bar_ticks, voice, voices)
        return cls(score, regions, voices, is_subject=True)

    @classmethod
    def melody(
        cls,
        melody: Melody,
        part: str = "soprano",
        voices: int = 4,
        meter: str | None = None,
        phrases: Sequence[int] | None = None,
    ) -> Given:
        """A melody as one voice of a piece that is as long as it.

        Args:
            melody (`Score`, `str` or path): one voice; a file, or text for `parse_melody`.
            part (`str`): `"soprano"`, `"alto"`, `"tenor"` or `"bass"`.
            voices (`int`): of the piece, 2 to 5.
            meter (`str`, *optional*): of a melody that is text.
            phrases (sequence of `int`, *optional*): onsets, in ticks, of the notes with which phrases end, as
                fermatas of a chorale say; the long notes when not given.

        Raises:
            GivenError: if it is no melody, or there is no such part.
        """
        score = as_melody(melody, meter)
        voice = voice_of(part, voices)
        score = score.replace(notes=_in_voice(score.array, voice))
        others = tuple(v for v in range(voices) if v != voice)
        region = Region(int(score.array[0, ONSET]), score.end, others)
        ranges = tuple(RANGES[name] for name in PARTS) if voices == len(PARTS) else None
        phrases = long_notes(score.array) if phrases is None else phrases
        return cls(score, (region,), voices, ranges=ranges, work="harmonized", phrases=tuple(phrases))

    @classmethod
    def around(cls, score: Score, bars: tuple[int, int], voices: Sequence[int] | None = None) -> Given:
        """All of a piece but what begins in some bars of some voices.

        Args:
            score (`Score`): the piece.
            bars (pair of `int`): the first and the last, as they are counted in print: the first whole bar is
                bar 1, an upbeat is bar 0.
            voices (sequence of `int`, *optional*): 0 is the highest; all of the piece when not given.

        Raises:
            GivenError: for bars or voices that are not there.
        """
        if not len(score):
            raise GivenError("The piece has no notes, so there is nothing to revise.")
        start, end = bar_span(score, bars)
        if isinstance(voices, int):
            raise GivenError(f"voices is {voices}; give a list, such as [{voices}].")
        present = np.unique(score.array[:, VOICE]).tolist()
        chosen = tuple(present if voices is None else voices)
        if not chosen or not set(chosen) <= set(present):
            names = ", ".join(map(str, present))
            raise GivenError(f"Voices {list(chosen)} were asked for; the piece has the voices {names}.")
        array, region = score.array, Region(start, end, chosen)
        return cls(
            score.replace(notes=array[~region.holds(array)]),
            (region,),
            max(present) + 1,
            one_by_one=not has_chords(array),
            work="revised",
        )

    def with_score(self, **changes: object) -> Given:
        """A copy whose score has some fields changed."""
        return replace(self, score=self.score.replace(**changes))


def as_melody(melody: Melody, meter: str | None = None) -> Score:
    """A melody of one voice, 0, from a `Score`, a file or text.

    Raises:
        GivenError: if it has fewer than two notes, more than one voice, two notes at once, or leaves the
            keyboard.
        ScoreReadError: for a file that is no score.
    """
    score = melody if isinstance(melody, Score) else _read(melody, meter)
    array = score.array
    if len(array) < 2:
        raise GivenError(f"The melody has {len(array)} note{'s' * (len(array) != 1)}; it needs two or more.")
    voices = np.unique(array[:, VOICE])
    if len(voices) > 1:
        raise GivenError(f"The melody has {len(voices)} voices; give one voice alone.")
    early = array[1:, ONSET] < array[:-1, ONSET] + array[:-1, DURATION]
    if early.any():
        place = _place(score, int(array[1:][early][0, ONSET]))
        raise GivenError(f"The melody has two notes at once in {place}: give one note after another.")
    low, high = int(array[:, PITCH].min()), int(array[:, PITCH].max())
    if low < LOWEST or high > HIGHEST:
        raise GivenError(
            f"The melody goes from MIDI pitch {low} to {high}, out of the range of {LOWEST} to {HIGHEST}:"
            " move it by an octave."
        )
    return score.replace(notes=_in_voice(array, 0))


def parse_melody(text: str, meter: str = "4/4") -> Score:
    """A melody from text: names of notes with octave and value, such as `"C5/8 B4/16 C5/16 G4/8. Ab4/4+16"`.

    Middle C is C4. The value is that of `1/8`, with dots, or several that are tied; without one it is that of
    the note before. `r` is a rest, as before an upbeat; `|` may stand between bars.

    Args:
        text (`str`): the melody.
        meter (`str`): such as `"3/4"`.

    Raises:
        GivenError: naming the word that is no note, or what is no meter.
    """
    try:
        meters = [Meter(0, *parse_meter(meter))]
    except (ValueError, AttributeError) as error:
        raise GivenError(f"Unknown meter {meter!r}: write it as 3/4.") from error
    notes: list[Note] = []
    now, ticks = 0, WHOLE // 4
    for word in text.replace("|", " ").replace(",", " ").split():
        found = _NOTE.fullmatch(word)
        if not found:
            raise GivenError(
                f"{word[:40]!r} is no note: write name, octave and value, such as C5/8, Ab4/16 or F#4/4., and"
                " r/4 for a rest."
            )
        letter, signs, octave, _, value = found.groups()
        ticks = _ticks(value, word) if value else ticks
        if letter:
            pitch = 12 * (int(octave) + 1) + STEPS[letter.upper()] + sum(_SIGNS[sign] for sign in signs)
            if not 0 <= pitch <= 127:
                raise GivenError(f"{word!r} lies outside the keyboard: C4 is the middle C.")
            notes.append(Note(now, ticks, pitch, 0))
        now += ticks
    return Score(notes, meters=meters)


def voice_of(part: str, voices: int) -> int:
    """The voice, 0 the highest, that a part is among so many.

    Raises:
        GivenError: for another name, or a number of voices that has no such part.
    """
    if part not in PARTS:
        raise GivenError(f"Unknown part {part!r}: it must be one of {', '.join(PARTS)}.")
    if not (isinstance(voices, Integral) and 2 <= voices <= MAX_VOICES):
        raise GivenError(f"voices is {voices}; it must be at least 2 and at most {MAX_VOICES}.")
    if voices == 2 and part in ("alto", "tenor"):
        raise GivenError(f"Two voices have no {part}: give the melody as soprano or bass, or ask for more.")
    return {"soprano": 0, "alto": 1, "tenor": voices - 2, "bass": voices - 1}[part]


def bar_span(score: Score, bars: tuple[int, int]) -> tuple[int, int]:
    """Ticks from the first of two bars to the end of the second; bar 1 is the first whole one.

    Raises:
        GivenError: for bars that are not there.
    """
    lines, zero = score.bar_lines(), int(not score.pickup)
    if np.shape(bars) != (2,) or np.asarray(bars).dtype.kind not in "iu":
        raise GivenError(f"bars is {bars!r}; give the first and the last, such as (9, 12).")
    first, last = bars
    lowest, highest = zero, score.num_bars - 1 + zero
    if not lowest <= first <= last <= highest:
        raise GivenError(f"Bars {first} to {last} are not there: the piece has bars {lowest} to {highest}.")
    return int(lines[first - zero]), int(lines[last - zero + 1])


def long_notes(array: np.ndarray) -> list[int]:
    """Onsets of the notes of a melody, `(n, 4)`, twice as long as most, before a shorter one."""
    is_long = array[:, DURATION] >= 2 * np.median(array[:, DURATION])
    return array[:-1][is_long[:-1] & ~is_long[1:], ONSET].tolist()


def _read(melody: str | os.PathLike, meter: str | None) -> Score:
    if not isinstance(melody, str | os.PathLike):
        raise GivenError(f"A melody is a Score, a file or text, not {type(melody).__name__}.")
    text = os.fspath(melody)
    if isinstance(melody, os.PathLike) or re.fullmatch(r"\S.*\.[A-Za-z]\w*", text):
        from tokenization import read_score

        return read_score(text)
    if meter is not None:
        from .settings import Settings

        Settings(meter=meter)  # an unknown one is named
    return parse_melody(text, meter or "4/4")


def _ticks(value: str, word: str) -> int:
    """Ticks of a value such as `8`, `8.` or `2+16`."""
    total = 0
    for part in value.split("+"):
        digits = part.rstrip(".")
        number = int(digits) if len(digits) < 5 else 0
        dots = len(part) - len(digits)
        ticks = WHOLE / number * (2 - 0.5**dots) if number else 0.5
        if ticks < 1 or ticks != int(ticks):
            raise GivenError(
                f"{word[:40]!r} has no value that is counted here: a quarter is {WHOLE // 4} ticks."
            )
        total += int(ticks)
    return total


def _in_voice(array: np.ndarray, voice: int) -> np.ndarray:
    found = array.copy()
    found[:, VOICE] = voice
    return found


def _place(score: Score, tick: int) -> str:
    """`"bar 3"`, by the meter."""
    lines = score.bar_lines()
    return f"bar {int(np.searchsorted(lines, tick, side='right')) - int(bool(score.pickup))}"
