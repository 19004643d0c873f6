"""MIDI and MusicXML written, read back, checked against the schema and opened by other programs."""

from __future__ import annotations

import os
import random
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings

from tests.tokenization.fuzzing import sample_score
from tests.tokenization.opening import musescore_complaints, music21_complaints, verovio_complaints
from tests.tokenization.samples import SCORES
from tests.tokenization.schema import musicxml_schema
from tokenization import (
    Score,
    ScoreError,
    midi_bytes,
    musicxml_text,
    read_score_bytes,
    write_midi,
    write_musicxml,
)
from tokenization.notation import LANES, write_bars
from tokenization.score import Meter
from tokenization.sounding import sounding

EIGHTHS = ((48 + 8 * i, 8, 62 + i, 0) for i in range(6))
AROUND = (40, 8, 60, 0), (96, 16, 64, 0), (112, 8, 65, 0), (120, 24, 67, 0), (0, 200, 40, 1)
TRIPLETS = Score([*EIGHTHS, *AROUND], key="C major")


@pytest.fixture(scope="module")
def schema():
    """The MusicXML 4.0 schema; skips without the packages that it needs."""
    pytest.importorskip("lxml.etree")
    pytest.importorskip("musicxml")
    return musicxml_schema()


@settings(max_examples=40)
@given(SCORES)
def test_both_formats_give_back_what_an_instrument_can_play(score: Score):
    played = sounding(score)
    for suffix, data in ((".mid", midi_bytes(score)), (".musicxml", musicxml_text(score).encode())):
        again = read_score_bytes(data, suffix, key=score.key or "C", form=score.form)
        assert np.array_equal(again.array, played.array), suffix
        assert again.tempo == pytest.approx(score.tempo or again.tempo, abs=0.01)


def test_sounding_ends_a_note_where_its_voice_strikes_it_again():
    score = Score([(0, 48, 60, 0), (24, 24, 60, 0), (0, 48, 60, 1), (48, 6, 67, 0), (48, 12, 67, 0)])
    played = [[0, 24, 60, 0], [0, 48, 60, 1], [24, 24, 60, 0], [48, 12, 67, 0]]
    assert sounding(score).array.tolist() == played


@pytest.mark.parametrize(("key", "fifths"), [("G# major", -4), ("Db minor", 4), ("Cb major", -7)])
def test_a_key_without_a_signature_is_written_as_the_one_that_sounds_alike(key: str, fifths: int):
    score = Score([(24 * i, 24, 68, 0) for i in range(4)], key=key)
    text = musicxml_text(score)
    assert f"<fifths>{fifths}</fifths>" in text
    assert ("<step>A</step>" in text) == (fifths < 0)
    for data, suffix in ((text.encode(), ".musicxml"), (midi_bytes(score), ".mid")):
        assert str(read_score_bytes(data, suffix).key) == key


def test_a_long_title_is_cut_between_letters():
    score = Score([(0, 24, 60, 0)], title="é" * 100, key="C")
    assert read_score_bytes(midi_bytes(score), ".mid").title == "é" * 63


def test_midi_has_one_track_and_channel_a_voice():
    mido = pytest.importorskip("mido")
    import io

    file = mido.MidiFile(file=io.BytesIO(midi_bytes(sample_score(1))))
    assert file.type == 1 and file.ticks_per_beat == 480 and len(file.tracks) == 4
    channels = [{m.channel for m in track if m.type == "note_on"} for track in file.tracks]
    assert channels == [set(), {0}, {1}, {2}]
    metas = {m.type: m for m in file.tracks[0]}
    assert metas["key_signature"].key == "Dm" and round(60e6 / metas["set_tempo"].tempo) == 72
    meters = [(m.numerator, m.denominator) for m in file.tracks[0] if m.type == "time_signature"]
    assert meters == [(4, 4), (3, 4)]


@settings(max_examples=25)
@given(SCORES)
def test_musicxml_is_valid(schema, score: Score):
    from lxml import etree

    document = etree.fromstring(musicxml_text(score).encode())
    assert schema.validate(document), schema.error_log.last_error
    for measure in document.iter("measure"):  # every voice fills its bar exactly
        length = position = 0
        for element in measure:
            ticks = int(element.findtext("duration") or 0)
            if element.tag == "backup":
                assert position == (length or position)
                length, position = position, position - ticks
                assert position == 0
            elif element.tag == "forward" or (element.tag == "note" and element.find("chord") is None):
                position += ticks
        assert position == (length or position)


def test_notation_of_triplets_ties_and_beams():
    bars = write_bars(TRIPLETS)
    upper = bars[0].lanes[0].symbols
    triplets = [s for s in upper if s.triplet]
    assert {s.triplet for s in triplets} == {"eighth"}
    assert [s.tuplet for s in triplets if s.tuplet] == ["start", "stop"] * 3
    assert all(s.value in ("eighth", "quarter") for s in triplets)
    assert [s.beams for s in upper if s.start >= 48] == [["begin"], ["continue"], ["end"]] * 2
    bass = [lane.symbols for bar in bars for lane in bar.lanes if lane.voice == 1]
    held = [(s.value, s.dots, bool(s.tied_from), bool(s.tied_to)) for s in bass[0] + bass[1] if s.notes]
    assert held == [("whole", 0, False, True), ("whole", 0, True, True)]
    text = musicxml_text(TRIPLETS)
    # the held bass ends in one
    assert text.count('<tuplet type="start"') == text.count('<tuplet type="stop"') == 5


