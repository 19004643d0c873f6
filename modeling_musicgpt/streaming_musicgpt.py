# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Notes handed out while the model is still composing, and how to stop it from another thread."""

from __future__ import annotations

import queue
from collections.abc import Generator
from threading import Event, Thread
from typing import Any, NamedTuple

import torch
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from .configuration_musicgpt import MusicGPTConfig
from .stepping_musicgpt import MusicalState, StepTables

_END = object()


class StreamedNote(NamedTuple):
    """A finished note: onset in ticks (24 a quarter note) from the beginning of the piece, duration in ticks,
    MIDI pitch, voice (0 = highest part).
    """

    onset: int
    duration: int
    pitch: int
    voice: int


class StopOnEvent(StoppingCriteria):
    """Ends the generation after the present token once an event is set, from whatever thread.

    Args:
        event (`threading.Event`): a new one if not given.
    """

    def __init__(self, event: Event | None = None):
        self.event = event or Event()

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any
    ) -> torch.BoolTensor:
        """`(batch,)`: all rows stop, or none."""
        return torch.full(
            (input_ids.shape[0],), self.event.is_set(), dtype=torch.bool, device=input_ids.device
        )


class NoteStreamer(BaseStreamer):
    """A streamer for `generate()` of one piece; iterate over it, in another thread, for the notes as they are
    finished.

    Args:
        config (`MusicGPTConfig`): the model's.
        transposition (`int`, defaults to 0): semitones added to every pitch (the tokens are in C major or A
            minor).
        skip_prompt (`bool`, defaults to `True`): leave out the prompt's notes; its time counts all the same.
        timeout (`float`, *optional*): seconds to wait for a note before `queue.Empty` is raised; for ever if
            not given.

    Example:
        >>> streamer, stop = NoteStreamer(model.config), StopOnEvent()
        >>> options = {"inputs": ids, "streamer": streamer, "stopping_criteria": [stop]}
        >>> Thread(target=model.generate, kwargs=options).start()
        >>> for note in streamer:
        ...     print(note)
        >>> stop.event.set()  # from anywhere: ends the piece
    """

    def __init__(
        self,
        config: MusicGPTConfig,
        transposition: int = 0,
        skip_prompt: bool = True,
        timeout: float | None = None,
    ):
        self._state = MusicalState(StepTables(config), 1)
        self._transposition, self._skip_prompt, self._timeout = transposition, skip_prompt, timeout
        self._queue: queue.Queue = queue.Queue()
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """Called by `generate` with the prompt, `(1, length)`, and then with each token, `(1,)`.

        Raises:
            ValueError: if there is more than one row.
        """
        if value.ndim > 1 and value.shape[0] > 1:
            raise ValueError(f"NoteStreamer follows one piece, but generate() makes {value.shape[0]}.")
        notes = [note for token in value.reshape(-1).tolist() if (note := self._read(token)) is not None]
        if self._prompt_seen or not self._skip_prompt:
            for note in notes:
                self._queue.put(note)
        self._prompt_seen = True

    def end(self) -> None:
        """Called by `generate` when it is done; ends the iteration."""
        self._queue.put(_END)

    def fail(self, error: BaseException) -> None:
        """Let the iteration end with an error."""
        self._queue.put(error)

    def __iter__(self) -> NoteStreamer:
        return self

    def __next__(self) -> StreamedNote:
        item = self._queue.get(timeout=self._timeout)
        if item is _END:
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item

    def _read(self, token: int) -> StreamedNote | None:
        """Follow one token; the note that it finishes, if it does."""
        note = self._state.read(token)
        if note is None:
            return None
        onset, duration, pitch, voice = note
        return StreamedNote(onset, duration, pitch + self._transposition, voice)


def stream_notes(
    model, inputs: torch.Tensor, transposition: int = 0, **arguments: Any
) -> Generator[StreamedNote, None, torch.Tensor]:
    """Generate in a thread of its own and yield the new notes as they are finished. Closing the generator, or
    leaving its loop, ends the piece.

    Args:
        model (`MusicGPTForCausalLM`): any model with musical tokens.
        inputs (`torch.LongTensor` of shape `(1, length)`): the prompt.
        transposition (`int`): semitones added to every pitch. arguments: for `generate()`.

    Returns:
        The generator's value is what `generate()` returns.
    """
    streamer, stop = NoteStreamer(model.config, transposition), StopOnEvent()
    criteria = StoppingCriteriaList([*(arguments.pop("stopping_criteria", None) or []), stop])
    result: list[torch.Tensor] = []

    def work() -> None:
        try:
            result.append(model.generate(inputs, streamer=streamer, stopping_criteria=criteria, **arguments))
        except BaseException as error:  # handed over to the thread that iterates
            streamer.fail(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield from streamer
    finally:
        stop.event.set()
        thread.join()
    return result[0]


__all__ = ["NoteStreamer", "StopOnEvent", "StreamedNote", "stream_notes"]
