"""Between `Score` and token ids, vectorised; the tokenizers are thin classes over these functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import ScoreError, TokenError
from .key import normal_key
from .score import COMMON_TIME, DURATION, ONSET, PITCH, VOICE, Meter, Score
from .vocabulary import (
    BOS_ID,
    EOS_ID,
    FORMS,
    MAX_TIME_TOKENS,
    METER_TYPE,
    METERS,
    MODES,
    NEAREST_DURATION,
    NOTE_TYPE,
    OFFSET,
    PAD_ID,
    PITCH_MIN,
    PREFIX_TYPES,
    STEP_SPELLING,
    TEMPO_CLASSES,
    TEMPO_QPM,
    TIME_STEPS,
    TIME_TYPE,
    TOKEN_TO_ID,
    TOKENS,
    TYPE_OF_ID,
    TYPES,
    UNK_ID,
    VALUE_OF_ID,
    VOCAB_SIZE,
    VOICE_TYPE,
    parse_meter,
)

# Step in ticks -> id of its single TIME token, or -1 where it takes several.
_TIME_ID = np.full(max(TIME_STEPS) + 2, -1, dtype=np.int64)
_TIME_ID[list(TIME_STEPS)] = OFFSET["TIME"] + np.arange(len(TIME_STEPS))


class Decoded(NamedTuple):
    """What `decode` found: the score, how many tokens it had to drop, and where the first illegal one
    stood.
    """

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
    # TIME NOTE VOICE DUR: each note with the step that leads to it
    body = np.empty((len(array), 4), dtype=np.int64)
    single = _TIME_ID[np.minimum(steps, len(_TIME_ID) - 1)]
    body[:, 0] = single
    body[:, 1] = OFFSET["NOTE"] + array[:, PITCH] - PITCH_MIN
    body[:, 2] = OFFSET["VOICE"] + array[:, VOICE]
    body[:, 3] = OFFSET["DUR"] + NEAREST_DURATION[array[:, DURATION]]
    flat = np.append(body.ravel(), OFFSET["TIME"])  # the last note's step is 0
    extra_at: list[int] = []
    extra: list[int] = []
    for i in np.flatnonzero(single < 0).tolist():
        first, *more = (OFFSET["TIME"] + place for place in STEP_SPELLING[int(steps[i])])
        flat[4 * i] = first
        extra_at += [4 * i + 1] * len(more)
        extra += more
    for meter in score.meters[1:]:
        place = int(np.searchsorted(array[:, ONSET], meter.onset))
        extra_at.append(4 * place + 1)
        extra.append(TOKEN_TO_ID[f"METER_{meter.name}"])
    return np.insert(flat, extra_at, extra) if extra else flat


# Which type may follow which, and the three specials that begin and end a piece, as `[token id, token id] ->
# bool`.
def _successors() -> np.ndarray:
    table = np.zeros((VOCAB_SIZE, VOCAB_SIZE), dtype=bool)
    for token in TOKENS:
        for name in token.followed_by:
            table[token.id, [t.id for t in TOKENS if name in (t.type, t.text)]] = True
    # A step of 0 says that the next note sounds together with this one: only a note or the end can follow.
    zero = OFFSET["TIME"]
    table[zero, TYPE_OF_ID == TIME_TYPE] = False
    table[zero, TYPE_OF_ID == METER_TYPE] = False
    table[:, zero] &= TYPE_OF_ID != TIME_TYPE
    table[PAD_ID, [PAD_ID, BOS_ID]] = True
    table[EOS_ID, PAD_ID] = True
    return table


SUCCESSORS = _successors()


def _trim(ids: np.ndarray) -> tuple[int, int]:
    """Where the piece begins and ends between the padding on both sides."""
    real = np.flatnonzero(ids != PAD_ID)
    return (int(real[0]), int(real[-1]) + 1) if len(real) else (0, 0)


def _as_ids(ids: Any) -> np.ndarray:
    """Ids of one piece from a list, an array or a tensor, `int64` of shape `(tokens,)`.

    Raises:
        TokenError: if it is a batch, or holds anything but integers.
    """
    if hasattr(ids, "detach"):
        ids = ids.detach().cpu()
    try:
        array = np.asarray(ids)
    except ValueError as error:
        raise TokenError(
            "One piece is a flat sequence of ids; this holds sequences of several lengths. Decode them piece"
            " by piece."
        ) from error
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1:
        raise TokenError(
            f"One piece is a flat sequence of ids; this has shape {array.shape}. Decode a batch piece by"
            " piece."
        )
    if array.dtype.kind not in "iu":
        raise TokenError(
            f"Ids must be integers, not {array.dtype}. Text becomes ids by calling the tokenizer on it."
        )
    return array.astype(np.int64)


def first_error(ids: Sequence[int] | np.ndarray) -> TokenError | None:
    """The first breach of the grammar, or `None`. A sequence may stop anywhere: cut is not illegal."""
    ids = _as_ids(ids)
    outside = (ids < 0) | (ids >= VOCAB_SIZE)
    ended = np.cumsum(ids == EOS_ID) > 0
    if (outside & ~ended).any():
        i = int(outside.argmax())
        return TokenError(f"Token {i} has id {ids[i]}, outside the vocabulary of {VOCAB_SIZE}.", i)
    ids = np.where(outside, UNK_ID, ids)
    start, end = _trim(ids)
    if start == end or ids[start] != BOS_ID:
        return TokenError(f"Token {start} must be <bos>, not {_name(ids, start)}.", start)
    wrong = _breaches(ids[start:end])
    if not wrong.any():
        return None
    i = start + int(wrong.argmax())
    before = TOKENS[ids[i - 1]]
    expected = " or ".join(before.followed_by) or "nothing"
    return TokenError(f"Token {i} is {_name(ids, i)}; after {before.text} comes {expected}.", i)


def _breaches(ids: np.ndarray) -> np.ndarray:
    """Which tokens may not stand where they stand, up to `<eos>`; `ids` begins with `<bos>`, shape
    `(tokens,)`.
    """
    kinds = TYPE_OF_ID[ids]
    wrong = np.zeros(len(ids), dtype=bool)
    wrong[1:] = ~SUCCESSORS[ids[:-1], ids[1:]]
    wrong |= _wrong_by_place(ids, kinds)
    ended = np.cumsum(ids == EOS_ID) - (ids == EOS_ID)  # 0 up to the first <eos>, that one included
    return wrong & (ended == 0)


def _name(ids: np.ndarray, i: int) -> str:
    return TOKENS[ids[i]].text if i < len(ids) else "the end"


def _wrong_by_place(ids: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """What pairs of tokens cannot show, shape `(tokens,)`: the place of METER and `<eos>`, and the length of
    a run of TIMEs.
    """
    after_note = np.cumsum(kinds == NOTE_TYPE) > 0
    meter_before = np.append(False, kinds[:-1] == METER_TYPE)
    time_before = np.append(False, kinds[:-1] == TIME_TYPE)
    wrong = (ids == EOS_ID) & ~after_note
    wrong |= (kinds == METER_TYPE) & time_before & ~after_note
    # Between notes METER stands alone; in the prefix a NOTE cannot follow it.
    wrong |= meter_before & after_note & (kinds != NOTE_TYPE)
    wrong |= meter_before & (kinds == NOTE_TYPE) & (np.cumsum(kinds == NOTE_TYPE) == 1)
    is_time = kinds == TIME_TYPE
    place = np.arange(len(ids))
    run = place - np.maximum.accumulate(np.where(is_time, -1, place))
    return wrong | (run > MAX_TIME_TOKENS)


def decode(ids: Sequence[int] | np.ndarray, strict: bool = True) -> Decoded:
    """The score that the ids spell, in C major or A minor.

    Args:
        ids (sequence of `int`): one piece, with or without padding around it. What follows `<eos>` is
            ignored; a last note that is not finished is dropped.
        strict (`bool`): raise on the first illegal token; otherwise skip to the next legal note, count what
            was dropped and say so in the score's `notices`.

    Raises:
        TokenError: with `strict`, naming the first illegal token and its position; for what is no row of ids.
    """
    ids = _as_ids(ids)
    error = first_error(ids)
    if error is not None and strict:
        raise error
    start, end = _trim(ids)
    ids, dropped = ids[start:end], 0
    if error is not None:
        legal, dropped = _legal_part(ids.tolist())
        ids = np.array(legal, dtype=np.int64)
    ends = np.flatnonzero(ids == EOS_ID)
    score = _read(ids[: ends[0]] if len(ends) else ids)
    if error is not None:
        score = score.replace(notices=(*score.notices, f"{dropped} tokens dropped; the first error: {error}"))
    return Decoded(score, dropped, error)


def _read(ids: np.ndarray) -> Score:
    """The score of legal ids without padding and `<eos>`."""
    kinds, values = TYPE_OF_ID[ids], VALUE_OF_ID[ids]
    now = np.cumsum(np.where(kinds == TIME_TYPE, values, 0))  # tick at which the next note would begin
    heads = np.flatnonzero(kinds[: max(0, len(ids) - 2)] == NOTE_TYPE)  # notes with VOICE and DUR behind them
    # 4 x (n,) -> (n, 4)
    array = np.stack([now[heads], values[heads + 2], values[heads], values[heads + 1]], axis=1)
    body = int((kinds == TIME_TYPE).argmax()) if (kinds == TIME_TYPE).any() else len(ids)
    prefix = {TYPES[kind]: int(value) for kind, value in zip(kinds[1:body], values[1:body], strict=True)}
    tempo_class = TEMPO_CLASSES[prefix["TEMPO"]] if "TEMPO" in prefix else None
    return Score(
        array,
        meters=_read_meters(kinds[body:], values[body:], now[body:], prefix.get("METER")),
        key=normal_key(MODES[prefix["MODE"]]) if "MODE" in prefix else None,
        form=FORMS[prefix["FORM"]] if "FORM" in prefix else None,
        tempo=TEMPO_QPM[tempo_class] if tempo_class else None,
        tempo_class=tempo_class,
    )


def _read_meters(kinds: np.ndarray, values: np.ndarray, now: np.ndarray, first: int | None) -> list[Meter]:
    """The meter of the prefix (4/4 without one) and those between notes, where they change anything."""
    meters = [COMMON_TIME if first is None else Meter(0, *parse_meter(METERS[first]))]
    for i in np.flatnonzero(kinds == METER_TYPE):
        meter = Meter(int(now[i]), *parse_meter(METERS[values[i]]))
        on_bar_line = (meter.onset - meters[-1].onset) % meter.bar_ticks == 0
        if meter.onset > meters[-1].onset and not (meter.name == meters[-1].name and on_bar_line):
            meters.append(meter)
    return meters


def _legal_part(ids: list[int]) -> tuple[list[int], int]:
    """The ids without what breaks the grammar, and how many were dropped: tokens are skipped until one may
    follow.

    A NOTE is kept only together with its VOICE and DUR; steps between notes are kept, so that what follows an
    error stays in time.
    """
    types = [TYPES[TYPE_OF_ID[i]] if 0 <= i < VOCAB_SIZE else "SPECIAL" for i in ids]
    stop = ids.index(EOS_ID) if EOS_ID in ids else len(ids)
    kept = [BOS_ID]
    at = 1 if ids[:1] == [BOS_ID] else 0
    dropped = 0
    notes = 0
    while at < stop:
        width = 3 if types[at] == "NOTE" else 1
        taken = ids[at : min(at + width, stop)]
        if tuple(types[at : at + len(taken)]) in _WHOLE and _may_follow(kept, taken[0], notes):
            kept += taken
            notes += width == 3
            at += width
        else:
            dropped += 1
            at += 1
    while kept and TYPE_OF_ID[kept[-1]] == METER_TYPE and notes:
        kept.pop()
        dropped += 1
    return kept, dropped


# What `_legal_part` takes in one piece; a note may be cut off by the end.
_WHOLE = {("NOTE", "VOICE", "DUR"), ("NOTE", "VOICE"), *((name,) for name in ("NOTE", "TIME", *PREFIX_TYPES))}


def _may_follow(kept: list[int], token: int, notes: int) -> bool:
    """Whether the token may stand after legal ids that hold this many notes."""
    if not SUCCESSORS[kept[-1], token]:
        return False
    kind, before = TYPE_OF_ID[token], TYPE_OF_ID[kept[-1]]
    if kind == METER_TYPE:
        return (before == TIME_TYPE) == (notes > 0)
    # Between notes a NOTE follows METER, in the prefix anything else.
    if before == METER_TYPE:
        return (kind == NOTE_TYPE) == (notes > 0)
    return kind != TIME_TYPE or not all(TYPE_OF_ID[i] == TIME_TYPE for i in kept[-MAX_TIME_TOKENS:])


def token_errors(ids: Sequence[int] | np.ndarray) -> dict[str, float]:
    """How ungrammatical ids are, after `tokens_errors` of MidiTok.

    Args:
        ids (sequence of `int`): one piece; padding and what follows `<eos>` are not looked at.

    Returns:
        `type`: tokens that may not follow the one before (a first token that is not `<bos>` and ids outside
        the vocabulary among them); `time`: steps written as no `Score` is (a 0 among others, more than four
        in a row) and notes struck together that do not stand from the highest voice and pitch down;
        `duplicate`: notes that repeat onset, voice and pitch of another;
        `tokens`: how many were looked at; `share`: the sum of the three by `tokens`, 0.0 for no tokens.
    """
    ids = _as_ids(ids)
    start, end = _trim(ids)
    ids = ids[start:end]
    ends = np.flatnonzero(ids == EOS_ID)
    ids = ids[: ends[0] + 1] if len(ends) else ids
    outside = (ids < 0) | (ids >= VOCAB_SIZE)
    ids = np.where(outside, UNK_ID, ids)
    errors = {"type": 0, "time": 0, "duplicate": 0}
    if len(ids):
        kinds = TYPE_OF_ID[ids]
        in_run = np.zeros(len(ids), dtype=bool)  # a TIME after a TIME
        in_run[1:] = (kinds[1:] == TIME_TYPE) & (kinds[:-1] == TIME_TYPE)
        wrong = _breaches(ids)
        wrong[0] = ids[0] != BOS_ID
        unordered, duplicate = _wrong_together(ids, kinds)
        errors = {
            "type": int((wrong & ~in_run).sum()),
            "time": int((wrong & in_run).sum()) + unordered,
            "duplicate": duplicate,
        }
    return {**errors, "tokens": len(ids), "share": sum(errors.values()) / max(1, len(ids))}


def _wrong_together(ids: np.ndarray, kinds: np.ndarray) -> tuple[int, int]:
    """Whole notes that stand after a lower one of the same onset, and notes that repeat another."""
    heads = np.flatnonzero(kinds[:-1] == NOTE_TYPE)
    heads = heads[kinds[heads + 1] == VOICE_TYPE]
    now = np.cumsum(np.where(kinds == TIME_TYPE, VALUE_OF_ID[ids], 0))[heads]
    # rises from the highest voice and pitch down
    rank = VALUE_OF_ID[ids[heads + 1]] * 128 + 127 - VALUE_OF_ID[ids[heads]]
    together = np.diff(now) == 0
    names = now * 1024 + rank
    return int((together & (np.diff(rank) < 0)).sum()), len(names) - len(np.unique(names))
