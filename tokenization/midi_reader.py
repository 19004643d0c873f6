"""Reader of standard MIDI files, types 0 and 1, in plain Python: no native parser ever sees an upload."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .errors import ScoreReadError
from .heading import read_facts
from .key import Key
from .midi_writer import FACT_MARK, VOICES_MARK
from .parts import MAX_NOTES, RawScore, is_layer, merge_meters, note_rounding, plural
from .score import Meter
from .vocabulary import MAX_VOICES, TICKS_PER_QUARTER

_DRUMS = 9  # channel ten
# General MIDI pianos, harpsichord, clavichord, celesta, organs
_KEYBOARDS = frozenset((*range(9), *range(16, 24)))
_MAX_EVENTS = 500_000
_FRAMES_TEMPO = 120.0  # at which files that count in film frames, which no tempo changes, are read
_LONGEST_DELTA = 0x0FFFFFFF  # what four bytes of seven bits hold
_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}


@dataclass
class MidiEvents:
    """What the tracks hold; times in the file's own ticks.

    Attributes:
        notes (list of tuples): start, end, pitch, channel, track, program.
        meters (list of tuples): tick, numerator, denominator.
        tempos (list of tuples): tick, track, microseconds a quarter note.
        names (dict): track -> its name.
        ours (`bool`): whether MusicGPT wrote the file, so that its channels are voices.
        keys (list of tuples): tick, track, sharps (negative: flats), 1 for minor.
        facts (dict): what else such a file tells of its piece, by name.
    """

    notes: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    meters: list[tuple[int, int, int]] = field(default_factory=list)
    tempos: list[tuple[int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, int, int]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    zero_length: int = 0
    struck_again: int = 0
    never_ended: int = 0
    events: int = 0


def read_midi(data: bytes) -> RawScore:
    """Read a standard MIDI file.

    Raises:
        ScoreReadError: if it is not one, is damaged, or is of type 2.
    """
    division, tracks = _chunks(data)
    found = MidiEvents()
    try:
        for number, (start, end) in enumerate(tracks):
            _read_track(data, start, end, number, found)
    except IndexError as error:
        raise ScoreReadError("The MIDI file is damaged: an event runs beyond its track.") from error
    notices = _damage_notices(found)
    notes = _keyboard_notes(found, notices)
    if not notes:
        return RawScore([], [], [], [])
    return _as_raw(notes, found, division, notices)


def _chunks(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """The header's division and the place of each track; a length beyond the end of the file is cut to it."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data_at = data.find(b"MThd")
        if data_at < 0:
            raise ScoreReadError("The RMID file holds no MIDI data.")
    else:
        data_at = 0
    if data[data_at : data_at + 4] != b"MThd" or len(data) < data_at + 14:
        raise ScoreReadError("This is not a MIDI file: it does not begin with MThd.")
    length, kind, _, division = struct.unpack_from(">IHHH", data, data_at + 4)
    if kind not in (0, 1):
        raise ScoreReadError(f"The MIDI file is of type {kind}; types 0 and 1 are read.")
    if division == 0:
        raise ScoreReadError("The MIDI file has 0 ticks a quarter note.")
    tracks, at = [], data_at + 8 + length
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from(">I", data, at + 4)[0]
        if name == b"MTrk":
            tracks.append((at + 8, min(at + 8 + size, len(data))))
        at += 8 + size
    if not tracks:
        raise ScoreReadError("The MIDI file holds no tracks.")
    return division, tracks


class _Keys:
    """What is held down on one track. A note is `channel << 8 | pitch`.

    Args:
        track (`int`): its number.
        found (`MidiEvents`): gets the notes.
    """

    def __init__(self, track: int, found: MidiEvents):
        self.track, self.found = track, found
        self.programs = [-1] * 16
        self.sounding: dict[int, int] = {}  # note -> start, the one that was struck last the last
        # Notes ended by being struck again: the tick at which the late note-off may still come.
        self.cut_at: dict[int, int] = {}

    def strike(self, note: int, now: int) -> None:
        """A note begins."""
        start = self.sounding.pop(note, -1)
        if 0 <= start < now:
            self._add(note, start, now)
            self.found.struck_again += 1
            self.cut_at[note] = now
        elif start == now:
            self.found.zero_length += 1
        self.sounding[note] = now

    def release(self, note: int, now: int) -> None:
        """A note ends, if it sounds."""
        start = self.sounding.pop(note, -1)
        if start < 0:
            return
        if start < now:
            self._add(note, start, now)
        elif self.cut_at.pop(note, -1) == now:  # the note-off of the note that was struck again here
            self.sounding[note] = now
            self.found.struck_again -= 1
        else:
            self.found.zero_length += 1

    def finish(self, now: int) -> None:
        """Notes that nothing ended last until the track ends."""
        for note, start in self.sounding.items():
            self.found.never_ended += 1
            if start < now:
                self._add(note, start, now)

    def _add(self, note: int, start: int, end: int) -> None:
        channel = note >> 8
        self.found.notes.append((start, end, note & 0xFF, channel, self.track, self.programs[channel]))


