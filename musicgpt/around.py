"""From what is given of a piece to what the model reads, and to the frame in which it writes."""

from __future__ import annotations

import numpy as np

from tokenization import estimate_key, prefix_ids
from tokenization.codec import encode_body
from tokenization.key import Key, normal_key
from tokenization.score import DURATION, ONSET, PITCH, VOICE, Meter, Score, known_meter
from tokenization.vocabulary import (
    DURATIONS,
    MAX_STEP,
    MAX_VOICES,
    NEAREST_DURATION,
    PITCH_MAX,
    PITCH_MIN,
    TICKS_PER_QUARTER,
    TOKEN_TO_ID,
)

from .frame import FAR, NEVER, Frame
from .given import Given, GivenError, has_chords
from .prompts import TOKENS_A_NOTE, Task, from_bar
from .settings import Settings, SettingsError

# Bars of given notes behind the last region that are written too: they say how good the seam is.
TAIL = 1
OCTAVE = 12


def is_subject(settings: Settings, prompt: Score | None, prompt_bars: int | None) -> bool:
    """Whether a prompt is what a fugue begins with: a melody of one voice, where a fugue is asked for."""
    if prompt is None or prompt_bars is not None or len(prompt) < 2:
        return False
    form = settings.form or prompt.form
    return form == "fugue" and prompt.num_voices == 1 and not has_chords(prompt)


