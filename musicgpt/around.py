"""From what is given of a piece to what the model reads, and to the frame in which it writes."""

from __future__ import annotations

import numpy as np

from tokenization import estimate_key, prefix_ids
from tokenization.codec import encode_body
from tokenization.key import Key, normal_key
from tokenization.score import ONSET, Score, known_meter
from tokenization.vocabulary import MAX_STEP, TOKEN_TO_ID

from .frame import (
    TOKENS_A_NOTE,
    Bars,
    Frame,
    Region,
    as_tokens,
    frame_between,
    has_chords,
    refuse_long_subject,
    refuse_too_much,
)
from .given import Given
from .prompts import Task
from .settings import Settings, SettingsError


def is_subject(settings: Settings, prompt: Score | None, prompt_bars: int | None) -> bool:
    """Whether a prompt is what a fugue begins with: a melody of one voice, where a fugue is asked for."""
    if prompt is None or prompt_bars is not None or len(prompt) < 2:
        return False
    form = settings.form or prompt.form
    return form == "fugue" and prompt.num_voices == 1 and not has_chords(prompt.array)


def around_given(settings: Settings, given: Given, context: int) -> Task:
    """The task of composing around what is given: what stands before the first region is read, in whole bars
    as far as the context reaches.

    Raises:
        SettingsError: if the given notes are in another meter than the settings ask for.
        GivenError: if no step of the tokens is as long as a silence in it, or it takes too many tokens.
    """
    score = given.score
    if settings.meter and settings.meter != score.meters[0].name:
        raise SettingsError(
            f"What is given is in {score.meters[0].name}; leave the meter {settings.meter} out, or give it in"
            " that meter."
        )
    wanted = settings.resolved()
    if given.is_subject:
        refuse_long_subject(len(score), wanted.max_new_tokens)
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
    limit = wanted.max_new_tokens
    limit = min(limit, context - len(ids)) if frame.is_bounded else limit
    refuse_too_much(frame, given.regions, limit)
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
        meters = score.passage(line).meters
        before = [m for m in meters if m.onset < begins - line]
        read = Score(as_tokens(part, transposition), meters=before, note_scale=1)
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
    regions = [
        Region(start - origin, None if end is None else end - origin, voices)
        for start, end, voices in given.regions
    ]
    meters = [
        Bars(
            meter.onset - origin,
            meter.bar_ticks,
            TOKEN_TO_ID[f"METER_{known_meter(meter.numerator, meter.denominator)[0]}"],
        )
        for meter in given.score.meters
    ]
    return frame_between(
        array,
        regions,
        meters,
        given.voices,
        given.begins - origin,
        read - origin,
        transposition,
        given.one_by_one,
        given.ranges,
        [tick - origin for tick in given.phrases],
    )