def _read_track(data: bytes, at: int, end: int, track: int, found: MidiEvents) -> None:
    """Add one track's events to `found`.

    One flat loop over bytes, since it runs for every event; notes go to `_Keys`, all else to `_read_meta`.
    """
    now = status = 0
    keys = _Keys(track, found)
    events = 0
    while at < end:
        byte = data[at]
        at += 1
        delta = byte & 0x7F
        while byte & 0x80:
            byte = data[at]
            at += 1
            delta = delta << 7 | byte & 0x7F
            if delta > _LONGEST_DELTA:
                raise ScoreReadError(
                    f"The MIDI file is damaged: a time of more than four bytes at byte {at}."
                )
        now += delta
        byte = data[at]
        if byte & 0x80:
            status = byte
            at += 1
        elif not status:
            raise ScoreReadError(f"The MIDI file is damaged: data without an event at byte {at}.")
        events += 1
        if events > _MAX_EVENTS:
            break
        kind = status >> 4
        if kind == 0x9 or kind == 0x8:
            note = (status & 0xF) << 8 | data[at]
            if kind == 0x9 and data[at + 1]:
                keys.strike(note, now)
            else:
                keys.release(note, now)
            at += 2
        elif status >= 0xF0:
            at, status = _read_meta(data, at, end, status, now, track, found)
        else:
            if kind == 0xC:
                keys.programs[status & 0xF] = data[at] & 0x7F
            at += _DATA_BYTES[kind]
    keys.finish(now)
    found.events += events
    if found.events > _MAX_EVENTS or len(found.notes) > 2 * MAX_NOTES:
        raise ScoreReadError(
            f"The MIDI file holds more than {_MAX_EVENTS} events or {2 * MAX_NOTES} notes; it is not a piano"
            " piece."
        )


def _read_meta(
    data: bytes, at: int, end: int, status: int, now: int, track: int, found: MidiEvents
) -> tuple[int, int]:
    """Read or skip a meta or system event; the place after it, and the running status (none after such an
    event).
    """
    if status == 0xFF:
        kind = data[at]
        at += 1
    elif status in (0xF0, 0xF7):
        kind = -1
    else:  # system messages that do not belong in a file: their data bytes are skipped
        while at < end and data[at] < 0x80:
            at += 1
        return at, 0
    size = 0
    for _ in range(4):
        byte = data[at]
        at += 1
        size = size << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    body = data[at : min(at + size, end)]
    if kind == 0x58 and len(body) >= 2 and body[1] <= 6:
        found.meters.append((now, body[0], 1 << body[1]))
    elif kind == 0x51 and len(body) == 3:
        found.tempos.append((now, track, int.from_bytes(body, "big")))
    elif kind == 0x59 and len(body) >= 2:
        found.keys.append((now, track, body[0] - 256 if body[0] > 127 else body[0], body[1]))
    elif kind == 0x01 and bytes(body) == VOICES_MARK:
        found.ours = True
    elif kind == 0x01 and body.startswith(FACT_MARK.encode()):
        name, _, value = bytes(body).decode("utf-8", errors="replace")[len(FACT_MARK) :].partition(": ")
        found.facts[name] = value
    elif kind == 0x03 and track not in found.names:
        found.names[track] = _text(body)
    return (end if kind == 0x2F else at + size), 0


