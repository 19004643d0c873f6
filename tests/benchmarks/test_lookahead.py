"""Lines that are cut off before the end of a gap."""

from __future__ import annotations

import numpy as np

from benchmarks.lookahead import _gone_there, _nearness, correlation
from tokenization import Score, encode
from tokenization.vocabulary import TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID


def test_a_line_is_cut_off_and_goes_where_the_given_notes_are():
    notes = [
        (0, 24, 72, 0),
        (0, 24, 60, 1),
        (24, 12, 71, 0),
        (36, 12, 69, 0),
        (48, 24, 72, 0),
        (48, 24, 52, 1),
    ]
    score = Score(notes, key="C major")
    ids = np.array(encode(score)[:-1])
    ticks = np.cumsum(np.where(TYPE_OF_ID[ids] == TYPE_INDEX["TIME"], VALUE_OF_ID[ids], 0))
    is_note = TYPE_OF_ID[ids] == TYPE_INDEX["NOTE"]
    behind, first = int(np.flatnonzero(is_note & (ticks >= 48))[0]), int(np.flatnonzero(is_note)[0])
    assert _nearness(ids, ticks, behind, len(ids)) == -(3 + 8)
    for back, left in ((6, [72, 60, 71, 69]), (12, [72, 60, 71]), (24, [72, 60])):
        line, start = _gone_there(ids, ticks, behind, len(ids), back, first)
        assert VALUE_OF_ID[line[TYPE_OF_ID[line] == TYPE_INDEX["NOTE"]]].tolist() == [*left, 72, 52]
        assert line[start:].tolist() == ids[behind:].tolist()
        assert VALUE_OF_ID[line[:start]][TYPE_OF_ID[line[:start]] == TYPE_INDEX["TIME"]].sum() == 48
    assert correlation(np.arange(3.0), np.arange(3.0)) == 1 and correlation(np.ones(3), np.arange(3.0)) == 0
