"""Tokens to notes one at a time, while they are being generated.

`tokenization` decodes whole sequences; here the same is done for a sequence that is still growing. A test
holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenization.score import Meter, Note
from tokenization.vocabulary import METERS, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID, parse_meter

_NOTE, _VOICE, _DUR, _TIME, _METER = (TYPE_INDEX[name] for name in ("NOTE", "VOICE", "DUR", "TIME", "METER"))
_TYPES, _VALUES = TYPE_OF_ID.tolist(), VALUE_OF_ID.tolist()


class NoteReader:
    """Reads legal tokens one by one and hands out each note as soon as its last token is there.

    A note that a voice strikes twice at one onset, which the grammar of the tokens does not forbid, is handed
    out once: no notation could show it.

    Args:
        now (`int`): tick of the last onset before the first token; 0 for a new piece.
        transposition (`int`): semitones added to every pitch, to leave C major / A minor.
        shift (`int`): ticks added to every onset, where the tokens count from another bar than the piece.

    Attributes:
        meters (list of `Meter`): changes of meter met between notes.
    """

    def __init__(self, now: int = 0, transposition: int = 0, shift: int = 0):
        self.meters: list[Meter] = []
        self._now, self._transposition, self._shift = now, transposition, shift
        self._pitch = self._voice = 0
        self._started = False
        self._struck: set[tuple[int, int]] = set()  # pitch and voice of what began at the last onset

    def feed(self, token: int) -> Note | None:
        """Read one token; the note that it completes, if it does."""
        kind, value = _TYPES[token], _VALUES[token]
        if kind == _TIME:
            self._now += value
            if value:
                self._struck.clear()
        elif kind == _NOTE:
            self._pitch, self._started = value, True
        elif kind == _VOICE:
            self._voice = value
        elif kind == _METER and (self._started or self._now):
            self.meters.append(Meter(self._now + self._shift, *parse_meter(METERS[value])))
        elif kind == _DUR and (self._pitch, self._voice) not in self._struck:
            self._struck.add((self._pitch, self._voice))
            return Note(self._now + self._shift, value, self._pitch + self._transposition, self._voice)
        return None

    def feed_all(self, tokens: Iterable[int]) -> list[Note]:
        """Read several tokens; the notes that they complete."""
        return [note for token in tokens if (note := self.feed(token)) is not None]
