"""Meter, voices and motifs of the model against a reader that goes token by token through the vocabulary of
the tokenizer.
"""

from __future__ import annotations

import pytest
import torch

from modeling_musicgpt import MusicGPTConfig
from modeling_musicgpt.musical_state_musicgpt import MusicalFeatures, MusicalStateTracker
from tests.modeling_musicgpt.conftest import legal_ids
from tokenization.vocabulary import (
    BOS_ID,
    EOS_ID,
    METER_TICKS,
    OFFSET,
    PAD_ID,
    PITCH_MIN,
    TOKEN_TO_ID,
    TOKENS,
)

MOTIFS = 97
WISHES = {
    "MODE": ("major", "minor"),
    "FORM": ("prelude", "fugue"),
    "VOICES": (2, 3, 4, 5),
    "TEMPO": ("slow", "moderate", "fast"),
}
TRACKER = MusicalStateTracker(MusicGPTConfig(num_motifs=MOTIFS))


class Reader:
    """Plain Python: what is known after each token of legal pieces."""

    def __init__(self):
        self.begin()

    def begin(self):
        self.now, self.meter_at, self.bar_ticks = 0, 0, 96
        self.notes = {voice: [] for voice in range(5)}  # voice -> [pitch, onset, duration or None]
        self.pitch = self.latest = None
        self.wishes = dict.fromkeys(WISHES, 0)

    def read(self, token: int) -> tuple:
        """The state after the token, in the order of `MusicalFeatures`."""
        kind, value = TOKENS[token].type, TOKENS[token].value
        interval = motif = 0
        if token == BOS_ID:
            self.begin()
        elif kind == "TIME":
            self.now += value
        elif kind == "METER":
            self.meter_at, self.bar_ticks = self.now, METER_TICKS[token - OFFSET["METER"]]
        elif kind == "NOTE":
            self.pitch = value
        elif kind == "VOICE":
            before = self.notes[value][-1:]
            interval = self.clipped(self.pitch - before[0][0]) if before else 50
            motif = 1 + (7 * self.rhythm(value) + 3) % MOTIFS
            self.notes[value].append([self.pitch, self.now, None])
            self.latest = value
        elif kind in WISHES:
            names = [f"{name}_{value}" for name, values in WISHES.items() for value in values]
            self.wishes[kind] = 1 + names.index(TOKENS[token].text)
        elif kind == "DUR":
            self.notes[self.latest][-1][2] = value
        if kind in ("DUR", "TIME") and self.latest is not None:
            motif = 1 + self.melody(self.notes[self.latest]) % MOTIFS
        since = self.now - self.meter_at
        return (
            self.now,
            since % self.bar_ticks,
            since // self.bar_ticks,
            interval,
            motif,
            *self.voices(),
            list(self.wishes.values()),
        )

    @staticmethod
    def clipped(interval: int) -> int:
        return max(-24, min(24, interval)) + 25

    def voices(self) -> tuple:
        pitches, remaining, elapsed = [], [], []
        for notes in self.notes.values():
            if not notes:
                pitches.append(0), remaining.append(128), elapsed.append(64)
                continue
            pitch, onset, duration = notes[-1]
            pitches.append(pitch - PITCH_MIN + 1)
            remaining.append(
                129 if duration is None else max(-24, min(103, onset + duration - self.now)) + 24
            )
            elapsed.append(min(63, self.now - onset))
        return pitches, remaining, elapsed

    def rhythm(self, voice: int) -> int:
        """Of the notes before the one that begins: three durations, the place in the quarter, and how long
        ago the last began.
        """
        notes = self.notes[voice]
        durations = [notes[-k][2] if len(notes) >= k else 0 for k in (1, 2, 3)]
        gap = min(199, self.now - notes[-1][1]) if notes else 0
        place = (self.now - self.meter_at) % self.bar_ticks % 24
        return (((durations[0] * 199 + durations[1]) * 199 + durations[2]) * 24 + place) * 200 + gap

    def melody(self, notes: list) -> int:
        """The last two intervals and two durations."""
        steps = [self.clipped(notes[-k][0] - notes[-k - 1][0]) if len(notes) > k else 0 for k in (1, 2)]
        before = notes[-2][2] if len(notes) > 1 else 0
        return ((steps[0] * 50 + steps[1]) * 199 + notes[-1][2]) * 199 + before


def expected(ids: list[int]) -> list[torch.Tensor]:
    """The oracle's state of one row, each of shape `(length, ...)`; without the expectation, which
    `test_imitation.py` holds.
    """
    reader = Reader()
    return [torch.tensor(column) for column in zip(*map(reader.read, ids), strict=True)]


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_reader_of_single_tokens(seed):
    ids = legal_ids(500, seed=seed)
    for name, got, wanted in zip(
        MusicalFeatures._fields[:-1], TRACKER(torch.tensor([ids]))[:-1], expected(ids), strict=True
    ):
        assert torch.equal(got[0], wanted), name


def test_wishes_hold_for_the_piece():
    names = "<bos> MODE_minor VOICES_4 TIME_0 NOTE_60 MODE_major <bos> FORM_fugue"
    ids = [TOKEN_TO_ID[name] for name in names.split()]
    assert TRACKER(torch.tensor([ids])).wishes[0].tolist() == [
        [0] * 4,
        [2, 0, 0, 0],
        *[[2, 0, 7, 0]] * 3,
        [1, 0, 7, 0],
        [0] * 4,
        [0, 4, 0, 0],
    ]


def test_packed_pieces_do_not_hear_each_other():
    first, second = legal_ids(150, seed=1), legal_ids(150, seed=2)
    packed = TRACKER(torch.tensor([[*first, EOS_ID, *second]]))
    alone = TRACKER(torch.tensor([second]))
    for name, got, wanted in zip(MusicalFeatures._fields, packed, alone, strict=True):
        assert torch.equal(got[:, 151:], wanted), name


@pytest.mark.parametrize("seed", range(3))
def test_no_token_is_known_before_it_comes(seed):
    """Random ids, legal or not: each row of the state is that of the ids up to it."""
    torch.manual_seed(seed)
    ids = torch.randint(0, 150, (2, 60))
    whole = TRACKER(ids)
    for length in range(1, 61):
        for name, got, wanted in zip(MusicalFeatures._fields, TRACKER(ids[:, :length]), whole, strict=True):
            assert torch.equal(got[:, -1], wanted[:, length - 1]), (name, length)


def test_ids_beyond_the_vocabulary_mean_nothing():
    ids = legal_ids(100, seed=4)
    strange = torch.tensor([[*ids, 150, 10**6]])
    state = TRACKER(strange)
    assert torch.equal(state.voice_pitch[:, -1], state.voice_pitch[:, 99])
    assert torch.equal(state.ticks[:, -1], state.ticks[:, 99])


@pytest.mark.parametrize("seed", range(20))
def test_padding_before_a_beginning_without_bos_is_not_heard(seed):
    """Whatever token comes first, a TIME, a METER or a VOICE without its NOTE."""
    torch.manual_seed(seed)
    ids = torch.randint(3, 150, (8, 7))
    padded = torch.nn.functional.pad(ids, (11, 0), value=PAD_ID)
    for name, got, wanted in zip(MusicalFeatures._fields, TRACKER(padded), TRACKER(ids), strict=True):
        assert torch.equal(got[:, 11:], wanted), name
