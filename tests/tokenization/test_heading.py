"""What a piece says of itself goes into both kinds of files, comes back, and is shown by notation
programs.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tokenization import Key, Score, ScoreError, encode, midi_bytes, musicxml_text, read_score_bytes
from tokenization.heading import subtitle_of, title_of
from tokenization.midi_reader import FACT_MARK

INFO = {"composer": "A. N. Other & Söhne", "seed": "7", "program": "MusicGPT 0.0"}
INFO["settings"] = '{"key": "Eb major", "top_p": 0.9}'
PITCHES = (75, 63, 77, 65, 79, 67, 80, 68, 79, 67, 82, 70)
SAID = {"key": "Eb major", "tempo": 80, "tempo_class": "moderate", "form": "fugue", "info": INFO}
PIECE = Score([(24 * i, 24, pitch, i % 2) for i, pitch in enumerate(PITCHES)], **SAID)


def both(score: Score) -> dict[str, Score]:
    """The score written and read again, as MIDI and as MusicXML."""
    return {
        suffix: read_score_bytes(data, suffix)
        for suffix, data in ((".mid", midi_bytes(score)), (".xml", musicxml_text(score).encode()))
    }


def test_a_piece_comes_back_with_all_that_it_is():
    for suffix, again in both(PIECE).items():
        assert again == PIECE, suffix  # form, tempo and its class among it
        assert (again.title, again.info) == ("Fugue in E-flat major, 2 voices", INFO), suffix
        assert again.notices == (), suffix
        assert subtitle_of(again) == "seed 7 · MusicGPT 0.0"
        for end, from_there in both(again).items():
            assert from_there == PIECE and from_there.info == INFO, f"{suffix} to {end}"


def test_our_own_key_holds_where_the_notes_would_tell_another():
    # Twelve notes of F sharp major, in a piece that says C major: a stranger's file is believed less
    # (test_readers).
    doubtful = PIECE.replace(notes=PIECE.array + [0, 0, 3, 0], key="C major")
    # in MIDI a signature of six sharps, or E flat minor's of six flats
    enharmonic = PIECE.replace(key="D# minor")
    for score in (doubtful, enharmonic):
        assert {str(again.key) for again in both(score).values()} == {str(score.key)}
    stranger = midi_bytes(doubtful).replace(b"key: C major", b"yek: C major")
    assert read_score_bytes(stranger, ".mid").key != doubtful.key


def test_facts_change_neither_equality_nor_tokens():
    bare = PIECE.replace(info=None, title=None)
    assert bare == PIECE and encode(bare).tolist() == encode(PIECE).tolist()
    assert Score.from_dict(PIECE.to_dict()).info == INFO and PIECE.in_key("D major").info == INFO


@pytest.mark.parametrize(
    "told, ought",
    [
        (b"form: sonata", {"form": None}),
        # somebody transposed the file: the signature is newer
        (b"key: E minor", {"key": Key("Eb", "major")}),
        (b"key: nonsense", {"key": Key("Eb", "major")}),
        (b"tempo-class: presto", {"tempo_class": None}),
        (b"A Name: value", {"info": {}}),
        (b"seed: \xff\xfe", {"info": {"seed": "\ufffd\ufffd"}}),
    ],
)
def test_what_a_file_tells_is_checked(told, ought):
    data = midi_bytes(PIECE.replace(info=None))
    name = told.split(b":")[0]
    old = re.search(rb"\xff\x01(.)" + FACT_MARK.encode() + name + rb": [^\0]*", data)
    event = b"\xff\x01" + bytes([len(FACT_MARK) + len(told)]) + FACT_MARK.encode() + told
    if old:
        data = data.replace(old[0], event)
    else:  # a further event before the first
        data = data.replace(b"\0\xff\x01", b"\0" + event + b"\0\xff\x01", 1)
    size = len(data) - len(midi_bytes(PIECE.replace(info=None)))
    at = data.index(b"MTrk") + 4
    data = data[:at] + (int.from_bytes(data[at : at + 4], "big") + size).to_bytes(4, "big") + data[at + 4 :]
    again = read_score_bytes(data, ".mid")
    assert {name: getattr(again, name) for name in ought} == ought


def test_a_stranger_s_file_tells_its_composer_and_no_more():
    text = musicxml_text(PIECE).replace("<software>MusicGPT</software>", "<software>Other</software>")
    again = read_score_bytes(text.encode(), ".xml")
    assert again.info == {"composer": INFO["composer"]} and again.form is None


def test_facts_have_names_that_files_can_hold():
    for bad in ({"a b": "c"}, {"a": 1}, {"": "x"}, {"a: b": "c"}):
        with pytest.raises(ScoreError, match="names of small letters"):
            PIECE.replace(info=bad)


def test_titles_in_words():
    assert title_of(Score([])) == "Piece"
    one = Score([(0, 24, 60, 0)], key="F# minor", form="prelude")
    assert title_of(one) == "Prelude in F-sharp minor, 1 voice"
    assert title_of(PIECE.replace(title="Own")) == "Own"
    given = PIECE.replace(info={"given-notes": "12", "seed": "1"})
    assert subtitle_of(given) == "continues 12 given notes · seed 1"


def test_verovio_prints_title_subtitle_and_composer():
    verovio = pytest.importorskip("verovio")
    toolkit = verovio.toolkit()
    toolkit.setOptions({"header": "auto"})
    assert toolkit.loadData(musicxml_text(PIECE))
    words = re.sub(r"<[^>]+>|\s+", " ", toolkit.renderToSVG(1))
    for text in ("Fugue in E-flat major, 2 voices", "seed 7 · MusicGPT 0.0", "A. N. Other &amp; Söhne"):
        assert text in words
    assert "Untitled" not in words


def test_musescore_prints_title_subtitle_and_composer(musescore: str, tmp_path: Path):
    tmp_path.chmod(0o700)
    (tmp_path / "a.musicxml").write_text(musicxml_text(PIECE), encoding="utf-8")
    place = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    subprocess.run(
        [musescore, "-o", "a.mscx", "a.musicxml"],
        cwd=tmp_path,
        env={**os.environ, **place},
        check=True,
        capture_output=True,
        timeout=120,
    )
    printed = re.findall(
        r"<style>(\w+)</style>\s*<text>(.*?)</text>", (tmp_path / "a.mscx").read_text(encoding="utf-8")
    )
    assert dict(printed[:3]) == {
        "Title": "Fugue in E-flat major, 2 voices",
        "Subtitle": "seed 7 · MusicGPT 0.0",
        "Composer": "A. N. Other &amp; Söhne",
    }
