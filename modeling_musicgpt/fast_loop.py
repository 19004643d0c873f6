# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""The loop of fast decoding: guess, one pass over the weights, choose token by token as far as the guesses were right.

Rows of a batch go ahead independently, each as fast as its guesses allow, and threads may decode some of the rows each.
"""

from __future__ import annotations

from .fast_choice import (
    BAR_END,
    GRAMMAR,
    MAX_LENGTH,
    MIN_LENGTH,
    NOT_A_NUMBER,
    PENALTY,
    REPETITION,
    Rules,
    allow_bar_end,
    allow_grammar,
    allow_new_pitches,
    choose,
    forbid_end,
    penalise,
)
from .fast_compiler import Bools, Floats, Ints, Ints32, kernel, struct
from .fast_draft import NUM_TABLES, TABLE_SIZE, guess, learn
from .fast_forward import (
    BAR_TICKS_DEFAULT,
    BOS,
    FIRST_DURATION,
    FIRST_NOTE,
    LOWEST_PITCH,
    MELODIC_ROWS,
    NUM_CACHED,
    NUM_DURATIONS,
    NUM_MOTIFS,
    NUM_NOTES,
    SILENT,
    VOCAB,
    VOCAB_ROWS,
    VOICES,
    Model,
    Work,
    forward,
    imitation_logits,
    melodic_logits,
    token_logits,
)
from .fast_imitation import NUM_FIELDS, hear
from .fast_music import IS_TIME, NUM_MEANINGS, STATE, STATE_SIZE, TOKEN, advance

# Tokens that one pass takes of a row beyond its last one: guesses. Together they fill a tile of four.
GUESSES = 3
# Tokens of a prompt that one pass takes.
PROMPT_PART = 64


@struct
class Rows:
    """The rows of the batch, or those of them that one thread decodes."""

    ids: Ints  # (rows, room)
    room: int  # columns of ids
    length: Ints  # (rows,), tokens in each row, padding among them
    cached: Ints  # (rows,), tokens in its cache: all its real tokens but the last
    done: Bools  # (rows,)
    state: Ints  # (rows, STATE_SIZE), after the tokens in the cache
    notes: Ints  # (rows, NUM_FIELDS, note_room), see `fast_imitation`
    note_room: int  # 0: no log is kept
    memory: Ints32  # (rows, NUM_TABLES, TABLE_SIZE), of the guesses
    seen: Bools  # (rows, vocab), for the repetition penalty
    scores: Floats  # (vocab,)
    sorted_scores: Floats
    places: Ints
    allowed: Bools
    statistics: Ints  # passes made, tokens chosen
    noise_rows: int  # rows of the whole batch


@kernel
def _follow(before: Ints, s: Ints, m: Model, rules: Rules, b: Rows, row: int, token: int, column: int):
    """`s` becomes the state of a row after `token` in `column`, where the state was `before`."""
    for i in range(STATE_SIZE):
        s[i] = before[i]
    z = m.size
    advance(
        s, token, column, m.table, z[VOCAB], rules.next_state, z[SILENT], z[VOICES], z[NUM_MOTIFS], z[BOS], z[BAR_TICKS_DEFAULT]
    )  # fmt: skip
    if b.note_room > 0:
        hear(before, s, _log(b, row), b.note_room, token, z[BOS], z[FIRST_DURATION], z[NUM_DURATIONS], z[LOWEST_PITCH])


@kernel
def _log(b: Rows, row: int) -> Ints:
    """The notes of a row."""
    return b.notes + row * NUM_FIELDS * b.note_room


@kernel
def read_prompt(m: Model, rules: Rules, r: Work, b: Rows, row: int, first: int, learns: bool):
    """Takes the real tokens of a row, `ids[row, first:length]`, into its cache and state, but the last."""
    ids, kept = b.ids + row * b.room, b.state + row * STATE_SIZE
    end = b.length[row] - 1
    for start in range(first, end, PROMPT_PART):
        count = min(PROMPT_PART, end - start)
        before = kept
        for i in range(count):
            if learns and start + i > first:
                learn(b.memory + row * NUM_TABLES * TABLE_SIZE, before, m.table, m.size[VOICES], ids[start + i])
            _follow(before, r.states + i * STATE_SIZE, m, rules, b, row, ids[start + i], start + i)
            before = r.states + i * STATE_SIZE
            r.positions[i] = start - first + i
        r.rows[0], r.firsts[0], r.counts[0] = row, 0, count
        forward(m, r, 1)
        for i in range(STATE_SIZE):
            kept[i] = before[i]
        b.cached[row] = start - first + count


@kernel(whole=True)
def look_ahead(m: Model, rules: Rules, r: Work, b: Rows, until: int, num_guesses: int) -> int:
    """One pass for all rows that are not done and have room before column `until`; the number of rows in it.

    Each takes its last token and up to `num_guesses` guesses; afterwards `logits` has a row for each.
    """
    num_rows, total = 0, 0
    until = min(until, int(rules.how[MAX_LENGTH]))
    for row in range(m.size[NUM_CACHED]):
        length = b.length[row]
        if b.done[row] or until <= length:
            continue
        r.rows[num_rows], r.firsts[num_rows] = row, total
        before, token = b.state + row * STATE_SIZE, b.ids[row * b.room + length - 1]
        for i in range(min(num_guesses + 1, until - length)):
            if i > 0:
                # After a TIME comes a NOTE, which is hard to guess: only a row alone tries, whose tile of four has room anyway.
                if m.size[NUM_CACHED] > 1 and m.table[NUM_MEANINGS * token + IS_TIME] > 0:
                    break
                token = guess(b.memory + row * NUM_TABLES * TABLE_SIZE, before, m.table, m.size[VOICES], m.token_of)
            _follow(before, r.states + total * STATE_SIZE, m, rules, b, row, token, length - 1 + i)
            before = r.states + total * STATE_SIZE
            r.positions[total] = b.cached[row] + i
            total += 1
        r.counts[num_rows] = total - r.firsts[num_rows]
        num_rows += 1
    if num_rows > 0:
        forward(m, r, num_rows)
        token_logits(m, r, total)
        b.statistics[0] += 1
    return num_rows


@kernel
def finish_logits(m: Model, rules: Rules, r: Work, b: Rows, row: int, place: int, always: bool) -> int:
    """Adds the parts of the heads to the logits of a row in `place`, the melodic one's where a NOTE may come; returns where they begin."""
    state = r.states[place * STATE_SIZE + STATE]
    if m.size[MELODIC_ROWS] > 0 and (always or rules.legal[state * m.size[VOCAB] + m.size[FIRST_NOTE]]):
        melodic_logits(m, r, place)
    if b.note_room > 0:
        imitation_logits(m, r, place, _log(b, row), b.note_room)
    return place * m.size[VOCAB_ROWS]


