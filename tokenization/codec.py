"""Between `Score` and token ids, vectorised; the tokenizers are thin classes over these functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .errors import ScoreError, TokenError
from .key import normal_key
from .score import COMMON_TIME, DURATION, ONSET, PITCH, VOICE, Meter, Score
from .vocabulary import (
    BOS_ID,
    DURATIONS,
    EOS_ID,
    MODES,
    FORMS,
    METERS,
    NEAREST_DURATION,
    OFFSET,
    PAD_ID,
    PITCH_MIN,
    STEP_SPELLING,
    TEMPO_CLASSES,
    TEMPO_QPM,
    TIME_STEPS,
    TOKEN_TO_ID,
    TOKENS,
    TYPE_INDEX,
    TYPE_OF_ID,
    TYPES,
    VALUE_OF_ID,
    VOCAB_SIZE,
    MAX_TIME_TOKENS,
    parse_meter,
)

PREFIX_TYPES = ("MODE", "FORM", "METER", "VOICES", "TEMPO")
_NOTE, _VOICE, _DUR, _TIME, _METER = (TYPE_INDEX[name] for name in ("NOTE", "VOICE", "DUR", "TIME", "METER"))
# Step in ticks -> id of its single TIME token, or -1 where it takes several.
_TIME_ID = np.full(max(TIME_STEPS) + 2, -1, dtype=np.int64)
_TIME_ID[list(TIME_STEPS)] = OFFSET["TIME"] + np.arange(len(TIME_STEPS))


class Decoded(NamedTuple):
    """What `decode` found: the score, how many tokens it had to drop, and where the first illegal one stood."""

    score: Score
    dropped: int
    first_error: TokenError | None


def prefix_ids(
    mode: str | None = None,
    form: str | None = None,
    meter: str | None = None,
    voices: int | None = None,
    tempo: str | None = None,
) -> list[int]:
    """`<bos>` and the conditioning tokens, in the order of the grammar; what is `None` is left out.

    Raises:
        ScoreError: naming the value that has no token and those that have one.
    """
    ids = [BOS_ID]
    for name, value in zip(PREFIX_TYPES, (mode, form, meter, voices, tempo), strict=True):
        if value is None:
            continue
        token = f"{name}_{value}"
        if token not in TOKEN_TO_ID:
            known = ", ".join(str(t.value) for t in TOKENS if t.type == name)
            raise ScoreError(f"Unknown {name.lower()} {value!r}: it must be one of {known}.")
        ids.append(TOKEN_TO_ID[token])
    return ids


def score_prefix_ids(score: Score) -> list[int]:
    """The prefix that describes a quantised score completely."""
    return prefix_ids(
        mode=score.key.mode if score.key else None,
        form=score.form,
        meter=score.meters[0].name,
        voices=min(5, score.num_voices) if score.num_voices > 1 else None,
        tempo=score.tempo_class,
    )


def encode(score: Score) -> np.ndarray:
    """The ids of a whole piece, `<bos>` and `<eos>` included, `int64` of shape `(tokens,)`.

    The score is quantised first (`Score.quantised`).

    Raises:
        ScoreError: if it has no notes.
    """
    if not len(score):
        raise ScoreError("A score without notes cannot be encoded.")
    score = score.quantised()
    head = np.array(score_prefix_ids(score), dtype=np.int64)
    return np.concatenate([head, encode_body(score), [EOS_ID]])


def encode_body(score: Score) -> np.ndarray:
    """The ids between prefix and `<eos>` of a quantised score: the first TIME, then four tokens a note."""
    array = score.array
    steps = np.diff(array[:, ONSET], prepend=0)  # (n,): the first is where in the first bar the piece begins
    body = np.empty((len(array), 4), dtype=np.int64)  # TIME NOTE VOICE DUR: each note with the step that leads to it
    single = _TIME_ID[np.minimum(steps, len(_TIME_ID) - 1)]
    body[:, 0] = single
    body[:, 1] = OFFSET["NOTE"] + array[:, PITCH] - PITCH_MIN
    body[:, 2] = OFFSET["VOICE"] + array[:, VOICE]
    body[:, 3] = OFFSET["DUR"] + NEAREST_DURATION[array[:, DURATION]]
    flat = np.append(body.ravel(), OFFSET["TIME"])  # the last note's step is 0
    extra_at, extra = [], []
    for i in np.flatnonzero(single < 0):
        first, *more = (OFFSET["TIME"] + place for place in STEP_SPELLING[int(steps[i])])
        flat[4 * i] = first
        extra_at += [4 * i + 1] * len(more)
        extra += more
    for meter in score.meters[1:]:
        i = int(np.searchsorted(array[:, ONSET], meter.onset))
        extra_at.append(4 * i + 1)
        extra.append(TOKEN_TO_ID[f"METER_{meter.name}"])
    return np.insert(flat, extra_at, extra) if extra else flat


# Which type may follow which, and the three specials that begin and end a piece, as `[token id, token id] -> bool`.
def _successors() -> np.ndarray:
    table = np.zeros((VOCAB_SIZE, VOCAB_SIZE), dtype=bool)
    for token in TOKENS:
        for name in token.followed_by:
            table[token.id, [t.id for t in TOKENS if name in (t.type, t.text)]] = True
    # A step of 0 says that the next note sounds together with this one: only a note or the end can follow.
    zero = OFFSET["TIME"]
    table[zero, TYPE_OF_ID == _TIME] = False
    table[zero, TYPE_OF_ID == _METER] = False
    table[:, zero] &= TYPE_OF_ID != _TIME
    table[PAD_ID, [PAD_ID, BOS_ID]] = True
    table[EOS_ID, PAD_ID] = True
    return table


SUCCESSORS = _successors()


def _split(ids: np.ndarray) -> tuple[np.ndarray, int]:
    """Cut the padding before `<bos>` and all from `<eos>` on; also how many ids were cut in front."""
    start = int((ids != PAD_ID).argmax()) if len(ids) else 0
    ends = np.flatnonzero((ids == EOS_ID) | ((ids == PAD_ID) & (np.arange(len(ids)) > start)))
    return ids[start : ends[0] if len(ends) else len(ids)], start


def first_error(ids: Sequence[int] | np.ndarray) -> TokenError | None:
    """The first breach of the grammar, or `None`. A sequence may stop anywhere: cut is not illegal."""
    ids = np.asarray(ids, dtype=np.int64)
    outside = (ids < 0) | (ids >= VOCAB_SIZE)
    if outside.any():
        i = int(outside.argmax())
        return TokenError(f"Token {i} has id {ids[i]}, outside the vocabulary of {VOCAB_SIZE}.", i)
    start = int((ids != PAD_ID).argmax()) if len(ids) else 0
    if len(ids) == 0 or ids[start] != BOS_ID:
        return TokenError(f"Token {start} must be <bos>, not {_name(ids, start)}.", start)
    wrong = ~SUCCESSORS[ids[:-1], ids[1:]]
    kinds = TYPE_OF_ID[ids]
    wrong |= _wrong_by_place(ids, kinds)[1:]
    if not wrong.any():
        return None
    i = int(wrong.argmax()) + 1
    expected = " or ".join(TOKENS[ids[i - 1]].followed_by) or "nothing"
    return TokenError(f"Token {i} is {_name(ids, i)}; after {_name(ids, i - 1)} comes {expected}.", i)


def _name(ids: np.ndarray, i: int) -> str:
    return TOKENS[ids[i]].text if i < len(ids) else "the end"


def _wrong_by_place(ids: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """What pairs of tokens cannot show, shape `(tokens,)`: the place of METER and `<eos>`, and the length of a run of TIMEs."""
    after_note = np.cumsum(kinds == _NOTE) > 0
    meter_before = np.append(False, kinds[:-1] == _METER)
    time_before = np.append(False, kinds[:-1] == _TIME)
    wrong = (ids == EOS_ID) & ~after_note
    wrong |= (kinds == _METER) & time_before & ~after_note
    # Between notes METER stands alone; in the prefix a NOTE cannot follow it.
    wrong |= meter_before & after_note & (kinds != _NOTE)
    wrong |= meter_before & (kinds == _NOTE) & (np.cumsum(kinds == _NOTE) == 1)
    is_time = kinds == _TIME
    place = np.arange(len(ids))
    run = place - np.maximum.accumulate(np.where(is_time, -1, place))
    return wrong | (run > MAX_TIME_TOKENS)


def decode(ids: Sequence[int] | np.ndarray, strict: bool = True) -> Decoded:
    """The score that the ids spell, in C major or A minor.

    Args:
        ids (sequence of `int`): one piece, with or without padding around it. What follows `<eos>` is ignored; a last note that is
            not finished is dropped.
        strict (`bool`): raise on the first illegal token; otherwise skip to the next legal note and count what was dropped.

    Raises:
        TokenError: with `strict`, naming the first illegal token and its position.
    """
    ids = np.asarray(ids, dtype=np.int64)
    error = first_error(ids)
    if error is not None and strict:
        raise error
    dropped = 0
    if error is not None:
        kept = _legal_part(ids)
        dropped, ids = len(ids) - len(kept), kept
    ids, _ = _split(ids)
    kinds, values = TYPE_OF_ID[ids], VALUE_OF_ID[ids]
    now = np.cumsum(np.where(kinds == _TIME, values, 0))  # tick at which the next note would begin
    heads = np.flatnonzero(kinds[: max(0, len(ids) - 2)] == _NOTE)  # notes with VOICE and DUR behind them
    array = np.stack([now[heads], values[heads + 2], values[heads], values[heads + 1]], axis=1)  # 4 x (n,) -> (n, 4)
    prefix = {TYPES[kinds[i]]: int(values[i]) for i in range(min(7, len(ids))) if 1 <= kinds[i] < _NOTE}
    meters = [COMMON_TIME] if "METER" not in prefix else [Meter(0, *parse_meter(METERS[prefix["METER"]]))]
    first = heads[0] if len(heads) else len(ids)
    for i in np.flatnonzero(kinds == _METER):
        if i > first and now[i] > meters[-1].onset:
            meters.append(Meter(int(now[i]), *parse_meter(METERS[values[i]])))
    tempo_class = TEMPO_CLASSES[prefix["TEMPO"]] if "TEMPO" in prefix else None
    score = Score(
        array,
        meters=meters,
        key=normal_key(MODES[prefix["MODE"]]) if "MODE" in prefix else None,
        form=FORMS[prefix["FORM"]] if "FORM" in prefix else None,
        tempo=TEMPO_QPM[tempo_class] if tempo_class else None,
        tempo_class=tempo_class,
    )
    return Decoded(score, dropped, error)


def _legal_part(ids: np.ndarray) -> np.ndarray:
    """The ids without what breaks the grammar: tokens up to the next one that may follow are skipped."""
    raise NotImplementedError
