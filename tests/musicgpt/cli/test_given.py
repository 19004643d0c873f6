"""`generate --subject`, `harmonize` and `revise`: files out, and bad input in one sentence."""

from __future__ import annotations

import json

import pytest

from musicgpt.cli.main import main
from tokenization import Meter, Score, read_score, write_midi


@pytest.fixture
def files(tmp_path):
    """A melody, and a piece of two voices and six bars."""
    melody = Score([(24 * i, 24, 60 + (0, 2, 4, 5)[i % 4], 0) for i in range(8)], key="C major")
    piece = Score([(24 * i, 24, 72 - 12 * v + i % 5, v) for i in range(24) for v in (0, 1)], key="C major")
    waltz = melody.replace(meters=[Meter(0, 3, 4)])
    for name, score in (("melody", melody), ("piece", piece), ("waltz", waltz)):
        write_midi(score, tmp_path / f"{name}.mid")
    return tmp_path


def run(files, model, *words: str) -> int:
    words = tuple(word.replace("DIR", str(files)) for word in words)
    return main([*words, "--model", str(model), "--out", str(files / "out"), "--seed", "3", "--json"])


def test_a_subject_a_melody_and_bars_of_a_piece_become_files(files, tiny_model_folder, capsys):
    more = ("--max-new-tokens", "300", "--key", "C major")
    words = ("generate", "--subject", "DIR/melody.mid", "--voices", "3", *more)
    assert run(files, tiny_model_folder, *words) == 0
    made = json.loads(capsys.readouterr().out)["pieces"][0]
    assert made["prompt_notes"] == 8 and made["key"] == "C major" and "fugue" in made["files"]["mid"]

    words = ("harmonize", "C5/4 D5 E5 F5 | G5/1", "--as", "soprano", "--voices", "3", "--particles", "2")
    assert run(files, tiny_model_folder, *words) == 0
    made = json.loads(capsys.readouterr().out)["pieces"][0]
    own = [note for note in read_score(made["files"]["mid"]).notes if note.voice == 0]
    assert [note.pitch for note in own] == [72, 74, 76, 77, 79] and made["bars"] == 2

    words = ("revise", "DIR/piece.mid", "--bars", "2-3", "--voices", "2", "--particles", "2")
    assert run(files, tiny_model_folder, *words) == 0
    made = json.loads(capsys.readouterr().out)["pieces"][0]
    before, after = (read_score(path) for path in (files / "piece.mid", made["files"]["mid"]))
    kept = [note for note in before.notes if not (note.voice == 1 and 96 <= note.onset < 288)]
    assert [n for n in after.notes if n.voice == 0 or not 96 <= n.onset < 288] == kept


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "--subject", "C5/8"), "The melody has 1 note"),
        (("generate", "--subject", "DIR/piece.mid"), "The melody has 2 voices"),
        (("generate", "--subject", "DIR/nothing.mid"), "nothing.mid"),
        (("generate", "--subject", "DIR/waltz.mid", "--meter", "4/4"), "What is given is in 3/4"),
        (("harmonize", "C5/8 D5/8", "--as", "treble"), "Unknown part 'treble'"),
        (
            ("revise", "DIR/piece.mid", "--bars", "9-12"),
            "Bars 9 to 12 are not there: the piece has bars 1 to 6",
        ),
        (("revise", "DIR/piece.mid", "--bars", "nine"), "--bars is 'nine'"),
        (("revise", "DIR/piece.mid", "--bars", "1-2", "--voices", "5"), "Voices [4] were asked for"),
        (("revise", "DIR/piece.mid", "--bars", "1-2", "--particles", "99"), "particles is 99"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(files, tiny_model_folder, capsys, words, message):
    assert run(files, tiny_model_folder, *words) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert message in told[-1] and not any("Traceback" in line for line in told)
