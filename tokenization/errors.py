"""The named errors of reading, writing, encoding and decoding music."""

from __future__ import annotations


class MusicGPTError(ValueError):
    """Base of every error that bad input can cause; its text is one sentence fit to be shown to a user."""


class ScoreError(MusicGPTError):
    """A `Score` cannot be built or used as asked (no notes, a pitch or voice out of range, a bad meter or
    key).
    """


class ScoreReadError(ScoreError):
    """A file is not a score that can be read: missing, empty, malformed, too large or of an unknown type."""


class TokenError(MusicGPTError):
    """A sequence of ids or tokens breaks the grammar.

    Attributes:
        position (`int` or `None`): index of the first illegal token in the sequence.
    """

    def __init__(self, message: str, position: int | None = None):
        super().__init__(message)
        self.position = position


def is_of_the_network(error: Exception) -> bool:
    """Whether the HTTP client of huggingface_hub raised it, which has changed and may again."""
    package = type(error).__module__.split(".")[0]
    return isinstance(error, OSError) or package in ("httpx", "httpx2", "httpcore", "httpcore2", "requests")
