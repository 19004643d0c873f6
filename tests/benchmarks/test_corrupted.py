"""Notes that are heard wrong: so many, and nothing else."""

from __future__ import annotations

import torch

from benchmarks.corrupted import OFF, corrupted
from tokenization.vocabulary import TYPE_INDEX, TYPE_OF_ID


def test_so_many_notes_are_off_and_nothing_else():
    torch.manual_seed(0)
    ids = torch.randint(150, (40, 500))
    heard = corrupted(ids, 0.3)
    is_note = torch.from_numpy(TYPE_INDEX["NOTE"] == TYPE_OF_ID)[ids]
    changed = heard != ids
    assert not (changed & ~is_note).any()
    assert set((heard - ids)[changed].tolist()) == set(OFF)
    assert abs((changed & is_note).sum() / is_note.sum() - 0.3) < 0.02
    assert torch.from_numpy(TYPE_INDEX["NOTE"] == TYPE_OF_ID)[heard[is_note]].all()
    assert torch.equal(corrupted(ids, 0.0), ids)
