"""What is given as ids, for `generate()`: what the model reads, where it writes, what stands behind that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tokenization.note import ONSET, PITCH, VOICE
from tokenization.vocabulary import (
    DUR_TYPE,
    EOS_ID,
    METER_TICKS,
    METER_TYPE,
    PAD_ID,
    TIME_TYPE,
    TOKEN_TO_ID,
    TOKENS,
    TYPE_OF_ID,
    VALUE_OF_ID,
)

from .frame import (
    TOKENS_A_NOTE,
    Bars,
    Frame,
    GivenError,
    Region,
    behind_subject,
    check_regions,
    frame_between,
    has_chords,
    subject_voice,
)


class GivenIds(NamedTuple):
    """What is given, read.

    Attributes:
        prompt (list of `int`): prefix and what stands before the first region.
        frame (`Frame`): what is to come; regions (list of `Region`): where others may be written.
        voices (`int`): of the piece.
        rest (list of `int`): what stands behind all that is composed.
        is_subject (`bool`): whether it is the subject of a fugue.
    """

    prompt: list[int]
    frame: Frame
    regions: list[Region]
    voices: int
    rest: list[int]
    is_subject: bool

    def whole(self, row: list[int]) -> list[int]:
        """Ids of a piece that has come to its end with what stands behind it; others as they are."""
        if not self.rest or EOS_ID not in row:
            return row
        return row[: row.index(EOS_ID) - 1] + self.rest  # the step before the end is 0


def read_given(
    model: Any, prefix: Sequence[int] | None, ids: Sequence[int], free: Any, transposition: int
) -> GivenIds:
    """Reads what is given.

    Args:
        model (`MusicGPTForCausalLM`): whose grammar the ids must keep, and whose context limits them.
        prefix (sequence of `int`, *optional*): what is asked of the piece; that of the ids when not given.
        ids (sequence of `int`): a piece, or the part of it that is given.
        free (sequence of triples, *optional*): tick from which and up to which other notes may be written,
            and a list of voices; notes of the ids that begin there do not stay. `None`: the ids are the
            subject of a fugue.
        transposition (`int`): semitones from the tokens to what sounds.

    Raises:
        GivenError: for ids that are no piece, and where nothing can be composed.
    """
    found = _legal(model, ids)
    kinds, values = TYPE_OF_ID[found], VALUE_OF_ID[found]
    now, ends = np.cumsum(np.where(kinds == TIME_TYPE, values, 0)), np.flatnonzero(kinds == DUR_TYPE)
    notes = np.stack([now[ends], values[ends], values[ends - 2], values[ends - 1]], axis=1)  # (n, 4)
    body = int((kinds == TIME_TYPE).argmax())
    prompt = found[:body].tolist() if prefix is None else list(prefix)
    asked = {TOKENS[token].type: TOKENS[token] for token in prompt}
    if prefix is not None and not asked.keys().isdisjoint(("NOTE", "TIME")):
        raise GivenError("There are notes before given_ids: give a prefix alone beside them, or nothing.")
    meter = asked["METER"].id if "METER" in asked else TOKEN_TO_ID["METER_4/4"]
    changes = [i for i in np.flatnonzero(kinds == METER_TYPE).tolist() if i > body]
    meters = [
        Bars(tick, METER_TICKS[VALUE_OF_ID[token]], token)
        for tick, token in ((0, meter), *((int(now[i]), int(found[i])) for i in changes))
    ]
    voices = max(2, int(notes[:, VOICE].max()) + 1, int(asked["VOICES"].value) if "VOICES" in asked else 0)
    one_by_one, begins = not has_chords(notes), 0
    if free is None:
        if "FORM" not in asked or asked["FORM"].value != "fugue":
            raise GivenError('Without `free` given_ids are a subject: ask for form="fugue" in the prefix.')
        notes, regions = _subject(notes, meters[0].ticks, voices, transposition)
    else:
        regions = _regions(free, voices)
        begins = min(region.start for region in regions)
    before = int((notes[:, ONSET] < begins).sum())
    room = model.config.max_position_embeddings // 2
    if TOKENS_A_NOTE * before > room:
        raise GivenError(
            f"{before} notes stand before the first place that is free, and {room // TOKENS_A_NOTE} can be"
            " read: give fewer bars."
        )
    stays = ~np.any([region.holds(notes) for region in regions], axis=0)
    read = int(notes[before - 1, ONSET]) if before else 0
    frame = frame_between(notes[stays], regions, meters, voices, begins, read, one_by_one=one_by_one)
    prompt += found[body : ends[before - 1] + 1].tolist() if before else []
    done = int((notes[:, ONSET] <= frame.end).sum())
    rest = found[ends[done - 1] + 1 :].tolist() if done < len(notes) else []
    return GivenIds(prompt, frame, regions, voices, [*rest, EOS_ID] if rest else [], free is None)


def _legal(model: Any, ids: Sequence[int]) -> np.ndarray:
    """One piece's ids without padding and `<eos>`; raises `GivenError` where they are none."""
    flat = np.asarray(ids)
    if flat.dtype.kind not in "iu" or flat.size != flat.shape[-1]:
        raise GivenError(f"given_ids have the shape {flat.shape}: give the ids of one piece, (length,).")
    found = [token for token in flat.reshape(-1).tolist() if token != PAD_ID]
    found = found[: found.index(EOS_ID)] if EOS_ID in found else found
    legal, after, state = model.grammar.legal.numpy(), model.grammar.next_state.numpy(), 0
    for place, token in enumerate(found):
        if not (0 <= token < len(TOKENS) and legal[state, token]):
            name = TOKENS[token].text if 0 <= token < len(TOKENS) else token
            raise GivenError(f"Token {place} of given_ids, {name}, cannot stand there: see the grammar.")
        state = after[state, token]
    if not (TYPE_OF_ID[found] == DUR_TYPE).any():
        raise GivenError("given_ids have no notes, so there is nothing to stay.")
    return np.array(found)


def _regions(free: Any, voices: int) -> list[Region]:
    try:
        regions = [
            Region(int(start), None if end is None else int(end), tuple(map(int, own)))
            for start, end, own in free
        ]
    except (TypeError, ValueError) as error:
        raise GivenError(
            f"free is {free!r}; give triples of a tick, another one or None, and voices, such as"
            " (96, 192, [0, 1])."
        ) from error
    check_regions(regions, voices)
    return regions


def _subject(notes: np.ndarray, bar: int, voices: int, transposition: int) -> tuple[np.ndarray, list[Region]]:
    """A subject in the voice of its register, and where the fugue goes on."""
    if len(notes) < 2 or len(set(notes[:, VOICE].tolist())) > 1 or has_chords(notes):
        raise GivenError(
            "Without `free` given_ids are the subject of a fugue, two or more notes of one voice one after"
            " another: say in `free` where notes may be written beside others."
        )
    notes = notes.copy()
    notes[:, VOICE] = subject_voice(float(notes[:, PITCH].mean()) + transposition, voices)
    return notes, list(behind_subject(notes, bar, int(notes[0, VOICE]), voices))
