from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.musicgpt import commands
from tokenization import Score, read_score, write_midi, write_musicxml
from tokenization.score import ONSET


@pytest.fixture
def generate(tiny_model_folder, tmp_path, monkeypatch, capsys):
    """Run `musicgpt generate` with the small model in an empty folder, into `o`; gives exit code, output and
    error output.
    """
    monkeypatch.chdir(tmp_path)

    def run(words: str) -> tuple[int, str, str]:
        try:
            code = commands.generate(tiny_model_folder, Path("o"), words)
        except SystemExit as end:  # argparse's own complaints
            code = int(end.code or 0)
        return (code, *capsys.readouterr())

    return run


def digests(folder: str) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(folder).iterdir())}


def test_it_writes_three_files_a_piece_that_hold_the_same_notes(generate):
    words = "--key 'd minor' --form fugue --meter 3/4 --max-new-tokens 300 --seed 4 --num 2"
    code, out, err = generate(words)
    assert code == 0, err
    stem = "fugue_d-minor_3-4_max-300_seed-"
    assert sorted(os.listdir("o")) == sorted(
        f"{stem}{seed}.{kind}" for seed in (4, 5) for kind in ("mid", "musicxml", "png")
    )
    assert "wrote o" in out and "notes" in out and "bars" in out and "D minor" in out
    for seed in (4, 5):
        midi, xml = (read_score(Path("o") / f"{stem}{seed}.{kind}") for kind in ("mid", "musicxml"))
        assert len(midi) and midi.meters == xml.meters and str(xml.key) == "D minor"
        # Voices may be numbered anew where one is silent; pitches, onsets and lengths must agree.
        assert sorted(map(tuple, midi.array[:, :3].tolist())) == sorted(map(tuple, xml.array[:, :3].tolist()))


def test_the_same_seed_gives_the_same_files_byte_for_byte(generate):
    for folder in ("a", "b", "c"):
        seed = "8" if folder == "c" else "7"
        words = f"--max-new-tokens 200 --seed {seed} --mood dramatic --out {folder}"
        assert generate(words)[0] == 0
    assert digests("a") == digests("b")
    assert not set(digests("a").values()) & set(digests("c").values())


def test_json_says_what_was_written(generate):
    code, out, _ = generate("--max-new-tokens 100 --seed 1 --json")
    [piece] = json.loads(out)["pieces"]
    assert code == 0 and set(piece["files"]) == {"mid", "musicxml", "png"}
    assert all(Path(file).exists() for file in piece["files"].values())
    assert piece["notes"] == len(read_score(piece["files"]["mid"]))
    assert piece["seed"] == 1 and piece["bars"] > 0


@pytest.mark.parametrize("kind", ["mid", "musicxml"])
def test_a_file_is_continued_and_its_notes_stay(generate, kind):
    beginning = Score(
        [(24 * i, 24, 62 + (0, 2, 3, 5, 7)[i % 5], 0) for i in range(24)], key="D minor", tempo=90, title="x"
    )
    {"mid": write_midi, "musicxml": write_musicxml}[kind](beginning, f"start.{kind}")
    code, out, err = generate(f"--prompt start.{kind} --prompt-bars 4 --max-new-tokens 80 --seed 3 --json")
    assert code == 0, err
    [piece] = json.loads(out)["pieces"]
    score = read_score(piece["files"]["mid"])
    assert piece["prompt_notes"] == 16 and len(score) > 16
    early = score.array[score.array[:, ONSET] < 96 * 4]
    kept = {tuple(row) for row in beginning.first_bars(4).array[:, :3].tolist()}
    assert kept <= {tuple(row) for row in early[:, :3].tolist()}
    assert Path(piece["files"]["mid"]).name.startswith("start_continued_")


def _four_bars(form: str = "prelude") -> None:
    notes = [*((12 * i, 12, 62 + i % 7, 0) for i in range(31)), (383, 12, 62, 0)]
    write_midi(Score(notes, key="D minor", form=form), "start.mid")


def _midi_without_notes() -> None:
    import mido

    midi = mido.MidiFile()
    midi.tracks.append(mido.MidiTrack())
    midi.save("bad.mid")


@pytest.mark.parametrize(
    "prepare, arguments, words",
    [
        (lambda: Path("bad.mid").write_text("this is not music"), "--prompt bad.mid", "bad.mid"),
        (_midi_without_notes, "--prompt bad.mid", "no notes"),
        (None, "--prompt nothing.mid", "nothing.mid"),
        (None, "--prompt .", "directory"),
        (_four_bars, "--prompt start.mid --max-new-tokens 24", "Give at least 72"),
        (
            lambda: _four_bars("fugue"),
            "--prompt start.mid --max-new-tokens 24",
            "takes 128 of the 24 tokens",
        ),
        (None, "--top-p 2", "top_p is 2"),
        (None, "--key 'H major'", "H major"),
        (None, "--seed soon", "--seed"),
        (None, "--num 0", "num is 0"),
        (None, "--prompt-bars 2", "without"),
        (None, "--model ./nowhere", "nowhere"),
        (None, "--no-such-option", "--no-such-option"),
    ],
)
def test_bad_input_ends_in_exit_code_2_and_one_line(generate, prepare, arguments, words):
    if prepare:
        prepare()
    code, out, err = generate(arguments)
    assert code == 2
    assert out == "" and err.startswith("musicgpt: error: ") and err.count("\n") == 1 and words in err
    assert not Path("o").exists()


def test_a_piece_without_a_new_note_is_told_of_and_the_others_are_written(generate, monkeypatch):
    from musicgpt import composer
    from musicgpt.prompts import NoNewNote

    whole = composer._finish

    def all_but_5(task, settings, made, seconds):
        if settings.seed == 5:
            raise NoNewNote("The model ended the piece.")
        return whole(task, settings, made, seconds)

    monkeypatch.setattr(composer, "_finish", all_but_5)
    code, out, err = generate("--max-new-tokens 40 --seed 4 --num 3 --json")
    assert code == 0 and [piece["seed"] for piece in json.loads(out)["pieces"]] == [4, 6]
    assert err == "note: 1 of 3 pieces have no new note: seed 5 left out. The model ended the piece.\n"


def test_a_folder_that_cannot_be_written_ends_in_exit_code_1_and_one_line(generate):
    Path("o").write_text("a file where the folder should be")
    code, _, err = generate("--max-new-tokens 40 --seed 1")
    assert code == 1 and err.count("\n") == 1 and "Traceback" not in err
