"""From notes with labels (tracks, staves, layers, names) to a `Score` with voices: what all readers share."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .errors import ScoreError, ScoreReadError
from .heading import Told
from .key import Key
from .score import COMMON_TIME, Meter, Score
from .vocabulary import MAX_VOICES
from .voices import infer_voices

# What a reader accepts; beyond it a file is not a piece of keyboard music but a mistake or an attack.
MAX_BYTES = 8 * 2**20
MAX_NOTES = 12_000
MAX_TICKS = 24 * 40_000  # 10,000 bars of 4/4
_LONGEST_TITLE = 200
# Labels are taken for parts when at most this share of the notes begins while another of the same label
# sounds.
MAX_CHORD_SHARE = 0.10
_LAYER = re.compile(r"s\d+v\d+")  # staff and layer of the notation, not a part


@dataclass
class RawScore:
    """What a reader found, before voices are known. Times in ticks (24 a quarter) from a bar line.

    Attributes:
        onsets, durations, pitches (sequences of `int`): one entry a note.
        labels (sequence of hashables): the track, voice name or layer of each note.
        are_parts (`bool` or `None`): whether the labels name parts (`True`), layers of the notation
            (`False`), or whether the notes have to tell (`None`).
        staves (sequence of hashables, *optional*): the staff of each note, where the file says it.
        voices (sequence of `int`, *optional*): the voices, where the file is known to hold true ones.
        key_is_sure (`bool`): whether the key is what somebody meant, and not what a program writes where
            nobody said it.
        told (`Told`): what else the file tells of the piece.
    """

    onsets: Sequence[int] | NDArray[np.int64]
    durations: Sequence[int] | NDArray[np.int64]
    pitches: Sequence[int] | NDArray[np.int64]
    labels: Sequence[Hashable]
    are_parts: bool | None = None
    staves: Sequence[Hashable] | None = None
    voices: Sequence[int] | NDArray[np.int64] | None = None
    meters: list[Meter] = field(default_factory=list)
    key: Key | None = None
    key_is_sure: bool = False
    tempo: float | None = None
    title: str | None = None
    told: Told = field(default_factory=Told)
    notices: list[str] = field(default_factory=list)


def check_size(size: int, what: str = "file") -> None:
    """Raise `ScoreReadError` when a file is empty or larger than `MAX_BYTES`."""
    if size == 0:
        raise ScoreReadError(f"The {what} is empty.")
    if size > MAX_BYTES:
        raise ScoreReadError(
            f"The {what} has {size / 2**20:.1f} MB; a score may have {MAX_BYTES // 2**20} MB: it is probably"
            " not a score."
        )


def is_layer(label: str) -> bool:
    """Whether a label names a staff and layer of the notation (`s1v2`), which is not a part."""
    return _LAYER.fullmatch(label) is not None


def plural(count: int, what: str) -> str:
    """`"1 grace note"`, `"3 grace notes"`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def note_rounding(count: int, notices: list[str]) -> None:
    """Add the notice that so many notes had an onset or a duration beside the grid, if any had."""
    if count:
        notices.append(f"{plural(count, 'note')} moved onto the grid of 24 ticks a quarter")


def build_score(
    raw: RawScore,
    key: Key | str | None = None,
    form: str | None = None,
    source: str | None = None,
    staff_voices: bool = False,
) -> Score:
    """Give the notes voices, drop whole silent bars in front and check the limits. For `staff_voices` see
    `read_score`.

    Raises:
        ScoreReadError: without notes, or beyond `MAX_NOTES` and `MAX_TICKS`.
        ScoreError: for an unknown key or form.
    """
    if not len(raw.onsets):
        raise ScoreReadError(
            "The file holds no notes (drums, grace notes and other instruments are not counted)."
        )
    if len(raw.onsets) > MAX_NOTES:
        raise ScoreReadError(f"The file holds {len(raw.onsets)} notes; at most {MAX_NOTES} are read.")
    array = np.zeros((len(raw.onsets), 4), dtype=np.int64)
    try:
        array[:, 0], array[:, 1], array[:, 2] = raw.onsets, raw.durations, raw.pitches
    except OverflowError as error:
        raise ScoreReadError("The file holds a time beyond all limits.") from error
    notices = list(raw.notices)
    _check_times(array)
    if raw.voices is not None:
        array[:, 3] = raw.voices
    else:
        array[:, 3], how = part_voices(array, raw.labels, raw.are_parts, raw.staves if staff_voices else None)
        notices += [how] if how else []
    meters = raw.meters or [COMMON_TIME]
    silent = 0
    if raw.voices is None:  # files of our own are taken exactly as they are
        array, meters, silent = _without_leading_bars(array, meters)
    if silent:
        notices.append(f"{plural(silent, 'silent bar')} in front left out")
    try:
        return Score(
            array,
            meters=meters,
            key=key if key is not None else raw.key,
            form=form or raw.told.form,
            tempo=raw.tempo,
            tempo_class=raw.told.tempo_class,
            info=raw.told.info,
            title=_one_line(raw.title or "") or None,
            source=source,
            notices=notices,
        )
    except ScoreError as error:
        if form is not None or key is not None:
            raise
        raise ScoreReadError(f"The file is not a score: {error}") from error


