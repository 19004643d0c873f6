"""Writer of MusicXML 4.0: a keyboard part on two staves, ready for MuseScore, verovio or any other notation
program.
"""

from __future__ import annotations

import os
from xml.sax.saxutils import escape

from .beams import beam_groups
from .clefs import CLEFS, USUAL, middle_line
from .errors import ScoreError
from .heading import COMPOSER, facts, subtitle_of, title_of
from .midi_writer import write_whole
from .musicxml_reader import OUR_SOFTWARE
from .notation import Bar, Lane, Symbol, rests, write_bars
from .note_values import grid
from .rests import rest_place
from .score import PITCH, Score
from .sounding import sounding
from .spelling import signature_of, spell, step_of
from .vocabulary import MAX_VOICES, TICKS_PER_QUARTER

_LOWER = 4 * MAX_VOICES  # the numbers of the voices on the lower staff lie above this
_FURTHER = 13 * MAX_VOICES  # numbers of further lanes lie above those of all others, below 100
LOWEST = 12  # C0: the schema knows the octaves 0 to 9
_LETTERS = "CDEFGAB"
_SIGNS = {0: "natural", 1: "sharp", -1: "flat", 2: "double-sharp", -2: "flat-flat"}
_METER_SIGNS = {(4, 4): "common", (2, 2): "cut"}  # C and C with a stroke, as Bach and his editions have them
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="4.0">
 <work>{number}<work-title>{title}</work-title></work>
 <movement-title>{title}</movement-title>
 <identification>
{creator}  <encoding><software>{software}</software></encoding>
  <miscellaneous>
{fields}  </miscellaneous>
 </identification>
{credits} <part-list>
  <score-part id="P1">
   <part-name print-object="no">Piano</part-name>
   <score-instrument id="P1-I1"><instrument-name>Piano</instrument-name></score-instrument>
   <midi-instrument id="P1-I1"><midi-channel>1</midi-channel><midi-program>1</midi-program></midi-instrument>
  </score-part>
 </part-list>
 <part id="P1">
"""

# Length of a beat in ticks -> its note value, whether it is dotted, its length in quarters.
_BEATS = {
    ticks * (3 if dotted else 2) // 2: (unit, dotted, ticks * (1.5 if dotted else 1) / TICKS_PER_QUARTER)
    for unit, ticks in (("16th", 6), ("eighth", 12), ("quarter", 24), ("half", 48), ("whole", 96))
    for dotted in (False, True)
}
# What programs print above the first system, and where.
_CREDIT = """ <credit page="1">
  <credit-type>{kind}</credit-type>
  <credit-words {place}>{words}</credit-words>
 </credit>
