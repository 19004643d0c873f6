"""Writer of standard MIDI files: one track and channel a voice, with tempo, meter and key."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import ScoreError
from .heading import facts, title_of
from .score import NOMINAL_QPM, VOICE, Score
from .sounding import sounding
from .vocabulary import TICKS_PER_QUARTER

PPQ = 480  # ticks a quarter note in the file
FACT_MARK = "MusicGPT: "  # begins the text events of files of ours
VOICES_MARK = f"{FACT_MARK}channels are voices".encode()
_SCALE = PPQ // TICKS_PER_QUARTER
_VELOCITY = 72
_PROGRAM = 0  # acoustic grand piano
_VOICE_NAMES = {
    1: ("keyboard",),
    2: ("upper voice", "lower voice"),
    3: ("soprano", "alto", "bass"),
    4: ("soprano", "alto", "tenor", "bass"),
    5: ("soprano", "mezzo", "alto", "tenor", "bass"),
}


def voice_names(count: int) -> tuple[str, ...]:
    """What the parts of a piece with `count` voices are called, from the top."""
    return _VOICE_NAMES[min(5, max(1, count))]


def write_midi(
    score: Score, path: str | os.PathLike, velocities: Sequence[int] | np.ndarray | None = None
) -> None:
    """Write a score as a type 1 MIDI file, whole or not at all; for `velocities` see `midi_bytes`."""
    write_whole(path, midi_bytes(score, velocities))


def write_whole(path: str | os.PathLike, data: bytes) -> None:
    """Write a file beside its place, then move it there, so that nobody ever sees half of it."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def midi_bytes(score: Score, velocities: Sequence[int] | np.ndarray | None = None) -> bytes:
    """A score as the bytes of a type 1 MIDI file, 480 ticks a quarter note.

    A note that is struck again by its own voice while it sounds ends there (`sounding`).

    Args:
        score (`Score`): the piece.
        velocities (integers of shape `(notes,)`, *optional*): how loud each note of `score.array` is, 1 to
            127 (`musicgpt.dynamics`); all 72 when not given. Of notes that `sounding` merges the loudest
            holds.

    Raises:
        ScoreError: if they are not as many as the notes, or one lies outside 1 to 127.
    """
    loud = _by_note(score, velocities)
    score = sounding(score)
    voices = np.unique(score.array[:, VOICE]).tolist()
    names = voice_names(max(voices, default=0) + 1)
    tracks = [_conductor(score)]
    for voice in voices:
        rows = score.array[score.array[:, VOICE] == voice]
        tracks.append(_track(voice_events(rows, voice, loud), names[voice], channel=voice))
    head = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), PPQ)
    return head + b"".join(tracks)


def _by_note(score: Score, velocities: Sequence[int] | np.ndarray | None) -> dict[tuple[int, int, int], int]:
    """Velocities by onset, pitch and voice; of several the highest."""
    if velocities is None:
        return {}
    if len(velocities) != len(score) or not all(1 <= value <= 127 for value in velocities):
        raise ScoreError(
            f"{len(velocities)} velocities for {len(score)} notes: one from 1 to 127 is needed for each."
        )
    found: dict[tuple[int, int, int], int] = {}
    for (onset, _, pitch, voice), value in zip(score.array.tolist(), velocities, strict=True):
        found[onset, pitch, voice] = max(int(value), found.get((onset, pitch, voice), 0))
    return found


def voice_events(
    rows: np.ndarray, channel: int, loud: dict[tuple[int, int, int], int]
) -> list[tuple[int, bytes]]:
    """Note-on and note-off events of one voice in the order of a file: time in score ticks, bytes."""
    events = []
    for onset, duration, pitch, voice in rows.tolist():
        events.append((onset, 1, bytes((0x90 | channel, pitch, loud.get((onset, pitch, voice), _VELOCITY)))))
        events.append((onset + duration, 0, bytes((0x80 | channel, pitch, 0))))
    events.sort(key=lambda event: event[:2])  # ends before beginnings
    return [(time, data) for time, _, data in events]


def _conductor(score: Score) -> bytes:
    """The first track: title, facts, tempo, key and the meters."""
    qpm = score.tempo or NOMINAL_QPM
    texts = [
        VOICES_MARK,
        *(f"{FACT_MARK}{name}: {value}".encode(errors="replace") for name, value in facts(score).items()),
    ]
    events = [(0, _meta(0x01, text)) for text in texts]
    events.append((0, _meta(0x51, min(0xFFFFFF, max(1, round(60e6 / qpm))).to_bytes(3, "big"))))
    if score.key is not None:
        signature = struct.pack(">bB", score.key.written.fifths, score.key.mode == "minor")
        events.append((0, _meta(0x59, signature)))
    for meter in score.meters:
        body = bytes((min(255, meter.numerator), meter.denominator.bit_length() - 1, 24, 8))
        events.append((meter.onset, _meta(0x58, body)))
    return _track(events, title_of(score), channel=None)


def _track(events: list[tuple[int, bytes]], name: str, channel: int | None) -> bytes:
    """A track chunk from events in order; times in score ticks."""
    # never half a letter
    name = name.encode("utf-8", errors="replace")[:127].decode("utf-8", errors="ignore")
    body = bytearray(b"\0" + _meta(0x03, name.encode("utf-8")))
    if channel is not None:
        body += bytes((0, 0xC0 | channel, _PROGRAM))
    before = 0
    for time, data in events:
        body += _variable_length((time - before) * _SCALE) + data
        before = time
    body += b"\0" + _meta(0x2F, b"")
    return struct.pack(">4sI", b"MTrk", len(body)) + bytes(body)


def _meta(kind: int, body: bytes) -> bytes:
    return bytes((0xFF, kind)) + _variable_length(len(body)) + body


def _variable_length(number: int) -> bytes:
    """Seven bits a byte, the highest first, as MIDI files write numbers."""
    data = bytes((number & 0x7F,))
    while number := number >> 7:
        data = bytes((number & 0x7F | 0x80,)) + data
    return data
