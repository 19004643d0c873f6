"""Small corpora that the tests write themselves, in the layout of the real one."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tokenization.score import Meter, Note, Score

COLUMNS = "onset_q dur_q midi pitch voice staff bar bar_pos_q time_signature grace ornaments"
CATALOGUE = "id book number bwv kind tonic mode notes source source_file licence note_table split"
MORE = "id work bwv tonic mode notes note_table"
# id, tonic, mode, split, whether its table is there
PIECES = (
    ("wtc1p01", "C", "major", "train", True),
    ("wtc1f01", "C", "major", "train", True),
    ("wtc1p02", "C", "minor", "train", True),
    ("wtc1p09", "E", "major", "test", False),
    ("wtc1f09", "E", "major", "test", False),
    ("wtc1p11", "F", "major", "validation", True),
    ("wtc2f14", "F#", "minor", "validation", True),
    ("wtc2p19", "A", "major", "train", False),
)


def make_score(seed: int, tonic: int = 0, minor: bool = False, bars: int = 6) -> Score:
    """Two or three voices in 4/4 that keep to a scale and end on its tonic."""
    random = np.random.default_rng(seed)
    # The notes of the tonic chord are twice as likely, as in music.
    scale = np.array((0, 0, 2, 3, 3, 5, 7, 7, 8, 11) if minor else (0, 0, 2, 4, 4, 5, 7, 7, 9, 11))
    notes: list[Note] = []
    for voice, low in enumerate((72, 60, 48)):
        now = 0
        while now < (bars - 1) * 96:
            duration = int(random.choice((6, 12, 24)))
            pitch = low + tonic + int(random.choice(scale))
            notes.append(Note(now, min(duration, (bars - 1) * 96 - now), pitch, voice))
            now += duration
        final = (7, 3 if minor else 4, 0)[voice]
        notes.append(Note((bars - 1) * 96, 96, low + tonic + final, voice))
    return Score(notes, meters=[Meter(0, 4, 4)])


def write_table(path: Path, score: Score, extra: tuple[dict, ...] = ()) -> Path:
    """A note table of a score in 4/4; `extra` are further rows as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("soprano", "alto", "bass", "tenor", "mezzo")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS.split(), delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        for note in score.notes:
            onset, place = Fraction(note.onset, 24), Fraction(note.onset % 96, 24)
            row = {"onset_q": onset, "dur_q": Fraction(note.duration, 24), "midi": note.pitch, "grace": 0}
            row |= {"voice": names[note.voice], "bar": note.onset // 96 + 1, "bar_pos_q": place}
            writer.writerow({**row, "time_signature": "4/4"})
        writer.writerows(extra)
    return path


def key_pitch(tonic: str) -> int:
    """Semitones above C, -5 to 6."""
    return {"C": 0, "F": 5, "E": 4, "F#": 6, "A": -3, "D": 2, "G": -5}[tonic]


def make_corpus(root: Path) -> Path:
    """`wtc` with catalogue, tables and a missing test split; `more` with two pieces without split, kind or
    mode.
    """
    rows = []
    for seed, (name, tonic, mode, split, there) in enumerate(PIECES):
        score = make_score(seed, key_pitch(tonic), mode == "minor")
        if there:
            write_table(root / "wtc" / "notes" / f"{name}.tsv", score)
        kind, table = {"p": "prelude", "f": "fugue"}[name[4]], f"notes/{name}.tsv" if there else ""
        number, source = int(name[5:]), ("buschke", f"{name}.ly", "Public Domain")
        rows.append(
            (name, name[3], number, 845 + number, kind, tonic, mode, len(score), *source, table, split)
        )
    _write_catalogue(root / "wtc" / "catalogue.csv", CATALOGUE, rows)
    more = []
    for seed, (name, tonic, minor) in enumerate((("canzona", "D", True), ("gigue", "G", False)), start=50):
        score = make_score(seed, key_pitch(tonic), minor)
        write_table(root / "more" / "notes" / f"{name}.tsv", score)
        more.append((name, "suite", 999, tonic, "", len(score), f"notes/{name}.tsv"))
    _write_catalogue(root / "more" / "catalogue.csv", MORE, more)
    return root


def _write_catalogue(path: Path, columns: str, rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns.split(), *rows])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus that a test may change."""
    return make_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def new_score():
    """`make_score`, for tests that want a score of their own."""
    return make_score


@pytest.fixture
def new_table():
    """`write_table`."""
    return write_table
