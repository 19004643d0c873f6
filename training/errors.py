"""The named errors of training."""

from __future__ import annotations

from tokenization.errors import MusicGPTError


class TrainingError(MusicGPTError):
    """A run cannot begin, go on or be saved as asked; its text is one sentence fit to be shown to a user."""


class ArgumentsError(TrainingError):
    """Arguments that are unknown, of the wrong type, out of range or contradict each other; the text names
    them.
    """


class CheckpointError(TrainingError):
    """A checkpoint cannot be written (full disk) or read (damaged, of another model)."""