@settings(max_examples=60)
@given(SCORES)
def test_triplets_stand_in_whole_groups_that_begin_and_end(score: Score):
    text = musicxml_text(score)
    if any(meter.bar_ticks % 3 for meter in score.meters) or any(int(t) % 3 for t in score.bar_lines()):
        return  # the bar lines themselves are off the grid
    for measure in ElementTree.fromstring(text).iter("measure"):
        group: dict[tuple[str, str], int] = {}  # ticks of the open group of each voice and staff
        for element in measure.findall("note"):
            if element.find("chord") is not None:  # marks stand at the first note of a chord
                continue
            lane = (element.findtext("voice"), element.findtext("staff"))
            marks = [mark.get("type") for mark in element.findall("notations/tuplet")]
            if marks == ["start"]:
                assert lane not in group
                group[lane] = 0
            assert (lane in group) == (element.find("time-modification") is not None), ElementTree.tostring(
                element
            )
            if lane in group:
                group[lane] += int(element.findtext("duration"))
                unit = {"64th": 3, "32nd": 6, "16th": 12, "eighth": 24, "quarter": 48}[
                    element.findtext("time-modification/normal-type")
                ]
                assert group[lane] <= unit and (marks == ["stop"]) == (group[lane] == unit)
            if marks == ["stop"]:
                del group[lane]
        assert not group


def test_a_rest_inside_a_triplet_of_a_further_lane_keeps_the_group_whole(musescore: str, tmp_path: Path):
    tmp_path.chmod(0o700)
    # one voice over itself: a note inside a triplet of rests
    further = Score([(0, 96, 72, 0), (52, 4, 76, 0), (0, 96, 48, 1)], key="C")
    late = Score(
        [*((4 * i, 4, 72 + i, 0) for i in range(4)), (16, 16, 60, 0), (32, 64, 62, 0), (0, 96, 48, 1)],
        key="C",
    )  # 16 to 32: off its group
    for score in (further, late):
        starts, stops = (musicxml_text(score).count(f'tuplet type="{mark}"') for mark in ("start", "stop"))
        assert starts == stops > 0
        assert musescore_complaints(musescore, score, tmp_path) == []


def test_pickup_title_composer_and_staves():
    named = {"title": "A & <B>", "info": {"composer": "C & D"}}
    score = Score([(84, 12, 67, 0), (96, 96, 72, 0), (96, 96, 48, 1)], key="C major", **named)
    text = musicxml_text(score)
    assert '<measure number="0" implicit="yes">' in text and text.count("<measure ") == 2
    assert "<work-title>A &amp; &lt;B&gt;</work-title>" in text
    assert '<creator type="composer">C &amp; D</creator>' in text
    assert "<staves>2</staves>" in text and text.count("<clef ") == 2
    assert read_score_bytes(text.encode(), ".xml").array.tolist() == score.array.tolist()


def test_accidentals_stand_once_a_bar_and_are_taken_back_in_the_next():
    def signs(*pitches: int, length: int = 24) -> list[str | None]:
        rows = [(length * i, length, pitch, 0) for i, pitch in enumerate(pitches)]
        ground = [(12 * i, 12, pitch, 1) for i, pitch in enumerate((43, 47, 50, 48, 43, 54, 55, 47) * 3)]
        notes = ElementTree.fromstring(musicxml_text(Score(rows + ground, key="G major"))).iter("note")
        heads = [note for note in notes if note.find("pitch") is not None]
        return [note.findtext("accidental") for note in heads if note.findtext("voice") == "1"]

    # Bars of four: F sharp is in the key; a natural holds for its bar, the next one has the sharp again, once.
    assert signs(66, 65, 65, 67) == [None, "natural", None, None]
    first, second = [None, None, "natural", None], ["sharp", None, "natural", None]
    assert signs(67, 67, 65, 64, 66, 66, 65, 64, 66) == [*first, *second, "sharp"]
    assert signs(67, 67, 67, 65, 65, 67, 67, 67, 66) == [None] * 3 + ["natural"] * 2 + [None] * 3 + ["sharp"]
    # Not in another octave, nor two bars later; a note that is tied over needs none.
    assert signs(67, 67, 67, 65, 78, 67, 67, 67, 66) == [None] * 3 + ["natural"] + [None] * 5
    assert [sign for sign in signs(67, 65, 66, 67, 67, length=60) if sign] == ["natural", "sharp"]


