"""Originality: copies are found through transposition and change of tempo, with the right place; strangers
are not.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musical_metrics import originality
from tokenization.analysis import windows
from tokenization.analysis.view import View
from tokenization.analysis.windows import Index, Piece, shipped_index, without
from tokenization.score import DURATION, ONSET, PITCH, Score
from tokenization.tables import TABLES


@pytest.fixture(scope="module")
def library(wander) -> tuple[list[Score], Index]:
    pieces = [wander(seed, 400) for seed in range(5)]
    table = [Piece(f"p{i}", f"piece {i}", i, 96) for i in range(5)]
    return pieces, originality.build_index([View(p) for p in pieces], table)


def stretched(score: Score, factor: int) -> Score:
    array = score.array.copy()
    array[:, [ONSET, DURATION]] *= factor
    return score.replace(notes=array)


def test_a_copied_passage_is_found_at_its_place(library, wander):
    pieces, index = library
    copied = pieces[3].between(4 * 96, 10 * 96).transposed(-5)
    moved = copied.replace(notes=copied.array - [96, 0, 0, 0])
    passage = originality.nearest_passage(moved, index)
    assert passage.name == "piece 3"
    assert passage.bar - passage.own_bar == 1
    longest = max(np.bincount(moved.array[:, 3]))
    assert 0.6 * longest <= passage.notes <= longest
    assert "piece 3, bar" in str(passage)
    assert originality.passage_similarity(moved, index).value > 0.9


def test_tempo_does_not_matter(library):
    pieces, index = library
    twice = stretched(pieces[2], 2)
    assert originality.nearest_passage(twice, index).name == "piece 2"
    assert originality.longest_run(twice, index).value == originality.longest_run(pieces[2], index).value


def test_a_stranger_shares_little(library, wander):
    _, index = library
    stranger = wander(99, 400)
    assert originality.longest_run(stranger, index).value < 20
    assert originality.passage_similarity(stranger, index).value < 0.2


def test_held_out_pieces_do_not_see_themselves(library):
    pieces, index = library
    assert originality.longest_run(pieces[1], index).value > 60
    assert originality.longest_run(pieces[1], without(index, 1)).value < 20


def test_likeness_names_the_window(library):
    pieces, index = library
    found = originality.passage_likeness(pieces[0], index)
    assert {window.name for window in found if window.share > 0.9} == {"piece 0"}
    assert [window.onset for window in found] == sorted(window.onset for window in found)


def test_too_short_gives_a_reason(voices, line, library):
    short = voices(line([60, 62, 64]))
    assert originality.nearest_passage(short, library[1]) == originality.TOO_SHORT
    assert originality.longest_run(short, library[1]) == (None, originality.TOO_SHORT)


points = st.lists(st.tuples(st.integers(0, 40), st.integers(40, 60)), min_size=1, max_size=12, unique=True)


@given(points, points)
def test_cardinality_score_is_the_best_translation(first, second):
    p, q = set(first), set(second)
    moves = {(a - c, b - d) for a, b in p for c, d in q}
    best = max(len(p & {(c + x, d + y) for c, d in q}) for x, y in moves)
    assert originality.cardinality_score(np.array(first), np.array(second)) == pytest.approx(
        best / max(len(p), len(q))
    )
    assert originality.cardinality_score(np.array(first), np.zeros((0, 2), dtype=np.int64)) == 0.0


def test_the_exact_report_finds_the_copied_bars(wander):
    corpus = [wander(seed, 300).replace(title=f"piece {seed}") for seed in range(3)]
    piece = wander(50, 300)
    copied = corpus[1].between(4 * 96, 8 * 96).transposed(2)
    before = piece.between(0, 4 * 96)
    mixed = piece.replace(notes=np.concatenate([before.array, copied.array]))
    report = originality.originality_report(mixed, corpus)
    best = max(report, key=lambda window: window.share)
    assert (best.share, best.name, best.bar) == (1.0, "piece 1", 5)
    assert report[0].share < 0.6


def test_the_shipped_index_is_small_and_cannot_be_unrolled():
    index = shipped_index()
    assert sum(file.stat().st_size for file in TABLES.iterdir()) < 500_000
    # Fewer bits a note than its interval and rhythm cost under the shipped n-gram (about 2.3 + 1.0 nats, 4.7
    # bits).
    assert windows.HASH_BITS / windows.KEPT <= 4
    assert index.hashes.max() < 2**windows.HASH_BITS
    pieces, counts = np.unique(index.pieces, return_counts=True)
    assert len(pieces) == len(index.table) == 79
    assert counts.max() < 1000
    held_out = {9, 11, 14, 16}  # the validation and test splits
    assert not {piece.number for piece in index.table} & held_out


def test_a_shared_run_is_as_long_as_what_was_copied(library):
    """Ten to thirty notes of a voice between others, moved and twice as slow."""
    pieces, _ = library
    line = View(pieces[4]).lines
    line = line[line[:, 3] == 1]
    for notes in (10, 17, 30):
        copied = line[20 : 20 + notes] * [2, 2, 1, 0] + [0, 0, 3, 0]
        before = [[int(copied[0, ONSET]) - 7, 7, 40, 0], [int(copied[0, ONSET]) - 3, 3, 88, 0]]
        after = [[int(copied[-1, ONSET]) + 131, 7, 41, 0], [int(copied[-1, ONSET]) + 150, 7, 87, 0]]
        score = Score(np.concatenate([before, copied, after]))
        lengths = [len(originality.shared_run(View(score), View(piece))[0]) for piece in pieces]
        assert lengths[4] == notes > max(lengths[:4])
    assert not len(originality.shared_run(View(Score([])), View(pieces[0]))[0])


def _runs(score, length):
    """Every run of so many notes of a voice: its intervals, and each of its times against the one before."""
    found = set()
    for voice in np.unique(score.array[:, 3]):
        line = score.array[score.array[:, 3] == voice]
        steps, times = np.diff(line[:, PITCH]), np.diff(line[:, ONSET])
        ratios = np.rint(12 * np.diff(np.log2(times))).astype(int)
        ends = range(length - 1, len(line))
        found |= {(*steps[end + 1 - length : end], *ratios[end + 1 - length : end - 1]) for end in ends}
    return found


@given(st.integers(0, 30), st.integers(31, 60), st.integers(-7, 7))
def test_a_shared_run_is_the_longest(wander, first, second, by):
    one, other = wander(first, 60), wander(second, 60).transposed(by)
    ours, theirs = originality.shared_run(View(one), View(other))
    assert len(ours) == len(theirs)
    assert _runs(one, len(ours)) & _runs(other, len(ours))
    assert not _runs(one, len(ours) + 1) & _runs(other, len(ours) + 1)
    assert (np.diff(ours[:, PITCH]) == np.diff(theirs[:, PITCH])).all()
    assert len({*ours[:, 3]}) == len({*theirs[:, 3]}) == 1
    whole, same = originality.shared_run(View(one), View(one.transposed(by)))
    assert len(whole) == max(np.bincount(View(one).lines[:, 3]))
    assert (whole + [0, 0, by, 0] == same).all()
