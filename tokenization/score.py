"""`Score`: the one neutral type that every part of the project hands to the next.

Time is counted in integer ticks, 24 a quarter note. Onset 0 is always a bar line: a piece with a pickup of an
eighth in 4/4 has its first note at onset 84, so the position in the bar is the onset modulo the bar's length,
with no special case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from .errors import ScoreError
from .key import Key, normal_key
from .note import DURATION, ONSET, PITCH, VOICE, Note
from .rescaling import MOST_INEXACT, inexact, rescaled
from .vocabulary import (
    FORMS,
    MAX_STEP,
    MAX_VOICES,
    METERS,
    TEMPO_CLASSES,
    TEMPO_QPM,
    TICKS_PER_QUARTER,
    bar_ticks,
    fitting_durations,
    fitting_pitches,
    parse_meter,
)

# Paces (onsets a second) at which slow ends and fast begins: the terciles of the train split of the WTC at
# NOMINAL_QPM.
PACE_LIMITS = (4.5, 5.23)
NOMINAL_QPM = 80.0
FACT_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")  # what an entry of `Score.info` may be called


class Meter(NamedTuple):
    """A time signature that holds from the bar line at `onset` (ticks)."""

    onset: int
    numerator: int
    denominator: int

    @property
    def bar_ticks(self) -> int:
        """Length of one bar in ticks."""
        return bar_ticks(self.numerator, self.denominator)

    @property
    def name(self) -> str:
        """`"3/4"`."""
        return f"{self.numerator}/{self.denominator}"


COMMON_TIME = Meter(0, 4, 4)


class Changes(NamedTuple):
    """What `Score.quantised` changed, in numbers of notes (`meters`: of meter changes)."""

    notes: int = 0
    durations: int = 0
    pitches: int = 0
    duplicates: int = 0
    silences: int = 0
    meters: int = 0

    def describe(self) -> str:
        """The changes that happened, in words; empty if there were none."""
        words = {
            "durations": "durations rounded",
            "pitches": "pitches moved by octaves",
            "duplicates": "duplicate notes dropped",
            "silences": "silences shortened",
            "meters": "meters replaced",
        }
        return ", ".join(
            f"{getattr(self, name)} {text}" for name, text in words.items() if getattr(self, name)
        )


def _as_array(notes: Any) -> np.ndarray:
    try:
        given = np.asarray(notes) if len(notes) else np.zeros((0, 4), dtype=np.int64)
        with np.errstate(invalid="ignore"):  # nan and inf are caught by the comparison
            array = given.astype(np.int64)
        whole = given.dtype.kind in "iu" or np.array_equal(given, array)
    except (TypeError, ValueError, OverflowError) as error:
        raise ScoreError(
            f"Notes must be rows of four whole numbers: onset, duration, pitch, voice ({error})."
        ) from error
    if not whole:
        raise ScoreError("Notes must be whole numbers: times are counted in ticks, 24 a quarter note.")
    if array.ndim != 2 or array.shape[1] != 4:
        raise ScoreError(
            f"Notes must be rows of (onset, duration, pitch, voice), not an array of shape {array.shape}."
        )
    # The order of the tokens: by onset, then from the highest voice down, chords within a voice from the top.
    order = np.lexsort((array[:, DURATION], -array[:, PITCH], array[:, VOICE], array[:, ONSET]))
    return np.ascontiguousarray(array[order])


def _check_notes(array: np.ndarray) -> None:
    limits = (
        ("onset", ONSET, 0, 2**31),
        ("duration", DURATION, 1, 2**31),
        ("pitch", PITCH, 0, 127),
        ("voice", VOICE, 0, MAX_VOICES - 1),
    )
    for name, column, low, high in limits:
        bad = (array[:, column] < low) | (array[:, column] > high)
        if bad.any():
            i = int(bad.argmax())
            raise ScoreError(f"Note {i} has {name} {array[i, column]}; it must lie between {low} and {high}.")


def _is_a(kind: type, value: Any) -> bool:
    return isinstance(value, kind)  # mypy holds that an int is no `Integral`, and what follows for dead


def _as_meters(meters: Any) -> tuple[Meter, ...]:
    try:
        found = tuple(Meter(*meter) for meter in meters)
    except TypeError as error:
        raise ScoreError(f"Meters must be rows of onset, numerator and denominator ({error}).") from error
    if not all(isinstance(value, Integral) for meter in found for value in meter):
        raise ScoreError(f"Meters must be whole numbers, not {[tuple(meter) for meter in found]}.")
    return found


class Score:
    """A piece of music: notes with voices on an integer grid, meters, key, tempo.

    Args:
        notes (sequence of `Note`, or integer array of shape `(notes, 4)`): in any order; kept sorted by
            onset, voice, falling pitch.
        meters (sequence of `Meter`, *optional*): the first at onset 0; 4/4 when not given.
        key (`Key` or `str`, *optional*): the key of the pitches *as they stand here*.
        tempo (`float`, *optional*): quarter notes a minute.
        tempo_class (`str`, *optional*): `"slow"`, `"moderate"` or `"fast"`.
        form (`str`, *optional*): `"prelude"` or `"fugue"`.
        title (`str`, *optional*), source (`str`, *optional*): for people; not compared.
        transposition (`int`): semitones that were added to the original pitches to arrive at these; not
            compared.
        original_key (`Key`, *optional*): the key before that transposition; not compared.
        note_scale (`int`, *optional*): by how much the note values were multiplied to arrive at these, 1 or
            2; `None` where nobody has looked yet whether the tokens hold them better doubled; not compared.
        original_meters (sequence of `Meter`, *optional*): the meters before that; not compared.
        notices (sequence of `str`): what the reader left out or changed, in words; not compared.
        info (mapping of `str` to `str`, *optional*): further facts by name, such as `composer` and `seed`;
            not compared. Files hold them (`tokenization.heading`), tokens do not.

    Raises:
        ScoreError: naming the value that is out of range.
    """

    __slots__ = (
        "array",
        "form",
        "info",
        "key",
        "meters",
        "note_scale",
        "notices",
        "original_key",
        "original_meters",
        "source",
        "tempo",
        "tempo_class",
        "title",
        "transposition",
    )

    def __init__(
        self,
        notes: Sequence[Note] | np.ndarray,
        meters: Iterable[Meter] | None = None,
        key: Key | str | None = None,
        tempo: float | None = None,
        tempo_class: str | None = None,
        form: str | None = None,
        title: str | None = None,
        source: str | None = None,
        transposition: int = 0,
        original_key: Key | None = None,
        note_scale: int | None = None,
        original_meters: Sequence[Meter] | None = None,
        notices: Iterable[str] = (),
        info: Mapping[str, str] | None = None,
    ):
        self.array: np.ndarray = _as_array(notes)
        _check_notes(self.array)
        self.meters: tuple[Meter, ...] = _as_meters(meters or (COMMON_TIME,))
        if self.meters[0].onset != 0 or any(
            a.onset >= b.onset for a, b in zip(self.meters, self.meters[1:], strict=False)
        ):
            raise ScoreError(
                "Meters must begin at onset 0 and stand in rising order, not"
                f" {[m.onset for m in self.meters]}."
            )
        if any(m.numerator < 1 or m.denominator not in (1, 2, 4, 8, 16, 32, 64) for m in self.meters):
            raise ScoreError(
                f"Unknown meter in {[m.name for m in self.meters]}: the lower number must be a power of two."
            )
        if form not in (None, *FORMS):
            raise ScoreError(f"Unknown form {form!r}: it must be one of {', '.join(FORMS)}.")
        if tempo_class not in (None, *TEMPO_CLASSES):
            raise ScoreError(f"Unknown tempo {tempo_class!r}: it must be one of {', '.join(TEMPO_CLASSES)}.")
        if tempo is not None and not (_is_a(Real, tempo) and 0 < tempo < float("inf")):
            raise ScoreError(
                f"Unknown tempo {tempo!r}: it must be a number of quarter notes a minute above 0."
            )
        if not isinstance(title, str | None) or not _is_a(Integral, transposition):
            raise ScoreError(
                f"A title must be text and a transposition a whole number, not {title!r} and"
                f" {transposition!r}."
            )
        self.key = None if key is None else Key.parse(key)
        self.tempo, self.tempo_class, self.form = tempo, tempo_class, form
        self.title, self.source, self.notices = title, source, tuple(notices)
        self.transposition, self.original_key = transposition, original_key
        self.note_scale = note_scale
        self.original_meters = _as_meters(original_meters) if original_meters else None
        if not isinstance(info, Mapping | None):
            raise ScoreError(f"Facts must be a dict of texts by name, not {type(info).__name__}.")
        self.info: dict[str, str] = dict(info or {})
        for name, value in self.info.items():
            if not (isinstance(name, str) and FACT_NAME.fullmatch(name) and isinstance(value, str)):
                raise ScoreError(
                    f"Facts must be texts by names of small letters, digits and hyphens, not {name!r}:"
                    f" {value!r}."
                )

    # Looking at it

    @property
    def notes(self) -> list[Note]:
        """The notes in token order. For work on many notes use `array`, shape `(notes, 4)`."""
        return [Note(*row) for row in self.array.tolist()]

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: Any) -> bool:
        if not hasattr(other, "quantised"):  # its class may have been loaded more than once, from a folder
            return NotImplemented
        mine, theirs = ((s.meters, s.key, s.tempo, s.tempo_class, s.form) for s in (self, other))
        return mine == theirs and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Score({len(self)} notes, {self.num_voices} voices, {self.num_bars} bars,"
            f" meter={self.meters[0].name}, key={self.key}, form={self.form},"
            f" tempo={self.tempo_class or self.tempo})"
        )

    @property
    def num_voices(self) -> int:
        """How many different voices have notes."""
        return len(np.unique(self.array[:, VOICE]))

    @property
    def end(self) -> int:
        """Tick at which the last note ends; 0 without notes."""
        return int((self.array[:, ONSET] + self.array[:, DURATION]).max()) if len(self) else 0

    def bar_lines(self) -> np.ndarray:
        """Ticks of all bar lines, from 0 to the one at or after the end, shape `(bars + 1,)`."""
        ends = [m.onset for m in self.meters[1:]] + [max(self.end, self.meters[-1].onset + 1)]
        lines = [np.arange(m.onset, end, m.bar_ticks) for m, end in zip(self.meters, ends, strict=True)]
        last = int(lines[-1][-1]) + self.meters[-1].bar_ticks
        return np.concatenate([*lines, [last]])

    @property
    def num_bars(self) -> int:
        """Number of bars, a pickup bar counted."""
        return len(self.bar_lines()) - 1

    @property
    def pickup(self) -> int:
        """Length in ticks of the incomplete first bar; 0 if the first bar is whole.

        Tokens do not hold the difference between a pickup and a bar that begins with a rest: a first bar of
        which at least the first half is silent is taken for a pickup.
        """
        if not len(self):
            return 0
        first, bar = int(self.array[0, ONSET]), self.meters[0].bar_ticks
        return bar - first if bar > first >= bar / 2 else 0

    # Changed copies

    def replace(self, **changes: Any) -> Score:
        """A copy with some fields changed; `notes=` takes a list or an array."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "array"}
        notes = changes.pop("notes", self.array)
        return Score(notes, **{**fields, **changes})

    def transposed(self, semitones: int) -> Score:
        """A copy `semitones` higher, with its key; remembers the way back in `transposition` and
        `original_key`.

        Raises:
            ScoreError: if a pitch would leave 0-127.
        """
        if semitones == 0:
            return self
        array = self.array.copy()
        array[:, PITCH] += semitones
        total = self.transposition + semitones
        original = self.original_key or self.key
        key = original if total == 0 else self.key and self.key.transposed(semitones)
        return self.replace(notes=array, key=key, transposition=total, original_key=original)

    def normalised(self) -> Score:
        """A copy in C major or A minor, moved by the nearest interval (-6 to +5 semitones), if its key is
        known; with doubled note values where the tokens hold those better (`tokenization.rescaling`).
        """
        score = self._in_fitting_values()
        if score.key is None:
            return score
        moved = score.transposed(score.key.transposition_to_normal())
        return moved.replace(key=normal_key(score.key.mode))

    def restored(self) -> Score:
        """A copy in the key, the note values and the meters that the piece had before it was normalised. What
        has come to stand between two ticks since is moved to the earlier one.
        """
        score = self.transposed(-self.transposition).replace(transposition=0, original_key=None)
        if score.note_scale in (None, 1):
            return score
        array = score.array.copy()
        array[:, ONSET] //= score.note_scale
        array[:, DURATION] = np.maximum(1, array[:, DURATION] // score.note_scale)
        return score.replace(
            notes=array,
            meters=score.original_meters,
            tempo=score.tempo and score.tempo / score.note_scale,
            note_scale=None,
            original_meters=None,
        )

    def _in_fitting_values(self) -> Score:
        """A copy with doubled note values where more than `MOST_INEXACT` of the durations have no token and
        at most half as many have none then. A piece in sixty-fourths has then a meter twice as long, or bars
        of half the music, and sounds as before.
        """
        lost = 0 if self.note_scale else inexact(self.array)
        if lost <= MOST_INEXACT * len(self):
            return self
        doubled = rescaled(self.array, self.meters, double=True)
        if doubled is None or inexact(doubled[0]) * 2 > lost:
            return self
        return self.replace(
            notes=doubled[0],
            meters=doubled[1],
            tempo=self.tempo and self.tempo * 2,
            note_scale=2,
            original_meters=self.meters,
        )

    def in_key(self, key: Key | str) -> Score:
        """A copy transposed to `key` by the nearest interval.

        Raises:
            ScoreError: if the score has no key, or one of the other mode.
        """
        key = Key.parse(key)
        if self.key is None or self.key.mode != key.mode:
            raise ScoreError(
                f"A score in {self.key or 'no known key'} cannot be transposed to {key}: the mode must be the"
                " same."
            )
        return self.transposed((key.pitch_class - self.key.pitch_class + 6) % 12 - 6).replace(key=key)

    def first_bars(self, bars: int) -> Score:
        """A copy of the notes that begin in the first `bars` bars."""
        lines = self.bar_lines()
        return self.between(0, int(lines[min(bars, len(lines) - 1)]))

    def between(self, start: int, stop: int) -> Score:
        """A copy of the notes whose onset lies in `start <= onset < stop` (ticks), times unchanged."""
        onsets = self.array[:, ONSET]
        return self.replace(
            notes=self.array[(onsets >= start) & (onsets < stop)],
            meters=[m for m in self.meters if m.onset == 0 or m.onset < stop],
        )

    def passage(self, start: int, stop: int | None = None) -> Score:
        """A copy of the notes that begin at `start <= onset < stop` (ticks; without `stop`: of all that
        follow), counted from `start` and none lasting beyond `stop`, with the meters that hold there.
        """
        stop = max(self.end, start + 1, self.meters[-1].onset + 1) if stop is None else stop
        meter = [m for m in self.meters if m.onset <= start][-1]
        later = (m._replace(onset=m.onset - start) for m in self.meters if start < m.onset < stop)
        return self.replace(
            notes=notes_between(self.array, start, stop), meters=[meter._replace(onset=0), *later]
        )

    # What the tokens can hold

    def pace(self) -> float:
        """Onsets a second at the declared tempo, or at 80 quarter notes a minute when none is declared; 0.0
        without notes.
        """
        if not len(self):
            return 0.0
        onsets = np.unique(self.array[:, ONSET])
        quarters = (self.end - int(onsets[0])) / TICKS_PER_QUARTER
        return len(onsets) / quarters * (self.tempo or NOMINAL_QPM) / 60

    def with_tempo_class(self) -> Score:
        """A copy whose `tempo_class` says how fast its surface moves (`PACE_LIMITS`), unless it has one
        already.
        """
        if self.tempo_class or not len(self):
            return self
        return self.replace(tempo_class=TEMPO_CLASSES[int(np.searchsorted(PACE_LIMITS, self.pace()))])

    def quantised(self) -> Score:
        """What the 150 tokens can hold of this score: `decode_score(encode_score(score)) ==
        score.quantised()`.

        In C major or A minor, and with doubled note values where those fit better (`normalised`); durations
        rounded to the nearest of the 32; pitches outside 28-91 moved by octaves; exact duplicates dropped;
        silences longer than the time tokens reach shortened; a meter without a token replaced by one whose
        bar has the same length or divides it; a change of meter moved to the onset of the next note.
        """
        return self.quantised_with_changes()[0]

    def quantised_with_changes(self) -> tuple[Score, Changes]:
        """`quantised()` and the count of what it changed."""
        score = self.normalised().with_tempo_class()
        array, counts = _quantise_notes(score.array)
        meters, replaced = _quantise_meters(score.meters, array)
        shortened, silences = _shorten_silences(array)
        if silences:
            meters = _quantise_meters(meters, array, shortened)[0]
        quantised = score.replace(
            notes=shortened,
            meters=meters,
            tempo=TEMPO_QPM[score.tempo_class] if score.tempo_class else None,
        )
        return quantised, Changes(notes=len(self), silences=silences, meters=replaced, **counts)

    # As plain data

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, fit for JSON and `datasets`; `from_dict` reads it back."""
        columns = dict(zip(Note._fields, self.array.T.tolist(), strict=True))
        return {
            "notes": columns,
            "meters": [list(m) for m in self.meters],
            "key": str(self.key) if self.key else None,
            "tempo": self.tempo,
            "tempo_class": self.tempo_class,
            "form": self.form,
            "title": self.title,
            "source": self.source,
            "transposition": self.transposition,
            "original_key": str(self.original_key) if self.original_key else None,
            "note_scale": self.note_scale,
            "original_meters": [list(m) for m in self.original_meters or ()],
            "info": dict(self.info),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Score:
        """Read what `to_dict` wrote.

        Raises:
            ScoreError: if it is not such a dict.
        """
        try:
            columns = data["notes"]
            array = np.stack([np.asarray(columns[name]) for name in Note._fields], axis=1)
        except (KeyError, TypeError, ValueError) as error:
            raise ScoreError(
                "Not a score's dict: it needs 'notes' with onset, duration, pitch and voice of equal length"
                f" ({error})."
            ) from error
        fields: dict[str, Any] = {
            k: data.get(k) for k in ("key", "tempo", "tempo_class", "form", "title", "source")
        }
        original = data.get("original_key")
        return cls(
            array,
            meters=data.get("meters"),
            transposition=data.get("transposition") or 0,
            original_key=Key.parse(original) if original else None,
            note_scale=data.get("note_scale"),
            original_meters=data.get("original_meters"),
            info=data.get("info"),
            **fields,
        )


def notes_between(notes: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The notes `(n, 4)` that begin at `start <= onset < stop`, as for `Score.passage`."""
    kept = notes[(notes[:, ONSET] >= start) & (notes[:, ONSET] < stop)].copy()
    kept[:, DURATION] = np.minimum(kept[:, DURATION], stop - kept[:, ONSET])
    kept[:, ONSET] -= start
    return kept


def _quantise_notes(array: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Durations and pitches as the tokens have them, duplicates dropped; how many notes each change
    touched.
    """
    array = array.copy()
    durations, pitches = array[:, DURATION].copy(), array[:, PITCH].copy()
    array[:, DURATION], array[:, PITCH] = fitting_durations(durations), fitting_pitches(pitches)
    changed = {
        "durations": int((array[:, DURATION] != durations).sum()),
        "pitches": int((array[:, PITCH] != pitches).sum()),
    }
    distinct = without_duplicates(array)
    return distinct, {**changed, "duplicates": len(array) - len(distinct)}


def without_duplicates(array: np.ndarray) -> np.ndarray:
    """Notes, `(n, 4)`, of which those with the same onset, voice and pitch are one, the longest."""
    array = array[np.lexsort((-array[:, DURATION], -array[:, PITCH], array[:, VOICE], array[:, ONSET]))]
    same = (np.diff(array[:, [ONSET, PITCH, VOICE]], axis=0) == 0).all(axis=1)
    return array[np.append(True, ~same)] if len(array) else array


def _shorten_silences(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Steps between onsets beyond `MAX_STEP` cut to it; the first onset counts from 0."""
    steps = np.diff(array[:, ONSET], prepend=0)
    excess = np.maximum(steps - MAX_STEP, 0)
    if not excess.any():
        return array, 0
    array = array.copy()
    array[:, ONSET] -= np.cumsum(excess)
    return array, int((excess > 0).sum())


def _quantise_meters(
    meters: Sequence[Meter], array: np.ndarray, moved: np.ndarray | None = None
) -> tuple[tuple[Meter, ...], int]:
    """Meters that have a token, each from the onset of the first note at or after it (that note's onset in
    `moved`).
    """
    kept: list[Meter] = []
    replaced = 0
    target = array if moved is None else moved
    for meter in meters:
        name, known = known_meter(meter.numerator, meter.denominator)
        place = int(np.searchsorted(array[:, ONSET], meter.onset))
        if meter.onset and place == len(array):
            replaced += 1
            continue  # no note follows: nothing can carry the change
        # Before the first note no token can stand between notes: the change becomes the piece's meter.
        onset = int(target[place, ONSET]) if meter.onset and place else 0
        replaced += (not known) or onset != meter.onset
        while kept and kept[-1].onset >= onset:
            kept.pop()
        new = Meter(onset, *parse_meter(name))
        if not kept or kept[-1].name != name or (onset - kept[-1].onset) % new.bar_ticks:
            kept.append(new)
    return tuple(kept), replaced


def known_meter(numerator: int, denominator: int) -> tuple[str, bool]:
    """The meter among the 12 tokens that stands in for this one, and whether it is the same.

    A meter without a token becomes one whose bar is as long, else one whose bar fits a whole number of times
    into its bar (the longest such), else 4/4.
    """
    name = f"{numerator}/{denominator}"
    if name in METERS:
        return name, True
    length = bar_ticks(numerator, denominator)
    ticks = {meter: bar_ticks(*parse_meter(meter)) for meter in METERS}
    fitting = [meter for meter in METERS if length % ticks[meter] == 0]
    return (max(fitting, key=lambda meter: ticks[meter]) if fitting else "4/4"), False