def around_given(settings: Settings, given: Given, context: int) -> Task:
    """The task of composing around what is given: what stands before the first region is read, in whole bars
    as far as the context reaches.

    Raises:
        SettingsError: if the given notes are in another meter than the settings ask for.
        GivenError: if no step of the tokens is as long as a silence in it.
    """
    score = given.score
    if settings.meter and settings.meter != score.meters[0].name:
        raise SettingsError(
            f"What is given is in {score.meters[0].name}; leave the meter {settings.meter} out, or give it in"
            " that meter."
        )
    wanted = settings.resolved()
    key = Key.parse(settings.key) if settings.key else score.key or estimate_key(score)[0]
    score = score.replace(key=key, form=settings.form or score.form, transposition=0, original_key=None)
    score = score if settings.tempo is None else score.replace(tempo_class=settings.tempo, tempo=None)
    begins = given.begins
    transposition = key.transposition_to_normal()
    origin, body = _read_before(score, begins, transposition, context // 2)
    meter = [meter for meter in score.meters if meter.onset <= origin][-1]
    name = known_meter(meter.numerator, meter.denominator)[0]
    ids = prefix_ids(key.mode, score.form, name, max(2, given.voices), score.tempo_class or wanted.tempo)
    ids += body
    earlier = score.array[score.array[:, ONSET] < begins, ONSET]
    frame = frame_of(given, origin, transposition, int(earlier.max(initial=origin)))
    limit = min(wanted.max_new_tokens, context - len(ids))
    _refuse_too_much(frame, given, limit)
    return Task(ids, origin, -transposition, score, limit, given.with_score(key=key, form=score.form), frame)


def _read_before(score: Score, begins: int, transposition: int, room: int) -> tuple[int, list[int]]:
    """Tick of the bar line from which the notes before a tick are read, and their tokens: the longest run of
    whole bars that takes so many tokens and has no silence that tokens cannot say.
    """
    array = score.array[score.array[:, ONSET] < begins]
    if not len(array):
        return 0, []
    lines = score.bar_lines()
    for line in lines[lines <= array[-1, ONSET]].tolist():
        part = array[array[:, ONSET] >= line].copy()
        part[:, ONSET] -= line
        steps = np.diff(part[:, ONSET], prepend=0)
        if TOKENS_A_NOTE * len(part) > room or steps.max() > MAX_STEP:
            continue
        meters = from_bar(score, line).meters
        read = Score(as_tokens(part, transposition), meters=[m for m in meters if m.onset < begins - line])
        body = encode_body(read.replace(key=normal_key("major")).quantised())
        return line, body[:-1].tolist()  # the model is to choose the last note's step
    return 0, []


def frame_of(given: Given, origin: int, transposition: int, read: int = 0) -> Frame:
    """The frame of what is given.

    Args:
        given (`Given`): it.
        origin (`int`): tick of the piece at which the tokens count 0.
        transposition (`int`): semitones from the piece's key to that of the tokens.
        read (`int`): tick of the piece up to which changes of meter have been read.

    Raises:
        GivenError: for a silence that is longer than tokens can say, and where nothing may be written.
    """
    array = given.score.array.copy()
    array[:, ONSET] -= origin
    begins = given.begins - origin
    end, last = None, NEVER
    if given.end is not None:
        end = given.end - origin
        last = _tail(array[array[:, ONSET] >= end, ONSET], end, TAIL * _bar_ticks(given, end + origin))
    room = _room(given, array, origin, end)
    notes = array[(array[:, ONSET] >= begins) & (array[:, ONSET] <= last)]
    notes = as_tokens(notes, transposition)
    notes = np.concatenate([notes, [[last, 0, -1, MAX_VOICES]]])
    _refuse_long_silence(notes, room, begins)
    meters = [
        (meter.onset - origin, TOKEN_TO_ID[f"METER_{known_meter(meter.numerator, meter.denominator)[0]}"])
        for meter in given.score.meters[1:]
        if meter.onset > read
    ]
    ranges = np.array(given.ranges or [(PITCH_MIN - transposition, PITCH_MAX - transposition)] * given.voices)
    ranges = np.clip(ranges + transposition, PITCH_MIN, PITCH_MAX)
    final = _final(array, given, origin) if last == end else None
    phrases = tuple(tick - origin for tick in given.phrases)
    return Frame(notes, room, meters, given.one_by_one, ranges[:, 0], ranges[:, 1], final, phrases)


def as_tokens(array: np.ndarray, transposition: int) -> np.ndarray:
    """Notes, `(n, 4)`, with durations and pitches that tokens have; of those that tokens cannot tell apart
    one.
    """
    found = array.copy()
    found[:, DURATION] = np.array(DURATIONS)[NEAREST_DURATION[np.minimum(array[:, DURATION], DURATIONS[-1])]]
    pitch = array[:, PITCH] + transposition
    pitch += OCTAVE * np.maximum(0, -((pitch - PITCH_MIN) // OCTAVE))
    found[:, PITCH] = pitch - OCTAVE * np.maximum(0, -((PITCH_MAX - pitch) // OCTAVE))
    found = found[np.lexsort((-found[:, PITCH], found[:, VOICE], found[:, ONSET]))]
    same = np.zeros(len(found), dtype=bool)
    same[1:] = (np.diff(found[:, [ONSET, PITCH, VOICE]], axis=0) == 0).all(axis=1)
    return found[~same]


def _final(array: np.ndarray, given: Given, origin: int) -> int:
    """Tick of the last chord of a piece that ends where its last region does: the last onset of a given note
    that sounds to the end, else the last bar line.
    """
    assert given.end is not None
    end = given.end - origin
    sounding = array[(array[:, ONSET] + array[:, DURATION] >= end) & (array[:, ONSET] < end), ONSET]
    if len(sounding):
        return int(sounding.max())
    lines = given.score.bar_lines() - origin
    return int(max(lines[lines < end].max(initial=0), end - _bar_ticks(given, given.end - 1)))


def _refuse_too_much(frame: Frame, given: Given, limit: int) -> None:
    """Raises where so many tokens would not suffice for the given notes and for one a quarter of each voice
    of the regions.
    """
    if not frame.is_bounded:
        return
    quarters = sum(
        (end - start) * len(voices) // TICKS_PER_QUARTER for start, end, voices in given.regions if end
    )
    needed = TOKENS_A_NOTE * (len(frame.notes) + quarters)
    if needed > limit:
        raise GivenError(
            f"This would take {needed} tokens or more, and there is room for {limit}: revise fewer bars, or"
            " give the melody in parts."
        )


def _tail(onsets: np.ndarray, end: int, ticks: int) -> int:
    """The last of the onsets behind a tick, `(n,)`, up to so many ticks from the first, or up to a silence
    that tokens cannot say; the tick itself where there is none.
    """
    if not len(onsets):
        return end
    onsets = np.append(end, onsets[onsets <= onsets[0] + ticks])
    gaps = np.flatnonzero(np.diff(onsets) > MAX_STEP)
    return int(onsets[gaps[0] if len(gaps) else -1])


def _bar_ticks(given: Given, tick: int) -> int:
    """Ticks of a bar where a tick lies."""
    meters: list[Meter] = [meter for meter in given.score.meters if meter.onset <= tick]
    return meters[-1].bar_ticks


def _room(given: Given, array: np.ndarray, origin: int, end: int | None) -> np.ndarray:
    """`Frame.room`, from all given notes, `(n, 4)`, counted from the origin."""
    sounding = int((array[:, ONSET] + array[:, DURATION]).max(initial=0))
    ticks = max(sounding, *(region.start - origin for region in given.regions), end or 0, 0) + 2
    is_open = np.zeros((ticks, given.voices), dtype=bool)
    for start, stop, voices in given.regions:
        is_open[max(0, start - origin) : None if stop is None else stop - origin, list(voices)] = True
    for onset, duration, _, voice in array.tolist():
        if voice < given.voices:
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


__all__ = ["around_given", "as_tokens", "frame_of", "is_subject"]
