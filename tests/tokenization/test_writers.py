"""MIDI and MusicXML written, read back, checked against the schema and opened by other programs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests.tokenization.fuzzing import sample_score
from tests.tokenization.samples import SCORES
from tokenization import Score, ScoreError, midi_bytes, musicxml_text, read_score_bytes, write_midi, write_musicxml
from tokenization.notation import write_bars
from tokenization.score import Meter
from tokenization.sounding import sounding
from tokenization.spelling import spell

TRIPLETS = Score(
    [(40, 8, 60, 0), *((48 + 8 * i, 8, 62 + i, 0) for i in range(6)), (96, 16, 64, 0), (112, 8, 65, 0), (0, 200, 40, 1), (120, 24, 67, 0)],
    key="C major",
)


@pytest.fixture(scope="module")
def schema():
    """The MusicXML 4.0 schema, from the package `musicxml`."""
    etree = pytest.importorskip("lxml.etree")
    folder = Path(pytest.importorskip("musicxml").__file__).parent / "generate_classes"

    class Local(etree.Resolver):
        """The two small schemas that it imports from the web, reduced to the attributes it uses."""

        def resolve(self, url, public_id, context):
            space, names = {
                "xml.xsd": ("http://www.w3.org/XML/1998/namespace", ("lang", "space")),
                "xlink.xsd": ("http://www.w3.org/1999/xlink", ("href", "type", "role", "title", "show", "actuate")),
            }.get(url.rsplit("/", 1)[-1], (None, ()))
            if space is None:
                return None
            attributes = "".join(f'<xs:attribute name="{name}" type="xs:string"/>' for name in names)
            schema = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{space}">{attributes}</xs:schema>'
            return self.resolve_string(schema, context)

    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.parse(str(folder / "musicxml_4_0.xsd"), parser))


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
    assert sounding(score).array.tolist() == [[0, 24, 60, 0], [0, 48, 60, 1], [24, 24, 60, 0], [48, 12, 67, 0]]


def test_midi_has_one_track_and_channel_a_voice():
    mido = pytest.importorskip("mido")
    import io

    file = mido.MidiFile(file=io.BytesIO(midi_bytes(sample_score(1))))
    assert file.type == 1 and file.ticks_per_beat == 480 and len(file.tracks) == 4
    channels = [{m.channel for m in track if m.type == "note_on"} for track in file.tracks]
    assert channels == [set(), {0}, {1}, {2}]
    metas = {m.type: m for m in file.tracks[0]}
    assert metas["key_signature"].key == "Dm" and round(60e6 / metas["set_tempo"].tempo) == 72
    assert [(m.numerator, m.denominator) for m in file.tracks[0] if m.type == "time_signature"] == [(4, 4), (3, 4)]


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
    assert {s.triplet for s in triplets} == {"eighth"} and [s.tuplet for s in triplets if s.tuplet] == ["start", "stop"] * 3
    assert all(s.value in ("eighth", "quarter") for s in triplets)
    assert [s.beams for s in upper if s.start >= 48] == [["begin"], ["continue"], ["end"]] * 2
    bass = [lane.symbols for bar in bars for lane in bar.lanes if lane.voice == 1]
    assert [(s.value, s.dots, bool(s.tied_from), bool(s.tied_to)) for s in bass[0] + bass[1] if s.notes] == [
        ("whole", 0, False, True),
        ("whole", 0, True, True),
    ]
    text = musicxml_text(TRIPLETS)
    assert text.count('<tuplet type="start"') == text.count('<tuplet type="stop"') == 5  # the held bass ends in one


def test_pickup_title_composer_and_staves():
    score = Score([(84, 12, 67, 0), (96, 96, 72, 0), (96, 96, 48, 1)], key="C major", title="A & <B>")
    text = musicxml_text(score)
    assert '<measure number="0" implicit="yes">' in text and text.count("<measure ") == 2
    assert "<work-title>A &amp; &lt;B&gt;</work-title>" in text and ">generated by MusicGPT<" in text
    assert "<staves>2</staves>" in text and text.count("<clef ") == 2
    assert read_score_bytes(text.encode(), ".xml").array.tolist() == score.array.tolist()


@pytest.mark.parametrize(
    ("key", "pitches", "names"),
    [
        ("C minor", (60, 62, 63, 65, 67, 68, 71, 72, 66, 67, 61, 60), "C D Eb F G Ab B C F# G Db C"),
        ("A minor", (57, 59, 60, 62, 64, 66, 68, 69, 61, 62, 70, 69), "A B C D E F# G# A C# D Bb A"),
        ("C# major", (61, 63, 65, 66, 68, 70, 72, 73), "C# D# E# F# G# A# B# C#"),
        ("Eb minor", (63, 65, 66, 68, 70, 71, 74, 75), "Eb F Gb Ab Bb Cb D Eb"),
        ("D# minor", (63, 65, 66, 68, 70, 71, 74, 75), "D# E# F# G# A# B C## D#"),
    ],
)
def test_spelling_follows_the_key(key: str, pitches: tuple[int, ...], names: str):
    rows = [(24 * i, 24, pitch, 0) for i, pitch in enumerate(pitches)]
    spelled = spell(Score(rows * 1, key=key))
    assert [letter + {0: "", 1: "#", -1: "b", 2: "##", -2: "bb"}[alter] for letter, alter, _ in spelled] == names.split()
    for (letter, alter, octave), pitch in zip(spelled, pitches, strict=True):
        assert 12 * (octave + 1) + {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter] + alter == pitch


def test_accidentals_stand_once_a_bar():
    text = musicxml_text(Score([(0, 24, 66, 0), (24, 24, 66, 0), (48, 24, 67, 0), (96, 24, 66, 0), (120, 24, 67, 0)], key="C major"))
    assert text.count(">sharp<") == 2 and text.count("<alter>1</alter>") == 3


def test_the_lowest_and_highest_pitches_are_written_or_refused(schema, tmp_path: Path):
    from lxml import etree

    for key in ("C major", "C# major", "B minor", "Eb minor"):  # B sharp, C flat and their like at both ends
        score = Score([(24 * i, 24, pitch, 0) for i, pitch in enumerate((12, 13, 14, 23, 24, 119, 120, 126, 127))], key=key)
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
    verovio = pytest.importorskip("verovio")
    toolkit = verovio.toolkit()
    for score in (sample_score(2), TRIPLETS):
        assert toolkit.loadData(musicxml_text(score)) and toolkit.getLog() == ""
        assert "<svg" in toolkit.renderToSVG(1)


def test_musescore_opens_it_without_complaint(musescore: str, tmp_path: Path):
    for name, score in (("a", sample_score(2)), ("b", TRIPLETS)):
        write_musicxml(score, tmp_path / f"{name}.musicxml")
        done = subprocess.run(
            [musescore, "-o", str(tmp_path / f"{name}.mid"), str(tmp_path / f"{name}.musicxml")],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        words = ("rror", "not found", "too many", "cannot", "unknown", "abort")
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if any(w in line for w in words) and "QStandard" not in line]
        assert not complaints
        again = read_score_bytes((tmp_path / f"{name}.mid").read_bytes(), ".mid", key="C")
        assert np.array_equal(np.unique(again.array[:, [0, 2]], axis=0), np.unique(sounding(score).array[:, [0, 2]] - [again_shift(score, again), 0], axis=0))


def again_shift(score: Score, again: Score) -> int:
    """MuseScore writes no pickup: its MIDI begins with the incomplete bar."""
    return int(sounding(score).array[0, 0] - again.array[0, 0])


def test_a_score_without_notes_and_with_odd_meters_can_be_written(schema):
    from lxml import etree

    for score in (Score([]), Score([(0, 1, 60, 0), (7, 23, 61, 0)], [Meter(0, 5, 16), Meter(33, 7, 32)])):
        assert schema.validate(etree.fromstring(musicxml_text(score).encode()))
        assert midi_bytes(score).startswith(b"MThd")
