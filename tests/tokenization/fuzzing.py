"""Whole score files and ways to damage them: what `tests/fuzz` begins from."""

from __future__ import annotations

import io
import random
import re
import zipfile

from tokenization.key import Key
from tokenization.midi_reader import VOICES_MARK
from tokenization.midi_writer import midi_bytes
from tokenization.musicxml_writer import musicxml_text
from tokenization.score import Meter, Score

_NUMBERS = (*b"0 -1 1 7 99 65536 999999999999 1e9 1/0 nan 3.7 \xef\xbf\xbd".split(), b"")
_TAGS = b"duration divisions octave alter beats beat-type fifths voice step tempo".split()


def sample_score(seed: int, notes: int = 120) -> Score:
    """A score of three voices with a pickup, chords, silences and a change of meter."""
    rng = random.Random(seed)
    rows, now = [], [84, 96, 132]
    for _ in range(notes):
        voice = rng.randrange(3)
        duration = rng.choice((6, 8, 12, 16, 24, 36, 48))
        rows.append((now[voice], duration, 76 - 12 * voice + rng.choice((-5, -3, 0, 2, 4)), voice))
        now[voice] += duration + rng.choice((0, 0, 0, 24))
    return Score(
        rows,
        [Meter(0, 4, 4), Meter(960, 3, 4)],
        key=Key("D", "minor"),
        tempo=72.0,
        form="fugue",
        title="Sample",
    )


def _packed(text: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>',
        )
        archive.writestr("a.xml", text)
    return buffer.getvalue()


def _running_status(score: Score) -> bytes:
    """The notes as a file of type 0 that is not ours: one track, running status, a drum, two instruments, a
    pickup bar, late events.
    """
    edges = [(t, p, v) for o, d, p, _ in score.array.tolist() for t, v in ((o, 64), (o + d, 0))]
    body = b"\0\xff\x58\x04\1\2\x18\x08\0\xff\x59\2\xff\1\0\xff\x51\3\x0c\0\0\0\xc0\0\0\xc1\x49\0\x99\x24\x40\x10\x89\x24\0\0\x90\x30\x40"
    now = 0
    for t, pitch, velocity in sorted(edges, key=lambda edge: (edge[0], edge[2])):
        step, now = t - now, t
        body += (bytes((step >> 7 | 0x80,)) if step > 127 else b"") + bytes((step & 127, pitch, velocity))
    body += b"\x10\xf0\3\1\2\xf7\0\xff\x58\4\3\3\x18\x08\0\xb0\x40\x7f\0\xe0\0\x40\0\xff\x2f\0"
    return b"MThd\0\0\0\6\0\0\0\1\0\x18MTrk" + len(body).to_bytes(4, "big") + body


def _foreign_xml() -> bytes:
    """Two parts as other programs write them: transposition, graces, cues, chords, drums, ties over voices, a
    meter inside a measure.
    """

    def note(step: str, octave: int, ticks: int, voice: int, before: str = "", after: str = "") -> str:
        length = f"<duration>{ticks}</duration>" if ticks else ""
        return f"<note>{before}<pitch><step>{step}</step><alter>-1</alter><octave>{octave}</octave></pitch>{length}\n<voice>{voice}</voice>{after}</note>\n"

    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    head = (
        "<attributes><divisions>6</divisions>\n<key><fifths>-3</fifths><mode>minor</mode></key>\n<time><beats>3+1</beats>\n"
        "<beat-type>4</beat-type></time>\n<transpose><chromatic>-2</chromatic><octave-change>1</octave-change></transpose></attributes>\n"
    )
    bar = (
        note("C", 5, 0, 1, "<grace/>")
        + note("C", 5, 6, 1, "", start)
        + note("E", 5, 6, 1, "<chord/>")
        + note("C", 5, 18, 1, "", stop + start)
        + "<backup><duration>24</duration></backup>\n<forward><duration>4</duration></forward>\n"
        + note("G", 3, 20, 2, "", start)
        + "<backup><duration>9</duration></backup>\n"
        + note("B", 4, 3, 1, "<cue/>")
        + "<note><unpitched/><duration>2</duration></note>\n<note><rest/><duration>4</duration></note>\n"
        + '<direction><sound tempo="71.5"/></direction>\n'
    )
    inner = "<attributes><time><beats>7</beats>\n<beat-type>8</beat-type></time></attributes>\n"
    more = note("C", 5, 6, 1, "", stop) + inner + note("G", 3, 21, 1, "", stop)
    measures = (
        "<measure"
        f' implicit="yes">\n{head}{note("D", 4, 6, 1)}</measure>\n<measure>\n{bar}</measure>\n<measure>\n{more}</measure>\n'
        * 3
    )
    return (
        f'<score-partwise>\n<part id="P1">\n{measures}</part>\n<part'
        f' id="P2">\n{measures}</part>\n</score-partwise>\n'.encode()
    )


