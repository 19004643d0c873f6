"""Losses, units, the masked loss, and counting models."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tokenization.codec import encode
from tokenization.score import DURATION, PITCH, Score
from tokenization.vocabulary import (
    DURATIONS,
    OFFSET,
    TOKEN_TO_ID,
    TYPE_INDEX,
    TYPE_OF_ID,
    VALUE_OF_ID,
    VOCAB_SIZE,
)
from training import evaluation
from training.batches import collate
from training.crops import Piece, cut_prefix, cut_segment, notes_in, type_of_positions
from training.evaluation import evaluate, evaluate_report, windows
from training.legal import legal_after
from training.losses import smoothed, term_sums, token_losses
from training.ngram import NGram, transposed
from training.units import PieceLoss, bootstrap, report, table

from .conftest import TINY, make_pieces


class Fixed(torch.nn.Module):
    """A causal model whose logits depend on the last token alone, by a fixed table."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = torch.nn.Parameter(torch.randn(VOCAB_SIZE, VOCAB_SIZE, generator=generator))
        self.config = type("Config", (), {"max_position_embeddings": 4096})()

    def forward(self, input_ids, **_):
        return type("Output", (), {"logits": self.table[input_ids]})()


def by_hand(pieces, table: torch.Tensor, mask: bool) -> np.ndarray:
    """Nats of each term over whole pieces, token by token."""
    sums = np.zeros(4)
    for piece in pieces:
        ids = encode(piece.score)
        legal = legal_after(torch.from_numpy(ids)[None])[0]
        _, term = type_of_positions(ids)
        for i in range(1, len(ids)):
            if term[i] >= 0:
                scores = table[ids[i - 1]].double()
                if mask:
                    scores = scores.masked_fill(~legal[i - 1], -torch.inf)
                sums[term[i]] -= float(torch.log_softmax(scores, dim=0)[ids[i]])
    return sums


def test_nats_a_note_by_hand_and_for_any_window():
    pieces = make_pieces(4)
    model = Fixed()
    notes = sum(piece.num_notes for piece in pieces)
    whole = evaluate_report(model, pieces)
    expected = by_hand(pieces, model.table.detach(), mask=False) / notes
    np.testing.assert_allclose(list(whole.unmasked.terms.values()), expected, rtol=1e-5)
    assert whole.nats_per_note == pytest.approx(expected.sum(), rel=1e-5)
    assert whole.unmasked.bits_per_note == pytest.approx(expected.sum() / math.log(2), rel=1e-5)
    masked = by_hand(pieces, model.table.detach(), mask=True) / notes
    np.testing.assert_allclose(list(whole.masked.terms.values()), masked, rtol=1e-5)
    # The model sees one token back only, so windows must not change anything but the first token of each.
    for context in (64, 100, 250):
        again = evaluate(model, pieces, context=context, tokens_a_batch=300)
        np.testing.assert_allclose(sum(p.nats for p in again) / notes, expected, rtol=1e-5)
        assert [p.notes for p in again] == [p.num_notes for p in pieces]
    # Shares of two processes add up to the whole.
    halves = [evaluate(model, pieces, context=64, tokens_a_batch=300, share=(k, 2)) for k in range(2)]
    np.testing.assert_allclose(sum(p.nats for half in halves for p in half) / notes, expected, rtol=1e-5)


def counted_notes(window) -> int:
    return int((window.terms == 0).sum())


def test_every_window_but_the_last_steps_on_and_the_last_is_full():
    [piece] = make_pieces(1, notes=60)
    found = list(windows(piece, 0, 128))
    notes = [int((type_of_positions(window.ids)[1] == 0).sum()) for window in found]
    assert len(found) > 2
    assert len(set(notes)) == 1  # the last one too, although few of its notes are new
    assert sum(map(counted_notes, found)) == piece.num_notes


