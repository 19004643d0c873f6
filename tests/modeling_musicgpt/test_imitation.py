"""What imitation leads one to expect: against a reader that looks every agreement up note by note, and by
cases that can be checked by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
from modeling_musicgpt.imitation_musicgpt import MATCHES, NUM_SCORES
from modeling_musicgpt.musical_state_musicgpt import MusicalStateTracker
from tokenization.vocabulary import TOKEN_TO_ID, TYPE_OF_ID, TYPES, VALUE_OF_ID

from .conftest import legal_ids

TRACKER = MusicalStateTracker(MusicGPTConfig())
FIRST_NOTE, FIRST_DUR, FIRST_TIME = (TOKEN_TO_ID[name] for name in ("NOTE_28", "DUR_2", "TIME_0"))
DEGREE = {0: 0, 2: 1, 4: 2, 5: 3, 7: 4, 9: 5, 11: 6, 1: 0, 3: 1, 6: 3, 8: 4, 10: 6}


def degree(pitch: int) -> int:
    return 7 * (pitch // 12) + DEGREE[pitch % 12]


class Listener:
    """Reads one piece token by token and keeps, for every voice, what it is expected to do next."""

    def __init__(self):
        self.now, self.pitch, self.latest = 0, 0, None
        self.notes = []  # [pitch, onset, duration id, voice, number of the voice's note before]
        self.last = {}  # of each voice the number of its last note
        # of each voice (length of agreement, number of the note that went on so, pitch, onset)
        self.expected = {}

    def steps(self, number: int, count: int) -> tuple | None:
        found = []
        while len(found) < count:
            before = self.notes[number][4]
            if before is None or self.notes[number][1] - self.notes[before][1] - self.ticks(before) >= 24:
                found += ["entry", "entry"]
                return tuple(found[:count]) if len(found) >= count else None
            interval = degree(self.notes[number][0]) - degree(self.notes[before][0])
            found.append(
                (max(-24, min(24, interval)), min(399, self.notes[number][1] - self.notes[before][1]))
            )
            number = before
        return tuple(found)

    def ticks(self, number: int) -> int:
        token = self.notes[number][2]
        return 0 if token is None else int(VALUE_OF_ID[token])

    def expect(self, number: int) -> tuple | None:
        for length in MATCHES:
            own = self.steps(number, length)
            if own is None:
                continue
            for model in range(number, -1, -1):
                old = self.notes[model][4]
                if old is not None and self.steps(old, length) == own:
                    pitch, onset = self.notes[number][:2]
                    moved = pitch + self.notes[model][0] - self.notes[old][0]
                    wanted = degree(pitch) + degree(self.notes[model][0]) - degree(self.notes[old][0])
                    if degree(moved) != wanted:
                        moved = 12 * (wanted // 7) + (0, 2, 4, 5, 7, 9, 11)[wanted % 7]
                    return (
                        2 * MATCHES.index(length) + (1 if "entry" in own else 2),
                        model,
                        moved,
                        onset + self.notes[model][1] - self.notes[old][1],
                    )
        return None

    def read(self, token: int) -> list[int]:
        kind, value = TYPES[TYPE_OF_ID[token]], int(VALUE_OF_ID[token])
        pitches, matches, single = [0] * 5, [0] * 5, [0] * 4
        if kind == "TIME":
            self.now += value
        if kind in ("TIME", "METER"):
            for voice, wanted in self.expected.items():
                if wanted and wanted[3] == self.now and 28 <= wanted[2] <= 91:
                    pitches[voice], matches[voice] = wanted[2] - 27, wanted[0]
        elif kind == "NOTE":
            self.pitch = value
        elif kind == "VOICE":
            wanted = self.expected.get(value)
            if wanted and wanted[3] == self.now:
                single[:2] = (
                    self.notes[wanted[1]][2] - FIRST_DUR + 1,
                    2 * (wanted[0] - 1) + (wanted[2] == self.pitch) + 1,
                )
            self.notes.append([self.pitch, self.now, None, value, self.last.get(value)])
            self.last[value], self.latest = len(self.notes) - 1, value
            self.expected[value] = self.expect(len(self.notes) - 1)
        elif kind == "DUR":
            self.notes[self.last[self.latest]][2] = token
            ahead = [
                (wanted[3] - self.now, wanted[0])
                for voice, wanted in self.expected.items()
                if wanted and (wanted[3] > self.now or (wanted[3] == self.now and voice > self.latest))
            ]
            if ahead and f"TIME_{min(ahead)[0]}" in TOKEN_TO_ID:
                single[2:] = TOKEN_TO_ID[f"TIME_{min(ahead)[0]}"] - FIRST_TIME + 1, min(ahead)[1]
        return [*pitches, *matches, *single]


def repetitive(seed: int, tokens: int = 700) -> list[int]:
    """Legal ids in which the same few pitches, durations and steps come again and again."""
    rng = np.random.default_rng(seed)
    ids, voices = legal_ids(8, seed=seed)[:1], [0, 1, 2]
    ids += [TOKEN_TO_ID["METER_3/4"], TOKEN_TO_ID["TIME_0"]]
    figure = rng.choice([55, 57, 58, 60, 61, 62, 64, 65, 67], size=7)
    while len(ids) < tokens:
        shift = int(rng.choice([-5, 0, 0, 2, 7]))
        for pitch in figure[: rng.integers(3, 8)]:
            struck = sorted(rng.choice(voices, size=rng.integers(1, 4), replace=False))
            for i, voice in enumerate(struck):
                step = "TIME_0" if i + 1 < len(struck) else f"TIME_{rng.choice([12, 12, 12, 24])}"
                note = (
                    f"NOTE_{pitch + shift - 7 * voice}",
                    f"VOICE_{voice}",
                    f"DUR_{rng.choice([12, 12, 24])}",
                    step,
                )
                ids += [TOKEN_TO_ID[name] for name in note]
    return ids


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_listener(seed):
    ids = repetitive(seed) if seed % 2 else legal_ids(500, seed=seed)
    listener = Listener()
    wanted = torch.tensor([listener.read(token) for token in ids])
    got = TRACKER(torch.tensor([ids])).expectation[0]
    assert torch.equal(got, wanted)
    if seed % 2:
        # every kind of expectation was raised
        assert (wanted > 0).any(dim=0)[[0, 1, 2, 5, 6, 7, 10, 11, 12, 13]].all()


def test_an_answer_on_the_dominant_is_expected_on_its_degrees():
    """C D E F in the first voice; when the second has sung G A B, a C is expected of it, a semitone higher as
    E to F was: two steps and the entry before them agree.
    """
    subject = [("NOTE_60", "DUR_24"), ("NOTE_62", "DUR_24"), ("NOTE_64", "DUR_24"), ("NOTE_65", "DUR_12")]
    answer = [("NOTE_55", "DUR_24"), ("NOTE_57", "DUR_24"), ("NOTE_59", "DUR_24")]
    tokens = ["<bos>", "TIME_0"]
    for voice, notes in ((0, subject), (1, answer)):
        for note, duration in notes:
            tokens += [note, f"VOICE_{voice}", duration, "TIME_24"]
    expectation = TRACKER(torch.tensor([[TOKEN_TO_ID[token] for token in tokens]])).expectation[0, -1]
    assert expectation[1] == 60 - 28 + 1
    assert expectation[5 + 1] == 2 * MATCHES.index(3) + 1
    first = TRACKER(torch.tensor([[TOKEN_TO_ID[token] for token in tokens[:-8]]])).expectation[0, -1]
    assert first[1] == 57 - 28 + 1  # after one note the entry alone agrees
    assert first[5 + 1] == 2 * MATCHES.index(2) + 1
    ids = [TOKEN_TO_ID[token] for token in [*tokens, "NOTE_60", "VOICE_1"]]
    duration, case = TRACKER(torch.tensor([ids])).expectation[0, -1, 10:12].tolist()
    assert duration == TOKEN_TO_ID["DUR_12"] - FIRST_DUR + 1
    assert case == 2 * (2 * MATCHES.index(3)) + 2  # the pitch came as expected


def test_a_prefix_expects_the_same_and_pieces_do_not_hear_each_other():
    one, two = repetitive(1, 200), repetitive(3, 200)
    whole = TRACKER(torch.tensor([one + two])).expectation[0]
    assert torch.equal(whole[: len(one)], TRACKER(torch.tensor([one])).expectation[0])
    assert torch.equal(whole[len(one) :], TRACKER(torch.tensor([two])).expectation[0])
    for cut in (50, 111, 173):
        assert torch.equal(TRACKER(torch.tensor([one[:cut]])).expectation[0], whole[:cut])


def test_the_head_moves_what_is_expected_and_nothing_else():
    torch.manual_seed(0)
    model = MusicGPTForCausalLM(
        MusicGPTConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    ).eval()
    ids = torch.tensor([repetitive(5, 300)])
    with torch.no_grad():
        before = model(ids).logits
        assert not model.imitation_head.proj.weight.any()
        model.imitation_head.proj.bias.copy_(torch.arange(1.0, NUM_SCORES // 2 + 1))
        model.imitation_head.entry.copy_(torch.arange(NUM_SCORES // 2) / 2 + 40)
        moved = (model(ids).logits - before)[0]
    expectation = model.model.musical_state(ids).expectation[0]
    wanted = torch.zeros_like(moved)

    def score(part: int, width: int, kind: int, place: int) -> float:
        """By length of agreement, and more where it reaches back to an entry, as every other kind does."""
        row = part + kind // 2 * width + place
        return row + 1 + (row / 2 + 40 if kind % 2 == 0 else 0)

    for i, row in enumerate(expectation.tolist()):
        for pitch, match in zip(row[:5], row[5:10], strict=True):
            for k in range(5) if match else ():
                if 0 <= pitch - 1 + k - 2 < 64:
                    wanted[i, FIRST_NOTE + pitch - 1 + k - 2] += score(0, 5, match - 1, k)
        duration, case, step, match = row[10:]
        if duration:
            wanted[i, FIRST_DUR + duration - 1] += score(20, 2, (case - 1) // 2, (case - 1) % 2)
        if step:
            wanted[i, FIRST_TIME + step - 1] += score(28, 1, match - 1, 0)
    torch.testing.assert_close(moved, wanted, atol=1e-4, rtol=0)