def seeds() -> list[tuple[str, bytes]]:
    """Whole files to damage: ending and bytes. Half of them are as other programs write them, so that voices
    are inferred.
    """
    files: list[tuple[str, bytes]] = []
    for seed, notes in enumerate((16, 40, 96)):
        score = sample_score(seed, notes)
        xml = musicxml_text(score).encode()
        files += [(".mid", midi_bytes(score)), (".musicxml", xml), (".mxl", _packed(xml))]
        foreign = xml.replace(b"<software>MusicGPT", b"<software>Another")
        files += [
            (".mid", _running_status(score)),
            (".mid", midi_bytes(score).replace(VOICES_MARK, b"." * len(VOICES_MARK))),
        ]
        files += [(".musicxml", foreign), (".mxl", _packed(foreign)), (".musicxml", _foreign_xml())]
        for voice in ("v", "s1v"):
            rows = "\n".join(
                f"{o}/24\t{d}/24\t{p}\t{voice}{v}\t0\t{o % 96}/24\t4/4" for o, d, p, v in score.array.tolist()
            )
            files.append(
                (".tsv", b"onset_q\tdur_q\tmidi\tvoice\tgrace\tbar_pos_q\ttime_signature\n" + rows.encode())
            )
    return files


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """One mutation of raw bytes: some changed, cut, put in or repeated, or the end missing."""
    at, kind = rng.randrange(len(data) + 1), rng.randrange(6)
    if kind == 0:
        return data[:at] + rng.randbytes(1) + data[at + 1 :]
    if kind == 1:
        return data[:at] + bytes(b ^ (1 << rng.randrange(8)) for b in data[at : at + 1]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + rng.choice((1, 2, 8, 100)) :]
    if kind == 3:
        return data[:at] + rng.randbytes(rng.choice((1, 4, 16))) + data[at:]
    if kind == 4:
        return data[: at + rng.choice((4, 40, 400))] + data[at:]
    return data[:at] if rng.random() < 0.3 else data


def damage_lines(data: bytes, rng: random.Random) -> bytes:
    """One mutation that leaves XML and tables well-formed more often: a line lost, repeated or moved, or
    another number.
    """
    lines = data.splitlines(keepends=True)
    if len(lines) < 4:
        return data
    i, j, kind = rng.randrange(len(lines)), rng.randrange(len(lines)), rng.randrange(6)
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(j, lines[i])
    elif kind == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        tag, number = rng.choice(_TAGS), rng.choice(_NUMBERS)
        lines[i] = re.sub(
            b"(<%s>)[^<]*|(?<=\t)[0-9/]+(?=\t)" % tag, lambda m: (m[1] or b"") + number, lines[i], count=1
        )
    return b"".join(lines)


def damage(suffix: str, data: bytes, rng: random.Random) -> bytes:
    """Between one and eight mutations; those of packed MusicXML go inside the archive half of the time."""
    if suffix == ".mxl" and rng.random() < 0.5:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _packed(damage(".musicxml", archive.read("a.xml"), rng))
    change = damage_lines if suffix in (".musicxml", ".tsv") and rng.random() < 0.8 else damage_bytes
    for _ in range(rng.randint(1, 8)):
        data = change(data, rng)
    return data
