"""Reader of MusicXML, plain (`.musicxml`, `.xml`) and packed (`.mxl`).

An own reader on the standard library's XML parser, in place of music21: music21 takes two seconds and 150 MB
to import, forgets the voice of a staff that has only one in a bar, and has no bound on the time a damaged
file takes. The tests compare the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from xml.etree import ElementTree

from .errors import ScoreReadError
from .heading import COMPOSER, read_facts
from .key import STEPS, Key
from .musicxml_file import musicxml_root
from .parts import MAX_NOTES, MAX_TICKS, RawScore, merge_meters, note_rounding, plural
from .score import Meter
from .vocabulary import MAX_VOICES, TICKS_PER_QUARTER, bar_ticks

OUR_SOFTWARE = "MusicGPT"  # files that name it carry true voices; all others may carry layers of the notation
_MAX_MEASURES = 20_000
# Quarters of the notes that a metronome mark may count.
_BEAT_UNITS = {
    name: 2.0**power
    for power, name in enumerate(("32nd", "16th", "eighth", "quarter", "half", "whole", "breve"), -3)
}


@dataclass
class _Note:
    """A sounding note: place in its measure and length in ticks (fractions where the file is finer)."""

    measure: int
    offset: Fraction
    duration: Fraction
    pitch: int
    part: int
    voice: str
    staff: str


@dataclass
class _Found:
    """What all parts hold.

    Attributes:
        lengths, silences (lists of `Fraction`): how long each measure is, in ticks, in the parts that have
            notes in it, and in those that rest.
    """

    notes: list[_Note] = field(default_factory=list)
    lengths: list[Fraction] = field(default_factory=list)
    silences: list[Fraction] = field(default_factory=list)
    implicit: list[bool] = field(default_factory=list)
    # measure -> offset -> meter
    signatures: dict[int, dict[Fraction, tuple[int, int]]] = field(default_factory=dict)
    # measure, offset, part, fifths as they sound, mode
    keys: list[tuple[int, Fraction, int, int, str]] = field(default_factory=list)
    # measure, offset, whether it is a metronome mark, part, quarters a minute
    tempos: list[tuple[int, Fraction, bool, int, float]] = field(default_factory=list)
    graces: int = 0
    cues: int = 0
    unpitched: int = 0
    empty: int = 0


def read_musicxml(data: bytes) -> RawScore:
    """Read MusicXML, packed or not. Ties are merged, repeats left as they stand, grace notes dropped with a
    count.

    Raises:
        ScoreReadError: if it is not MusicXML, is damaged or beyond the limits.
    """
    root = musicxml_root(data)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise ScoreReadError(
            f"This XML is not MusicXML: it begins with <{root.tag[:40]}>, not with <score-partwise>."
        )
    found = _Found()
    try:
        for number, measures in enumerate(_parts(root)):
            _PartReader(number, found).read(measures)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        if isinstance(error, ScoreReadError):
            raise
        raise ScoreReadError(f"The MusicXML holds a number that is none: {str(error)[:80]}.") from error
    return _as_raw(root, found)


def _parts(root: ElementTree.Element) -> list[list[ElementTree.Element]]:
    """The measures of each part, from either of the two forms of MusicXML."""
    if root.tag == "score-partwise":
        parts = [part.findall("measure") for part in root.findall("part")]
    else:
        by_id: dict[str, list[ElementTree.Element]] = {}
        for measure in root.findall("measure"):
            for part in measure.findall("part"):
                part.attrib.update(measure.attrib)
                by_id.setdefault(part.get("id", ""), []).append(part)
        parts = list(by_id.values())
    if max((len(measures) for measures in parts), default=0) > _MAX_MEASURES:
        raise ScoreReadError(
            f"The MusicXML has more than {_MAX_MEASURES} measures; it is not a piece of keyboard music."
        )
    return parts


def _number(element: ElementTree.Element, name: str, default: int | None = None) -> int | Fraction:
    """The number in a child element, whole where it is written so."""
    text = (element.findtext(name) or "").strip()
    if not text and default is not None:
        return default
    if len(text) > 20:
        raise ValueError(f"{text[:20]}... in <{name}>")
    try:
        return int(text)
    except ValueError:
        if "e" in text.lower() or "/" in text:
            raise ValueError(f"{text!r} in <{name}>") from None
        return Fraction(text)


def _signature(time: ElementTree.Element) -> tuple[int, int]:
    """Numbers of a time signature; the terms of 3+2/8 and of 3/8 + 2/8 are added up."""
    beats = [
        sum(int(part) for part in (element.text or "").split("+") if len(part) < 6)
        for element in time.findall("beats")
    ]
    units = [int((element.text or "")[:20]) for element in time.findall("beat-type")] or [4]
    unit = max(units)
    if any(other < 1 or unit % other for other in units):
        return beats[0], units[0]
    return sum(count * unit // other for count, other in zip(beats, units, strict=False)), unit


def _quarters_a_minute(metronome: ElementTree.Element) -> float:
    """What a metronome mark says, also where words stand beside its number, as in `c. 60`; 0 where it says
    something else: that one note value is to be as long as another, or words alone.
    """
    units = [(unit.text or "").strip() for unit in metronome.iter("beat-unit")]
    number = re.search(r"[0-9]+(\.[0-9]+)?", (metronome.findtext("per-minute") or "")[:40])
    if len(units) != 1 or number is None:
        return 0.0
    dots = len(metronome.findall("beat-unit-dot"))
    return float(number[0]) * _BEAT_UNITS.get(units[0], 0.0) * (2 - 0.5**dots)


class _PartReader:
    """Walks through the measures of one part."""

    def __init__(self, number: int, found: _Found):
        self.number, self.found = number, found
        self.ticks = Fraction(TICKS_PER_QUARTER)  # ticks a division
        self.transposition = 0
        self.now = self.furthest = self.chord_at = self.rested = Fraction(0)
        self.silent = True
        self.measure = 0
        # Pitch and voice -> the note that is tied on, the measure and the place from which.
        self.tied: dict[tuple[int, str], tuple[_Note, int, Fraction]] = {}

    def read(self, measures: list[ElementTree.Element]) -> None:
        """Add all measures to what was found."""
        found = self.found
        for self.measure, measure in enumerate(measures):
            self.now = self.furthest = self.chord_at = self.rested = Fraction(0)
            self.silent = True
            for element in measure:
                handle = getattr(self, "_" + element.tag, None) if element.tag in _HANDLED else None
                if handle is not None:
                    handle(element)
            if self.measure == len(found.lengths):
                found.lengths.append(Fraction(0))
                found.silences.append(Fraction(0))
                found.implicit.append(measure.get("implicit") == "yes")
            kind = found.silences if self.silent else found.lengths
            length = self.rested if self.silent and self.rested else self.furthest
            kind[self.measure] = max(kind[self.measure], length)
            self.tied = {name: tie for name, tie in self.tied.items() if tie[1] == self.measure}
            if len(found.notes) > 2 * MAX_NOTES:
                raise ScoreReadError(f"The MusicXML holds more than {2 * MAX_NOTES} notes.")

    def _attributes(self, element: ElementTree.Element) -> None:
        if element.find("divisions") is not None:
            divisions = _number(element, "divisions")
            if divisions <= 0:
                raise ValueError(f"{divisions} in <divisions>")
            self.ticks = Fraction(TICKS_PER_QUARTER) / divisions
        time = element.find("time")
        if time is not None and time.find("beats") is not None:
            self.found.signatures.setdefault(self.measure, {}).setdefault(self.now, _signature(time))
        transpose = element.find("transpose")
        if transpose is not None:
            self.transposition = int(_number(transpose, "chromatic", 0)) + 12 * int(
                _number(transpose, "octave-change", 0)
            )
        key = element.find("key")
        if key is not None and key.find("fifths") is not None:
            fifths = _sounding_fifths(int(_number(key, "fifths")), self.transposition)
            self.found.keys.append(
                (self.measure, self.now, self.number, fifths, (key.findtext("mode") or "").strip().lower())
            )

    def _sound(self, element: ElementTree.Element) -> None:
        if element.get("tempo"):
            self._tempo(float(element.get("tempo", "")[:20]), is_mark=False)

    def _tempo(self, tempo: float, is_mark: bool) -> None:
        if 1 <= tempo <= 1000:
            self.found.tempos.append((self.measure, self.now, is_mark, self.number, tempo))

    def _direction(self, element: ElementTree.Element) -> None:
        for sound in element.findall("sound"):
            self._sound(sound)
        for mark in element.findall("direction-type/metronome"):
            self._tempo(_quarters_a_minute(mark), is_mark=True)

    def _move(self, ticks: Fraction) -> None:
        self.now = max(Fraction(0), self.now + ticks)
        if self.now > MAX_TICKS:
            raise ScoreReadError(f"A measure lasts more than {MAX_TICKS // TICKS_PER_QUARTER} quarter notes.")
        self.furthest = max(self.furthest, self.now)

    def _backup(self, element: ElementTree.Element) -> None:
        self._move(-_number(element, "duration", 0) * self.ticks)

    def _forward(self, element: ElementTree.Element) -> None:
        self._move(_number(element, "duration", 0) * self.ticks)

    def _note(self, element: ElementTree.Element) -> None:
        found = self.found
        if element.find("grace") is not None:
            found.graces += 1
            return
        duration = _number(element, "duration", 0) * self.ticks
        if duration < 0:
            raise ValueError(f"{duration} in <duration>")
        if element.find("chord") is None:
            self.chord_at = self.now
            self._move(Fraction(duration))
        if element.find("rest") is None:
            self.silent = False
        else:
            self.rested = max(self.rested, self.now)
        pitch = element.find("pitch")
        if element.find("cue") is not None:
            found.cues += 1
        elif element.find("unpitched") is not None:
            found.unpitched += 1
        elif pitch is not None:
            if duration == 0:
                found.empty += 1
            else:
                self._add(element, pitch, Fraction(duration))

    def _add(self, element: ElementTree.Element, pitch: ElementTree.Element, duration: Fraction) -> None:
        """A sounding note: a new one, or the rest of one that was tied to it."""
        step = (pitch.findtext("step") or "").strip()
        if step not in STEPS:
            raise ValueError(f"{step[:10]!r} in <step>")
        midi = (
            12 * (int(_number(pitch, "octave")) + 1)
            + STEPS[step]
            + round(_number(pitch, "alter", 0))
            + self.transposition
        )
        if not 0 <= midi <= 127:
            raise ValueError(f"pitch {midi}, which is outside 0-127")
        voice = (element.findtext("voice") or "1").strip()[:20]
        ties = {tie.get("type") for tie in element.findall("tie")}
        note = self._tied_from(midi, voice) if "stop" in ties else None
        if note is not None:
            note.duration += duration
        else:
            staff = (element.findtext("staff") or "1").strip()[:20]
            note = _Note(self.measure, self.chord_at, duration, midi, self.number, voice, staff)
            self.found.notes.append(note)
        if "start" in ties:
            self.tied[midi, voice] = note, self.measure, self.chord_at + duration

    def _tied_from(self, pitch: int, voice: str) -> _Note | None:
        """The note that a tie leads from to this place: of this voice, else of any.

        Ties whose end is missing, as before a repeat, stay open and lead nowhere.
        """
        for name in ((pitch, voice), *(name for name in self.tied if name[0] == pitch)):
            note, measure, end = self.tied.get(name, (None, -1, Fraction(0)))
            if note is not None and abs(self.chord_at - (end if measure == self.measure else 0)) < 1:
                del self.tied[name]
                return note
        return None


_HANDLED = ("attributes", "sound", "direction", "backup", "forward", "note")


def _as_raw(root: ElementTree.Element, found: _Found) -> RawScore:
    """Measures laid end to end, on the grid of 24 ticks a quarter."""
    notices = [
        f"{plural(count, name)} left out"
        for count, name in (
            (found.graces, "grace note"),
            (found.cues, "cue note"),
            (found.unpitched, "drum note"),
            (found.empty, "note of no length"),
        )
        if count
    ]
    software = " ".join(element.text or "" for element in root.findall("identification/encoding/software"))
    ours = OUR_SOFTWARE in software.split()
    starts, meters = _timeline(found, notices, ours)
    onsets = [starts[note.measure] + note.offset for note in found.notes]
    beside = (
        o.denominator > 1 or note.duration.denominator > 1
        for o, note in zip(onsets, found.notes, strict=True)
    )
    note_rounding(sum(beside), notices)
    labels = [(note.part, note.voice, note.staff) for note in found.notes]
    voices = (
        [(int(note.voice) - 1) % MAX_VOICES for note in found.notes]
        if ours and _numbered(found.notes)
        else None
    )
    staves = {(note.part, note.staff) for note in found.notes}
    key = _declared_key(found)
    told = read_facts(_facts(root, ours), key)
    return RawScore(
        [round(onset) for onset in onsets],
        [max(1, round(note.duration)) for note in found.notes],
        [note.pitch for note in found.notes],
        labels,
        are_parts=None if len(set(labels)) <= len(staves) else False,
        staves=[(note.part, note.staff) for note in found.notes],
        voices=voices,
        meters=meters,
        # A key counts as declared only where it names its mode, which no program does unasked.
        key=told.key or key,
        key_is_sure=key is not None,
        # Where both stand at one place, what is to sound goes before what is printed.
        tempo=min(found.tempos, key=lambda tempo: tempo[:4])[4] if found.tempos else None,
        title=root.findtext("movement-title") or root.findtext("work/work-title"),
        told=told,
        notices=notices,
    )


def _numbered(notes: list[_Note]) -> bool:
    return all(
        note.voice.isdecimal() and note.voice.isascii() and 1 <= int(note.voice) < 100 for note in notes
    )


def _facts(root: ElementTree.Element, ours: bool) -> dict[str, str]:
    """Facts by name (`heading.facts`): the composer of any file, everything of our own."""
    fields = root.findall("identification/miscellaneous/miscellaneous-field") if ours else []
    found = {field.get("name", ""): field.text or "" for field in fields}
    for creator in root.findall("identification/creator"):
        if creator.get("type") == "composer" and (name := (creator.text or "").strip()):
            found.setdefault(COMPOSER, name)
    return found


def _timeline(found: _Found, notices: list[str], ours: bool) -> tuple[list[Fraction], list[Meter]]:
    """Where each measure begins (ticks), and the meters. An incomplete first measure is moved to the end of
    its bar.

    A whole measure that stands off the bar lines (after an incomplete one) begins the count anew. Parts that
    rest where others have notes make no measure longer than its bar: some files write their rests too long.
    """
    now, meter, anchor = Fraction(0), (4, 4), Fraction(0)
    starts: list[Fraction] = []
    changes: list[tuple[int, int, int]] = []
    for i, (length, silence) in enumerate(zip(found.lengths, found.silences, strict=True)):
        signatures = found.signatures.get(i, {})
        previous, meter = meter, signatures.get(Fraction(0), meter)
        if not (1 <= meter[0] <= 64 and meter[1] in (1, 2, 4, 8, 16, 32, 64)):
            notices.append(f"the time signature {meter[0]}/{meter[1]} left out")
            meter = previous
        whole = Fraction(bar_ticks(*meter))
        length = max(length, min(silence, whole)) if length else silence or whole
        if i == 0:
            short = length < whole and (found.implicit[0] if ours else len(found.lengths) > 1)
            now = whole - length if short else Fraction(0)
            changes.append((0, *meter))
        elif meter != previous or ((now - anchor) % whole and length == whole and not found.implicit[i]):
            changes.append((round(now), *meter))
            anchor = now
        starts.append(now)
        for offset, signature in sorted(signatures.items()):
            if offset > 0:
                changes.append((round(now + offset), *signature))
                meter, anchor = signature, now + offset
        now += length
        if now > 2 * MAX_TICKS:
            raise ScoreReadError(f"The piece lasts more than {MAX_TICKS // TICKS_PER_QUARTER} quarter notes.")
    return starts, merge_meters(changes, notices)


def _sounding_fifths(fifths: int, transposition: int) -> int:
    """The key signature that sounds where a transposing instrument reads `fifths`: seven fifths a semitone,
    twelve make a circle.
    """
    if transposition % 12 == 0:
        return fifths
    return (fifths + 7 * transposition + 5) % 12 - 5


def _declared_key(found: _Found) -> Key | None:
    """The earliest key signature of any part, where one of those at that time names its mode."""
    first = min((key[:2] for key in found.keys), default=None)
    for measure, offset, _, fifths, mode in sorted(found.keys, key=lambda key: key[:3]):
        if (measure, offset) == first and -7 <= fifths <= 7 and mode in ("major", "minor"):
            return Key.of_signature(fifths, mode)
    return None
