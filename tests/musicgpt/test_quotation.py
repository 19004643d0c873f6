"""No voice quotes more than `LONGEST` notes of what is indexed, as the metric of originality counts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musical_metrics.originality import Index, Piece, longest_run
from musical_metrics.view import View
from musicgpt.progress import Progress, Rows, Written
from musicgpt.quotation import AGAINST, LONGEST, Line, Quotation
from tokenization import encode
from tokenization.score import PITCH, Note, Score
from tokenization.vocabulary import OFFSET, PITCH_MAX, PITCH_MIN, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID


@pytest.fixture(scope="module")
def library(wandering) -> tuple[list[Score], Index]:
    pieces = [wandering(seed) for seed in range(4)]
    return pieces, Index.build(
        [View(p) for p in pieces], [Piece(f"p{i}", f"piece {i}", i, 96) for i in range(4)]
    )


def test_a_note_is_too_much_where_the_metric_would_say_so(library):
    """A copy, in another key, of a piece, two voices of it and all of another's first: each pitch of each
    voice, at every step, against the metric itself.
    """
    pieces, index = library
    score = pieces[2].transposed(2).between(0, 8 * 96)
    score = score.replace(notes=score.array[score.array[:, 3] < 2])
    piece, ids = Progress(), encode(score)
    lines = [Line(index, line) for line in piece.lines]
    refused = 0
    for k, token in enumerate(ids):
        if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"]:
            voice, pitch = int(VALUE_OF_ID[ids[k + 1]]), int(VALUE_OF_ID[token])
            for line in lines:
                line.follow()
            for asked in (pitch, pitch + 1):
                alone = [Note(n.onset, n.duration, n.pitch, 0) for n in piece.lines[voice]]
                grown = longest_run(Score(notes=[*alone, Note(piece.now, 6, asked, 0)]), index).value or 0
                already = longest_run(Score(notes=alone), index).value or 0
                is_struck = bool(alone) and alone[-1].onset == piece.now
                too_long = bool(lines[voice].too_long(piece.now)[asked - PITCH_MIN])
                if grown > max(LONGEST, already) and not is_struck:
                    assert too_long
                    refused += 1
                elif grown <= LONGEST:
                    assert not too_long
        piece.feed(token)
    assert refused > 3


def follow(score: Score, index: Index, prompt: int = 0) -> int:
    """Notes of a voice taken one after another as long as they are not refused; the number at which the
    first one is.
    """
    ids = list(encode(score))
    begin = next(i for i, token in enumerate(ids) if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"])
    rows = Rows(ids[: begin + 4 * prompt], 1)
    rule = Quotation(rows, index)
    for k in range(prompt, len(score)):
        scores = rule(torch.tensor([ids[: begin + 4 * k]]), torch.zeros(1, 150))[0]
        assert not scores[: OFFSET["NOTE"]].any()
        assert set(scores.tolist()) <= {0.0, -AGAINST}
        if scores[ids[begin + 4 * k]] < 0:
            return k
    return len(score)


def test_a_copy_is_broken_off_and_a_prompt_is_not_counted(library):
    pieces, index = library
    voice = pieces[1].replace(notes=pieces[1].array[pieces[1].array[:, 3] == 0])
    voice = voice.replace(notes=View(voice).lines)
    stopped = follow(voice, index)
    assert LONGEST <= stopped < len(voice) / 2
    assert (longest_run(voice.replace(notes=voice.array[:stopped]), index).value or 0) <= LONGEST
    assert follow(voice, index, prompt=20) >= 20 + LONGEST
    reversed_pitches = voice.array.copy()
    reversed_pitches[:, PITCH] = np.clip(140 - reversed_pitches[:, PITCH], PITCH_MIN, PITCH_MAX)
    assert follow(voice.replace(notes=reversed_pitches), index) == len(voice)


def test_a_statement_is_not_refused(library):
    """Where the next note of a copy is refused: not if it is the plan's."""
    pieces, index = library
    voice = pieces[1].replace(notes=pieces[1].array[pieces[1].array[:, 3] == 0])
    voice = voice.replace(notes=View(voice).lines)
    place = follow(voice, index)
    ids = list(encode(voice))
    begin = next(i for i, token in enumerate(ids) if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"])
    given = torch.tensor([ids[: begin + 4 * place]])
    rows = Rows(ids[:1], 1)
    rule = Quotation(rows, index)
    assert rule(given, torch.zeros(1, 150)).any()
    onset, duration, pitch, _ = voice.array[place].tolist()
    rows.pieces[0].planned = Written(onset, duration, pitch, 0)
    assert not rule(given, torch.zeros(1, 150)).any()


def test_a_note_that_begins_with_the_last_one_does_not_go_on_the_line():
    """No time between them would look like the shortest one, which goes on in what is indexed."""
    refused = 0
    for seed in range(40):
        pitches = np.random.default_rng(seed).integers(50, 70, 16).tolist()
        notes = [Written(12 * i, 12, pitch, 0) for i, pitch in enumerate(pitches)]
        quick = notes[-1]._replace(onset=notes[-2].onset + 1)
        index = Index.build(
            [View(Score([Note(n.onset, n.duration, n.pitch, 0) for n in [*notes[:-1], quick]]))],
            [Piece("p", "piece", 0, 96)],
        )
        heard: list[Written] = []
        line = Line(index, heard)
        heard += notes[:-1]
        line.follow()
        refused += bool(line.too_long(quick.onset).any())
        assert not line.too_long(heard[-1].onset).any()
    assert refused
