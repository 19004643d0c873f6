"""The n-gram: worked by hand, a proper distribution, and what its events see."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics import ngram
from tokenization.analysis.ngram import arrays_of, shipped_ngrams
from tokenization.analysis.view import View


def events(symbols: list[int], contexts: list[list[int]]) -> ngram.Events:
    return ngram.Events(np.array(symbols), np.array(contexts))


def test_witten_bell_by_hand():
    # No context: a a a b of four letters. Context 7: a a b. Context 9: never seen.
    model = ngram.ngram_of([events([0, 0, 0, 1], [[0, 7], [0, 7], [0, 8], [0, 7]])], alphabet=4)
    short = {
        0: (3 + 2 / 4) / 6,
        1: (1 + 2 / 4) / 6,
        2: (0 + 2 / 4) / 6,
    }  # c + T/4 over N + T with N = 4, T = 2
    asked = events([0, 1, 2, 0], [[0, 7], [0, 7], [0, 7], [0, 9]])
    expected = [(2 + 2 * short[0]) / 5, (1 + 2 * short[1]) / 5, (2 * short[2]) / 5, short[0]]
    assert np.exp(model.log_probabilities(asked)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["pitch", "rhythm"])
def test_the_shipped_models_are_distributions(wander, name):
    model = getattr(shipped_ngrams(), name)
    view = View(wander(5, 60))
    found = ngram.pitch_events(view) if name == "pitch" else ngram.rhythm_events(view)
    total = sum(
        np.exp(model.log_probabilities(found._replace(symbols=np.full(len(found.symbols), s))))
        for s in range(model.alphabet)
    )
    assert total == pytest.approx(np.ones(len(found.symbols)))


def test_arrays_round_trip(wander):
    models = ngram.fit([View(wander(1)), View(wander(2))])
    again = ngram.NGram.from_arrays(arrays_of(models.pitch, "pitch"), "pitch", models.pitch.alphabet)
    found = ngram.pitch_events(View(wander(3)))
    assert np.array_equal(again.log_probabilities(found), models.pitch.log_probabilities(found))


def test_transposition_and_key_do_not_matter(wander):
    piece = wander(4)
    assert ngram.pitch_nll(piece.transposed(3)).value == ngram.pitch_nll(piece).value
    assert ngram.pitch_nll(piece.replace(key=None)).value == ngram.pitch_nll(piece).value


def test_a_piece_is_less_surprising_to_a_model_that_knows_it(wander):
    piece, other = View(wander(6)), View(wander(7))
    assert ngram.pitch_nll(piece, ngram.fit([piece])).value < ngram.pitch_nll(piece, ngram.fit([other])).value


def test_contexts_use_only_what_is_known(voices, line):
    """The lower of two simultaneous notes sees the upper; the upper does not see the lower."""
    piece = View(voices(line([72, 74]), line([60, 62])))
    lowest, highest = ngram._known_extremes(piece)
    assert lowest.tolist() == [-1, -1, 72, 74]
    assert highest.tolist() == [-1, -1, 72, 74]
    held = View(voices(line([72, 74, 76]), [(0, 72, 60)]))
    assert ngram._known_extremes(held)[0].tolist() == [-1, 60, 60, 72]