"""
_PLACES = {
    "title": 'font-size="22" justify="center" valign="top"',
    "subtitle": 'font-size="12" justify="center" valign="top"',
    "composer": 'font-size="10" justify="right" valign="bottom"',
}


def write_musicxml(score: Score, path: str | os.PathLike) -> None:
    """Write a score as a MusicXML file, whole or not at all.

    Raises:
        ScoreError: if a pitch lies below 12 (C0), for which MusicXML has no octave.
    """
    write_whole(path, musicxml_text(score).encode("utf-8"))


def musicxml_text(score: Score) -> str:
    """A score as MusicXML text, with title, composer and facts as `heading` has them.

    Args:
        score (`Score`): in the key in which it shall be read. What one voice cannot hold is cut (`sounding`).

    Raises:
        ScoreError: if a pitch lies below 12 (C0), for which MusicXML has no octave.
    """
    lowest = int(score.array[:, PITCH].min()) if len(score) else LOWEST
    if lowest < LOWEST:
        raise ScoreError(
            f"MusicXML cannot hold pitch {lowest}: its octaves begin at {LOWEST} (C0), below every keyboard."
            " Write MIDI, or move the notes by octaves with quantised()."
        )
    score = sounding(score)
    bars = write_bars(score)
    names = spell(score)
    fifths = score.key.written.fifths if score.key is not None else 0
    writer = _BarWriter(score, names, fifths, bars)
    text = [_head(score)]
    for i, bar in enumerate(bars):
        pickup = i == 0 and bar.start > 0
        text.append(
            "  <measure"
            f' number="{i + (bars[0].start == 0)}"{" implicit=" + chr(34) + "yes" + chr(34) if pickup else ""}>\n'
        )
        clefs = bars[i - 1].clefs if i else {}
        text.append(_attributes(score, bar, clefs, fifths))
        text.append(writer.write(bar))
        if i == len(bars) - 1:
            text.append('   <barline location="right"><bar-style>light-heavy</bar-style></barline>\n')
        text.append("  </measure>\n")
    if not bars:
        text.append('  <measure number="1"/>\n')
    return "".join([*text, " </part>\n</score-partwise>\n"])


def _head(score: Score) -> str:
    """Everything before the measures."""
    title, subtitle, told = _clean(title_of(score)), _clean(subtitle_of(score)), facts(score)
    composer = _clean(told.pop(COMPOSER, ""))
    lines = (("title", title), ("subtitle", subtitle), ("composer", composer))
    return _HEAD.format(
        title=title,
        # The seed is the piece's number. MuseScore prints it as the subtitle, verovio the credit.
        number=f"<work-number>{subtitle}</work-number>" if subtitle else "",
        creator=f'  <creator type="composer">{composer}</creator>\n' if composer else "",
        software=OUR_SOFTWARE,
        fields="".join(
            f'   <miscellaneous-field name="{name}">{_clean(value)}</miscellaneous-field>\n'
            for name, value in told.items()
        ),
        credits="".join(
            _CREDIT.format(kind=kind, place=_PLACES[kind], words=words) for kind, words in lines if words
        ),
    )


def _clean(text: str) -> str:
    """Escaped, without the control characters that XML forbids."""
    return escape(
        "".join(
            c for c in text if c >= " " and not 0xD800 <= ord(c) < 0xE000 and ord(c) not in (0xFFFE, 0xFFFF)
        )
    )


def _attributes(score: Score, bar: Bar, clefs: dict[int, str], fifths: int) -> str:
    """Divisions, key, meter, staves and clefs where they begin; meter and clefs alone where they change.

    Args:
        clefs (dict): of the staves in the bar before; empty in the first.
    """
    meter = bar.meter.numerator, bar.meter.denominator
    symbol = f' symbol="{_METER_SIGNS[meter]}"' if meter in _METER_SIGNS else ""
    time = f"<time{symbol}><beats>{meter[0]}</beats><beat-type>{meter[1]}</beat-type></time>"
    signs = "".join(
        f'<clef number="{staff}"><sign>{clef}</sign><line>{CLEFS[clef]}</line></clef>'
        for staff, clef in bar.clefs.items()
        if clefs.get(staff) != clef
    )
    if clefs:
        changed = time * bar.new_meter + signs
        return f"   <attributes>{changed}</attributes>\n" if changed else ""
    mode = f"<mode>{score.key.mode}</mode>" if score.key is not None else ""
    text = (
        f"   <attributes><divisions>{TICKS_PER_QUARTER}</divisions><key><fifths>{fifths}</fifths>{mode}</key>"
        f"{time}<staves>2</staves>{signs}</attributes>\n"
    )
    if score.tempo:
        unit, dotted, quarters = _BEATS.get(grid(bar.meter).beat, _BEATS[TICKS_PER_QUARTER])
        text += (
            "   <direction"
            f' placement="above"><direction-type><metronome><beat-unit>{unit}</beat-unit>{"<beat-unit-dot/>" * dotted}<per-minute>{score.tempo / quarters:.0f}</per-minute></metronome></direction-type><staff>1</staff><sound'
            f' tempo="{score.tempo:g}"/></direction>\n'
        )
    return text


class _BarWriter:
    """Writes the notes of bars; knows which accidentals already stand in the bar."""

    def __init__(self, score: Score, names: list[tuple[str, int, int]], fifths: int, bars: list[Bar]):
        self.names = names
        # On each staff the first number, as text, is its main voice's: the one that rests where the staff is
        # empty.
        numbers = {
            staff: {self._number(lane) for bar in bars for lane in bar.lanes if lane.staff == staff}
            for staff in (1, 2)
        }
        self.resting = {1: min(numbers[1], default=1), 2: min(numbers[2], default=_LOWER + 1)}
        self.signature = signature_of(fifths)
        self.standing: dict[tuple[int, str, int], int] = {}
        self.naturals: set[int] = set()  # notes that begin with a printed natural
        # Staves that hold several lanes somewhere, and those of them on which the main voice has been written
        # in such a bar.
        self.shared = {
            staff for bar in bars for staff in (1, 2) if sum(lane.staff == staff for lane in bar.lanes) > 1
        }
        self.introduced: set[int] = set()
        self.clefs = dict(USUAL)

    def write(self, bar: Bar) -> str:
        """All lanes of a bar, one after the other; a staff without notes gets a rest of a whole bar."""
        length, self.clefs = bar.end - bar.start, bar.clefs
        staves = {lane.staff for lane in bar.lanes}
        silent = [s for s in (1, 2) if s not in staves or self._lacks_main_voice(bar, s)]
        parts: list[tuple[int, int, int, Lane | None]]
        parts = [(lane.staff, lane.voice, lane.number, lane) for lane in bar.lanes]
        parts += [(staff, 0, 0, None) for staff in silent]
        parts.sort(key=lambda part: part[:3])
        signs = self._signs(bar)
        text = []
        for k, (staff, *_, lane) in enumerate(parts):
            if k:
                text.append(f"   <backup><duration>{length}</duration></backup>\n")
            if lane is None:
                silence = self._silence(bar, staff)
                text.append(_unprinted(silence) if staff in staves else silence)
                continue
            lanes = [other for on, *_, other in parts if on == staff and other is not None]
            rank = lanes.index(lane)
            alone = not any(_disturbs(other, lane) for other in lanes if other is not lane)
            shared = ["up" if 2 * rank < len(lanes) - 1 else "down"] * len(lane.symbols)
            stems = self._stems(lane) if alone else shared
            for symbol, stem in zip(lane.symbols, stems, strict=True):
                rest_head = self._rest_head(symbol, staff, lanes[:rank], lanes[rank + 1 :])
                text.append(self._symbol(symbol, lane, stem, signs, rest_head))
        return "".join(text)

    def _number(self, lane: Lane) -> int:
        """The number of a lane in the file, `voice + 1` up to multiples of five, which the reader takes off
        again.

        Numbers differ between the staves. On each they rise, also as text, from the highest voice to the
        lowest, as MuseScore deals them out.
        """
        further = _FURTHER + MAX_VOICES * (2 * lane.number - 2) if lane.number else 0
        return (
            lane.voice
            + 1
            + (further + (lane.staff - 1) * MAX_VOICES if further else _LOWER * (lane.staff - 1))
        )

    def _lacks_main_voice(self, bar: Bar, staff: int) -> bool:
        """Whether the staff's main voice, the first that it has, needs a rest here that is not printed.

        music21 forgets which voice it is where a staff holds only one in a bar, and takes it for the one that
        it met first on this staff. So that it follows ties, the main voice comes first and stands beside a
        lonely other one that is tied over a bar line.
        """
        lanes = [lane for lane in bar.lanes if lane.staff == staff]
        main = any(self._number(lane) == self.resting[staff] for lane in lanes)
        if staff not in self.shared or main or not lanes:
            self.introduced |= {staff} if main and len(lanes) > 1 else set()
            return False
        tied = any(lane.symbols[0].tied_from or lane.symbols[-1].tied_to for lane in lanes)
        lacks = tied if len(lanes) == 1 else staff not in self.introduced
        self.introduced |= {staff} if lacks else set()
        return lacks

    def _silence(self, bar: Bar, staff: int) -> str:
        """A staff without notes. Only a whole bar gets the rest of a whole bar: readers give that rest the
        length that the meter says.
        """
        voice, length = self.resting[staff], bar.end - bar.start
        if length == bar.meter.bar_ticks:
            return (
                f'   <note><rest measure="yes"/><duration>{length}</duration><voice>{voice}</voice>'
                f"<staff>{staff}</staff></note>\n"
            )
        return "".join(self._note("<rest/>", rest, voice, staff) for rest in rests(bar))

    def _signs(self, bar: Bar) -> dict[tuple[int, int], str]:
        """Which notes (start in the bar, row) show an accidental, read in the order of time on each staff.

        Where the bar before altered a pitch on the same staff, its first note here shows what the key has
        again, as editions remind the player.
        """
        before, self.standing = self.standing, {}
        signs: dict[tuple[int, int], str] = {}
        heads = [
            (symbol.start, lane.staff, note, note in symbol.tied_from)
            for lane in bar.lanes
            for symbol in lane.symbols
            for note in symbol.notes
        ]
        for start, staff, note, tied in sorted(heads):
            letter, alter, octave = self.names[note]
            place = staff, letter, octave
            usual = self.standing.get(place, before.get(place, self.signature[letter]))
            if tied:
                continue
            if alter != usual or (place not in self.standing and alter != self.signature[letter]):
                signs[start, note] = _SIGNS[alter]
                self.naturals |= set() if alter else {note}
            self.standing[place] = alter
        return signs

    def _stems(self, lane: Lane) -> list[str]:
        """The stems of a lane that has its staff for itself: of each beam's notes the one farthest from the
        middle line decides, and in the middle down.
        """
        stems: list[str] = []
        for group in beam_groups(lane.symbols):
            middle = middle_line(self.clefs[lane.staff])
            steps = [self._step(i) - middle for symbol in group for i in symbol.notes]
            stems += ["up" if steps and max(steps) + min(steps) < 0 else "down"] * len(group)
        return stems

    def _step(self, note: int) -> int:
        """The place of a note in diatonic steps above C0."""
        return step_of(self.names[note])

    def _rest_head(self, symbol: Symbol, staff: int, above: list[Lane], below: list[Lane]) -> str:
        """The `<rest>` of a symbol, out of the way of the lanes above and below it."""

        def steps(lanes: list[Lane]) -> list[int]:
            end = symbol.start + symbol.ticks
            notes = [
                i
                for lane in lanes
                for s in lane.symbols
                if s.start < end and symbol.start < s.start + s.ticks
                for i in s.notes
            ]
            return [self._step(i) for i in notes]

        if symbol.notes or not symbol.shown:
            return "<rest/>"
        middle = middle_line(self.clefs[staff])
        place = rest_place(middle, symbol.value, steps(above), steps(below))
        if place is None:
            return "<rest/>"
        return f"<rest><display-step>{_LETTERS[place % 7]}</display-step><display-octave>{place // 7}</display-octave></rest>"

    def _symbol(
        self, symbol: Symbol, lane: Lane, stem: str, signs: dict[tuple[int, int], str], rest_head: str
    ) -> str:
        """One written note, chord or rest."""
        voice = self._number(lane)
        if not symbol.notes:
            if not symbol.shown and not symbol.triplet:
                return f"   <forward><duration>{symbol.ticks}</duration><voice>{voice}</voice><staff>{lane.staff}</staff></forward>\n"
            rest = self._note(rest_head, symbol, voice, lane.staff)
            # A group of triplets must be whole, so its silences are written, but not printed.
            return rest if symbol.shown else _unprinted(rest)
        text = []
        for i, note in enumerate(symbol.notes):
            letter, alter, octave = self.names[note]
            # Said of all written notes of a tie alike, since music21 takes a natural and no accidental for
            # different pitches.
            altered = f"<alter>{alter}</alter>" if alter or note in self.naturals else ""
            pitch = f"<step>{letter}</step>{altered}<octave>{octave}</octave>"
            head = ("<chord/>" if i else "") + f"<pitch>{pitch}</pitch>"
            tie = ('<tie type="stop"/>' if note in symbol.tied_from else "") + (
                '<tie type="start"/>' if note in symbol.tied_to else ""
            )
            sign = signs.get((symbol.start, note), "")
            text.append(self._note(head, symbol, voice, lane.staff, tie, sign, stem, first=i == 0))
        return "".join(text)

    def _note(
        self,
        head: str,
        symbol: Symbol,
        voice: int,
        staff: int,
        tie: str = "",
        sign: str = "",
        stem: str = "",
        first: bool = True,
    ) -> str:
        """A `<note>` with its children in the order that the schema asks for."""
        parts = [
            f"   <note>{head}<duration>{symbol.ticks}</duration>{tie}<voice>{voice}</voice><type>{symbol.value}</type>"
        ]
        parts.append("<dot/>" * symbol.dots)
        if sign:
            parts.append(f"<accidental>{sign}</accidental>")
        if symbol.triplet:
            parts.append(
                "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes>"
                f"<normal-type>{symbol.triplet}</normal-type></time-modification>"
            )
        if stem and symbol.notes:
            parts.append(f"<stem>{stem}</stem>")
        parts.append(f"<staff>{staff}</staff>")
        if first:
            parts += [f'<beam number="{k}">{name}</beam>' for k, name in enumerate(symbol.beams, 1)]
        marks = tie.replace("<tie ", "<tied ")
        if first and symbol.tuplet:
            marks += f'<tuplet type="{symbol.tuplet}" bracket="{"yes" if symbol.bracket else "no"}"/>'
        if marks:
            parts.append(f"<notations>{marks}</notations>")
        return "".join(parts) + "</note>\n"


def _disturbs(other: Lane, lane: Lane) -> bool:
    """Whether another lane of the bar prints a note or a rest while this one has a note."""
    theirs = [(s.start, s.start + s.ticks) for s in other.symbols if s.shown]
    return any(
        s.notes and start < s.start + s.ticks and s.start < end for s in lane.symbols for start, end in theirs
    )


def _unprinted(notes: str) -> str:
    return notes.replace("<note>", '<note print-object="no">')
