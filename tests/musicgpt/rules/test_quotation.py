"""No voice quotes more than `LONGEST` notes of what is indexed, as the metric of originality counts them."""

from __future__ import annotations

import numpy as np
import pytest

from musical_metrics.originality import build_index, longest_run
from musicgpt.rules.base import BLOCK, FORBIDDEN
from musicgpt.rules.quotation import LONGEST, Quotation
from tests.musicgpt.states import state_after
from tokenization import encode
from tokenization.analysis.view import View
from tokenization.analysis.windows import Index, Piece
from tokenization.score import PITCH, Note, Score
from tokenization.vocabulary import PITCH_MAX, PITCH_MIN, TOKEN_TO_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

from .cases import Plan, brief, said


@pytest.fixture(scope="module")
def library(wandering) -> tuple[list[Score], Index]:
    pieces = [wandering(seed) for seed in range(4)]
    return pieces, build_index(
        [View(p) for p in pieces], [Piece(f"p{i}", f"piece {i}", i, 96) for i in range(4)]
    )


def test_a_note_is_too_much_where_the_metric_would_say_so(library):
    """A copy, in another key, of a piece, two voices of it and all of another's first: each pitch of each
    voice, at every step, against the metric itself.
    """
    pieces, index = library
    score = pieces[2].transposed(2).between(0, 8 * 96)
    score = score.replace(notes=score.array[score.array[:, 3] < 2])
    piece, ids, rule = state_after(), encode(score), Quotation(brief(prompt=state_after()), index)
    refused = 0
    for k, token in enumerate(ids):
        if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"]:
            voice, pitch, now = int(VALUE_OF_ID[ids[k + 1]]), int(VALUE_OF_ID[token]), int(piece.ticks[0])
            notes = piece.notes[0, : piece.num_notes[0]].tolist()
            alone = [Note(*note[:3], 0) for note in notes if note[3] == voice]
            too_much = said(rule, piece)[0, BLOCK["NOTE"]] == FORBIDDEN
            for asked in (pitch, pitch + 1):
                grown = longest_run(Score(notes=[*alone, Note(now, 6, asked, 0)]), index).value or 0
                already = longest_run(Score(notes=alone), index).value or 0
                is_struck = bool(alone) and alone[-1].onset == now
                too_long = bool(too_much[asked - PITCH_MIN])
                if grown > max(LONGEST, already) and not is_struck:
                    assert too_long
                    refused += 1
                elif grown <= LONGEST and not too_much.any():
                    assert not too_long
        piece.feed(np.array([token]))
        said(rule, piece)
    assert refused > 3


def follow(score: Score, index: Index, prompt: int = 0, earlier: tuple = ()) -> int:
    """Notes of a voice taken one after another as long as they are not refused; the number at which the first
    one is.
    """
    ids = list(encode(score))
    begin = next(i for i, token in enumerate(ids) if TYPE_OF_ID[token] == TYPE_INDEX["NOTE"])
    state = state_after(ids[: begin + 4 * prompt])
    rule = Quotation(brief(*earlier, prompt=state_after(ids[: begin + 4 * prompt])), index)
    for k in range(prompt, len(score)):
        scores = said(rule, state)[0]
        assert not scores[: BLOCK["NOTE"].start].any()
        assert set(scores.tolist()) <= {0.0, FORBIDDEN}
        if scores[ids[begin + 4 * k]] < 0:
            return k
        for token in ids[begin + 4 * k : begin + 4 * k + 4]:
            state.feed(np.array([token]))
            said(rule, state)
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
    """A copy goes on if its notes are the plan's."""
    pieces, index = library
    voice = pieces[1].replace(notes=pieces[1].array[pieces[1].array[:, 3] == 0])
    voice = voice.replace(notes=View(voice).lines)
    assert follow(voice, index) < len(voice) == follow(voice, index, earlier=(Plan(60, 0, 12),))


def test_a_note_that_begins_with_the_last_one_does_not_go_on_the_line():
    """No time between them would look like the shortest one, which goes on in what is indexed."""
    refused = 0
    for seed in range(40):
        pitches = np.random.default_rng(seed).integers(50, 70, 16).tolist()
        notes = [Note(12 * i, 12, pitch, 0) for i, pitch in enumerate(pitches)]
        quick = notes[-1]._replace(onset=notes[-2].onset + 1)
        index = build_index(
            [View(Score([Note(n.onset, n.duration, n.pitch, 0) for n in [*notes[:-1], quick]]))],
            [Piece("p", "piece", 0, 96)],
        )
        state, rule = state_after(), Quotation(brief(prompt=state_after()), index)
        for token in encode(Score(notes[:-1])).tolist()[:-2]:
            state.feed(np.array([token]))
            said(rule, state)
        quick_step = TOKEN_TO_ID["TIME_1"]
        state.feed(np.array([quick_step]))
        refused += bool(said(rule, state).any())
        state.ticks -= 1  # as if no time had passed
        assert not said(rule, state).any()
    assert refused
