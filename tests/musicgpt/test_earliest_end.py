from __future__ import annotations

import torch

from musicgpt.earliest_end import EarliestEnd
from tokenization import Meter, Score, encode
from tokenization.vocabulary import EOS_ID


def test_the_end_is_forbidden_until_there_are_enough_bars_and_notes():
    score = Score([(24 * i, 24, 60, 0) for i in range(13)], meters=[Meter(0, 3, 4)])  # ends at tick 288: exactly four bars passed
    ids = torch.tensor([encode(score)[:-1].tolist()])
    scores = torch.zeros(1, 150)

    def may_end(bars: int, notes: int, scores: torch.Tensor = scores) -> bool:
        return bool(EarliestEnd(bars, notes)(ids, scores)[0, EOS_ID] > -torch.inf)

    assert may_end(4, 13) and may_end(0, 0)
    assert not may_end(5, 0)
    assert not may_end(0, 14)
    only_end = torch.full((1, 150), -torch.inf)
    only_end[0, EOS_ID] = 0
    assert may_end(5, 14, only_end)


def test_rows_are_judged_each_by_itself():
    ids = encode(Score([(24 * i, 24, 60, 0) for i in range(8)])).tolist()[:-1]
    short = [0] * 12 + ids[:-12]
    scores = EarliestEnd(0, 8)(torch.tensor([ids, short]), torch.zeros(2, 150))
    assert (scores[:, EOS_ID] > -torch.inf).tolist() == [True, False]
