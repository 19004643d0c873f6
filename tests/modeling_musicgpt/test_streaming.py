"""Notes while the model runs, and an end from another thread."""

from __future__ import annotations

from collections import Counter
from threading import Thread

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from modeling_musicgpt import NoteStreamer, StopOnEvent
from tests.modeling_musicgpt.conftest import legal_ids
from tokenization.codec import decode

PROMPT = legal_ids(42, seed=4)  # ends inside a note


def _notes(ids: list[int], transposition: int = 0) -> list[tuple]:
    return [(n.onset, n.duration, n.pitch + transposition, n.voice) for n in decode(ids).score.notes]


@pytest.mark.parametrize(
    "arguments", [{"do_sample": True}, {"do_sample": False}, {"do_sample": True, "use_cache": False}]
)
def test_the_notes_are_those_of_the_piece(tiny, arguments):
    torch.manual_seed(1)
    stream = tiny.stream_notes(
        torch.tensor([PROMPT]), transposition=2, max_new_tokens=80, eos_token_id=None, **arguments
    )
    notes = []
    try:
        while True:
            notes.append(tuple(next(stream)))
    except StopIteration as end:
        output = end.value[0].tolist()
    assert len(output) == 42 + 80
    assert Counter(notes) == Counter(_notes(output, 2)) - Counter(_notes(PROMPT, 2))


class _Gate(LogitsProcessor):
    """Holds the model after some tokens until the test has seen what it wants."""

    def __init__(self, event, at: int):
        self.event, self.at, self.seen = event, at, 0

    def __call__(self, input_ids, scores):
        self.seen += 1
        if self.seen == self.at:
            assert self.event.wait(timeout=30)
        return scores


def test_notes_come_while_the_model_runs_and_it_can_be_stopped(tiny):
    streamer, stop = NoteStreamer(tiny.config, timeout=30), StopOnEvent()
    gate = _Gate(stop.event, at=30)
    result = []

    def work():
        torch.manual_seed(2)
        arguments = {"max_new_tokens": 3000, "do_sample": True, "eos_token_id": None}
        result.append(
            tiny.generate(
                torch.tensor([PROMPT]),
                streamer=streamer,
                stopping_criteria=[stop],
                logits_processor=LogitsProcessorList([gate]),
                **arguments,
            )
        )

    thread = Thread(target=work)
    thread.start()
    first = next(streamer)  # comes although the model waits for this very test
    assert not result and first.duration > 0
    stop.event.set()
    thread.join(timeout=30)
    assert result[0].shape[1] <= 42 + 30


def test_leaving_the_loop_ends_the_piece(tiny):
    torch.manual_seed(3)
    stream = tiny.stream_notes(torch.tensor([PROMPT]), max_new_tokens=3000, do_sample=True, eos_token_id=None)
    assert next(stream).voice in range(5)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)


def test_errors_reach_the_reader(tiny):
    with pytest.raises(ValueError, match="temperature"):
        list(tiny.stream_notes(torch.tensor([PROMPT]), do_sample=True, temperature=-1.0))
    with pytest.raises(ValueError, match="makes 2"):
        list(tiny.stream_notes(torch.tensor([PROMPT, PROMPT]), max_new_tokens=4))