def test_the_lowest_and_highest_pitches_are_written_or_refused(schema, tmp_path: Path):
    from lxml import etree

    for key in ("C major", "C# major", "B minor", "Eb minor"):  # B sharp, C flat and their like at both ends
        score = Score(
            [(24 * i, 24, pitch, 0) for i, pitch in enumerate((12, 13, 14, 23, 24, 119, 120, 126, 127))],
            key=key,
        )
        text = musicxml_text(score)
        assert schema.validate(etree.fromstring(text.encode())), schema.error_log.last_error
        assert read_score_bytes(text.encode(), ".xml").array[:, 2].tolist() == score.array[:, 2].tolist()
    with pytest.raises(ScoreError, match=r"cannot hold pitch 11: its octaves begin at 12"):
        write_musicxml(Score([(0, 24, 60, 0), (24, 24, 11, 0)]), tmp_path / "low.musicxml")
    assert not list(tmp_path.iterdir())
    low = Score([(0, 24, 60, 0), (24, 24, 11, 0)], key="C")
    assert read_score_bytes(midi_bytes(low), ".mid").array[:, 2].tolist() == [60, 11]
    assert "<octave>1</octave>" in musicxml_text(low.quantised())  # 11 is moved up to 35, B1


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.mid"
    write_midi(TRIPLETS, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_midi(Score([(0, 24, 60, 0)]), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.mid"]


def test_verovio_opens_it_without_complaint():
    pytest.importorskip("verovio")
    for score in (sample_score(2), TRIPLETS):
        assert verovio_complaints(score) == []


def test_musescore_opens_it_without_complaint_and_reads_the_same_notes(musescore: str, tmp_path: Path):
    tmp_path.chmod(0o700)
    for score in (sample_score(2), TRIPLETS):
        assert musescore_complaints(musescore, score, tmp_path) == []


def test_no_staff_needs_more_voices_than_notation_programs_have(musescore: str, tmp_path: Path):
    tmp_path.chmod(0o700)
    rng = random.Random(3)
    # Five voices, each of which at times sounds over itself: on one staff they would need more than four
    # numbers.
    over = [(96 * bar, 96, 50 + rng.randrange(12), bar % 5) for bar in range(15)]
    over += [(96 * bar + 24, rng.choice((24, 36)), 74 - rng.randrange(12), bar % 5) for bar in range(15)]
    score = Score([*over, *((0, 96, 70 - 5 * voice, voice) for voice in range(5))], key="C major")
    three = score.replace(notes=score.array[score.array[:, 3] < 3])
    for piece, has_room in ((score, False), (three, True)):
        numbers = {(lane.staff, lane.voice, lane.number) for bar in write_bars(piece) for lane in bar.lanes}
        assert {staff for staff, _, _ in numbers} == {1, 2} and (
            has_room <= any(number for _, _, number in numbers)
        )
        assert all(sum(staff == s for s, _, _ in numbers) <= LANES for staff in (1, 2))
        again = read_score_bytes(musicxml_text(piece).encode(), ".xml", key="C")
        assert again.array.tolist() == sounding(piece).array.tolist()
        assert musescore_complaints(musescore, piece, tmp_path) == []


def tied_score(seed: int, voices: int) -> Score:
    """Voices that hold notes over bar lines, fall silent for bars, and cross the middle of the keyboard."""
    rng = random.Random(seed)
    rows = []
    for voice in range(voices):
        now, pitch = rng.choice((0, 24, 96, 288)), 79 - 10 * voice
        while now < 96 * 12:
            duration = rng.choice((12, 24, 36, 48, 60, 84, 96, 108, 168))
            rows.append((now, duration, pitch, voice))
            now += duration + rng.choice((0, 0, 0, 0, 24, 192))
            pitch += rng.choice((-4, -2, -1, 1, 2, 4))
    return Score(rows, key="C major")


def test_music21_reads_the_same_notes_voice_by_voice():
    pytest.importorskip("music21")
    for seed, voices in ((1, 3), (2, 4), (5, 5)):
        score = tied_score(seed, voices)
        assert music21_complaints(score) == []
        again = read_score_bytes(musicxml_text(score).encode(), ".musicxml", key="C")
        assert again.array.tolist() == score.array.tolist()


def test_a_score_without_notes_and_with_odd_meters_can_be_written(schema):
    from lxml import etree

    for score in (Score([]), Score([(0, 1, 60, 0), (7, 23, 61, 0)], [Meter(0, 5, 16), Meter(33, 7, 32)])):
        assert schema.validate(etree.fromstring(musicxml_text(score).encode()))
        assert midi_bytes(score).startswith(b"MThd")


@pytest.mark.parametrize(
    ("meter", "mark"),
    [
        ((3, 4), "<beat-unit>quarter</beat-unit><per-minute>80</per-minute>"),
        ((3, 8), "<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>53</per-minute>"),
        ((12, 16), "<beat-unit>eighth</beat-unit><beat-unit-dot/><per-minute>107</per-minute>"),
        ((3, 2), "<beat-unit>quarter</beat-unit><per-minute>80</per-minute>"),
    ],
)
def test_the_tempo_counts_the_meter_s_beats_and_is_read_back_exactly(meter, mark):
    text = musicxml_text(Score([(0, 24, 60, 0)], [Meter(0, *meter)], key="C", tempo=80.0))
    assert f"<metronome>{mark}</metronome>" in text
    assert read_score_bytes(text.encode(), ".xml").tempo == 80.0