def _text(body: bytes) -> str:
    """A text of anybody's: UTF-8, or Latin-1, as older programs write."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _damage_notices(found: MidiEvents) -> list[str]:
    counts = (
        (found.zero_length, "of no length left out"),
        (found.struck_again, "ended where the same key was struck again"),
        (found.never_ended, "without an end lasted to the end of the track"),
    )
    return [f"{plural(count, 'note')} {what}" for count, what in counts if count > 0]


def _keyboard_notes(found: MidiEvents, notices: list[str]) -> list[tuple[int, int, int, int, int, int]]:
    """The notes without drums and, where there is a keyboard, without the other instruments."""
    notes = [note for note in found.notes if note[3] != _DRUMS and note[2] < 128]
    drums = len(found.notes) - len(notes)
    if drums:
        notices.append(f"{plural(drums, 'drum note')} left out")
    programs = {note[5] for note in notes}
    others = {p for p in programs if p >= 0 and p not in _KEYBOARDS}
    if others and any(p in _KEYBOARDS for p in programs):
        kept = [note for note in notes if note[5] not in others]
        notices.append(
            f"{plural(len(notes) - len(kept), 'note')} of {plural(len(others), 'other instrument')} left out"
        )
        return kept
    return notes


def _as_raw(
    notes: list[tuple[int, int, int, int, int, int]], found: MidiEvents, division: int, notices: list[str]
) -> RawScore:
    """Notes and events on the grid of 24 ticks a quarter."""
    scale = TICKS_PER_QUARTER / _ticks_per_quarter(division, notices)
    in_frames = division >= 0x8000
    table = np.array(notes, dtype=np.float64)  # (notes, 6); ticks stay exact below 2 ** 53
    exact = np.stack([table[:, 0], table[:, 1] - table[:, 0]]) * scale  # (2, n): onsets and durations
    onsets, durations = np.rint(exact)
    durations = np.maximum(1, durations)
    note_rounding(int((np.abs(exact - (onsets, durations)) > 1e-6).any(axis=0).sum()), notices)
    meters = merge_meters(((round(tick * scale), top, bottom) for tick, top, bottom in found.meters), notices)
    shift, meters = (0, meters) if found.ours else _pickup(meters, notices)
    labels = [(note[4], note[3]) for note in notes]
    named_layers = any(is_layer(found.names.get(track, "")) for track, _ in set(labels))
    onsets = np.maximum(0, onsets + shift)
    key = _declared_key(found, float(table[:, 0].min()))
    told = read_facts(found.facts, key)
    if max(onsets.max(), durations.max()) > 2**40:
        raise ScoreReadError("The MIDI file holds a time beyond all limits.")
    return RawScore(
        onsets.astype(np.int64),
        durations.astype(np.int64),
        table[:, 2].astype(np.int64),
        labels,
        are_parts=False if named_layers else None,
        voices=table[:, 3].astype(np.int64) if found.ours and table[:, 3].max() < MAX_VOICES else None,
        meters=meters,
        key=told.key or key,
        key_is_sure=told.key is not None,
        tempo=_FRAMES_TEMPO if in_frames else _tempo(found, float(table[:, 0].min())),
        title=found.names.get(0),
        told=told,
        notices=notices,
    )


def _ticks_per_quarter(division: int, notices: list[str]) -> float:
    """Ticks of the file a quarter note; files that count in film frames are read as 120 quarter notes a
    minute.
    """
    if division < 0x8000:
        return float(division)
    frames, ticks = 256 - (division >> 8), division & 0xFF
    if not ticks or not frames:
        raise ScoreReadError("The MIDI file has 0 ticks a film frame.")
    notices.append("times in film frames were read as 120 quarter notes a minute")
    return frames * ticks * 60 / _FRAMES_TEMPO


def _pickup(meters: list[Meter], notices: list[str]) -> tuple[int, list[Meter]]:
    """A first meter that holds for one bar shorter than the next meter's bar spells a pickup: it becomes
    silence in a whole bar.

    Returns:
        How many ticks all onsets move, and the meters after that.
    """
    if len(meters) < 2:
        return 0, meters
    first, second = meters[:2]
    if (
        second.onset != first.bar_ticks
        or first.bar_ticks >= second.bar_ticks
        or first.denominator < second.denominator
    ):
        return 0, meters
    shift = second.bar_ticks - first.bar_ticks
    notices.append(f"a first bar of {first.name} read as the pickup of {second.name}")
    return shift, [second._replace(onset=0), *(m._replace(onset=m.onset + shift) for m in meters[2:])]


def _in_force(changes: Sequence[tuple[int, ...]], first: float) -> tuple[int, ...] | None:
    """Of (tick, track, ...) in any order the one that holds when the music begins: the latest up to then, the
    first track's of those.

    `None` where all come later.
    """
    before = [(change[0], -change[1], place) for place, change in enumerate(changes) if change[0] <= first]
    return changes[max(before)[2]] if before else None


def _declared_key(found: MidiEvents, first: float) -> Key | None:
    """The key signature that holds when the music begins, else the earliest; `None` where the file has
    none.
    """
    keys = [key for key in found.keys if -7 <= key[2] <= 7 and key[3] in (0, 1)]
    if not keys:
        return None
    _, _, sharps, minor = _in_force(keys, first) or min(keys, key=lambda key: key[:2])
    return Key.of_signature(sharps, "minor" if minor else "major")


def _tempo(found: MidiEvents, first: float) -> float | None:
    """Quarter notes a minute when the music begins; `None` where the file does not say: a later tempo holds
    only from there on.
    """
    tempo = _in_force([tempo for tempo in found.tempos if tempo[2] > 0], first)
    return round(60e6 / tempo[2], 3) if tempo else None