def told_apart(notes: int, step: int) -> Piece:
    """A piece of one voice whose notes differ in pitch or duration; a step of 12 ticks makes four tokens a
    note.
    """
    rows = [(step * i, int(DURATIONS[i // 40]), 40 + i % 40, 0) for i in range(notes)]
    return Piece("p", Score(rows, key="C major").quantised(), "p")


def enumerated(piece: Piece, context: int) -> tuple[list[range], list[list[int]]]:
    """For each window the notes that it holds, and those that it counts, read from its tokens."""
    place = {tuple(row): i for i, row in enumerate(piece.score.array[:, [DURATION, PITCH]].tolist())}
    held, counted = [], []
    for window in windows(piece, 0, context):
        at = np.flatnonzero(TYPE_OF_ID[window.ids] == TYPE_INDEX["NOTE"])
        values = VALUE_OF_ID[window.ids]
        notes = [place[int(values[i + 2]), int(values[i])] for i in at.tolist()]
        held.append(range(notes[0], notes[-1] + 1))
        assert notes == list(held[-1])
        counted.append([note for note, i in zip(notes, at.tolist(), strict=True) if window.terms[i] == 0])
    return held, counted


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_piece_of_about_the_context_is_one_window_or_two(more):
    piece = told_apart(40, 12)
    length = len(encode(piece.score))
    held, counted = enumerated(piece, length + more)
    if more >= 0:
        assert held == [range(40)] and counted == [list(range(40))]
    else:
        fit = notes_in(length - 1) - 8
        assert held == [range(fit), range(40 - fit, 40)]  # the last one is full
        assert counted == [list(range(fit)), list(range(fit, 40))]


@pytest.mark.parametrize(("notes", "context"), [(400, 128), (401, 128), (402, 131), (640, 200), (75, 300)])
def test_windows_overlap_by_half_and_the_first_that_holds_a_note_counts_it(notes, context):
    fit = notes_in(context) - 8
    begins = [*range(0, notes - fit, fit // 2), notes - fit]
    expected = [range(begin, begin + fit) for begin in begins]
    held, counted = enumerated(told_apart(notes, 12), context)
    assert held == expected
    assert counted == [list(expected[0])] + [
        [note for note in window if note not in before]
        for before, window in zip(expected, expected[1:], strict=False)
    ]


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("notes", [60, 61, 64, 100])
def test_windows_of_few_notes_follow_each_other_without_a_gap(notes, overlap, monkeypatch):
    """With long steps a window holds fewer notes than most, at little overlap fewer than lie before the next
    one: none is passed over.
    """
    monkeypatch.setattr(evaluation, "OVERLAP", overlap)
    held, counted = enumerated(told_apart(notes, 700), 128)
    fit = notes_in(128) - 8
    assert max(map(len, held)) < (fit if overlap == 0.5 else int(fit * (1 - overlap)))
    assert [note for window in counted for note in window] == list(range(notes))
    assert all(before.stop >= window.start for before, window in zip(held, held[1:], strict=False))
    for k, window in enumerate(held):
        assert counted[k] == [note for note in window if all(note not in before for before in held[:k])]


@pytest.mark.parametrize("notes", [20, 60])
def test_long_silences_leave_no_note_out(notes):
    """Windows that hold fewer notes than most, and a piece that has too many tokens but too few notes."""
    rows = [(400 * i, 24, 60 + i % 5, 0) for i in range(notes)]
    piece = Piece("slow", Score(rows, key="C major").quantised(), "slow")
    found = list(windows(piece, 0, 128))
    assert all(len(window.ids) <= 128 for window in found)
    assert sum(map(counted_notes, found)) == piece.num_notes == notes


def test_more_context_is_seen_by_a_real_model():
    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    torch.manual_seed(0)
    model = MusicGPTForCausalLM(MusicGPTConfig(**{**TINY, "max_position_embeddings": 2048})).eval()
    pieces = make_pieces(2, notes=80)
    whole, cut = (evaluate(model, pieces, context=context) for context in (2048, 128))
    assert [p.notes for p in whole] == [p.notes for p in cut] == [p.num_notes for p in pieces]
    assert all(abs(a.nats.sum() - b.nats.sum()) > 1e-3 for a, b in zip(whole, cut, strict=True))
    ids = torch.from_numpy(encode(pieces[0].score))[None]
    with torch.no_grad():
        losses = token_losses(model(input_ids=ids).logits, ids)[0].numpy()
    _, term = type_of_positions(ids[0].numpy())
    np.testing.assert_allclose(whole[0].nats, [losses[term == k].sum() for k in range(4)], rtol=1e-4)


def test_legal_tokens_are_those_of_generation():
    words = "<bos> TIME_0 NOTE_60 VOICE_0 DUR_24 TIME_24 METER_3/4 NOTE_60"
    legal = legal_after(torch.tensor([[TOKEN_TO_ID[word] for word in words.split()]]))[0]
    names = [{int(TYPE_OF_ID[i]) for i in torch.nonzero(row).flatten().tolist()} for row in legal]
    kinds = [{TYPE_OF_ID[TOKEN_TO_ID[word]]} for word in ("NOTE_60", "VOICE_0", "DUR_24", "TIME_0")]
    assert names[1] == kinds[0]
    assert names[2:5] == kinds[1:4]
    assert legal[5, TOKEN_TO_ID["<eos>"]]
    assert legal[5, TOKEN_TO_ID["METER_3/4"]]
    assert names[6] == kinds[0]


def test_the_published_unit_leaves_out_what_it_says():
    """Changing the model's opinion of specials, prefix and METER changes nothing."""
    pieces = make_pieces(2, meters=("3/4", "4/4"))
    model = Fixed()
    before = evaluate_report(model, pieces).masked.nats_per_note
    with torch.no_grad():
        model.table[: OFFSET["NOTE"], :] += torch.randn(OFFSET["NOTE"], VOCAB_SIZE) * (
            torch.arange(VOCAB_SIZE) < OFFSET["NOTE"]
        )
    assert evaluate_report(model, pieces).masked.nats_per_note == pytest.approx(before, rel=1e-6)


def test_bootstrap_draws_whole_units():
    sums, counts = np.array([10.0, 30.0, 20.0, 20.0]), np.array([10.0, 10.0, 10.0, 10.0])
    assert bootstrap(sums, counts, [0, 0, 1, 1], 500) == (2.0, 2.0)
    low, high = bootstrap(sums, counts, [0, 1, 2, 2], 5000)
    assert 1.0 <= low < 1.5 < 2.5 < high <= 3.0
    one = [PieceLoss("a", "11", notes=10, tokens=40, quarters=5.0, nats=np.ones(4), masked=np.ones(4))]
    result = report(one, {"model": "x"})
    assert result.nats_per_note == 0.4
    assert result.unmasked.nats_per_token == 0.1
    assert "0.4000" in table(result)
    assert result.to_dict()["pieces"][0]["terms"]["NOTE"] == 0.1


def test_training_loss_and_smoothing():
    pieces = make_pieces(3, notes=20)
    batch = collate([[cut_segment(p.score, 0, 100, cut_prefix(p.score, 0))] for p in pieces])
    targets, ids = torch.from_numpy(batch.targets), torch.from_numpy(batch.input_ids)
    logits = Fixed()(ids).logits.detach()
    losses = token_losses(logits, targets)
    assert losses.shape == ids.shape
    assert (losses[targets < 0] == 0).all()
    i, j = 1, 9
    assert losses[i, j] == pytest.approx(float(-torch.log_softmax(logits[i, j - 1], 0)[ids[i, j]]), rel=1e-5)
    # Even over the tokens of the target's type, and zero where there is no target.
    mixed = smoothed(logits, targets, losses, 0.3)
    kin = torch.from_numpy(TYPE_OF_ID[int(ids[i, j])] == TYPE_OF_ID)
    even = float(-torch.log_softmax(logits[i, j - 1], 0)[kin].mean())
    assert mixed[i, j] == pytest.approx(0.7 * float(losses[i, j]) + 0.3 * even, rel=1e-5)
    assert (mixed[targets < 0] == 0).all()
    sums = term_sums(losses, torch.from_numpy(batch.terms))
    assert sums[-1] == (batch.terms == 0).sum()
    assert sums[:4].sum() == pytest.approx(float(losses[torch.from_numpy(batch.terms) >= 0].sum()), rel=1e-5)


def test_ngram_is_a_distribution_and_learns():
    pieces = make_pieces(6)
    train, held = [encode(p.score) for p in pieces[:5]], encode(pieces[5].score)
    model = NGram(4, (0, 2)).fit(train)
    # The probabilities of all tokens at one place add up to 1, and those of the legal ones to what the model
    # says they do.
    cut = held[:30]
    # (150, order)
    rows = np.stack([model.probabilities(np.append(cut, token))[0][:, -1] for token in range(VOCAB_SIZE)])
    np.testing.assert_allclose(rows.sum(axis=0), 1.0, rtol=1e-9)
    from tokenization.codec import SUCCESSORS

    own, allowed = model.probabilities(np.append(cut, held[30]))
    legal = SUCCESSORS[cut[-1]]
    np.testing.assert_allclose(rows[legal].sum(axis=0), allowed[:, -1], rtol=1e-9)
    seen, _ = model.probabilities(train[0])
    assert -np.log(seen[3]).mean() < -np.log(seen[0]).mean() * 0.6
    assert -np.log(own).mean() > 0
    # By hand: order 2 after a context that was counted.
    small = NGram(2).fit([np.array([1, 128, 60, 91, 96, 128, 60, 91, 97, 128])])
    kinds = len({1, 128, 60, 91, 96, 97})
    unigram = (2 + kinds / 150) / (10 + kinds)
    expected = (2 + 1 * unigram) / (2 + 1)  # after the 128s that have a next token always comes 60
    assert small.probabilities(np.array([1, 128, 60]))[0][1, 2] == pytest.approx(expected)


def test_transposition_folds_into_the_range():
    ids = np.array([1, OFFSET["NOTE"] + 63, OFFSET["VOICE"]])
    assert transposed(ids, 1).tolist() == [1, OFFSET["NOTE"] + 52, OFFSET["VOICE"]]