def _one_line(text: str) -> str:
    """A title on one line, without signs that are not printed (a terminal obeys some), not too long."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:_LONGEST_TITLE].strip()


def _check_times(array: np.ndarray) -> None:
    end = int((array[:, 0] + array[:, 1]).max())
    if end > MAX_TICKS or int(array.min()) < 0:
        raise ScoreReadError(
            f"The piece lasts {end // 24} quarter notes; at most {MAX_TICKS // 24} are read."
        )


def _without_leading_bars(array: np.ndarray, meters: list[Meter]) -> tuple[np.ndarray, list[Meter], int]:
    """Drop the whole bars before the first note, so that the piece begins in bar one."""
    first = int(array[:, 0].min())
    start, bars = 0, 0
    for meter, end in zip(meters, [m.onset for m in meters[1:]] + [first + 1], strict=True):
        if meter.onset > first:
            break
        whole = (min(end, first) - meter.onset) // meter.bar_ticks
        # A bar that a change of meter cuts short counts as one when the music begins at or after that change.
        cut = end <= first and (end - meter.onset) % meter.bar_ticks > 0
        start = end if end <= first else meter.onset + whole * meter.bar_ticks
        bars += whole + cut
    if not start:
        return array, meters, 0
    array = array.copy()
    array[:, 0] -= start
    now = [m for m in meters if m.onset <= start][-1]
    return (
        array,
        [now._replace(onset=0), *(m._replace(onset=m.onset - start) for m in meters if m.onset > start)],
        bars,
    )


def part_voices(
    array: np.ndarray,
    labels: Sequence[Hashable],
    are_parts: bool | None = None,
    staves: Sequence[Hashable] | None = None,
) -> tuple[np.ndarray, str]:
    """Voices from labels: parts ranked by their mean pitch; inferred (`infer_voices`) where the labels are
    not parts.

    Args:
        array (integer array of shape `(notes, 4)`): the voice column is ignored.
        labels (sequence of hashables): one a note.
        are_parts (`bool` or `None`): see `RawScore`.
        staves (sequence of hashables, *optional*): one a note; where the labels are not parts, each staff is
            then a voice.

    Returns:
        The voices, `int64` of shape `(notes,)`, and a notice in words, empty when the labels were taken as
        they are.
    """
    groups, count = _numbered(labels)
    if are_parts is None:
        are_parts = chord_share(array, groups) <= MAX_CHORD_SHARE
    if are_parts and count <= MAX_VOICES:
        return ranked(array, groups, count), ""
    hands, hand_count = _numbered(staves or ())
    if 1 < hand_count <= MAX_VOICES:
        return ranked(array, hands, hand_count), f"one voice for each of {hand_count} staves"
    voices = infer_voices(array)
    what = "track or layer" if count == 1 else "tracks or layers"
    return voices, f"voices inferred ({int(voices.max()) + 1} from {count} {what})"


def _numbered(labels: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    """Labels as numbers in the order in which they appear, and how many there are."""
    names = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.fromiter((names[label] for label in labels), dtype=np.int64, count=len(labels)), len(names)


def ranked(array: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Groups of notes, numbered from 0, as voices: 0 is the one whose mean pitch is highest; of two alike the
    one that comes first.
    """
    means = np.bincount(groups, weights=array[:, 2]) / np.bincount(groups)
    rank = np.empty(count, dtype=np.int64)
    rank[np.lexsort((np.arange(count), -means))] = np.arange(count)
    return rank[groups]


def chord_share(array: np.ndarray, groups: np.ndarray) -> float:
    """The share of the notes that begin while another of the same group sounds, 0.0 to 1.0."""
    order = np.lexsort((array[:, 0], groups))
    onsets, group = array[order, 0], groups[order]
    # Groups are laid one after the other on the time line, so that one running maximum serves them all.
    shift = group * (int((array[:, 0] + array[:, 1]).max()) + 1)
    ends = np.maximum.accumulate(onsets + array[order, 1] + shift)
    return float((ends[:-1] > (onsets + shift)[1:]).sum() / len(array))


def merge_meters(changes: Iterable[tuple[int, int, int]], notices: list[str]) -> list[Meter]:
    """Meters from (onset, numerator, denominator) in any order: the last of those at one place, no
    repetitions, 4/4 at first where none is declared; what is not a meter is left out with a notice.
    """
    meters: list[Meter] = [COMMON_TIME]
    skipped = 0
    for onset, numerator, denominator in sorted(changes, key=lambda change: change[0]):
        if not (1 <= numerator <= 64 and denominator in (1, 2, 4, 8, 16, 32, 64) and onset >= 0):
            skipped += 1
            continue
        meter = Meter(onset, numerator, denominator)
        if meters[-1].onset == onset:
            meters.pop()
        if not meters or meters[-1].name != meter.name or (onset - meters[-1].onset) % meter.bar_ticks:
            meters.append(meter)
    if skipped:
        notices.append(f"{plural(skipped, 'impossible time signature')} left out")
    return meters
