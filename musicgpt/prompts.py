"""From settings, or from settings and a prompt, to what the model reads and how its answer is placed."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from tokenization import encode, estimate_key, prefix_ids
from tokenization.key import Key
from tokenization.score import ONSET, Meter, Note, Score
from tokenization.vocabulary import TIME_TYPE, TYPE_OF_ID, VALUE_OF_ID, parse_meter

from .frame import TOKENS_A_NOTE, Frame, is_given
from .given import Given
from .settings import Resolved, Settings, SettingsError


class NoNewNote(SettingsError):
    """A piece ended before its first new note; the text says why and what to do."""


@dataclass(frozen=True)
class Task:
    """What one call of the model needs.

    Attributes:
        ids (list of `int`): what the model reads: prefix and, with a prompt, its notes in C major / A minor.
        shift (`int`): ticks from the tokens' count to the piece's.
        transposition (`int`): semitones from C major / A minor to the piece's key.
        score (`Score`): the piece as far as it goes: the prompt, or a score without notes that has the key,
            meter and form.
        max_new_tokens (`int`): how many there can be.
        given (`Given`, *optional*): what the piece will have, in the notes of `score` too; `frame` (`Frame`):
            that, as the tokens count it.
    """

    ids: list[int]
    shift: int
    transposition: int
    score: Score
    max_new_tokens: int
    given: Given | None = None
    frame: Frame | None = None

    @property
    def mode(self) -> str:
        """The mode of the piece."""
        assert self.score.key is not None
        return self.score.key.mode

    def new_notes(self, notes: list[Note]) -> list[Note]:
        """Those of the notes of the tokens that are not given, at their places in the piece."""
        frame = self.frame
        if frame is not None:
            notes = [
                note
                for note in notes
                if not is_given(frame, note.onset, note.pitch, note.voice)
                and frame.room[min(note.onset, len(frame.room) - 1), note.voice] >= note.duration
            ]
        return [self.placed(note) for note in notes]

    def placed(self, note: Note) -> Note:
        """A note as the tokens have it, at its place in the piece and in the piece's key."""
        return note._replace(onset=note.onset + self.shift, pitch=note.pitch + self.transposition)


def new_piece(wanted: Resolved) -> Task:
    """The task of composing from nothing but settings."""
    ids = prefix_ids(wanted.key.mode, wanted.form, wanted.meter, wanted.voices, wanted.tempo)
    meters = [Meter(0, *parse_meter(wanted.meter))]
    score = Score([], meters=meters, key=wanted.key, form=wanted.form, tempo_class=wanted.tempo)
    return Task(ids, 0, -wanted.key.transposition_to_normal(), score, wanted.max_new_tokens)


def continuation(settings: Settings, prompt: Score, prompt_bars: int | None, context: int) -> Task:
    """The task of going on where a prompt ends.

    Of a prompt longer than the model's context leaves room for, the model reads the last whole bars.

    Raises:
        SettingsError: if the prompt has no notes, or is in another meter than the settings ask for.
    """
    prompt = _settled_prompt(settings, prompt, prompt_bars)
    wanted = settings.resolved()
    room = max(context - wanted.max_new_tokens, context // 2)
    read = _last_bars(prompt, room)
    ids = encode(read.replace(tempo_class=settings.tempo or read.tempo_class)).tolist()
    # encode() ends with the step of the last note, 0, and <eos>: the model is to choose that step itself.
    ids = ids[:-2]
    array = np.asarray(ids)
    now = int(VALUE_OF_ID[array[TYPE_OF_ID[array] == TIME_TYPE]].sum())
    shift = int(prompt.array[-1, ONSET]) - now  # also what shortened silences took away
    assert prompt.key is not None
    return Task(ids, shift, -prompt.key.transposition_to_normal(), prompt, wanted.max_new_tokens)


def no_new_note(task: Task, settings: Settings) -> str:
    """Why a piece ended before its first new note, and what to do, as the text of an error.

    The model ends a piece at the bar line after which there is no room for one more bar like the last ones.
    """
    if task.given is not None:
        return (
            "The model left every place empty in which it may write. Try another seed, or give it more bars"
            " or voices."
        )
    if not len(task.score):
        return "The model ended the piece without a note. Try another seed, or give it more tokens."
    from modeling_musicgpt.bar_end_musicgpt import BARS_LOOKED_AT  # brings torch

    lines, onsets = task.score.bar_lines(), task.score.array[:, ONSET]
    # bar lines, the latest first
    last = lines[np.searchsorted(lines, onsets[-1], side="right") - 1 :: -1][:BARS_LOOKED_AT]
    ends = np.append(task.score.end + 1, last[:-1])
    longest = max(
        int(((onsets >= line) & (onsets < end)).sum()) for line, end in zip(last, ends, strict=True)
    )
    if settings.max_new_tokens is not None and settings.max_new_tokens < TOKENS_A_NOTE * 2 * (longest + 1):
        return (
            f"max_new_tokens is {settings.max_new_tokens}, which leaves no room for a new note: the last bars"
            f" of the prompt have up to {longest} notes, that is {TOKENS_A_NOTE * longest} tokens. Give at"
            f" least {TOKENS_A_NOTE * 2 * (longest + 1)}, or leave it out."
        )
    return (
        "The model ended the piece where the prompt ends, without a new note. Try another seed, or keep less"
        " of the prompt (prompt_bars)."
    )


def _settled_prompt(settings: Settings, prompt: Score, prompt_bars: int | None) -> Score:
    """The notes of the prompt that are to be kept, with the key and form that hold for them."""
    if prompt_bars is not None:
        if not (isinstance(prompt_bars, Integral) and prompt_bars >= 1):
            raise SettingsError(f"prompt_bars is {prompt_bars}; it must be at least 1.")
        prompt = prompt.first_bars(prompt_bars)
    if not len(prompt):
        within = f" in its first {prompt_bars} bars" if prompt_bars else ""
        raise SettingsError(f"The prompt has no notes{within}, so there is nothing to continue.")
    if settings.meter and settings.meter != prompt.meters[-1].name:
        raise SettingsError(
            f"The prompt is in {prompt.meters[-1].name} and is continued in it; leave the meter"
            f" {settings.meter} out."
        )
    key = Key.parse(settings.key) if settings.key else prompt.key or estimate_key(prompt)[0]
    return prompt.replace(
        key=key,
        form=settings.form or prompt.form,
        transposition=0,
        original_key=None,
        note_scale=1,  # it is continued in its own values
        original_meters=None,
    )


def _last_bars(prompt: Score, room: int) -> Score:
    """The longest run of whole last bars that takes at most `room` tokens."""
    if len(encode(prompt)) <= room:
        return prompt
    onsets = prompt.array[:, ONSET]
    # Four tokens a note and a few for the prefix and long steps; exact enough to begin the search, which then
    # moves on by bars.
    earliest = onsets[max(0, len(onsets) - room // 4)]
    for line in prompt.bar_lines():
        if line < earliest or line > onsets[-1]:
            continue
        part = prompt.passage(int(line))
        if len(encode(part)) <= room:
            return part
    line = int(prompt.bar_lines()[np.searchsorted(prompt.bar_lines(), onsets[-1], side="right") - 1])
    return prompt.passage(line)
