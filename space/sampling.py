"""The one step that needs the model, and on ZeroGPU the only one that holds a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from musicgpt import Composer, Composition, Settings
from musicgpt.given import Given
from musicgpt.rules.tonal_plan import MOST_BARS, TOKENS_A_BAR
from tokenization import Note, Score

# At most so many pictures of the growing roll a second are sent; a browser draws one in 25 to 40 ms.
PICTURES_A_SECOND = 5
# The first notes are sent as they come: the player begins with the second onset.
FIRST_NOTES, FIRST_PICTURES_A_SECOND = 8, 25

_composer: Composer | None = None


class Growth(NamedTuple):
    """What the model has made since the last one.

    Attributes:
        notes (list of `Note`): new notes, in the piece's key.
        base (`Score`): the prompt, or a score without notes; in it are the key, meter and tempo of the piece.
        tokens (`int`), most_tokens (`int`): made so far; how many there can be.
        composition (`Composition`, *optional*): the finished piece, in the last one only.
    """

    notes: list[Note]
    base: Score
    tokens: int
    most_tokens: int
    composition: Composition | None = None


def load(name_or_path: str | None = None, device: str | None = None) -> None:
    """Load the model for this process: a folder, a name on the Hub, or the shipped one; and make it ready by
    a few tokens.

    Raises:
        MusicGPTError: if there is no such model.
    """
    global _composer
    _composer = Composer.from_pretrained(name_or_path, device)
    if device is None:
        _composer.compose(Settings(max_new_tokens=8, seed=0))


def _seconds_on_gpu(
    settings: Settings, prompt: Score | None, prompt_bars: int | None, stop: Any, given: Given | None = None
) -> int:
    """What ZeroGPU is asked for: about 100 tokens a second and a margin; a short request is served sooner."""
    tokens = settings.max_new_tokens or TOKENS_A_BAR * (settings.bars or MOST_BARS)
    return 10 + tokens // 100


def _on_gpu(function: Callable) -> Callable:
    """Mark a function for ZeroGPU where the `spaces` package is; it does nothing on other machines."""
    try:
        import spaces
    except ImportError:
        return function
    return spaces.GPU(duration=_seconds_on_gpu)(function)


@_on_gpu
def sample(
    settings: Settings, prompt: Score | None, prompt_bars: int | None, stop: Any, given: Given | None = None
) -> Iterator[Growth]:
    """Compose one piece.

    Args:
        settings (`Settings`): with a seed.
        prompt (`Score`, *optional*), prompt_bars (`int`, *optional*): what to continue.
        stop (`FileFlag`): when it is set the piece ends after the current token. All arguments can be sent to
            another process.
        given (`Given`, *optional*): notes that stay, and where others may be written.

    Raises:
        MusicGPTError: if settings or prompt cannot be used.
    """
    assert _composer is not None, "load() comes first"
    stream = _composer.stream(settings, prompt=prompt, prompt_bars=prompt_bars, stop=stop, given=given)
    fresh: list[Note] = []
    sent = 0.0
    for count, note in enumerate(stream):
        fresh.append(note)
        rate = FIRST_PICTURES_A_SECOND if count < FIRST_NOTES else PICTURES_A_SECOND
        if time.monotonic() - sent >= 1 / rate:
            sent = time.monotonic()
            yield Growth(fresh, stream.prompt, stream.num_tokens, stream.max_new_tokens)
            fresh = []
    yield Growth(fresh, stream.prompt, stream.num_tokens, stream.max_new_tokens, stream.composition)