@kernel(whole=True)
def mask(m: Model, rules: Rules, b: Rows, row: int, s: Ints):
    """Grammar, end at a bar line and limit on repetition, on `scores`; `s` is the state of the row."""
    how, length, vocab, note = rules.how, b.length[row], m.size[VOCAB], m.size[FIRST_NOTE]
    if how[GRAMMAR] > 0:
        allow_grammar(b.scores, s, rules.legal, how, b.allowed, vocab)
    if how[BAR_END] > 0:
        allow_bar_end(b.scores, s, rules, length, b.allowed, vocab)
    if how[REPETITION] > 0 and rules.legal[s[STATE] * vocab + note]:
        allow_new_pitches(b.scores, b.ids + row * b.room, length, note, m.size[NUM_NOTES], b.places, b.allowed, vocab)


@kernel
def mask_row(m: Model, rules: Rules, r: Work, b: Rows, row: int, place: int):
    """The same, for a row whose state is that in `place` of the last pass."""
    mask(m, rules, b, row, r.states + place * STATE_SIZE)


@kernel(whole=True)
def choose_next(m: Model, rules: Rules, r: Work, b: Rows, row: int, place: int, noise: Floats) -> int:
    """The next token of a row, after the state in `place`."""
    how, vocab = rules.how, m.size[VOCAB]
    logits = r.logits + finish_logits(m, rules, r, b, row, place, how[GRAMMAR] == 0)
    for i in range(vocab):
        b.scores[i] = logits[i]
    if how[PENALTY] != 1:
        penalise(b.scores, b.seen + row * vocab, how[PENALTY], vocab)
    if b.length[row] < how[MIN_LENGTH]:
        forbid_end(b.scores, rules.is_eos, vocab)
    mask(m, rules, b, row, r.states + place * STATE_SIZE)
    return choose(b.scores, noise, how, b.sorted_scores, b.places, vocab)


@kernel(whole=True)
def accept(m: Model, rules: Rules, r: Work, b: Rows, row: int, place: int, token: int, learns: bool):
    """`token` is the next one of a row, after the state in `place`: into the ids, the state and the memory of the guesses."""
    kept, s, length = b.state + row * STATE_SIZE, r.states + place * STATE_SIZE, b.length[row]
    for i in range(STATE_SIZE):
        kept[i] = s[i]
    b.ids[row * b.room + length] = token
    b.cached[row] += 1
    b.length[row] = length + 1
    b.statistics[1] += 1
    if 0 <= token < m.size[VOCAB]:
        b.seen[row * m.size[VOCAB] + token] = True
        if learns:
            learn(b.memory + row * NUM_TABLES * TABLE_SIZE, s, m.table, m.size[VOICES], token)
        if rules.is_eos[token]:
            b.done[row] = True
    if length + 1 >= rules.how[MAX_LENGTH]:
        b.done[row] = True


@kernel
def decode(
    m: Model, rules: Rules, r: Work, b: Rows, noise: Floats, noise_from: int, noise_until: int, num_passes: int, num_guesses: int
) -> int:  # fmt: skip
    """Decodes until a row has used its noise, all are done, or `num_passes` passes were made.

    `noise`, `(steps, noise_rows, vocab)` from the first of these rows on, is for column `noise_from` and after, filled up to column
    `noise_until`.
    Returns 0, or `NOT_A_NUMBER` if the scores of a row are not numbers.
    """
    vocab, batch = m.size[VOCAB], m.size[NUM_CACHED]
    for _ in range(num_passes):
        num_rows = look_ahead(m, rules, r, b, noise_until, num_guesses)
        for i in range(num_rows):
            row, end = r.rows[i], r.firsts[i] + r.counts[i]
            for place in range(r.firsts[i], end):
                step = (b.length[row] - noise_from) * b.noise_rows + row
                token = choose_next(m, rules, r, b, row, place, noise + step * vocab)
                if token == NOT_A_NUMBER:
                    return NOT_A_NUMBER
                accept(m, rules, r, b, row, place, token, num_guesses > 0)
                if b.done[row] or place + 1 == end or r.states[(place + 1) * STATE_SIZE + TOKEN] != token:
                    break
        if num_rows == 0 or _waits(b, batch, noise_until):
            return 0
    return 0


@kernel
def _waits(b: Rows, batch: int, until: int) -> bool:
    """Whether a row that is not done has reached a column."""
    for row in range(batch):  # noqa: SIM110 - `any` is not in the subset
        if not b.done[row] and b.length[row] >= until:
            return True
    return False


ENTRIES = [accept, choose_next, decode, finish_logits, look_ahead, mask_row, read_prompt]
