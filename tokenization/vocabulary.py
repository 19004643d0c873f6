"""The 150 tokens: every token's type, value and place in the grammar, in one table.

The order of the blocks and their sizes are the contract of the project (`docs/tokenizer.md`); the 32
durations and 22 time steps are those that lose least on the corpus, chosen by
`tokenization/choose_values.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TICKS_PER_QUARTER = 24
MAX_VOICES = 5
PITCH_MIN, PITCH_MAX = 28, 91

SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")
METERS = ("2/4", "3/4", "4/4", "2/2", "3/2", "6/4", "3/8", "6/8", "9/8", "12/8", "6/16", "12/16")
MODES = ("major", "minor")
FORMS = ("prelude", "fugue")
TEMPO_CLASSES = ("slow", "moderate", "fast")
# Quarter notes per minute at which a piece of each class is played when nothing else is said.
TEMPO_QPM = {"slow": 60.0, "moderate": 80.0, "fast": 104.0}
DURATIONS = (
    *(2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 24),  # up to a quarter
    *(27, 30, 32, 36, 40, 42, 48),  # up to a half
    *(54, 56, 60, 66, 72, 78, 84, 96),  # up to a whole note
    *(108, 120, 144, 156, 168, 192),
)
TIME_STEPS = (0, 1, 2, 3, 4, 6, 8, 9, 12, 15, 18, 24, 27, 30, 32, 36, 42, 48, 54, 60, 72, 96)
# A step that is not in TIME_STEPS is written as at most this many TIME tokens, which add up.
MAX_TIME_TOKENS = 4

# Type -> (values, types that may follow). The prefix holds at most one token of each of its blocks, in this
# order.
PREFIX_TYPES = ("MODE", "FORM", "METER", "VOICES", "TEMPO")
_TABLE: dict[str, tuple[tuple, tuple[str, ...]]] = {
    "SPECIAL": (SPECIAL_TOKENS, ()),
    "MODE": (MODES, (*PREFIX_TYPES[1:], "TIME")),
    "FORM": (FORMS, (*PREFIX_TYPES[2:], "TIME")),
    "METER": (METERS, (*PREFIX_TYPES[3:], "TIME", "NOTE")),
    "VOICES": ((2, 3, 4, 5), ("TEMPO", "TIME")),
    "TEMPO": (TEMPO_CLASSES, ("TIME",)),
    "NOTE": (tuple(range(PITCH_MIN, PITCH_MAX + 1)), ("VOICE",)),
    "VOICE": (tuple(range(MAX_VOICES)), ("DUR",)),
    "DUR": (DURATIONS, ("TIME",)),
    "TIME": (TIME_STEPS, ("NOTE", "TIME", "METER", "<eos>")),
}
TYPES = tuple(_TABLE)
TYPE_INDEX = {name: i for i, name in enumerate(TYPES)}
SPECIAL_TYPE, METER_TYPE, NOTE_TYPE, VOICE_TYPE, DUR_TYPE, TIME_TYPE = (
    TYPE_INDEX[name] for name in ("SPECIAL", "METER", "NOTE", "VOICE", "DUR", "TIME")
)


class Token(NamedTuple):
    """One row of the vocabulary: its id, its text, its type, its value and the types that may follow it."""

    id: int
    text: str
    type: str
    value: str | int
    followed_by: tuple[str, ...]


def _build_tokens() -> tuple[Token, ...]:
    tokens: list[Token] = []
    for kind, (values, followed_by) in _TABLE.items():
        for value in values:
            text = value if kind == "SPECIAL" else f"{kind}_{value}"
            after = {"<bos>": (*PREFIX_TYPES, "TIME"), "<eos>": ("<pad>",)}.get(text, followed_by)
            tokens.append(Token(len(tokens), text, kind, value, after))
    return tuple(tokens)


TOKENS = _build_tokens()
VOCAB_SIZE = len(TOKENS)
TOKEN_TO_ID = {token.text: token.id for token in TOKENS}
PAD_ID, BOS_ID, EOS_ID, UNK_ID = range(4)
# First id of each block.
OFFSET = {kind: next(t.id for t in TOKENS if t.type == kind) for kind in TYPES}

# Arrays indexed by id: the number of the type, and the value as an integer (place in its block where the
# value is text).
TYPE_OF_ID = np.array([TYPE_INDEX[t.type] for t in TOKENS], dtype=np.int64)
VALUE_OF_ID = np.array(
    [t.value if isinstance(t.value, int) else t.id - OFFSET[t.type] for t in TOKENS], dtype=np.int64
)


def parse_meter(text: str) -> tuple[int, int]:
    """`"6/8"` as `(6, 8)`."""
    numerator, denominator = text.split("/")
    return int(numerator), int(denominator)


def bar_ticks(numerator: int, denominator: int) -> int:
    """Length of a bar in ticks; rounded to at least one tick."""
    return max(1, numerator * 4 * TICKS_PER_QUARTER // denominator)


METER_TICKS = tuple(bar_ticks(*parse_meter(meter)) for meter in METERS)


def _nearest_duration_table(limit: int) -> np.ndarray:
    """For 0..limit ticks: the place in DURATIONS of the nearest one, the shorter of two equally near ones."""
    values = np.array(DURATIONS)
    # (limit + 1, 32) -> (limit + 1,)
    return np.abs(np.arange(limit + 1)[:, None] - values[None, :]).argmin(axis=1)


NEAREST_DURATION = _nearest_duration_table(DURATIONS[-1])


def fitting_durations(ticks: np.ndarray) -> np.ndarray:
    """The nearest durations that have a token."""
    return np.array(DURATIONS)[NEAREST_DURATION[np.minimum(ticks, DURATIONS[-1])]]


def fitting_pitches(pitches: np.ndarray) -> np.ndarray:
    """Pitches moved by octaves to where they have a token."""
    up, down = -((pitches - PITCH_MIN) // 12), -((PITCH_MAX - pitches) // 12)
    return pitches + 12 * (np.maximum(0, up) - np.maximum(0, down))


def _spell_steps() -> dict[int, tuple[int, ...]]:
    """Every step that can be written: ticks -> places in TIME_STEPS, as few as possible, largest first."""
    spelled: dict[int, tuple[int, ...]] = {0: (0,)}
    spelled.update({step: (i,) for i, step in enumerate(TIME_STEPS) if step})
    layer = dict(spelled)
    del layer[0]
    for _ in range(MAX_TIME_TOKENS - 1):
        wider: dict[int, tuple[int, ...]] = {}
        for total, places in layer.items():
            for i in range(len(TIME_STEPS) - 1, 0, -1):
                if i <= places[-1]:
                    wider.setdefault(total + TIME_STEPS[i], (*places, i))
        layer = {total: places for total, places in wider.items() if total not in spelled}
        spelled.update(layer)
    return spelled


STEP_SPELLING = _spell_steps()
# The longest silence between two onsets up to which every step can be written.
MAX_STEP = next(i for i in range(10**6) if i + 1 not in STEP_SPELLING)
