from __future__ import annotations

import torch

from musicgpt.length import Length
from tokenization import Meter, Score, encode
from tokenization.vocabulary import EOS_ID, TOKEN_TO_ID


def ids_of(notes: int, step: int) -> torch.Tensor:
    """A piece in 3/4 so far: a note every `step` ticks, and the step after the last one taken."""
    score = Score([(step * i, step, 60, 0) for i in range(notes)], meters=[Meter(0, 3, 4)])
    ids = encode(score).tolist()[:-2]
    return torch.tensor([[*ids, TOKEN_TO_ID[f"TIME_{step}"]]])


def allowed(ids: torch.Tensor, *arguments, scores: torch.Tensor | None = None) -> tuple[bool, bool]:
    """Whether the piece may end here, and whether it may go on."""
    scores = torch.zeros(len(ids), 150) if scores is None else scores
    after = Length(*arguments)(ids, scores)[0] > -torch.inf
    return bool(after[EOS_ID]), bool(after[EOS_ID + 1 :].any())


def test_the_end_is_forbidden_until_there_are_enough_bars_and_notes():
    ids = ids_of(12, 24)  # four bars have passed
    assert allowed(ids, 4, 12) == (True, True)
    assert allowed(ids, 5, 0) == (False, True)
    assert allowed(ids, 0, 13) == (False, True)
    only_end = torch.full((1, 150), -torch.inf)
    only_end[0, EOS_ID] = 0
    assert allowed(ids, 5, 13, scores=only_end) == (True, False)


def test_rows_are_judged_each_by_itself():
    ids = ids_of(8, 24)
    short = torch.cat([torch.zeros(1, 12, dtype=torch.long), ids[:, :-12]], dim=1)
    scores = Length(0, 8)(torch.cat([ids, short]), torch.zeros(2, 150))
    assert (scores[:, EOS_ID] > -torch.inf).tolist() == [True, False]
